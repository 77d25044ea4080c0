//! The end of a run, and those who wait for it.

use super::live::Live;
use crate::Step;
use faas_flow_core::run::Run;
use faas_flow_core::{Content, Failure, ResponseHead, Status};
use faas_flow_session::Session;
use std::sync::Arc;

/// How a run ended, or that it paused.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Succeeded, failed or stopped; or paused, until an operator resumes the run.
    pub status: Status,
    /// The result, or the answer of the flow's failure handler.
    pub result: Option<Content>,
    /// The status and headers that the flow has set for its answer, if the result is there.
    pub response: Option<ResponseHead>,
    /// Why the run failed; or why its result, which exists, cannot be read.
    pub failure: Option<Failure>,
}

impl Ended {
    /// How a run ended, with its result if it has one. If the result could not be read, there is a failure instead, so that
    /// the result does not seem to be empty.
    pub(super) fn of(run: &Run, result: Option<Result<Content, Failure>>) -> Self {
        let status = run.status();
        match result {
            None => Self { status, result: None, response: None, failure: run.failure.clone() },
            Some(Ok(result)) => {
                let response = run.response_head().cloned();
                Self { status, result: Some(result), response, failure: run.failure.clone() }
            }
            Some(Err(failure)) => Self { status, result: None, response: None, failure: Some(failure) },
        }
    }
}

impl Live {
    /// Waits for the end, if this replica learns of it.
    pub(super) async fn end(&self) -> Option<Arc<Ended>> {
        self.ended.subscribe().wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone())
    }

    /// How the run ended, or that it paused, if this replica knows.
    fn ended_here(&self) -> Option<Arc<Ended>> {
        self.ended.borrow().clone()
    }

    /// Notifies those who wait for the end of the run, or for its pause, and writes the history of a run in memory.
    pub(super) async fn notify_ended(self: &Arc<Self>, session: &mut Session) {
        let ended = Arc::new(self.read_ended(session).await);
        let status = ended.status;
        let in_memory = self.is_in_memory();
        let room = if in_memory { self.services.room_for_history().await } else { None };
        if in_memory {
            // First of all, since callers may ask for the run as soon as they have their answer.
            self.runs.writing_history().insert(self.id.clone(), self.clone());
        }
        // Also before the end is there, since those who wait for it stop watching then.
        self.show(|| Step::Ended(status));
        self.ended.send_replace(Some(ended));
        if in_memory {
            return self.write_history(session, room);
        }
        if status.is_final() {
            if session.state().callback_due().is_some_and(|due| due <= self.services.now()) {
                tokio::spawn(self.clone().call_back());
            }
            if let (Some(parent), Some(ended)) = (session.state().run().parent.as_deref(), self.ended_here()) {
                tokio::spawn(self.clone().tell_parent(parent.clone(), ended));
            }
            self.services.note_ended(self.id.clone()).await;
        }
    }

    /// How the run ended, with its result.
    pub(super) async fn read_ended(&self, session: &Session) -> Ended {
        let run = session.state().run();
        let result = match &run.result {
            None => None,
            Some(payload) => Some(match self.cached(payload) {
                Some(bytes) => Ok(bytes),
                None => self.services.data.fetch_patiently(&*self.services.state, &self.id, payload).await,
            }),
        };
        Ended::of(run, result)
    }
}
