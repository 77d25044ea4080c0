//! Takes a new version in: checks it as a whole, compiles it, and stores it for all replicas.

use super::active::Origin;
use super::store::{At, put};
use super::version::{By, Version};
use crate::{Brought, Error, Flow, Host};
use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName};
use std::sync::Arc;

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
        let found = Digest::of(&bytes);
        if found != digest {
            let message = format!(
                "the module has the sha256 {}, but is said to have {}: nothing was changed; push it again",
                found.short(),
                digest.short()
            );
            return Err(Error::new(Code::DIGEST_MISMATCH, message));
        }
        let stored = self.stored(flow);
        let before = stored.version(&digest).await?;
        if let Some((version, _)) = before.as_ref().filter(|(version, _)| version.removed.is_some() && !again) {
            let message = format!(
                "version {} was here before, pushed by {}, and was removed by gc: push it with --again if you mean it",
                digest.short(),
                version.by.who
            );
            return Err(Error::new(Code::VERSION_REMOVED, message));
        }
        let loaded = match self.loaded(flow, &digest) {
            Some(loaded) => {
                loader.check(&loaded, signature.as_deref())?;
                loaded
            }
            None => loader.load(&Brought { bytes: bytes.clone(), signature: signature.clone() }, flow).await?,
        };
        if let Some((version, at)) = before.as_ref().filter(|(version, _)| version.is_there()) {
            let mut version = version.clone();
            // Signed anew, as with another key: replicas find the signature that holds today.
            if signature.is_some() && signature != version.signature {
                version.signature = signature;
                if !stored.commit(vec![put(Version::doc(&digest), *at, &version)?], Vec::new()).await? {
                    self.stored_by_another(flow, &digest).await?;
                }
            }
            if stored.bytes(&digest).await?.is_none_or(|bytes| Digest::of(&bytes) != digest) {
                stored.keep(&digest, bytes).await?;
            }
            self.keep_ready(flow, loaded);
            return Ok(Pushed { version, known: true });
        }
        let version = Version {
            digest,
            size: bytes.len() as u64,
            wit: loaded.module.wit_version().to_owned(),
            origin: Origin::Push,
            by,
            signature,
            stored: false,
            removed: None,
        };
        let known = !self.store(flow, before, version.clone(), bytes).await?;
        self.keep_ready(flow, loaded);
        Ok(Pushed { version: Version { stored: true, ..version }, known })
    }

    /// Notes the version first, so that `gc` finds what a push that is broken off leaves. False if somebody else stored it.
    async fn store(
        &self,
        flow: &FlowName,
        before: Option<At<Version>>,
        version: Version,
        bytes: Bytes,
    ) -> Result<bool, Error> {
        let (stored, doc) = (self.stored(flow), Version::doc(&version.digest));
        let at = before.map_or(0, |(_, at)| at);
        if !stored.commit(vec![put(&doc, at, &version)?], Vec::new()).await? {
            return self.stored_by_another(flow, &version.digest).await.map(|()| false);
        }
        stored.keep(&version.digest, bytes).await?;
        let version = Version { stored: true, ..version };
        match stored.commit(vec![put(&doc, at + 1, &version)?], Vec::new()).await? {
            true => Ok(true),
            false => self.stored_by_another(flow, &version.digest).await.map(|()| false),
        }
    }

    async fn stored_by_another(&self, flow: &FlowName, digest: &Digest) -> Result<(), Error> {
        match self.stored(flow).version(digest).await? {
            Some((version, _)) if version.is_there() => Ok(()),
            _ => {
                let message = format!("somebody else is storing version {} just now: push it again", digest.short());
                Err(Error::new(Code::ACTIVATION_CONFLICT, message))
            }
        }
    }

    fn keep_ready(&self, flow: &FlowName, loaded: Arc<Flow>) {
        self.serve(flow, |service| {
            service.remember(&loaded);
            service.ready = Some(loaded);
        });
    }
}
