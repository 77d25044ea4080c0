//! A loaded flow.

use crate::RunContext;
use crate::bindings::FlowPre;
use crate::cache::Cache;
use crate::error::GuestError;
use crate::guests::{Host, PACKAGE};
use crate::instance::{Instance, failure};
use crate::state::State;
use faas_flow_core::{Definition, Digest};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Resource;

/// A loaded flow; clones are the same one.
#[derive(Clone)]
pub struct Module(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) host: Arc<Host>,
    pub(crate) digest: Digest,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) pre: FlowPre<State>,
    /// What was compiled and is not cached yet.
    pub(crate) code: Mutex<Option<(Arc<Cache>, Vec<u8>)>>,
}

/// What a flow said about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined {
    /// Its words, unchecked.
    pub definition: Definition,
    /// Whether it looked at the run, so that it must be asked again for each.
    pub read_context: bool,
}

impl Module {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
    }

    /// The sha256 of the bytes that were loaded.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// The names that the component imports.
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// The names that the component exports.
    pub fn exports(&self) -> &[String] {
        &self.0.exports
    }

    /// The version of the contract that it was made for: `0.1.0`.
    pub fn wit_version(&self) -> &str {
        let mut versions = self.0.exports.iter().filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'));
        versions.next().map_or("", |(_, version)| version)
    }

    /// Caches the code of a module that was compiled to be loaded. It blocks while it writes.
    pub fn keep_code(&self) {
        let code = self.0.code.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((cache, code)) = code {
            cache.keep(&self.0.digest, &code);
        }
    }

    /// Asks the flow what it looks like, in an instance of its own.
    pub async fn define(&self, context: Arc<dyn RunContext>) -> Result<Defined, GuestError> {
        let mut instance = self.instantiate(context).await?;
        instance.enter(Arc::default(), Vec::new());
        instance.begin()?;
        let Instance { flow, store, .. } = &mut instance;
        store.data_mut().defining = true;
        let answer = flow.faas_flow_flow_definition().call_define(&mut *store, Resource::new_own(0)).await;
        let state = store.data_mut();
        match answer {
            Ok(Ok(())) => Ok(Defined { definition: state.arena.take(), read_context: state.read_context }),
            Ok(Err(reason)) => Err(GuestError::DefineFailed { reason }),
            Err(error) => Err(match error.downcast_ref::<GuestError>() {
                Some(refused) => refused.clone(),
                None => failure(&error, state).into(),
            }),
        }
    }

    /// A fresh instance for one run. Where all that may live at once do, it fails with `GUEST_POOL_FULL`.
    pub async fn instantiate(&self, context: Arc<dyn RunContext>) -> Result<Instance, GuestError> {
        Instance::new(&self.0, context, self.clone()).await
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Module").field(&self.0.digest).finish()
    }
}
