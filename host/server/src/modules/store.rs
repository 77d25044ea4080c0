//! Where a flow's versions are kept: what is known of them in the state store, their bytes in the data store.

use super::active::Active;
use super::canary::Tally;
use super::version::{self, Version};
use crate::Error;
use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName, RunId};
use faas_flow_store::{Change, Check, CommitError, DataKey, DataStore, Document, Expect, Put, StateStore, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A document with the version that it was read at; 0 for one that is not there.
pub(super) type At<T> = (T, u64);

/// One flow's part of the stores.
pub(super) struct Stored<'a> {
    pub flow: &'a FlowName,
    pub state: &'a dyn StateStore,
    pub data: &'a dyn DataStore,
}

impl Stored<'_> {
    fn partition(&self) -> RunId {
        RunId::of_flow(self.flow)
    }

    /// Which version is in service, and how its canary does.
    pub async fn active(&self) -> Result<(At<Active>, At<Tally>), Error> {
        let docs = [Active::DOC.to_owned(), Tally::DOC.to_owned()];
        let mut found = self.state.read(&self.partition(), &docs).await?.into_iter();
        let (active, tally) = (found.next().flatten(), found.next().flatten());
        Ok((read_or_default(&docs[0], active)?, read_or_default(&docs[1], tally)?))
    }

    /// One version, whether its bytes are there or not.
    pub async fn version(&self, digest: &Digest) -> Result<Option<At<Version>>, Error> {
        let doc = Version::doc(digest);
        let found = self.state.read(&self.partition(), std::slice::from_ref(&doc)).await?;
        found.into_iter().next().flatten().map(|document| read(&doc, &document)).transpose()
    }

    /// All that is known of the flow: what is in service, and every version there ever was.
    pub async fn all(&self) -> Result<(At<Active>, Vec<At<Version>>), Error> {
        let (mut active, mut versions) = ((Active::default(), 0), Vec::new());
        for (doc, document) in self.state.read_all(&self.partition()).await? {
            if doc == Active::DOC {
                active = read(&doc, &document)?;
            } else if doc.starts_with(version::DOC) {
                versions.push(read(&doc, &document)?);
            }
        }
        Ok((active, versions))
    }

    /// Writes documents, all or none of them; false if one of them, or one that is to be as it was, has changed since.
    pub async fn commit(&self, puts: Vec<Put>, checks: Vec<Check>) -> Result<bool, Error> {
        match self.state.commit(&self.partition(), Change { puts, checks, ..Change::default() }).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict) => Ok(false),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// A version that can be loaded, as far as its document says.
    pub async fn there(&self, digest: &Digest) -> Result<Version, Error> {
        let why = match self.version(digest).await? {
            Some((version, _)) if version.is_there() => return Ok(version),
            Some((version, _)) if version.removed.is_some() => "was removed: push it again with --again",
            _ => "is not in the module store: push it",
        };
        Err(self.missing(digest, why))
    }

    /// A version's module, compared with its digest.
    pub async fn whole(&self, version: &Version) -> Result<Bytes, Error> {
        let Version { digest, size, .. } = version;
        match self.bytes(version).await? {
            Some(bytes) if Digest::of(&bytes) == *digest => Ok(bytes),
            Some(bytes) => {
                let message = format!(
                    "module {} of flow {} is damaged in the module store ({} bytes of {size}): push it again",
                    digest.short(),
                    self.flow,
                    bytes.len()
                );
                Err(Error::new(Code::MODULE_DAMAGED, message))
            }
            None => Err(self.missing(digest, "is gone from the module store: push it again")),
        }
    }

    fn missing(&self, digest: &Digest, why: &str) -> Error {
        Error::new(Code::MODULE_MISSING, format!("module {} of flow {} {why}", digest.short(), self.flow))
    }

    /// A module's bytes as they are stored, if they are.
    pub async fn bytes(&self, version: &Version) -> Result<Option<Bytes>, StoreError> {
        self.data.get(&self.key(&version.digest, version.copy)?).await
    }

    /// Stores a copy of a module's bytes.
    pub async fn keep(&self, digest: &Digest, copy: u32, bytes: Bytes) -> Result<(), StoreError> {
        self.data.put(&self.key(digest, copy)?, bytes).await
    }

    /// Removes one copy of a module's bytes.
    pub async fn remove(&self, digest: &Digest, copy: u32) -> Result<(), StoreError> {
        self.data.delete_run(&RunId::of_module(self.flow, digest, copy)).await
    }

    fn key(&self, digest: &Digest, copy: u32) -> Result<DataKey, StoreError> {
        let key = DataKey::new(RunId::of_module(self.flow, digest, copy), "flow.wasm");
        key.map_err(|error| StoreError::Corrupt { place: digest.to_string(), reason: error.to_string() })
    }
}

/// Writes a document that was read at this version.
pub(super) fn put(doc: impl Into<String>, at: u64, value: &impl Serialize) -> Result<Put, Error> {
    let bytes = serde_json::to_vec(value);
    let bytes = bytes.map_err(|error| Error::new(Code::INTERNAL, format!("cannot write a document: {error}")))?;
    Ok(Put { doc: doc.into(), expect: Expect::Version(at), bytes: bytes.into() })
}

fn read_or_default<T: DeserializeOwned + Default>(doc: &str, document: Option<Document>) -> Result<At<T>, Error> {
    document.map_or_else(|| Ok((T::default(), 0)), |document| read(doc, &document))
}

fn read<T: DeserializeOwned>(doc: &str, document: &Document) -> Result<At<T>, Error> {
    let value = serde_json::from_slice(&document.bytes).map_err(|error| {
        Error::new(Code::STORE_CORRUPT, format!("the store's document {doc} of the flow's versions: {error}"))
    })?;
    Ok((value, document.version))
}
