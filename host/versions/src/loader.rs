//! Makes flows from the bytes of modules.

use super::error::Error;
use super::flow::{Artifact, Flow, load_module};
use super::signature::Trusted;
use faas_flow_core::{Digest, FlowName};
use faas_flow_guest::{GuestError, Guests, Instances};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Mutex as AsyncMutex;

/// Loads the modules of flows, if a trusted key has signed them.
pub struct Loader {
    guests: Arc<Guests>,
    trusted: Trusted,
    /// Flows that were loaded beforehand.
    preloaded: Vec<Flow>,
    /// A lock for each module that is being loaded.
    turns: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
}

impl Loader {
    /// A loader that accepts modules which one of the keys has signed, or any module if there are no keys.
    pub fn new(guests: Arc<Guests>, trusted: Trusted) -> Self {
        Self { guests, trusted, preloaded: Vec::new(), turns: Mutex::default() }
    }

    /// Uses these flows instead of compiling their modules, so that loading takes no time: for simulations.
    #[doc(hidden)]
    pub fn with_preloaded(self, preloaded: Vec<Flow>) -> Self {
        Self { preloaded, ..self }
    }

    /// The size of the largest module that is accepted, in bytes.
    pub fn module_bytes(&self) -> usize {
        self.guests.limits().module_bytes
    }

    pub(super) fn instances(&self) -> Instances {
        self.guests.instances()
    }

    /// Compiles and checks a module.
    pub(super) async fn load(&self, artifact: &Artifact, name: &FlowName) -> Result<Arc<Flow>, Error> {
        if let Some(flow) = self.preloaded.iter().find(|flow| *flow.digest() == artifact.digest) {
            return Ok(Arc::new(flow.clone()));
        }
        load_module(self.guests.clone(), &self.trusted, artifact, name.clone()).await.map(Arc::new)
    }

    /// Like [`load`](Self::load), for a module that somebody has sent: verifying, compiling and defining it together take at most
    /// the time that compiling alone may take.
    pub(super) async fn load_sent(&self, artifact: &Artifact, name: &FlowName) -> Result<Arc<Flow>, Error> {
        let Some(at_most) = self.guests.load_time() else { return self.load(artifact, name).await };
        let loaded = tokio::time::timeout(at_most, self.load(artifact, name)).await;
        loaded.unwrap_or(Err(GuestError::CompileTimedOut { at_most }.into()))
    }

    /// Checks the signature for a module that is loaded already.
    pub(super) fn check(&self, flow: &Flow, signature: Option<&str>) -> Result<(), Error> {
        Ok(self.trusted.check(flow.digest(), &flow.name, flow.module.wit_version(), signature)?)
    }

    /// The lock that a task must hold while it loads this module, so that no module is compiled twice at the same time.
    pub(super) fn turn(&self, digest: &Digest) -> Arc<AsyncMutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(digest).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(AsyncMutex::new(()));
        turns.insert(digest.clone(), Arc::downgrade(&turn));
        turn
    }
}
