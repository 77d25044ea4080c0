//! Runs that are stored later than they begin: those whose caller waits for the result, did not choose the id and wants no
//! callback.
//!
//! While such a run is young nobody but its caller knows of it, and should this replica be lost, the caller gets no answer
//! and asks again: so it may be executed before it is stored. It is stored as soon as it takes longer than the first look of
//! its caller, before it waits for long, before anybody is told that it goes on, and before this replica stops.
//!
//! A run of a single node stays in memory ([`Durability::Memory`](faas_flow_session::Durability::Memory)): it may end
//! without a commit on the way, and its history is written behind its answer; while the store is away it goes on in memory.
//! The beginning of any other waits as all does that only the flow's own code did
//! ([`Durability::Delayed`](faas_flow_session::Durability::Delayed)): it is committed together with what follows, and before
//! anything leaves this replica, be it a call or the answer.

use super::control::to_its_end;
use super::live::Live;
use crate::Error;
use faas_flow_core::Code;
use faas_flow_session::{Durability, Input};
use std::sync::Arc;

impl Live {
    /// Stores the run, if it is not stored yet.
    pub(super) async fn store(self: &Arc<Self>) -> Result<(), Error> {
        if !matches!(self.lock().await.durability(), Durability::Memory | Durability::Delayed) {
            return Ok(());
        }
        let live = self.clone();
        let stored = async move {
            let reaction = live.react(Input::Store).await;
            match reaction.unstored.or(reaction.abandoned) {
                Some(failure) => Err(failure.into()),
                None => Ok(()),
            }
        };
        to_its_end(stored).await
    }

    /// What the caller of a run is told that cannot be stored.
    pub(super) fn not_stored(&self) -> Error {
        match &*self.abandoned.borrow() {
            Some(failure) => Error::new(failure.code, failure.to_string()),
            None => Error::new(Code::STORE_UNAVAILABLE, "the run could not be stored: try again"),
        }
    }
}
