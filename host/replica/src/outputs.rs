//! What a node yields: its outputs and its context values, stored so that the session can commit them.

use super::attempt::NodeAttempt;
use super::drive::PATIENT_RETRIES;
use super::live::Live;
use bytes::Bytes;
use faas_flow_core::run::{CONTEXT, Work};
use faas_flow_core::{Content, Failure, NodePath, Payload};
use faas_flow_session::Documents;
use std::fmt::{self, Display, Formatter};
use std::sync::PoisonError;

/// The name of what an attempt stores, which no other attempt uses. It is only written out where it is needed, since small
/// things are stored without a name.
struct Name<'a> {
    path: &'a NodePath,
    mark: u64,
    name: &'a str,
}

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}/{}", self.path, self.mark, self.name)
    }
}

impl NodeAttempt<'_> {
    /// Stores an output of the node. Waits while the store cannot be written: the output may come from a call, which must not
    /// be made again for that.
    pub(super) async fn store(&mut self, name: &str, content: Content) -> Result<Payload, Failure> {
        let Content { bytes, media_type } = content;
        let live = self.live;
        let known = self.documents.len();
        let mut delays = PATIENT_RETRIES.delays(fastrand::f64);
        let payload = loop {
            let name = Name { path: &self.work.path, mark: self.mark, name };
            if live.is_in_memory() {
                break live.services.data.store_without_document(&live.id, name, bytes).await?;
            }
            match live.services.data.store_payload(&live.id, name, bytes.clone(), &mut self.documents).await {
                Err(failure)
                    if failure.code.may_pass_later()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                stored => break stored?,
            }
        };
        if self.documents.len() > known {
            let mut cached = live.cached.lock().unwrap_or_else(PoisonError::into_inner);
            cached.extend(self.documents.iter().skip(known).cloned());
        }
        Ok(payload.of_type(media_type))
    }
}

impl Live {
    /// Stores the context values that a node has changed; answers with the documents that are to be committed.
    pub(super) async fn store_changes(
        &self,
        work: &Work,
        mark: u64,
        changes: Vec<(String, Option<Bytes>)>,
    ) -> Result<Documents, Failure> {
        if self.is_in_memory() {
            // While the session is locked, the run cannot be made durable, which would miss these values.
            let _session = self.lock().await;
            if self.is_in_memory() {
                self.values.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
                return Ok(Documents::new());
            }
        }
        let mut documents = Documents::with_capacity(changes.len());
        for (key, value) in changes {
            let document = format!("{CONTEXT}{key}");
            let name = Name { path: &work.path, mark, name: &document };
            let stored = self.store_value(name, value).await?;
            documents.push((document, stored));
        }
        Ok(documents)
    }

    /// Stores a context value. Waits while the store cannot be written, as [`NodeAttempt::store`] does.
    async fn store_value(&self, name: Name<'_>, value: Option<Bytes>) -> Result<Bytes, Failure> {
        let mut delays = PATIENT_RETRIES.delays(fastrand::f64);
        loop {
            match self.services.data.store_value(&self.id, &name, value.clone()).await {
                Err(failure)
                    if failure.code.may_pass_later()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                stored => return stored,
            }
        }
    }
}
