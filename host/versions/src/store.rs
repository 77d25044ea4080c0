//! What the stores hold of a flow's versions: documents about them in the state store, their bytes in the data store.

use super::active::Active;
use super::error::{Absence, Error};
use super::tally::Tally;
use super::version::{self, Version};
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName, Partition};
use faas_flow_store::{Change, Check, CommitError, DataKey, DataStore, Document, Expect, Put, StateStore, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The content of a document with the version that it was read at, which is 0 for a document that does not exist.
pub(super) type At<T> = (T, u64);

/// Whether a commit happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// It did.
    Done,
    /// Somebody else changed one of the documents first, and nothing was written.
    Conflict,
}

/// One flow's part of the stores.
pub(super) struct Stored<'a> {
    pub flow: &'a FlowName,
    pub state: &'a dyn StateStore,
    pub data: &'a dyn DataStore,
}

impl Stored<'_> {
    fn partition(&self) -> Partition {
        Partition::of_flow(self.flow)
    }

    /// The active pointer, and the tally of its canary.
    pub async fn active(&self) -> Result<(At<Active>, At<Tally>), Error> {
        let docs = [Active::DOC.to_owned(), Tally::DOC.to_owned()];
        let mut found = self.state.read(&self.partition(), &docs).await?.into_iter();
        let active = self.read_or_default(Active::DOC, found.next().flatten())?;
        let tally = self.read_or_default(Tally::DOC, found.next().flatten())?;
        Ok((active, tally))
    }

    /// What is known of one version, whether its bytes are there or not.
    pub async fn version(&self, digest: &Digest) -> Result<Option<At<Version>>, Error> {
        let doc = Version::doc(digest);
        let found = self.state.read(&self.partition(), std::slice::from_ref(&doc)).await?;
        found.into_iter().next().flatten().map(|document| self.read(&doc, &document)).transpose()
    }

    /// The active pointer, and every version that the flow has ever had.
    pub async fn all(&self) -> Result<(At<Active>, Vec<At<Version>>), Error> {
        let mut active = (Active::default(), 0);
        let mut versions = Vec::new();
        for (doc, document) in self.state.read_all(&self.partition()).await? {
            if doc == Active::DOC {
                active = self.read(&doc, &document)?;
            } else if doc.starts_with(version::DOC) {
                versions.push(self.read(&doc, &document)?);
            }
        }
        Ok((active, versions))
    }

    /// Writes documents, all or none of them. `checks` are documents that must not have changed either.
    pub async fn commit(&self, puts: Vec<Put>, checks: Vec<Check>) -> Result<Commit, Error> {
        match self.state.commit(&self.partition(), Change { puts, checks, ..Change::default() }).await {
            Ok(_) => Ok(Commit::Done),
            Err(CommitError::Conflict) => Ok(Commit::Conflict),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// What is known of a version whose bytes are stored, according to its document.
    pub async fn loadable(&self, digest: &Digest) -> Result<Version, Error> {
        match self.version(digest).await? {
            Some((version, _)) if version.is_there() => Ok(version),
            Some((version, _)) if version.removed.is_some() => Err(self.missing(digest, Absence::Removed)),
            _ => Err(self.missing(digest, Absence::NotStored)),
        }
    }

    /// The bytes of a version, checked against its digest.
    pub async fn intact_bytes(&self, version: &Version) -> Result<Bytes, Error> {
        match self.bytes(version).await? {
            Some(bytes) if Digest::of(&bytes) == version.digest => Ok(bytes),
            Some(bytes) => Err(Error::Damaged {
                flow: self.flow.clone(),
                digest: version.digest.clone(),
                found: bytes.len(),
                expected: version.size,
            }),
            None => Err(self.missing(&version.digest, Absence::Lost)),
        }
    }

    fn missing(&self, digest: &Digest, absence: Absence) -> Error {
        Error::Missing { flow: self.flow.clone(), digest: digest.clone(), absence }
    }

    /// The bytes of a version as they are stored, unchecked; none if there are none.
    pub async fn bytes(&self, version: &Version) -> Result<Option<Bytes>, StoreError> {
        self.data.get(&self.key(&version.digest, version.copy)?).await
    }

    /// Stores a copy of a module's bytes.
    pub async fn put_bytes(&self, digest: &Digest, copy: u32, bytes: Bytes) -> Result<(), StoreError> {
        self.data.put(&self.key(digest, copy)?, bytes).await
    }

    /// Deletes a copy of a module's bytes.
    pub async fn delete_bytes(&self, digest: &Digest, copy: u32) -> Result<(), StoreError> {
        self.data.delete(&Partition::of_module(self.flow, digest, copy)).await
    }

    /// Makes sure that no module of the flow expires, see [`keep`](Self::keep).
    pub async fn keep_all(&self) -> Result<(), Error> {
        let (_, versions) = self.all().await?;
        for (version, _) in versions.iter().filter(|(version, _)| version.is_there()) {
            self.keep(version).await;
        }
        Ok(())
    }

    /// Makes sure that a module does not expire: older releases stored modules as they stored the data of runs. If that fails,
    /// it is only logged, since the module is still there.
    pub async fn keep(&self, version: &Version) {
        let partition = Partition::of_module(self.flow, &version.digest, version.copy);
        if let Err(error) = self.data.keep(&partition).await {
            tracing::warn!(
                flow = %self.flow, version = version.digest.short(), code = %error.code(),
                "failed to make sure that a stored module does not expire: {error}"
            );
        }
    }

    fn key(&self, digest: &Digest, copy: u32) -> Result<DataKey, StoreError> {
        let key = DataKey::new(Partition::of_module(self.flow, digest, copy), "flow.wasm");
        key.map_err(|error| StoreError::Corrupt { place: digest.to_string(), reason: error.to_string() })
    }

    fn read_or_default<T: DeserializeOwned + Default>(
        &self,
        doc: &str,
        document: Option<Document>,
    ) -> Result<At<T>, Error> {
        document.map_or_else(|| Ok((T::default(), 0)), |document| self.read(doc, &document))
    }

    fn read<T: DeserializeOwned>(&self, doc: &str, document: &Document) -> Result<At<T>, Error> {
        let value = serde_json::from_slice(&document.bytes).map_err(|source| Error::DocumentUnreadable {
            flow: self.flow.clone(),
            doc: doc.to_owned(),
            source,
        })?;
        Ok((value, document.version))
    }
}

/// Writes a document that must still be at the version `at`.
pub(super) fn put(doc: impl Into<String>, at: u64, value: &impl Serialize) -> Result<Put, Error> {
    let bytes = serde_json::to_vec(value).map_err(Error::Unwritable)?;
    Ok(Put { doc: doc.into(), expect: Expect::Version(at), bytes: bytes.into() })
}

#[cfg(test)]
mod tests {
    use super::super::version::{By, Origin};
    use super::*;
    use faas_flow_core::Code;
    use faas_flow_store::{open_data, open_state};

    fn version(bytes: &[u8]) -> Version {
        Version {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            wit: "0.1.0".to_owned(),
            origin: Origin::Push,
            by: By::new("me", "", 0).unwrap(),
            signature: None,
            stored: true,
            removed: None,
            copy: 0,
            announced: None,
        }
    }

    fn write(at: u64, version: &Version) -> Put {
        put(Version::doc(&version.digest), at, version).unwrap()
    }

    #[tokio::test]
    async fn a_version_that_cannot_be_loaded_says_why() {
        let (state, data) = (open_state("memory").await.unwrap(), open_data("memory").await.unwrap());
        let flow = FlowName::new("greet").unwrap();
        let stored = Stored { flow: &flow, state: &*state, data: &*data };
        let version = version(b"module");
        let absent = async |expected: Absence| match stored.loadable(&version.digest).await {
            Err(Error::Missing { absence, .. }) => assert_eq!(absence, expected),
            other => panic!("{other:?}"),
        };
        absent(Absence::NotStored).await;
        let unfinished = Version { stored: false, ..version.clone() };
        assert_eq!(stored.commit(vec![write(0, &unfinished)], Vec::new()).await.unwrap(), Commit::Done);
        absent(Absence::NotStored).await;
        assert_eq!(stored.commit(vec![write(0, &version)], Vec::new()).await.unwrap(), Commit::Conflict);
        stored.commit(vec![write(1, &version)], Vec::new()).await.unwrap();
        assert_eq!(stored.loadable(&version.digest).await.unwrap(), version);
        stored.commit(vec![write(2, &Version { removed: Some(1), ..version.clone() })], Vec::new()).await.unwrap();
        absent(Absence::Removed).await;
    }

    #[tokio::test]
    async fn bytes_are_compared_with_their_digest() {
        let (state, data) = (open_state("memory").await.unwrap(), open_data("memory").await.unwrap());
        let flow = FlowName::new("greet").unwrap();
        let stored = Stored { flow: &flow, state: &*state, data: &*data };
        let version = version(b"module");
        let bytes = async || stored.intact_bytes(&version).await;
        assert!(matches!(bytes().await, Err(Error::Missing { absence: Absence::Lost, .. })));
        stored.put_bytes(&version.digest, 0, Bytes::from_static(b"mod")).await.unwrap();
        let damaged = bytes().await.unwrap_err();
        assert_eq!(damaged.code(), Code::MODULE_DAMAGED);
        assert!(damaged.to_string().contains("3 bytes of 6"), "{damaged}");
        stored.put_bytes(&version.digest, 0, Bytes::from_static(b"module")).await.unwrap();
        assert_eq!(bytes().await.unwrap(), "module");
    }

    #[tokio::test]
    async fn copies_of_a_module_do_not_share_their_bytes() {
        let (state, data) = (open_state("memory").await.unwrap(), open_data("memory").await.unwrap());
        let flow = FlowName::new("greet").unwrap();
        let stored = Stored { flow: &flow, state: &*state, data: &*data };
        let version = Version { copy: 1, ..version(b"module") };
        for copy in [0, 1] {
            stored.put_bytes(&version.digest, copy, Bytes::from_static(b"module")).await.unwrap();
        }
        stored.delete_bytes(&version.digest, 0).await.unwrap();
        assert_eq!(stored.intact_bytes(&version).await.unwrap(), "module");
    }
}
