//! Payloads and context values: small ones in documents, larger ones in the DataStore.

use super::drive::STORE_RETRIES;
use crate::Error;
use bytes::Bytes;
use faas_flow_core::run::{CONTEXT, DATA, encode};
use faas_flow_core::{Code, Digest, Failure, Payload, RetryPolicy, RunId};
use faas_flow_store::{DataKey, DataStore, StateStore};
use faas_flow_versions::runs::read;
use std::fmt::Display;
use std::sync::Arc;

/// Bytes up to so many stand in the document that refers to them; larger ones get a document of their own, which is
/// written once, while the other is written with every node.
const EMBEDDED: usize = 1024;

/// How reading a result is tried again.
const FETCH_RETRIES: RetryPolicy = STORE_RETRIES.with_max_tries(5);

/// The data of runs.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) store: Arc<dyn DataStore>,
    pub(crate) inline_limit: usize,
}

impl Data {
    /// Keeps bytes under a name that no other attempt uses. What becomes a document of its own is added to `documents`,
    /// which are to be committed with whatever refers to them.
    pub(crate) async fn keep(
        &self,
        run: &RunId,
        name: impl Display + Send,
        bytes: Bytes,
        documents: &mut Vec<(String, Bytes)>,
    ) -> Result<Payload, Failure> {
        if bytes.len() <= EMBEDDED || bytes.len() > self.inline_limit {
            return self.keep_whole(run, name, bytes).await;
        }
        let (doc, size) = (format!("{DATA}{}", short(name)), bytes.len() as u64);
        documents.push((doc.clone(), bytes));
        Ok(Payload::Kept { doc, size })
    }

    /// Keeps bytes where they are, or in the data store if there are many.
    pub(crate) async fn keep_whole(
        &self,
        run: &RunId,
        name: impl Display + Send,
        bytes: Bytes,
    ) -> Result<Payload, Failure> {
        if bytes.len() <= self.inline_limit {
            return Ok(Payload::Inline(bytes));
        }
        let size = bytes.len() as u64;
        let key = DataKey::new(run.clone(), short(name));
        let key = key.map_err(|error| Failure::reject(Code::INTERNAL, error.to_string()))?;
        let stored = self.store.put(&key, bytes).await;
        stored.map_err(|error| Failure::retry(error.code(), error.to_string()))?;
        Ok(Payload::Stored { key: key.name().to_owned(), size })
    }

    /// The bytes of a payload.
    pub(crate) async fn fetch(&self, state: &dyn StateStore, run: &RunId, payload: &Payload) -> Result<Bytes, Failure> {
        let (name, found) = match payload {
            Payload::Inline(bytes) => return Ok(bytes.clone()),
            Payload::Kept { doc, .. } => {
                let found = state.read(run, std::slice::from_ref(doc)).await;
                (doc, found.map(|found| found.into_iter().next().flatten().map(|document| document.bytes)))
            }
            Payload::Stored { key, .. } => {
                let name = DataKey::new(run.clone(), key.as_str())
                    .map_err(|error| Failure::reject(Code::STORE_CORRUPT, error.to_string()))?;
                (key, self.store.get(&name).await)
            }
        };
        match found {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                let message = format!(
                    "the store has nothing at {run}/{name}: was it cleaned, or is it another store than before?"
                );
                Err(Failure::reject(Code::DATA_MISSING, message))
            }
            Err(error) => Err(Failure::retry(error.code(), error.to_string())),
        }
    }

    /// The same for a caller that nobody asks again: an unavailable store is tried again for a while.
    pub(crate) async fn fetch_patiently(
        &self,
        state: &dyn StateStore,
        run: &RunId,
        payload: &Payload,
    ) -> Result<Bytes, Failure> {
        let mut delays = FETCH_RETRIES.delays(fastrand::f64);
        loop {
            match self.fetch(state, run, payload).await {
                Err(lost)
                    if lost.code.is_transient()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                fetched => return fetched,
            }
        }
    }

    /// A context value as its document holds it.
    pub(crate) async fn keep_value(
        &self,
        run: &RunId,
        name: impl Display + Send,
        value: Option<Bytes>,
    ) -> Result<Bytes, Failure> {
        let value = match value {
            Some(value) => Some(self.keep_whole(run, name, value).await?),
            None => None,
        };
        Ok(encode(&value).into())
    }

    /// A context value of a run, if it is set.
    pub(crate) async fn value(&self, state: &dyn StateStore, run: &RunId, key: &str) -> Result<Option<Bytes>, Error> {
        let documents = state.read(run, &[format!("{CONTEXT}{key}")]).await?;
        let Some(document) = documents.into_iter().next().flatten() else { return Ok(None) };
        let value: Option<Payload> = read(run, &document)?;
        match value {
            Some(payload) => Ok(Some(self.fetch(state, run, &payload).await?)),
            None => Ok(None),
        }
    }
}

/// Paths may be longer than a name may be: then their digest stands for them.
fn short(name: impl Display) -> String {
    const LONGEST: usize = DataKey::LONGEST_NAME - DATA.len();
    let name = name.to_string();
    match name.len() <= LONGEST {
        true => name,
        false => Digest::of(name.as_bytes()).as_str().to_owned(),
    }
}
