//! Payloads and context values of runs: small ones in documents, large ones in the data store.

use super::drive::STORE_RETRIES;
use crate::{Error, memory};
use bytes::Bytes;
use faas_flow_core::run::{CONTEXT, DATA, encode};
use faas_flow_core::{Code, Content, Digest, Failure, Partition, Payload, Place, RetryPolicy, RunId};
use faas_flow_store::{DataKey, DataStore, StateStore};
use faas_flow_versions::runs::read;
use std::fmt::Display;
use std::sync::Arc;

/// Payloads of up to this many bytes are embedded in the document that refers to them. Larger ones get a document of
/// their own, which is written once, whereas the other one is written with every node.
const EMBEDDED: usize = 1024;

/// How reading a result is retried.
const FETCH_RETRIES: RetryPolicy = STORE_RETRIES.with_max_tries(5);

/// The data of runs.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) store: Arc<dyn DataStore>,
    pub(crate) inline_limit: usize,
}

impl Data {
    /// Stores bytes under a name that no other attempt uses. If they get a document of their own, it is added to `documents`,
    /// which are to be committed with what refers to them.
    pub(crate) async fn store_payload(
        &self,
        run: &RunId,
        name: impl Display + Send,
        bytes: Bytes,
        documents: &mut Vec<(String, Bytes)>,
    ) -> Result<Payload, Failure> {
        if bytes.len() <= EMBEDDED || bytes.len() > self.inline_limit {
            return self.store_without_document(run, name, bytes).await;
        }
        let doc = format!("{DATA}{}", short(name));
        let size = bytes.len() as u64;
        documents.push((doc.clone(), bytes));
        Ok(Payload::kept(doc, size))
    }

    /// Stores bytes within the payload or, if there are many, in the data store; never in a document of their own.
    pub(crate) async fn store_without_document(
        &self,
        run: &RunId,
        name: impl Display + Send,
        bytes: Bytes,
    ) -> Result<Payload, Failure> {
        if bytes.len() <= self.inline_limit {
            return Ok(Payload::inline(bytes));
        }
        let size = bytes.len() as u64;
        let key = DataKey::new(Partition::of_run(run), short(name));
        let key = key.map_err(|error| Failure::reject(Code::INTERNAL, error.to_string()))?;
        let stored = self.store.put(&key, bytes).await;
        stored.map_err(|error| Failure::retry(error.code(), error.to_string()))?;
        Ok(Payload::stored(key.name(), size))
    }

    /// What a payload refers to.
    pub(crate) async fn fetch(
        &self,
        state: &dyn StateStore,
        run: &RunId,
        payload: &Payload,
    ) -> Result<Content, Failure> {
        let content = |bytes| Content::new(bytes, payload.media_type.clone());
        let (name, found) = match &payload.place {
            Place::Inline(bytes) => return Ok(content(bytes.clone())),
            Place::Kept { doc, .. } => {
                let found = state.read(&Partition::of_run(run), std::slice::from_ref(doc)).await;
                (doc, found.map(|found| found.into_iter().next().flatten().map(|document| document.bytes)))
            }
            Place::Stored { key, size } => {
                let name = DataKey::new(Partition::of_run(run), key.as_str())
                    .map_err(|error| Failure::reject(Code::STORE_CORRUPT, error.to_string()))?;
                let room = memory::reserve(*size).await?;
                (key, self.store.get(&name).await.map(|found| found.map(|bytes| room.hold(bytes))))
            }
        };
        match found {
            Ok(Some(bytes)) => Ok(content(bytes)),
            Ok(None) => {
                let message = format!(
                    "the store has nothing at {run}/{name}: it was deleted, or the run began with another store"
                );
                Err(Failure::reject(Code::DATA_MISSING, message))
            }
            Err(error) => Err(Failure::retry(error.code(), error.to_string())),
        }
    }

    /// Like [`Data::fetch`], but retries for a while if the store is unavailable, for callers that do not ask again.
    pub(crate) async fn fetch_patiently(
        &self,
        state: &dyn StateStore,
        run: &RunId,
        payload: &Payload,
    ) -> Result<Content, Failure> {
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

    /// Stores a context value; answers with the bytes of its document. `None` deletes the value.
    pub(crate) async fn store_value(
        &self,
        run: &RunId,
        name: impl Display + Send,
        value: Option<Bytes>,
    ) -> Result<Bytes, Failure> {
        let value = match value {
            Some(value) => Some(self.store_without_document(run, name, value).await?),
            None => None,
        };
        Ok(encode(&value).into())
    }

    /// A context value of a run, if it is set.
    pub(crate) async fn value(&self, state: &dyn StateStore, run: &RunId, key: &str) -> Result<Option<Bytes>, Error> {
        let documents = state.read(&Partition::of_run(run), &[format!("{CONTEXT}{key}")]).await?;
        let Some(document) = documents.into_iter().next().flatten() else { return Ok(None) };
        let value: Option<Payload> = read(run, &document)?;
        match value {
            Some(payload) => Ok(Some(self.fetch(state, run, &payload).await?.bytes)),
            None => Ok(None),
        }
    }
}

/// The name, or its digest if it is too long: paths may be longer than a name in the data store.
fn short(name: impl Display) -> String {
    const LONGEST: usize = DataKey::LONGEST_NAME - DATA.len();
    let name = name.to_string();
    if name.len() <= LONGEST { name } else { Digest::of(name.as_bytes()).as_str().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::MediaType;
    use faas_flow_store::{open_data, open_state};

    const INLINE_LIMIT: usize = 4 * EMBEDDED;

    async fn data() -> Data {
        Data { store: open_data("memory").await.unwrap(), inline_limit: INLINE_LIMIT }
    }

    fn run() -> RunId {
        RunId::new("r").unwrap()
    }

    #[tokio::test]
    async fn a_payload_is_embedded_or_a_document_or_goes_to_the_data_store_by_its_size() {
        let data = data().await;
        let mut documents = Vec::new();
        let mut stored = Vec::new();
        for size in [0, EMBEDDED, EMBEDDED + 1, INLINE_LIMIT, INLINE_LIMIT + 1] {
            let payload =
                data.store_payload(&run(), format!("n/{size}"), Bytes::from(vec![7; size]), &mut documents).await;
            stored.push(match payload.unwrap().place {
                Place::Inline(bytes) => ("embedded", bytes.len()),
                Place::Kept { size, .. } => ("document", size as usize),
                Place::Stored { size, .. } => ("data store", size as usize),
            });
        }
        let expected = [
            ("embedded", 0),
            ("embedded", EMBEDDED),
            ("document", EMBEDDED + 1),
            ("document", INLINE_LIMIT),
            ("data store", INLINE_LIMIT + 1),
        ];
        assert_eq!(stored, expected);
        let sizes: Vec<usize> = documents.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(sizes, [EMBEDDED + 1, INLINE_LIMIT]);
    }

    #[tokio::test]
    async fn a_large_payload_reads_back_and_a_lost_one_is_a_failure() {
        let data = data().await;
        let state = open_state("memory").await.unwrap();
        let bytes = Bytes::from(vec![7; INLINE_LIMIT + 1]);
        let payload = data.store_without_document(&run(), "n", bytes.clone()).await.unwrap();
        let payload = payload.of_type(MediaType::JSON);
        let content = Content::new(bytes, MediaType::JSON);
        assert_eq!(data.fetch(&*state, &run(), &payload).await.unwrap(), content);
        data.store.delete(&Partition::of_run(&run())).await.unwrap();
        let lost = data.fetch(&*state, &run(), &payload).await.unwrap_err();
        assert_eq!((lost.code, lost.retry), (Code::DATA_MISSING, false));
    }

    #[test]
    fn a_name_that_is_too_long_becomes_its_digest() {
        let longest = "n".repeat(DataKey::LONGEST_NAME - DATA.len());
        assert_eq!(short(&longest), longest);
        let digest = short(format!("{longest}n"));
        assert_eq!(digest.len(), 64);
        assert_ne!(digest, short(format!("{longest}m")));
    }
}
