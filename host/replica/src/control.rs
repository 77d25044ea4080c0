//! What callers and operators ask of runs, on whichever replica they ask.

use super::ended::Ended;
use super::host::Host;
use super::live::Live;
use crate::Error;
use faas_flow_core::run::{Event, Phase, Refusal, RunState};
use faas_flow_core::{Code, FlowName, NodePath, RunId, Status};
use faas_flow_session::{Documents, Input, Role, Session};
use faas_flow_versions::Pinned;
use faas_flow_versions::runs::{load, load_around, load_run};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// The first wait between two looks at a run that another replica may have ended; each further one is twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest of them.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    /// This replica executes the node.
    Taken,
    /// There was nothing to do, and this is why.
    Ignored(String),
    /// There is no such run here.
    UnknownRun,
    /// The run is another flow's.
    Foreign,
}

impl Host {
    /// What is answered while the replica drains.
    pub(super) fn stopping() -> Error {
        Error::new(Code::STOPPING, "this replica is about to stop: try again, and another will answer")
    }

    /// Executes a node of a flow's run, if it is ready and nobody else does. Waits for room as long as the settings say.
    pub async fn forward(self: &Arc<Self>, flow: &FlowName, run: &RunId, path: &NodePath) -> Result<Forwarded, Error> {
        let full = || {
            let message = "this replica is busy: the event will be sent again, or somebody else finds the node ready";
            Error::new(Code::OVERLOADED, message)
        };
        if self.is_draining() {
            return Err(Self::stopping());
        }
        loop {
            let permit =
                tokio::time::timeout(self.services.settings.room_wait, self.services.permits.clone().acquire_owned())
                    .await;
            let Ok(Ok(permit)) = permit else { return Err(full()) };
            let known = self.runs.get(run);
            let live = match known {
                Some(live) => live,
                None => match self.open(flow, run, path).await? {
                    Ok(live) => live,
                    Err(forwarded) => return Ok(forwarded),
                },
            };
            if live.flow.name != *flow {
                return Ok(Forwarded::Foreign);
            }
            let (claimed, path) = (live.clone(), path.clone());
            match to_its_end(async move { claimed.claim(&path, permit).await }).await? {
                Claimed::Taken => return Ok(Forwarded::Taken),
                Claimed::Refused(refusal) => return Ok(Forwarded::Ignored(refusal.to_string())),
                Claimed::Left => {}
            }
        }
    }

    /// Opens a stored run to help with one of its nodes.
    async fn open(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        path: &NodePath,
    ) -> Result<Result<Arc<Live>, Forwarded>, Error> {
        let Some(state) = load_around(&*self.services.state, run, path).await? else {
            return Ok(Err(Forwarded::UnknownRun));
        };
        if state.run().flow != *flow {
            return Ok(Err(Forwarded::Foreign));
        }
        if state.run().phase == Phase::Ended {
            return Ok(Err(Forwarded::Ignored(Refusal::Ended.to_string())));
        }
        self.open_session(state, Role::Helper).await.map(Ok)
    }

    /// Nothing new of the run starts from here on; what runs is finished.
    pub async fn pause(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        self.control(run, Event::Pause).await
    }

    /// A paused run goes on.
    pub async fn resume(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        self.control(run, Event::Resume).await
    }

    /// Ends the run: operations in flight are cut off, here at once, on other replicas within a third of a lease.
    pub async fn stop(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        self.control(run, Event::Stop).await
    }

    /// Runs a node, and all that follows it, again.
    pub async fn rerun(self: &Arc<Self>, run: &RunId, path: &NodePath) -> Result<(), Error> {
        self.control(run, Event::Rerun { path: path.clone() }).await
    }

    async fn control(self: &Arc<Self>, run: &RunId, event: Event) -> Result<(), Error> {
        let unknown = || Error::new(Code::RUN_UNKNOWN, format!("there is no run {run}"));
        loop {
            let known = self.runs.get(run);
            let live = match known {
                Some(live) => live,
                None => {
                    let state = load(&*self.services.state, run).await?.ok_or_else(unknown)?;
                    self.open_session(state, Role::owner(self.now())).await?
                }
            };
            let event = event.clone();
            match to_its_end(async move { live.control(event).await }).await? {
                Claimed::Left => {}
                Claimed::Taken => return Ok(()),
                Claimed::Refused(refusal) => {
                    return Err(Error::new(Code::RUN_STATE, format!("run {run}: {refusal}")));
                }
            }
        }
    }

    /// Waits for the end of a run, wherever it happens, or for its pause.
    pub async fn wait(self: &Arc<Self>, run: &RunId, at_most: Duration) -> Result<Option<Arc<Ended>>, Error> {
        let live = self.runs.get(run);
        self.wait_for(live.as_ref(), run, at_most).await
    }

    /// Here the end shows at once; that of a run which ends elsewhere, the store tells.
    pub(super) async fn wait_for(
        self: &Arc<Self>,
        live: Option<&Arc<Live>>,
        run: &RunId,
        at_most: Duration,
    ) -> Result<Option<Arc<Ended>>, Error> {
        let until = Instant::now() + at_most;
        let told = async {
            match live {
                Some(live) => live.end().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(told);
        let mut pause = FIRST_LOOK;
        loop {
            tokio::select! {
                biased;
                ended = &mut told => return Ok(ended),
                () = tokio::time::sleep_until(until.min(Instant::now() + pause)) => {}
            }
            // Whoever has waited so long, or is about to be told that the run goes on, is to find it again.
            let stored = match live {
                Some(live) => {
                    let patience = until.saturating_duration_since(Instant::now()) + LAST_LOOK;
                    tokio::time::timeout(patience, live.store()).await.unwrap_or_else(|_| Err(live.not_stored()))
                }
                None => Ok(()),
            };
            if stored.is_ok() {
                // A run that ended here in the meantime has its answer, even if the store is away.
                tokio::select! {
                    biased;
                    ended = &mut told => return Ok(ended),
                    ended = self.ended(run) => if let Some(ended) = ended? { return Ok(Some(ended)) },
                }
            }
            if Instant::now() >= until {
                return stored.map(|()| None);
            }
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// How a stored run ended, if it did.
    async fn ended(&self, run: &RunId) -> Result<Option<Arc<Ended>>, Error> {
        let Some(entry) = self.services.state.entry(run).await? else { return Ok(None) };
        if !entry.status.is_final() && entry.status != Status::Paused {
            return Ok(None);
        }
        let Some(state) = load_run(&*self.services.state, run).await? else { return Ok(None) };
        let status = state.run().status();
        if !status.is_final() && status != Status::Paused {
            return Ok(None);
        }
        let result = match &state.run().result {
            Some(payload) => Some(self.services.data.fetch_patiently(&*self.services.state, run, payload).await),
            None => None,
        };
        Ok(Some(Arc::new(Ended::of(state.run(), result))))
    }

    /// Puts a loaded run among those that this replica works on; another task may have been faster.
    pub(super) async fn open_session(self: &Arc<Self>, state: RunState, role: Role) -> Result<Arc<Live>, Error> {
        let pinned = self.versions().pinned(state.run()).await?;
        let run = state.run().id.clone();
        let live = self.session_of(pinned, state, role);
        Ok(self.runs.lock().entry(run).or_insert(live).clone())
    }

    /// A session of a loaded run.
    pub(super) fn session_of(&self, (flow, plan): Pinned, state: RunState, role: Role) -> Arc<Live> {
        let session = Session::open(plan.clone(), self.services.rules.clone(), fastrand::u64(..), state, role);
        Live::new((self.services.clone(), self.runs.clone()), (flow, plan), session)
    }
}

/// Does what changes a run to its end, though whoever asked for it may go away: a request that is cut off must leave no run
/// half changed, with nodes that are claimed and that nobody executes.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let ended_early = || Error::new(Code::INTERNAL, "a task of the host ended early: its log says why");
    let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
    // Most of it waits for nothing, and needs no task of its own.
    let done = match futures_util::poll!(&mut work) {
        Poll::Ready(done) => done,
        Poll::Pending => tokio::spawn(work).await.map_err(|_| ended_early())?,
    };
    done.map_err(|_| ended_early())?
}

/// What became of a wish to change a run.
pub(super) enum Claimed {
    /// It was granted.
    Taken,
    /// Somebody else was faster, or nobody may.
    Refused(Refusal),
    /// This replica has left the run since: it must be opened anew.
    Left,
}

impl Live {
    /// Executes a node that may be claimed, on somebody's hint.
    async fn claim(self: &Arc<Self>, path: &NodePath, permit: OwnedSemaphorePermit) -> Result<Claimed, Error> {
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(Claimed::Left);
        }
        let mut reaction = self.drive(&mut session, Input::Claim(path.clone())).await;
        // Another replica may have been faster: then the claim was applied here, and its commit was not.
        let executes = session.executes(path);
        drop(session);
        if let Some(failure) = reaction.abandoned.take() {
            return Err(failure.into());
        }
        if reaction.refused.is_some() || !executes {
            let refusal = reaction.refused.take().unwrap_or(Refusal::Leased);
            self.carry_out(reaction);
            self.leave_if_done().await;
            return Ok(Claimed::Refused(refusal));
        }
        let mut permit = Some(permit);
        for work in std::mem::take(&mut reaction.start) {
            tokio::spawn(self.clone().execute(work, permit.take(), self.cancelled.subscribe()));
        }
        self.carry_out(reaction);
        Ok(Claimed::Taken)
    }

    /// Applies what an operator asks for.
    async fn control(self: &Arc<Self>, event: Event) -> Result<Claimed, Error> {
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(Claimed::Left);
        }
        if !session.is_owner() && !matches!(event, Event::Pause | Event::Stop) {
            // Only a whole copy of the state knows all that is to go on.
            session.leave();
            self.forget();
            return Ok(Claimed::Left);
        }
        let reaction = self.drive(&mut session, Input::Event(event, Documents::new())).await;
        if session.is_idle() && session.state().run().phase == Phase::Ended {
            session.leave();
            self.forget();
        }
        drop(session);
        let reaction = self.carry_out(reaction);
        if let Some(failure) = reaction.abandoned {
            return Err(failure.into());
        }
        Ok(match reaction.refused {
            None => Claimed::Taken,
            Some(refusal) => Claimed::Refused(refusal),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_of_the_host_is_answered_with_a_code_whether_the_work_waits_or_not() {
        let at_once = to_its_end::<()>(async { panic!("at once") }).await;
        assert_eq!(at_once.unwrap_err().code(), Code::INTERNAL);
        let later = to_its_end::<()>(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert_eq!(later.await.unwrap_err().code(), Code::INTERNAL);
    }
}
