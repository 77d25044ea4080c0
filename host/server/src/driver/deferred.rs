//! Runs that are stored late: those whose caller waits for the result, did not choose the id and wants no callback.
//!
//! As long as such a run is young nobody but its caller knows of it, and should this replica be lost, the caller gets no
//! answer and asks again: so it may be executed before it is stored. It is stored as soon as it takes longer than the first
//! look of its caller, before it sits out a long wait, before anybody is told that it goes on, and before this replica
//! stops.
//!
//! That of a single node is *deferred*: it may end without a commit on the way, and its history is written behind its
//! answer; while the store is away it goes on in memory. The beginning of any other waits as all does that only the flow's
//! own code did ([`super::step`]): it is stored together with what follows, and before anything leaves this replica, be it a
//! call or the answer.

use super::control::to_its_end;
use super::live::{Inner, Live};
use super::step::{COMMIT_TRIES, Documents, backoff, may_pass};
use crate::Error;
use faas_flow_core::Code;
use faas_flow_core::run::CONTEXT;
use faas_flow_store::CommitError;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

impl Live {
    /// Whether nothing is stored yet of a run of a single node. While the run is locked, this does not change.
    pub(super) fn is_deferred(&self) -> bool {
        self.deferred.load(Ordering::Acquire)
    }

    /// Whether the beginning of a run of several nodes waits to be stored.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Ordering::Acquire)
    }

    /// Stores the run, if it is not stored yet.
    pub(super) async fn store(self: &Arc<Self>) -> Result<(), Error> {
        if self.is_deferred() {
            let mut inner = self.lock().await;
            self.store_now(&mut inner).await?;
            return match self.is_deferred() && inner.broken {
                true => Err(self.unstored()),
                false => Ok(()),
            };
        }
        if !self.is_late() {
            return Ok(());
        }
        let live = self.clone();
        let stored = async move {
            let mut inner = live.lock().await;
            live.save_now(&mut inner).await?;
            match live.is_late() {
                true => Err(live.unstored()),
                false => Ok(()),
            }
        };
        to_its_end(stored).await
    }

    /// What the caller of a run is told that cannot be stored.
    pub(super) fn unstored(&self) -> Error {
        match &*self.given_up.borrow() {
            Some(failure) => Error::new(failure.code, failure.to_string()),
            None => Error::new(Code::STORE_UNAVAILABLE, "the run could not be stored: try again"),
        }
    }

    /// Stores a run of a single node, however long the store takes to answer again.
    pub(super) async fn store_patiently(&self, inner: &mut Inner) -> Result<(), Error> {
        let mut tries = 1;
        loop {
            match self.store_now(inner).await {
                Err(error) if tries < COMMIT_TRIES && may_pass(error.code()) => {
                    tracing::warn!(run = %self.id, code = %error.code(), tries, "tries to store the run again: {error}");
                    tokio::time::sleep(backoff(tries)).await;
                    tries += 1;
                }
                stored => return stored,
            }
        }
    }

    /// Stores a run of a single node, unless that has been done.
    pub(super) async fn store_now(&self, inner: &mut Inner) -> Result<(), Error> {
        // What has ended is being written.
        if !self.is_deferred() || inner.gone {
            return Ok(());
        }
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut documents = Documents::with_capacity(values.len());
        for (key, value) in values {
            let kept = self.host.data.keep_value(&self.id, format!("(begun)/{CONTEXT}{key}"), value).await;
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
