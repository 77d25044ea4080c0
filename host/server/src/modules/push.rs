//! Takes a new version in: checks it as a whole, compiles it, and stores it for all replicas.

use super::active::Origin;
use super::store::{At, put};
use super::version::{By, Version};
use crate::{Brought, Error, Flow, Host};
use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName};
use std::sync::Arc;

/// Others that push the same version at the same time, or remove it.
const TRIES: usize = 10;

/// What somebody pushes.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The sha256 that they expect it to have.
    pub digest: Digest,
    /// The module.
    pub bytes: Bytes,
    /// Who, when and why.
    pub by: By,
    /// The line of its signature.
    pub signature: Option<String>,
    /// Take it even if `gc` has removed it before.
    pub again: bool,
}

/// A version that is stored.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// What is known of it.
    pub version: Version,
    /// Whether it was stored already, so that nothing has changed.
    pub known: bool,
}

impl Host {
    /// Stores a version, so that every replica can load it. Nothing is stored of one that cannot be used. Pushing what is
    /// there changes nothing, but mends its bytes should they be damaged.
    pub async fn push(&self, flow: &FlowName, upload: Upload) -> Result<Pushed, Error> {
        let loader = self.loader()?;
        let Upload { digest, bytes, by, signature, again } = upload;
        let brought = Brought::new(bytes, signature);
        if brought.digest != digest {
            let message = format!(
                "the module has the sha256 {}, but is said to have {}: nothing was changed; push it again",
                brought.digest.short(),
                digest.short()
            );
            return Err(Error::new(Code::DIGEST_MISMATCH, message));
        }
        unless_removed(self.stored(flow).version(&digest).await?.as_ref(), again)?;
        let loaded = match self.loaded(flow, &digest) {
            Some(loaded) => {
                loader.check(&loaded, brought.signature.as_deref())?;
                loaded
            }
            None => loader.load(&brought, flow).await?,
        };
        let Brought { bytes, signature, .. } = brought;
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
            brought: None,
        };
        let pushed = self.store(flow, &version, &bytes, again).await?;
        self.keep_ready(flow, loaded);
        Ok(pushed)
    }

    /// Stores a version, or mends what is stored of it. Others may push the same one meanwhile, and `gc` may remove it.
    async fn store(&self, flow: &FlowName, new: &Version, bytes: &Bytes, again: bool) -> Result<Pushed, Error> {
        for _ in 0..TRIES {
            let before = self.stored(flow).version(&new.digest).await?;
            unless_removed(before.as_ref(), again)?;
            let known = before.as_ref().is_some_and(|(version, _)| version.is_there());
            let stored = match before {
                Some(before) if known => self.mend(flow, before, new, bytes).await?,
                before => self.store_anew(flow, before, new, bytes).await?,
            };
            if let Some(version) = stored {
                return Ok(Pushed { version, known });
            }
        }
        let message = format!("others push or remove version {} all the time: push it again", new.digest.short());
        Err(Error::new(Code::ACTIVATION_CONFLICT, message))
    }

    /// Looks whether a version that is stored is whole; none if somebody changed it meanwhile.
    async fn mend(
        &self,
        flow: &FlowName,
        (mut version, at): At<Version>,
        new: &Version,
        bytes: &Bytes,
    ) -> Result<Option<Version>, Error> {
        let stored = self.stored(flow);
        // Signed anew, as with another key: replicas find the signature that holds today.
        if new.signature.is_some() && new.signature != version.signature {
            version.signature = new.signature.clone();
            if !stored.commit(vec![put(Version::doc(&version.digest), at, &version)?], Vec::new()).await? {
                return Ok(None);
            }
        }
        if stored.bytes(&version).await?.is_none_or(|bytes| Digest::of(&bytes) != version.digest) {
            stored.keep(&version.digest, version.copy, bytes.clone()).await?;
        }
        Ok(Some(version))
    }

    /// Stores a version that is not there; none if somebody changed it meanwhile. It is noted first, so that `gc` finds what a
    /// push leaves that is broken off.
    async fn store_anew(
        &self,
        flow: &FlowName,
        before: Option<At<Version>>,
        new: &Version,
        bytes: &Bytes,
    ) -> Result<Option<Version>, Error> {
        let (stored, digest) = (self.stored(flow), &new.digest);
        let (copy, brought) = before.as_ref().map_or((0, None), |(known, _)| (known.next_copy(), known.brought));
        let mut version = Version { copy, brought, ..new.clone() };
        let at = match &before {
            // Somebody is about to store the same bytes, or was.
            Some((known, at)) if known.removed.is_none() => *at,
            before => {
                if let Some((removed, _)) = before {
                    // Should `gc` have been broken off.
                    stored.remove(digest, removed.copy).await?;
                }
                let at = before.as_ref().map_or(0, |(_, at)| *at);
                if !stored.commit(vec![put(Version::doc(digest), at, &version)?], Vec::new()).await? {
                    return Ok(None);
                }
                at + 1
            }
        };
        stored.keep(digest, copy, bytes.clone()).await?;
        version.stored = true;
        let done = stored.commit(vec![put(Version::doc(digest), at, &version)?], Vec::new()).await?;
        Ok(done.then_some(version))
    }

    fn keep_ready(&self, flow: &FlowName, loaded: Arc<Flow>) {
        self.serve(flow, |service| {
            service.remember(&loaded);
            service.ready = Some(loaded);
        });
    }
}

/// What `gc` has removed is not taken back because somebody repeats an old push.
fn unless_removed(before: Option<&At<Version>>, again: bool) -> Result<(), Error> {
    match before {
        Some((version, _)) if version.removed.is_some() && !again => {
            let message = format!(
                "version {} was here before, pushed by {}, and was removed by gc: push it with --again if you mean it",
                version.digest.short(),
                version.by.who
            );
            Err(Error::new(Code::VERSION_REMOVED, message))
        }
        _ => Ok(()),
    }
}
