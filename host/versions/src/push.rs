//! Takes a new version: checks the whole module, compiles it, and stores it for all replicas.

use super::error::Error;
use super::flow::Artifact;
use super::registry::Versions;
use super::store::{At, Commit, put};
use super::version::{By, Origin, Version};
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName};

/// How often a push is tried while others push the same version, or remove it.
const TRIES: usize = 10;

/// What happens to a push of a version that `gc` has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfRemoved {
    /// It is refused, since somebody may have repeated an old push by accident.
    Refuse,
    /// The version is stored again.
    StoreAgain,
}

/// A module that somebody pushes.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The sha256 that the sender has computed.
    pub digest: Digest,
    /// The module.
    pub bytes: Bytes,
    /// Who pushes it, when and why.
    pub by: By,
    /// The line of its signature, if there is one.
    pub signature: Option<String>,
    /// What to do if `gc` has removed this version.
    pub if_removed: IfRemoved,
}

/// A version that is stored after a push.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// What is known of it.
    pub version: Version,
    /// Whether it was stored before, so that nothing has changed.
    pub known: bool,
}

impl Versions {
    /// Stores a version, so that every replica can load it. Nothing is stored of a module that cannot be used. Pushing a
    /// version that is stored already changes nothing, except that damaged bytes are repaired and a new signature is kept.
    pub async fn push(&self, flow: &FlowName, upload: Upload) -> Result<Pushed, Error> {
        let loader = self.loader()?;
        let Upload { digest, bytes, by, signature, if_removed } = upload;
        let artifact = Artifact::hashed(bytes, signature).await?;
        if artifact.digest != digest {
            return Err(Error::DigestMismatch { found: artifact.digest, announced: digest });
        }
        refuse_removed(self.stored(flow).version(&digest).await?.as_ref(), if_removed)?;
        let loaded = match self.table.find(flow, &digest) {
            Some(loaded) => {
                loader.check(&loaded, artifact.signature.as_deref())?;
                loaded
            }
            None => loader.load_sent(&artifact, flow).await?,
        };
        let Artifact { bytes, signature, .. } = artifact;
        let version = Version {
            digest,
            size: bytes.len() as u64,
            wit: loaded.module.wit_version().to_owned(),
            origin: Origin::Push,
            by,
            signature,
            stored: false,
            removed: None,
            copy: 0,
            announced: None,
        };
        let pushed = self.store(flow, &version, &bytes, if_removed).await?;
        self.table.change(flow, |service| service.keep_ready(loaded));
        Ok(pushed)
    }

    /// Stores a version, or repairs what is stored of it. Others may push the same version meanwhile, and `gc` may remove it.
    async fn store(
        &self,
        flow: &FlowName,
        new: &Version,
        bytes: &Bytes,
        if_removed: IfRemoved,
    ) -> Result<Pushed, Error> {
        for _ in 0..TRIES {
            let before = self.stored(flow).version(&new.digest).await?;
            refuse_removed(before.as_ref(), if_removed)?;
            let known = before.as_ref().is_some_and(|(version, _)| version.is_there());
            let stored = match before {
                Some(before) if known => self.repair(flow, before, new, bytes).await?,
                before => self.store_new(flow, before, new, bytes).await?,
            };
            if let Some(version) = stored {
                return Ok(Pushed { version, known });
            }
        }
        Err(Error::Contended { flow: flow.clone(), tries: TRIES })
    }

    /// Makes sure that a stored version is intact and has the newest signature; none if somebody changed it meanwhile.
    async fn repair(
        &self,
        flow: &FlowName,
        (mut version, at): At<Version>,
        new: &Version,
        bytes: &Bytes,
    ) -> Result<Option<Version>, Error> {
        let stored = self.stored(flow);
        // The module may be signed with another key than before; the newest signature is the one to check.
        if new.signature.is_some() && new.signature != version.signature {
            version.signature = new.signature.clone();
            let signed = put(Version::doc(&version.digest), at, &version)?;
            if stored.commit(vec![signed], Vec::new()).await? == Commit::Conflict {
                return Ok(None);
            }
        }
        if stored.bytes(&version).await?.is_none_or(|bytes| Digest::of(&bytes) != version.digest) {
            stored.put_bytes(&version.digest, version.copy, bytes.clone()).await?;
        }
        Ok(Some(version))
    }

    /// Stores a version that is not there; none if somebody changed it meanwhile. Its document is written before its bytes, so
    /// that `gc` finds what an interrupted push leaves behind.
    async fn store_new(
        &self,
        flow: &FlowName,
        before: Option<At<Version>>,
        new: &Version,
        bytes: &Bytes,
    ) -> Result<Option<Version>, Error> {
        let stored = self.stored(flow);
        let digest = &new.digest;
        let (copy, announced) = before.as_ref().map_or((0, None), |(known, _)| (known.next_copy(), known.announced));
        let mut version = Version { copy, announced, ..new.clone() };
        let at = match &before {
            // Another push of the same bytes is storing them, or was interrupted.
            Some((known, at)) if known.removed.is_none() => *at,
            before => {
                if let Some((removed, _)) = before {
                    // The `gc` that removed the version may have been interrupted before it deleted the old copy.
                    stored.delete_bytes(digest, removed.copy).await?;
                }
                let at = before.as_ref().map_or(0, |(_, at)| *at);
                let noted = put(Version::doc(digest), at, &version)?;
                if stored.commit(vec![noted], Vec::new()).await? == Commit::Conflict {
                    return Ok(None);
                }
                at + 1
            }
        };
        stored.put_bytes(digest, copy, bytes.clone()).await?;
        version.stored = true;
        let committed = stored.commit(vec![put(Version::doc(digest), at, &version)?], Vec::new()).await?;
        Ok((committed == Commit::Done).then_some(version))
    }
}

/// Refuses a version that `gc` has removed, unless it is to be stored again.
fn refuse_removed(before: Option<&At<Version>>, if_removed: IfRemoved) -> Result<(), Error> {
    match before {
        Some((version, _)) if version.removed.is_some() && if_removed == IfRemoved::Refuse => {
            Err(Error::Removed { digest: version.digest.clone(), who: version.by.who.clone() })
        }
        _ => Ok(()),
    }
}
