//! A run that is stored late: that of a single node whose caller waits for the result and did not choose the id.
//!
//! As long as it is young nobody but its caller knows of it, and should this replica be lost, the caller gets no answer and
//! asks again: so it may end without a commit on the way, and its history is written behind its answer. It is stored like
//! any other as soon as it takes longer than the first look of its caller, before it sits out a long wait, before anybody
//! is told that it goes on, and before this replica stops. While the store is away it goes on in memory.

use super::live::{Inner, Live};
use super::step::Documents;
use crate::Error;
use faas_flow_core::run::CONTEXT;
use faas_flow_store::CommitError;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Live {
    /// Whether nothing is stored yet. While the run is locked, this does not change.
    pub(super) fn is_deferred(&self) -> bool {
        self.deferred.load(Ordering::Acquire)
    }

    /// Stores the run, if it is not stored yet.
    pub(super) async fn store(&self) -> Result<(), Error> {
        match self.is_deferred() {
            true => self.store_now(&mut *self.lock().await).await,
            false => Ok(()),
        }
    }

    pub(super) async fn store_now(&self, inner: &mut Inner) -> Result<(), Error> {
        // What has ended is being written.
        if !self.is_deferred() || inner.gone {
            return Ok(());
        }
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut documents = Documents::with_capacity(values.len());
        for (key, value) in values {
            let kept = self.host.data.keep_value(&self.id, &format!("(begun)/{CONTEXT}{key}"), value).await;
            documents.push((format!("{CONTEXT}{key}"), kept?));
        }
        match self.write(inner, documents.clone()).await {
            // Nobody else has this id: an earlier try has happened without an answer, and the run went on since.
            Err(CommitError::Conflict) => {
                self.host.state.delete(&self.id).await?;
                self.write(inner, documents).await?;
            }
            written => {
                written?;
            }
        }
        self.deferred.store(false, Ordering::Release);
        Ok(())
    }
}
