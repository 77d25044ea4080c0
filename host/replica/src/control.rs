//! What operators ask of runs, on whichever replica they ask. The run remembers who they are, if that is known.

use super::child::UnreachedRun;
use super::completion::run_to_completion;
use super::host::Host;
use super::live::Live;
use crate::Error;
use crate::counters::Deleted;
use crate::error::KnownNodes;
use faas_flow_core::run::{Actor, Event, Phase, Refusal, RerunFrom, RunState, RunView};
use faas_flow_core::{Code, Content, Failure, NodePath, RunId};
use faas_flow_session::{Documents, Input, Role};
use faas_flow_versions::runs::load;
use std::sync::{Arc, PoisonError};

/// How often a command is tried again after other replicas have changed the run more often than a session puts up with.
const CONFLICTS: usize = 3;

/// The outcome of an operator's command.
enum Controlled {
    Done,
    /// The run is stopped, but these runs that it had called could not be reached.
    Stopped(Vec<UnreachedRun>),
    Refused(Refusal),
    /// A run has no such node, but these.
    Unknown(NodePath, KnownNodes),
    /// Others changed the run, so this replica has abandoned it.
    Conflict,
    /// This replica has left the run in the meantime, so the run must be opened again.
    Left,
}

impl Host {
    /// Pauses a run: no new nodes are scheduled; nodes that are executed already finish.
    pub async fn pause(self: &Arc<Self>, run: &RunId, by: Option<&Actor>) -> Result<(), Error> {
        self.control(run, Event::Pause, by).await
    }

    /// Resumes a paused run.
    pub async fn resume(self: &Arc<Self>, run: &RunId, by: Option<&Actor>) -> Result<(), Error> {
        self.control(run, Event::Resume, by).await
    }

    /// Ends a run. Its operations in flight are cancelled, on this replica at once and on others within a third of a lease.
    /// When this returns, nothing of the run is executed any more, and no call of it begins, on whichever replica. It takes as
    /// long as the other replicas need to notice, and if one is lost, a lease. Returns the runs that it had called and that could
    /// not be stopped, since nobody who has them answers.
    pub async fn stop(self: &Arc<Self>, run: &RunId, by: Option<&Actor>) -> Result<Vec<UnreachedRun>, Error> {
        self.control_with(run, Event::Stop, Documents::new(), by).await
    }

    /// Executes a node, and everything that follows it, again; without a node, what failed or was cut off. With an `input`, the
    /// node gets that instead of what comes before it.
    pub async fn rerun(
        self: &Arc<Self>,
        run: &RunId,
        node: Option<&NodePath>,
        input: Option<Content>,
        by: Option<&Actor>,
    ) -> Result<(), Error> {
        let Some(node) = node else { return self.control(run, Event::Rerun { from: None }, by).await };
        let mut documents = Documents::new();
        let input = match input {
            Some(Content { bytes, media_type }) => {
                let name = format!("{node}/{:016x}/", fastrand::u64(..));
                let payload = self.services.data.store_payload(run, name, bytes, &mut documents).await?;
                Some(payload.of_type(media_type))
            }
            None => None,
        };
        let event = Event::Rerun { from: Some(RerunFrom { path: node.clone(), input }) };
        self.control_with(run, event, documents, by).await.map(drop)
    }

    /// Gives a run a callback if it has none. Refused if the run has ended: then its result is there.
    pub async fn set_callback(self: &Arc<Self>, run: &RunId, url: String) -> Result<(), Error> {
        self.control(run, Event::SetCallback { url }, None).await
    }

    /// Sends the callback of an ended run once more, with the idempotency key that it had: it is delivered later, and tried as
    /// often as at first.
    pub async fn send_callback(self: &Arc<Self>, run: &RunId, by: Option<&Actor>) -> Result<(), Error> {
        self.control(run, Event::SendCallback, by).await
    }

    /// Deletes a run that has ended, with everything that is stored of it. A callback that was not delivered yet is lost.
    pub async fn delete(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        let entry = self.entry(run).await?.ok_or_else(|| Error::UnknownRun { run: run.clone() })?;
        if !entry.status.is_final() {
            return Err(Error::NotEnded { run: run.clone() });
        }
        self.services.delete(run, Deleted::Request).await
    }

    async fn control(self: &Arc<Self>, run: &RunId, event: Event, by: Option<&Actor>) -> Result<(), Error> {
        self.control_with(run, event, Documents::new(), by).await.map(drop)
    }

    async fn control_with(
        self: &Arc<Self>,
        run: &RunId,
        event: Event,
        documents: Documents,
        by: Option<&Actor>,
    ) -> Result<Vec<UnreachedRun>, Error> {
        let event = event.by(by);
        let mut conflicts = 0;
        loop {
            let known = self.runs.get(run);
            let live = match known {
                Some(live) => live,
                None => {
                    let state = load(&*self.services.state, run).await?;
                    let state = state.ok_or_else(|| Error::UnknownRun { run: run.clone() })?;
                    self.open_for(&event, state).await?
                }
            };
            let (event, documents) = (event.clone(), documents.clone());
            match run_to_completion(async move { live.control(event, documents).await }).await? {
                Controlled::Left => {}
                Controlled::Conflict if conflicts < CONFLICTS => conflicts += 1,
                Controlled::Conflict => return Err(Error::Conflict),
                Controlled::Done => return Ok(Vec::new()),
                Controlled::Stopped(unreached) => return Ok(unreached),
                Controlled::Unknown(node, known) => {
                    return Err(Error::UnknownNode { run: run.clone(), node, known });
                }
                Controlled::Refused(refusal) => return Err(Error::Refused { run: run.clone(), refusal }),
            }
        }
    }

    /// Opens a stored run for a command. A callback can be sent without the run's version.
    async fn open_for(self: &Arc<Self>, event: &Event, state: RunState) -> Result<Arc<Live>, Error> {
        let owner = Role::owner(self.now());
        if matches!(event.what(), Event::SendCallback)
            && state.run().phase == Phase::Ended
            && let Some(pinned) = self.versions().for_callback(state.run())?
        {
            return Ok(self.live(pinned, state, owner));
        }
        self.open(state, owner).await
    }
}

impl Live {
    async fn control(self: &Arc<Self>, event: Event, documents: Documents) -> Result<Controlled, Error> {
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(Controlled::Left);
        }
        if !session.is_owner() && !matches!(event.what(), Event::Pause | Event::Stop) {
            // A helper has loaded a part of the run only, but the event may concern all of it.
            session.leave();
            self.close();
            return Ok(Controlled::Left);
        }
        let stops = matches!(event.what(), Event::Stop);
        let goes_on = matches!(event.what(), Event::Pause | Event::Resume);
        let calls_back = matches!(event.what(), Event::SendCallback);
        let again_from = match event.what() {
            Event::Rerun { from: Some(from) } => Some(from.path.clone()),
            _ => None,
        };
        let reaction = self.drive(&mut session, Input::Event(event, documents)).await;
        // The deadline may have come first.
        let too_late = goes_on && session.state().run().phase != Phase::Flow;
        let known = match (again_from, &reaction.refused) {
            (Some(node), Some(Refusal::Unknown)) => Some((KnownNodes::new(&node, nodes(session.state())), node)),
            _ => None,
        };
        if session.is_idle() && session.state().run().phase == Phase::Ended {
            session.leave();
            self.close();
        }
        drop(session);
        let reaction = self.spawn_started(reaction);
        match (reaction.abandoned, known) {
            // Other replicas were faster, each time.
            (Some(Failure { code: Code::INTERNAL, retry: true, .. }), _) => return Ok(Controlled::Conflict),
            (Some(failure), _) => return Err(failure.into()),
            (None, Some((known, node))) => return Ok(Controlled::Unknown(node, known)),
            (None, None) => {}
        }
        Ok(match reaction.refused {
            None if stops => {
                self.cut_off_everywhere().await;
                Controlled::Stopped(std::mem::take(&mut *self.unreached.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            None if calls_back => {
                tokio::spawn(self.clone().call_back());
                Controlled::Done
            }
            None if too_late => Controlled::Refused(Refusal::Ended),
            None => Controlled::Done,
            Some(refusal) => Controlled::Refused(refusal),
        })
    }
}

/// The paths of the nodes of a run, as far as they are loaded, without those of its handlers.
fn nodes(state: &RunState) -> Vec<String> {
    let nodes = RunView::new(state.run(), state.scopes()).nodes.into_iter();
    nodes.filter(|node| !node.path.node.is_reserved()).map(|node| node.path.to_string()).collect()
}
