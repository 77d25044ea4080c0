//! The rule for the module that a replica comes with: that of its image, or the file that it was started with.
//!
//! While the active version is an image's, each replica serves the module that it came with, as any function does. A
//! version that an operator activated takes precedence over all images, until an image comes with a module that the flow has
//! never had.

use super::active::{Active, Why};
use super::error::Error;
use super::flow::{Artifact, Flow};
use super::registry::Versions;
use super::store::{At, Commit, Stored, put};
use super::version::{By, Origin, Version};
use faas_flow_core::{FlowName, Millis};
use std::sync::Arc;

/// How many times registering a module is tried: many replicas may start at the same time.
const TRIES: usize = 100;

/// What new runs begin with on a replica that registered its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The module that the replica came with.
    Serving,
    /// Another version, which an operator activated.
    Superseded,
    /// Nothing, until the version that an operator activated can be loaded.
    Waiting,
}

impl Versions {
    /// Serves the module that this replica comes with, stores it for the other replicas, and puts it into service if the flow
    /// has never had it. Then serves what the active pointer says.
    pub async fn register_image(&self, flow: Flow, artifact: Artifact) -> Result<Registered, Error> {
        let flow = Arc::new(flow);
        self.deploy_shared(flow.clone());
        for _ in 0..TRIES {
            if self.store_image(&flow, &artifact).await? == Commit::Done {
                self.stored(&flow.name).keep_all().await?;
                return self.serve_registered(&flow).await;
            }
        }
        Err(Error::Contended { flow: flow.name.clone(), tries: TRIES })
    }

    /// Stores the module that this replica came with, and activates it if it is new.
    async fn store_image(&self, flow: &Flow, artifact: &Artifact) -> Result<Commit, Error> {
        let stored = self.stored(&flow.name);
        let digest = flow.digest();
        let ((mut active, revision), _) = stored.active().await?;
        let known = stored.version(digest).await?;
        let is_new = known.as_ref().is_none_or(|(version, _)| !version.stored);
        let version = self.image_version(&stored, flow, artifact, known.as_ref()).await?;
        let mut puts = Vec::new();
        if known.as_ref().is_none_or(|(known, _)| *known != version) {
            puts.push(put(Version::doc(digest), known.map_or(0, |(_, at)| at), &version)?);
        }
        if is_new || active.now().is_none() {
            let by = By::host("an image brought it", self.now());
            active.activate(digest.clone(), Origin::Image, Why::Image, by);
            puts.push(put(Active::DOC, revision, &active)?);
        }
        if puts.is_empty() { Ok(Commit::Done) } else { stored.commit(puts, Vec::new()).await }
    }

    /// What is to be known of the version that an image comes with. Stores its bytes if they are not there.
    async fn image_version(
        &self,
        stored: &Stored<'_>,
        flow: &Flow,
        artifact: &Artifact,
        known: Option<&At<Version>>,
    ) -> Result<Version, Error> {
        if let Some((version, _)) = known.filter(|(version, _)| version.is_there()) {
            self.restore(stored, version, artifact).await?;
            return Ok(Version {
                // The module may be signed with another key than before; the newest signature is the one to check.
                signature: artifact.signature.clone().or_else(|| version.signature.clone()),
                announced: self.announcement(version),
                ..version.clone()
            });
        }
        let copy = known.map_or(0, |(version, _)| version.next_copy());
        stored.put_bytes(flow.digest(), copy, artifact.bytes.clone()).await?;
        Ok(Version {
            digest: flow.digest().clone(),
            size: artifact.bytes.len() as u64,
            wit: flow.module.wit_version().to_owned(),
            origin: Origin::Image,
            by: By::host("came with a replica", self.now()),
            signature: artifact.signature.clone(),
            stored: true,
            removed: None,
            copy,
            announced: Some(self.now()),
        })
    }

    /// Stores the bytes of a version again if they are lost or damaged.
    async fn restore(&self, stored: &Stored<'_>, version: &Version, artifact: &Artifact) -> Result<(), Error> {
        match stored.intact_bytes(version).await {
            Err(error) if error.is_module_lost() => {
                stored.put_bytes(&version.digest, version.copy, artifact.bytes.clone()).await?;
                tracing::warn!(
                    flow = %stored.flow, version = version.digest.short(), code = %error.code(), %error,
                    "stored the module that came with this replica again"
                );
                Ok(())
            }
            checked => checked.map(drop),
        }
    }

    async fn serve_registered(&self, flow: &Flow) -> Result<Registered, Error> {
        match self.serve_stored(&flow.name).await {
            // A replica that was running already continues to serve what it has. One that starts would silently serve something
            // older, so it waits for the push that brings the version back, which it can accept itself.
            Err(error) if error.is_module_lost() => {
                let why = error.to_string();
                self.table.change(&flow.name, |service| service.withhold(why.clone()));
                let error = Error::ActiveMissing { flow: flow.name.clone(), why };
                tracing::error!(flow = %flow.name, code = %error.code(), %error, "not ready");
                return Ok(Registered::Waiting);
            }
            served => served?,
        }
        let serves = self.active(&flow.name).is_some_and(|active| active.digest() == flow.digest());
        Ok(if serves { Registered::Serving } else { Registered::Superseded })
    }

    /// Announces in the store that this replica is still there with the module that it came with, so that `gc` keeps it.
    pub(super) async fn announce_image(&self, flow: &FlowName) -> Result<(), Error> {
        let digest = self.table.read(flow, |service| service.image.digest().clone());
        let Some(digest) = digest else { return Ok(()) };
        let stored = self.stored(flow);
        if let Some((version, at)) = stored.version(&digest).await?.filter(|(version, _)| version.is_there()) {
            let announced = Version { announced: self.announcement(&version), ..version.clone() };
            if announced != version {
                // After a conflict there is nothing left to do: another replica has announced the same.
                stored.commit(vec![put(Version::doc(&digest), at, &announced)?], Vec::new()).await?;
            }
        }
        Ok(())
    }

    /// The time of the last announcement: now, unless another replica announced the same a moment ago.
    fn announcement(&self, version: &Version) -> Option<Millis> {
        let period = self.timing.announce.as_millis() as Millis;
        let fresh = |at: &Millis| self.now().saturating_sub(*at) < period;
        version.announced.filter(fresh).or_else(|| Some(self.now()))
    }
}
