//! Runs that are not stored when they begin: those whose caller waits for the result, has not chosen the request id and wants
//! no callback.
//!
//! At first, only the caller knows of such a run. If this replica is lost, the caller gets no answer and asks again, so
//! the run may be executed before it is stored. It is stored when it takes longer than the caller's first look, before a long
//! wait, before a caller is answered that it continues, and before this replica stops.
//!
//! A run of a single node stays in memory ([`Durability::Memory`](faas_flow_session::Durability::Memory)): it may end
//! without any commit, and its history is written after its answer. While the store is unavailable, it continues in memory.
//! The beginning of any other run ([`Durability::Delayed`](faas_flow_session::Durability::Delayed)) is treated like what only
//! the flow's own code did: it is committed together with what follows, and before anything leaves this replica, be it a call
//! or the answer.

use super::completion::run_to_completion;
use super::live::Live;
use crate::Error;
use faas_flow_core::Failure;
use faas_flow_session::{Durability, Input};
use std::sync::Arc;

impl Live {
    /// Stores the run, if it is only in memory, before something outside of it gets to know it.
    pub(super) async fn be_stored(self: &Arc<Self>) -> Result<(), Failure> {
        if !self.is_in_memory() {
            return Ok(());
        }
        self.store().await.map_err(|error| Failure::retry(error.code(), error.to_string()))
    }

    /// Stores the run, unless it is stored already.
    pub(super) async fn store(self: &Arc<Self>) -> Result<(), Error> {
        // A stored run stays stored, and its session may be busy with slow I/O.
        if self.durability() == Durability::Stored {
            return Ok(());
        }
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
        run_to_completion(stored).await
    }

    /// Why the run was not stored in time.
    pub(super) fn not_stored(&self) -> Error {
        match self.abandoned.get() {
            Some(failure) => failure.clone().into(),
            None => Error::NotStored,
        }
    }
}
