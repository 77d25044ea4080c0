//! What operators ask of runs, on whichever replica they ask.

use super::completion::run_to_completion;
use super::host::Host;
use super::live::Live;
use crate::Error;
use faas_flow_core::run::{Event, Phase, Refusal};
use faas_flow_core::{NodePath, RunId};
use faas_flow_session::{Documents, Input, Role};
use faas_flow_versions::runs::load;
use std::sync::Arc;

/// The outcome of an operator's command.
enum Controlled {
    Done,
    Refused(Refusal),
    /// This replica has left the run in the meantime, so the run must be opened again.
    Left,
}

impl Host {
    /// Pauses a run: no new nodes are scheduled; nodes that are executed already finish.
    pub async fn pause(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        self.control(run, Event::Pause).await
    }

    /// Resumes a paused run.
    pub async fn resume(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        self.control(run, Event::Resume).await
    }

    /// Ends a run. Its operations in flight are cancelled, on this replica at once and on others within a third of a lease.
    /// When this returns, nothing of the run is executed any more, and no call of it begins, on whichever replica. It takes as
    /// long as the other replicas need to notice, and if one is lost, a lease.
    pub async fn stop(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        self.control(run, Event::Stop).await
    }

    /// Executes a node, and everything that follows it, again.
    pub async fn rerun(self: &Arc<Self>, run: &RunId, path: &NodePath) -> Result<(), Error> {
        self.control(run, Event::Rerun { path: path.clone() }).await
    }

    async fn control(self: &Arc<Self>, run: &RunId, event: Event) -> Result<(), Error> {
        loop {
            let known = self.runs.get(run);
            let live = match known {
                Some(live) => live,
                None => {
                    let state = load(&*self.services.state, run).await?;
                    let state = state.ok_or_else(|| Error::UnknownRun { run: run.clone() })?;
                    self.open(state, Role::owner(self.now())).await?
                }
            };
            let event = event.clone();
            match run_to_completion(async move { live.control(event).await }).await? {
                Controlled::Left => {}
                Controlled::Done => return Ok(()),
                Controlled::Refused(refusal) => return Err(Error::Refused { run: run.clone(), refusal }),
            }
        }
    }
}

impl Live {
    async fn control(self: &Arc<Self>, event: Event) -> Result<Controlled, Error> {
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(Controlled::Left);
        }
        if !session.is_owner() && !matches!(event, Event::Pause | Event::Stop) {
            // A helper has loaded a part of the run only, but the event may concern all of it.
            session.leave();
            self.close();
            return Ok(Controlled::Left);
        }
        let stops = matches!(event, Event::Stop);
        let goes_on = matches!(event, Event::Pause | Event::Resume);
        let reaction = self.drive(&mut session, Input::Event(event, Documents::new())).await;
        // The deadline may have come first.
        let too_late = goes_on && session.state().run().phase != Phase::Flow;
        if session.is_idle() && session.state().run().phase == Phase::Ended {
            session.leave();
            self.close();
        }
        drop(session);
        let reaction = self.spawn_started(reaction);
        if let Some(failure) = reaction.abandoned {
            return Err(failure.into());
        }
        Ok(match reaction.refused {
            None if stops => {
                self.cut_off_everywhere().await;
                Controlled::Done
            }
            None if too_late => Controlled::Refused(Refusal::Ended),
            None => Controlled::Done,
            Some(refusal) => Controlled::Refused(refusal),
        })
    }
}
