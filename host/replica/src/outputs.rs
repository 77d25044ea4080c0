//! What a node yields: its outputs and its context values, stored so that the session can commit them.

use super::attempt::NodeAttempt;
use super::drive::PATIENT_RETRIES;
use super::live::Live;
use super::notes::LastOperation;
use crate::log::log_node;
use bytes::Bytes;
use faas_flow_core::run::{CONTEXT, Evidence, Work};
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

    /// Stores what the handler that catches the failure of a node is given. `documents` are to be committed with it.
    pub(super) async fn evidence(&self, work: &Work, operation: LastOperation, documents: &mut Documents) -> Evidence {
        let LastOperation { input, response } = operation;
        let mark = fastrand::u64(..);
        let name = |name| Name { path: &work.path, mark, name };
        let input = self.store_evidence(name("failed/input"), input, documents).await;
        let (status, body) = match response {
            Some((status, body)) => {
                (Some(status), Some(self.store_evidence(name("failed/body"), body, documents).await))
            }
            None => (None, None),
        };
        Evidence { input, body, status }
    }

    /// Waits while the store cannot be written. What cannot be stored at all, such as data that is too large for it, is left out.
    async fn store_evidence(&self, name: Name<'_>, content: Content, documents: &mut Documents) -> Payload {
        let Content { bytes, media_type } = content;
        let mut delays = PATIENT_RETRIES.delays(fastrand::f64);
        let stored = loop {
            let data = &self.services.data;
            let stored = if self.is_in_memory() {
                data.store_without_document(&self.id, &name, bytes.clone()).await
            } else {
                data.store_payload(&self.id, &name, bytes.clone(), documents).await
            };
            match stored {
                Err(failure)
                    if failure.code.may_pass_later()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                stored => break stored,
            }
        };
        match stored {
            Ok(payload) => payload.of_type(media_type),
            Err(failure) => {
                log_node!(warn, self, (name.path, None), code = %failure.code, error = %failure.message, "input of a failed node not kept");
                Payload::empty()
            }
        }
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
