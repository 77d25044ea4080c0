//! A loaded flow.

use crate::bindings::faas_flow::flow::builder::Workflow;
use crate::cache::Cache;
use crate::error::{GuestError, repeated};
use crate::exports::{Described, Exports};
use crate::guests::{Host, PACKAGE};
use crate::instance::{Instance, failure};
use crate::state::State;
use crate::wasi::{self, WasiImports};
use crate::{CallContext, Limits, RunContext};
use faas_flow_core::{Definition, Digest};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::{InstancePre, Resource};

/// A loaded flow. Cloning is cheap: clones share the code.
#[derive(Clone)]
pub struct Module(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) host: Arc<Host>,
    pub(crate) digest: Digest,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) wasi: WasiImports,
    pub(crate) pre: InstancePre<State>,
    pub(crate) functions: Exports,
    /// Code that was compiled by this load and is not in the cache yet.
    pub(crate) code: Mutex<Option<(Arc<Cache>, Vec<u8>)>>,
}

/// What a flow's `define` returned.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined {
    /// The definition, not validated yet.
    pub definition: Definition,
    /// Whether `define` read the context of the run. If so, it must be called again for each run.
    pub read_context: bool,
}

impl Module {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
    }

    /// The sha256 of the module's bytes.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// The limits of its code.
    pub fn limits(&self) -> &Limits {
        &self.0.host.limits
    }

    /// The functions that it exports.
    pub(crate) fn functions(&self) -> &Exports {
        &self.0.functions
    }

    /// The names of what it imports.
    pub fn imports(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.imports.iter().map(|name| wasi::shown(name)).collect();
        names.dedup();
        names
    }

    /// What it uses of WASI.
    pub fn wasi(&self) -> &WasiImports {
        &self.0.wasi
    }

    /// The names of what it exports.
    pub fn exports(&self) -> Vec<&str> {
        self.0.exports.iter().map(String::as_str).filter(|name| *name != wasi::CLOCK).collect()
    }

    /// The version of the WIT contract that it was built for, such as `0.2.0`.
    pub fn wit_version(&self) -> &str {
        let mut versions = self.0.exports.iter().filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'));
        versions.next().map_or("", |(_, version)| version)
    }

    /// Writes the code to the cache if this load has compiled it. Blocks while it writes.
    pub fn keep_code(&self) {
        let code = self.0.code.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((cache, code)) = code {
            cache.add(&self.0.digest, &code);
        }
    }

    /// Calls the flow's `define` in a fresh instance.
    pub async fn define(&self, context: Arc<dyn RunContext>) -> Result<Defined, GuestError> {
        let mut state = State::new(context, Arc::default(), &self.0.host.limits);
        state.defining = true;
        let mut instance = Instance::new(&self.0, state, self.clone()).await?;
        instance.begin("define")?;
        let workflow = Resource::<Workflow>::new_own(0);
        let answer = instance.call::<_, Described>(|functions| functions.define, (workflow,)).await;
        let state = instance.store.data_mut();
        match answer {
            Ok((Ok(()),)) => Ok(Defined { definition: state.arena.take(), read_context: state.read_context }),
            Ok((Err(reason),)) => Err(GuestError::DefineFailed { reason: repeated(&reason) }),
            Err(error) => Err(match error.downcast_ref::<GuestError>() {
                Some(refused) => refused.clone(),
                None => failure(&error, state, "`define`").into(),
            }),
        }
    }

    /// Creates an instance for one run, of which this call is the first. Fails with `GUEST_POOL_FULL` if
    /// [`Limits::instances`](crate::Limits::instances) instances exist.
    pub async fn instantiate(
        &self,
        context: Arc<dyn RunContext>,
        call: Arc<CallContext>,
    ) -> Result<Instance, GuestError> {
        let state = State::new(context, call, &self.0.host.limits);
        Instance::new(&self.0, state, self.clone()).await
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Module").field(&self.0.digest).finish()
    }
}
