//! The rule for the module that a replica comes with.
//!
//! While the active version is an image's, each replica serves the module that it came with, as any function does. A
//! version that somebody activated wins over all images, until an image brings a module that the flow has never had.

use super::active::{Active, Origin, Why};
use super::store::put;
use super::version::{By, Version};
use crate::{Brought, Error, Flow, Host};
use faas_flow_core::{Code, FlowName, Millis};
use std::sync::Arc;
use std::time::Duration;

/// Replicas that start together.
const TRIES: usize = 100;
/// How often it is said in the store that replicas are there which came with a module. `gc` believes it for three times as
/// long.
pub(super) const SAID: Duration = Duration::from_secs(600);

impl Host {
    /// Puts the module that this replica comes with into service, as far as the rule has it, and stores it for the other
    /// replicas. Answers whether it is what new runs begin with here.
    pub async fn bring(&self, flow: Flow, brought: Brought) -> Result<bool, Error> {
        let Brought { bytes, signature, .. } = brought;
        let (flow, name, digest) = (Arc::new(flow.clone()), flow.name, flow.module.digest().clone());
        self.deploy_shared(flow.clone());
        let stored = self.stored(&name);
        for _ in 0..TRIES {
            let ((mut active, at), _) = stored.active().await?;
            let known = stored.version(&digest).await?;
            let is_new = known.as_ref().is_none_or(|(version, _)| !version.stored);
            let mut puts = Vec::new();
            let version = match &known {
                Some((version, _)) if version.is_there() => Version {
                    // Signed anew, as with another key: replicas find the signature that holds today.
                    signature: signature.clone().or_else(|| version.signature.clone()),
                    brought: self.brought(version),
                    ..version.clone()
                },
                known => {
                    let copy = known.as_ref().map_or(0, |(version, _)| version.next_copy());
                    stored.keep(&digest, copy, bytes.clone()).await?;
                    let (size, signature) = (bytes.len() as u64, signature.clone());
                    Version { copy, size, signature, ..self.of_image(&flow) }
                }
            };
            if known.as_ref().is_none_or(|(known, _)| *known != version) {
                puts.push(put(Version::doc(&digest), known.map_or(0, |(_, at)| at), &version)?);
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

    /// What is known of a version that an image brings, but for its bytes.
    fn of_image(&self, flow: &Flow) -> Version {
        Version {
            digest: flow.module.digest().clone(),
            size: 0,
            wit: flow.module.wit_version().to_owned(),
            origin: Origin::Image,
            by: By::host("came with a replica", self.now()),
            signature: None,
            stored: true,
            removed: None,
            copy: 0,
            brought: Some(self.now()),
        }
    }

    /// Says that this replica is there still, with the module that it came with, so that `gc` keeps that.
    pub(super) async fn say_what_it_came_with(&self, flow: &FlowName) -> Result<(), Error> {
        let Some(digest) = self.serve(flow, |service| service.image.module.digest().clone()) else { return Ok(()) };
        let stored = self.stored(flow);
        if let Some((version, at)) = stored.version(&digest).await?.filter(|(version, _)| version.is_there()) {
            let said = Version { brought: self.brought(&version), ..version.clone() };
            if said != version {
                // Whoever was faster said it as well.
                stored.commit(vec![put(Version::doc(&digest), at, &said)?], Vec::new()).await?;
            }
        }
        Ok(())
    }

    /// When a replica last said that it came with this: now, unless somebody did a moment ago.
    fn brought(&self, version: &Version) -> Option<Millis> {
        let fresh = |said: &Millis| self.now().saturating_sub(*said) < SAID.as_millis() as u64;
        version.brought.filter(fresh).or_else(|| Some(self.now()))
    }
}
