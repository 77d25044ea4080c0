//! Payloads and context values: small ones in documents, larger ones in the DataStore.

use crate::Error;
use bytes::Bytes;
use faas_flow_core::run::{CONTEXT, decode, encode};
use faas_flow_core::{Code, Failure, Payload, RunId};
use faas_flow_store::{DataKey, DataStore, StateStore};
use std::sync::Arc;

/// The data of runs.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) store: Arc<dyn DataStore>,
    pub(crate) inline_limit: usize,
}

impl Data {
    /// Keeps bytes under a name that no other attempt uses.
    pub(crate) async fn keep(&self, run: &RunId, name: &str, bytes: Bytes) -> Result<Payload, Failure> {
        if bytes.len() <= self.inline_limit {
            return Ok(Payload::Inline(bytes));
        }
        let size = bytes.len() as u64;
        let key = data_key(run, name).map_err(|error| Failure::reject(Code::INTERNAL, error.to_string()))?;
        let stored = self.store.put(&key, bytes).await;
        stored.map_err(|error| Failure::retry(error.code(), error.to_string()))?;
        Ok(Payload::Stored { key: key.name().to_owned(), size })
    }

    /// The bytes of a payload.
    pub(crate) async fn fetch(&self, run: &RunId, payload: &Payload) -> Result<Bytes, Failure> {
        let name = match payload {
            Payload::Inline(bytes) => return Ok(bytes.clone()),
            Payload::Stored { key, .. } => key,
        };
        let key = DataKey::new(run.clone(), name.as_str())
            .map_err(|error| Failure::reject(Code::STORE_CORRUPT, error.to_string()))?;
        match self.store.get(&key).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                let message =
                    format!("the data store has nothing at {key}: was it cleaned, or is it another store than before?");
                Err(Failure::reject(Code::DATA_MISSING, message))
            }
            Err(error) => Err(Failure::retry(error.code(), error.to_string())),
        }
    }

    /// A context value as its document holds it.
    pub(crate) async fn keep_value(&self, run: &RunId, name: &str, value: Option<Bytes>) -> Result<Bytes, Failure> {
        let value = match value {
            Some(value) => Some(self.keep(run, name, value).await?),
            None => None,
        };
        Ok(encode(&value).into())
    }

    /// A context value of a run, if it is set.
    pub(crate) async fn value(&self, state: &dyn StateStore, run: &RunId, key: &str) -> Result<Option<Bytes>, Error> {
        let documents = state.read(run, &[format!("{CONTEXT}{key}")]).await?;
        let Some(document) = documents.into_iter().next().flatten() else { return Ok(None) };
        let value: Option<Payload> =
            decode(&document.bytes).map_err(|source| Error::Unreadable { run: run.clone(), source })?;
        match value {
            Some(payload) => Ok(Some(self.fetch(run, &payload).await?)),
            None => Ok(None),
        }
    }
}

/// Paths may be longer than a key: then their digest stands for them.
fn data_key(run: &RunId, name: &str) -> Result<DataKey, faas_flow_core::Malformed> {
    match name.len() <= DataKey::LONGEST_NAME {
        true => DataKey::new(run.clone(), name),
        false => DataKey::new(run.clone(), faas_flow_core::Digest::of(name.as_bytes()).as_str()),
    }
}
