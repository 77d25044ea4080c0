//! The answers to commits: what follows when the batch is stored, and when it could not be.

use crate::batch::{Applied, Basis, Withdrawing};
use crate::commit::{Committing, Purpose};
use crate::durability::Durability;
use crate::end::is_exhausted;
use crate::io::{Circumstances, End, Io};
use crate::joins::is_join;
use crate::replay::COMMIT_TRIES;
use crate::session::{Outstanding, Session, Todo};
use faas_flow_core::{Code, Failure, RunId};

impl Session {
    /// Everything that was applied is committed. `arrived` has the size of the set of each arrival.
    pub(crate) fn committed(&mut self, arrived: Vec<u64>) {
        if matches!(self.durability, Durability::Delayed | Durability::Beginning) {
            self.durability = Durability::Stored;
        }
        (self.failed, self.unknown) = (0, 0);
        let mut batch = std::mem::take(&mut self.batch);
        let arrivals = std::mem::take(&mut batch.arrivals);
        for (arriving, arrived) in arrivals.into_iter().zip(arrived) {
            let is_joined = |applied: &Applied| is_join(&applied.event, &arriving.node, arriving.started_by);
            if arrived == u64::from(arriving.total) && !batch.events.iter().any(is_joined) {
                self.join(arriving.node, arriving.started_by, Basis::Any);
            }
        }
        if batch.cancelled.is_some() {
            self.ready.cancel = true;
        }
        if let Some(Withdrawing { parts, running, .. }) = batch.withdrawn.take() {
            self.ready.withdrawn.extend(parts);
            self.ready.withdrawn_claims.extend(running.into_values().map(|claim| claim.token));
        }
        if batch.ended.is_some() {
            self.end(End::Ended);
        } else if !batch.events.is_empty() && self.state.run().paused && self.running.is_empty() {
            self.end(if is_exhausted(&self.state) { End::Exhausted } else { End::Paused });
        }
        self.follow_refused();
    }

    pub(crate) fn not_committed(
        &mut self,
        committing: &Committing,
        failure: Option<Failure>,
        circumstances: &Circumstances,
    ) {
        if committing.purpose == Purpose::Durable {
            let conflict = || Failure::retry(Code::INTERNAL, "another replica changed the run");
            return self.not_durable(failure.unwrap_or_else(conflict));
        }
        if self.durability == Durability::Beginning {
            self.running.clear();
            return self.abandon(failure.unwrap_or_else(|| run_exists(&self.state.run().id)));
        }
        self.commit_failed(failure, circumstances);
    }

    /// Handles a failure to store a run that is in memory. If the run has paused it must be stored, so this is tried again.
    pub(crate) fn not_durable(&mut self, failure: Failure) {
        self.unknown += 1;
        let must = matches!(self.todo.front(), Some(Todo::Commit));
        if must && self.unknown < COMMIT_TRIES && failure.code.is_transient() {
            return self.wait_for(Outstanding::Values, Io::Values { tries: self.unknown });
        }
        self.unknown = 0;
        if must {
            return self.abandon(failure);
        }
        // The next steps would need the run to be stored.
        self.todo.clear();
        self.ready.unstored = Some(failure);
    }
}

/// The failure of a request whose id belongs to another run.
pub fn run_exists(run: &RunId) -> Failure {
    Failure::reject(Code::RUN_EXISTS, format!("a run with the request id {run} already exists"))
}
