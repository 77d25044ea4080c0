//! The rule for the module that a replica comes with.
//!
//! While the active version is an image's, each replica serves the module that it came with, as any function does. A
//! version that somebody activated wins over all images, until an image brings a module that the flow has never had.

use super::active::{Active, Origin, Why};
use super::store::put;
use super::version::{By, Version};
use crate::{Brought, Error, Flow, Host};
use faas_flow_core::Code;
use std::sync::Arc;

/// Replicas that start together.
const TRIES: usize = 100;

impl Host {
    /// Puts the module that this replica comes with into service, as far as the rule has it, and stores it for the other
    /// replicas. Answers whether it is what new runs begin with here.
    pub async fn bring(&self, flow: Flow, brought: Brought) -> Result<bool, Error> {
        let Brought { bytes, signature } = brought;
        let (flow, name, digest) = (Arc::new(flow.clone()), flow.name, flow.module.digest().clone());
        self.deploy_shared(flow.clone());
        let stored = self.stored(&name);
        let mut kept = false;
        for _ in 0..TRIES {
            let ((mut active, at), _) = stored.active().await?;
            let known = stored.version(&digest).await?;
            let is_new = known.as_ref().is_none_or(|(version, _)| !version.stored);
            let mut puts = Vec::new();
            let stale = known
                .clone()
                .filter(|(version, _)| version.is_there() && signature.is_some() && version.signature != signature);
            if known.as_ref().is_none_or(|(version, _)| !version.is_there()) {
                if !kept {
                    stored.keep(&digest, bytes.clone()).await?;
                    kept = true;
                }
                let version = Version {
                    digest: digest.clone(),
                    size: bytes.len() as u64,
                    wit: flow.module.wit_version().to_owned(),
                    origin: Origin::Image,
                    by: By::host("came with a replica", self.now()),
                    signature: signature.clone(),
                    stored: true,
                    removed: None,
                };
                puts.push(put(Version::doc(&digest), known.map_or(0, |(_, at)| at), &version)?);
            }
            // Signed anew, as with another key: replicas find the signature that holds today.
            if let Some((version, at)) = stale {
                puts.push(put(Version::doc(&digest), at, &Version { signature: signature.clone(), ..version })?);
            }
            if is_new || active.now().is_none() {
                let by = By::host("an image brought it", self.now());
                active.activate(digest.clone(), Origin::Image, Why::Image, by);
                puts.push(put(Active::DOC, at, &active)?);
            }
            if puts.is_empty() || stored.commit(puts, Vec::new()).await? {
                match self.look(&name).await {
                    // As a replica that is there already: it goes on with what it has, takes the push that mends that, and
                    // follows then.
                    Err(error) if matches!(error.code(), Code::MODULE_MISSING | Code::MODULE_DAMAGED) => {
                        tracing::warn!(
                            flow = %name, code = %error.code(), serves = digest.short(),
                            "the active version cannot be loaded, the one that came with this replica serves: {error}"
                        );
                    }
                    looked => looked?,
                }
                return Ok(self.flow(&name).is_some_and(|serves| *serves.module.digest() == digest));
            }
        }
        Err(Error::new(Code::ACTIVATION_CONFLICT, "other replicas change the active version all the time"))
    }
}
