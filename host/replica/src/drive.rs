//! Drives the session of a run: performs the I/O that it asks for, and starts what is ready.

use super::apart::{answer_takes_long, apart_if, input_takes_long};
use super::live::Live;
use crate::child::abandons;
use crate::counters::{EventEnd, Lease};
use crate::events::Event as Message;
use crate::log::{log_node, log_run};
use faas_flow_core::run::{CONTEXT, Doc, Event, Refusal, Run, Work, set_of};
use faas_flow_core::{Failure, Millis, NodePath, Partition, RetryPolicy, Status};
use faas_flow_session::{Answer, Delivery, Documents, End, Input, Io, Join, Ready, Session};
use faas_flow_store::{CommitError, StoreError};
use faas_flow_versions::RunEnd;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How an unavailable store is tried again.
pub(super) const STORE_RETRIES: RetryPolicy =
    RetryPolicy::exponential(Duration::from_millis(40), Duration::from_secs(5)).with_max_tries(8);

/// Like [`STORE_RETRIES`], but without a limit: a node that is executed waits for the store, unless it is cancelled.
pub(super) const PATIENT_RETRIES: RetryPolicy =
    RetryPolicy::exponential(Duration::from_millis(40), Duration::from_secs(5));

/// Work that has become ready.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) work: Work,
    /// How often the run's work had been cancelled by then.
    pub(super) cancelled: u64,
}

/// The results of an input that its caller must act on.
#[derive(Debug, Default)]
pub(super) struct Reaction {
    /// Work to execute.
    pub(super) start: Vec<Started>,
    /// Nodes whose branches may all have arrived.
    pub(super) count: Vec<Join>,
    /// Why the input was refused.
    pub(super) refused: Option<Refusal>,
    /// A delivery of the callback, which was claimed here.
    pub(super) call_back: Option<Delivery>,
    /// Why this replica has abandoned the run.
    pub(super) abandoned: Option<Failure>,
    /// Why a run in memory could not be stored.
    pub(super) unstored: Option<Failure>,
    /// The number of nodes that were released.
    pub(super) released: usize,
}

impl Live {
    /// Gives the session an input, and starts what becomes ready.
    pub(super) async fn react(self: &Arc<Self>, input: Input) -> Reaction {
        let mut session = self.lock().await;
        let reaction = self.drive(&mut session, input).await;
        drop(session);
        self.spawn_started(reaction)
    }

    /// Executes what became ready, and counts ended branches, in tasks of their own.
    pub(super) fn spawn_started(self: &Arc<Self>, mut reaction: Reaction) -> Reaction {
        self.spawn(std::mem::take(&mut reaction.start));
        let count = std::mem::take(&mut reaction.count);
        if !count.is_empty() {
            tokio::spawn(self.clone().join(count));
        }
        reaction
    }

    /// Gives the session an input, and advances it. What becomes ready to execute is left to the caller.
    pub(super) async fn drive(self: &Arc<Self>, session: &mut Session, input: Input) -> Reaction {
        let circumstances = self.services.circumstances();
        apart_if(input_takes_long(session, &input), || session.input(input, &circumstances));
        let reaction = self.advance(session).await;
        if let Some(failure) = &reaction.abandoned {
            log_run!(error, self, code = %failure.code, error = %failure.message, "abandoning run; another replica resumes it when its leases expire");
        }
        if let Some(refusal) = &reaction.refused {
            log_run!(debug, self, %refusal, "ignoring event");
        }
        reaction
    }

    /// Performs I/O until the session asks for no more, and acts on what is ready.
    pub(super) async fn advance(self: &Arc<Self>, session: &mut Session) -> Reaction {
        // Before anything is committed, so that no other replica takes a lease to have run out earlier.
        let leased = self.services.clock.uptime() + self.services.rules.lease;
        while let Some(io) = session.io() {
            let answer = self.perform_io(io).await;
            let circumstances = self.services.circumstances();
            apart_if(answer_takes_long(session, &answer), || session.answer(answer, &circumstances));
        }
        self.note_durability(session);
        self.watch_deadline(session);
        let ready = session.ready();
        self.act(session, ready, leased).await
    }

    async fn act(self: &Arc<Self>, session: &mut Session, ready: Ready, leased: Millis) -> Reaction {
        if ready.cancel {
            self.cancelled.modify(|times| *times += 1);
            self.claims.clear();
            if abandons(session.state().run()) {
                self.stop_called(session);
            }
        }
        if !ready.withdrawn.is_empty() {
            self.claims.withdraw(&ready.withdrawn_claims);
            self.cancelled.wake();
            self.stop_withdrawn(session, ready.withdrawn);
        }
        if !ready.cut_off.is_empty() {
            tokio::spawn(self.clone().report_cut_off(ready.cut_off));
        }
        if let Some(renewed) = &ready.renewed {
            self.claims.renewed(renewed, leased);
        }
        for work in &ready.start {
            self.claims.add(work.token, leased);
        }
        for (what, leases) in [
            (Lease::Renewed, ready.leases.renewed),
            (Lease::Lost, ready.leases.lost),
            (Lease::Released, ready.leases.released),
        ] {
            if leases > 0 {
                self.services.counters.leases(what, leases);
            }
        }
        if !ready.send.is_empty() {
            self.send(ready.send);
        }
        if let Some(by) = ready.commit_by {
            self.commit_by(by);
        }
        if let Some(failure) = &ready.abandoned {
            // The first failure is the reason.
            let _ = self.abandoned.set(failure.clone());
        }
        if let Some(end) = ready.end {
            self.count_end(session, end);
            self.notify_ended(session).await;
        }
        if session.has_left() {
            self.close();
        }
        // Under the lock, so that whatever cancels the run from now on cancels this too.
        let cancelled = self.cancelled.get();
        Reaction {
            start: ready.start.into_iter().map(|work| Started { work, cancelled }).collect(),
            count: ready.count,
            refused: ready.refused,
            call_back: ready.call_back,
            abandoned: ready.abandoned,
            unstored: ready.unstored,
            released: ready.leases.released,
        }
    }

    fn count_end(&self, session: &Session, end: End) {
        let status = session.state().run().status();
        match end {
            End::Ended => {
                self.trace_run(session.state().run());
                self.services.counters.run_ended(status);
                self.time_run(session.state().run());
                let how = if status == Status::Failed { RunEnd::Failed } else { RunEnd::Fine };
                self.services.versions.count_ended(&self.flow, how);
            }
            End::Exhausted => self.services.versions.count_ended(&self.flow, RunEnd::Failed),
            End::EndedElsewhere | End::Paused => {}
        }
    }

    fn time_run(&self, run: &Run) {
        let took = run.ended.unwrap_or(self.clock).saturating_sub(self.clock);
        self.durations.run(run.status(), Duration::from_millis(took), self.trace.as_ref());
    }

    /// Stops working on the run, which the session has left.
    pub(super) fn close(&self) {
        self.runs.remove(self);
        self.drop_idle();
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Leaves the run if this replica only helps with it and has nothing more to do.
    pub(super) async fn leave_if_done(&self) {
        let mut session = self.lock().await;
        let helped = !session.is_owner() && !session.has_left();
        session.leave_if_done();
        if session.has_left() {
            if helped {
                self.forget_deadline(&session);
            }
            self.close();
        }
    }

    async fn perform_io(&self, io: Io) -> Answer {
        match io {
            Io::Load { docs, tries } => self.load(&docs, tries).await,
            Io::LoadRun => match self.services.state.read(&Partition::of_run(&self.id), &[Doc::Run.name()]).await {
                Ok(documents) => Answer::Loaded(documents),
                Err(error) => Answer::NotLoaded(failure(&error)),
            },
            Io::LoadAll => match self.services.state.read_progress(&Partition::of_run(&self.id)).await {
                Ok(documents) => Answer::LoadedAll(documents),
                Err(error) => Answer::NotLoaded(failure(&error)),
            },
            Io::Commit { change, tries } => {
                pause(tries).await;
                match self.services.state.commit(&Partition::of_run(&self.id), change).await {
                    Ok(committed) => Answer::Committed(committed),
                    Err(CommitError::Conflict) => Answer::Conflict,
                    Err(CommitError::Store(error)) => {
                        log_run!(warn, self, code = %error.code(), tries = tries + 1, %error, "commit failed");
                        Answer::Unknown(failure(&error))
                    }
                }
            }
            Io::Values { tries } => {
                pause(tries).await;
                Answer::Values(self.stored_values().await)
            }
        }
    }

    async fn load(&self, docs: &[Doc], tries: u32) -> Answer {
        pause(tries).await;
        let names: Vec<String> = docs.iter().map(Doc::name).collect();
        let mut delays = STORE_RETRIES.delays(fastrand::f64);
        loop {
            match self.services.state.read(&Partition::of_run(&self.id), &names).await {
                Ok(documents) => return Answer::Loaded(documents),
                Err(error) if error.code().is_transient() => match delays.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Answer::NotLoaded(failure(&error)),
                },
                Err(error) => return Answer::NotLoaded(failure(&error)),
            }
        }
    }

    /// The context values of a run in memory, and what is kept with it, as documents.
    async fn stored_values(&self) -> Result<Documents, Failure> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut documents = Documents::with_capacity(values.len());
        for (key, value) in values {
            let name = format!("(begun)/{CONTEXT}{key}");
            let stored = self.services.data.store_value(&self.id, name, value).await?;
            documents.push((format!("{CONTEXT}{key}"), stored));
        }
        documents.extend(self.kept_documents());
        Ok(documents)
    }

    /// Offers ready nodes to other replicas.
    fn send(self: &Arc<Self>, paths: Vec<NodePath>) {
        let live = self.clone();
        tokio::spawn(async move {
            let Some(events) = &live.services.events else { return };
            for path in paths {
                let event = Message { run: live.id.clone(), path: path.clone() };
                let sent = events.send(&live.flow.name, event, live.run_trace_headers()).await;
                live.services.counters.event_sent(if sent.is_ok() { EventEnd::Sent } else { EventEnd::Failed });
                if let Err(failure) = sent {
                    // The owner finds that the node is ready, one lease later.
                    log_node!(warn, live, (path, None), code = %failure.code, error = %failure.message, "event not sent");
                }
            }
        });
    }

    /// Continues nodes whose branches have all ended.
    ///
    /// The future is boxed since its type contains itself: an input may lead to more counting.
    fn join(self: Arc<Self>, count: Vec<Join>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            for Join { node, started_by, total } in count {
                match self.services.state.arrived(&Partition::of_run(&self.id), &set_of(&node, started_by)).await {
                    Ok(arrived) if arrived == u64::from(total) => {
                        let joined = Event::Joined { path: node, started_by };
                        self.react(Input::Event(joined, Documents::new())).await;
                    }
                    Ok(_) => {}
                    // The owner counts again at its next check.
                    Err(error) => {
                        log_node!(warn, self, (node, None), code = %error.code(), %error, "ended branches not counted");
                    }
                }
            }
        })
    }
}

/// Pauses before the next try, after this number of failed ones.
async fn pause(failed_tries: u32) {
    if failed_tries > 0
        && let Some(delay) = STORE_RETRIES.delay_after(failed_tries, fastrand::f64())
    {
        tokio::time::sleep(delay).await;
    }
}

/// The failure of what needed the store.
pub(super) fn failure(error: &StoreError) -> Failure {
    Failure::retry(error.code(), error.to_string())
}
