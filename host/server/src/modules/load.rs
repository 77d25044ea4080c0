//! Loads the versions that runs are pinned to, when they are needed.

use super::store::Stored;
use crate::flows::{Brought, load_module};
use crate::signature::Trusted;
use crate::{Error, Flow, Host};
use faas_flow_core::run::RunView;
use faas_flow_core::{Code, Definition, Digest, FlowName};
use faas_flow_guest::Guests;
use faas_flow_store::{DataStore, StateStore};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Mutex as AsyncMutex;

/// Makes flows of modules.
pub struct Loader {
    guests: Arc<Guests>,
    /// Who may sign what it loads.
    trusted: Trusted,
    /// Those that need not be compiled.
    known: Vec<Flow>,
    /// One load of a module at a time.
    under_way: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
}

impl Loader {
    /// A loader for the modules that somebody brings, now or later, and that one of the keys has signed, if there are any.
    pub fn new(guests: Arc<Guests>, trusted: Trusted) -> Self {
        Self { guests, trusted, known: Vec::new(), under_way: Mutex::default() }
    }

    /// A loader that knows these already, so that loading takes no time: for simulations.
    #[doc(hidden)]
    pub fn knowing(self, known: Vec<Flow>) -> Self {
        Self { known, ..self }
    }

    /// The largest module that it takes, in bytes.
    pub fn module_bytes(&self) -> usize {
        self.guests.limits().module_bytes
    }

    /// Compiles and checks a module.
    pub(super) async fn load(&self, brought: &Brought, name: &FlowName) -> Result<Arc<Flow>, Error> {
        if let Some(known) = self.known.iter().find(|known| *known.module.digest() == brought.digest) {
            return Ok(Arc::new(known.clone()));
        }
        load_module(self.guests.clone(), &self.trusted, brought, name.clone()).await.map(Arc::new)
    }

    /// Whether a module that is loaded already may be brought with this signature.
    pub(super) fn check(&self, flow: &Flow, signature: Option<&str>) -> Result<(), Error> {
        self.trusted.check(flow.module.digest(), &flow.name, flow.module.wit_version(), signature)
    }

    fn turn(&self, digest: &Digest) -> Arc<AsyncMutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = under_way.get(digest).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(AsyncMutex::new(()));
        under_way.insert(digest.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// A version that can be loaded nowhere, and that a run waits for.
#[derive(Debug, Clone)]
pub struct Missing {
    /// Which.
    pub version: Digest,
    /// Why it cannot be loaded, and what to do.
    pub why: String,
}

impl Missing {
    /// Adds it to what is told of a run as JSON.
    pub(crate) fn add_to(&self, run: &mut serde_json::Value) {
        if let Some(fields) = run.as_object_mut() {
            fields.insert("waits-for".to_owned(), json!(self.version));
            fields.insert("waits-because".to_owned(), json!(self.why));
        }
    }

    /// A run as JSON, with what it waits for.
    pub(crate) fn shown(missing: Option<&Self>, view: &RunView) -> Result<serde_json::Value, Error> {
        let run = serde_json::to_value(view);
        let mut run = run.map_err(|error| Error::new(Code::INTERNAL, format!("cannot write JSON: {error}")))?;
        if let Some(missing) = missing {
            missing.add_to(&mut run);
        }
        Ok(run)
    }
}

/// What a run waits for, as far as the stores tell. Flows of which they know no version have them elsewhere.
pub(crate) async fn waits_for(
    state: &dyn StateStore,
    data: &dyn DataStore,
    run: &RunView,
) -> Result<Option<Missing>, Error> {
    let stored = Stored { flow: &run.flow, state, data };
    if run.status.is_final() || stored.active().await?.0.1 == 0 {
        return Ok(None);
    }
    let whole = async { stored.whole(&stored.there(&run.digest).await?).await };
    match whole.await {
        Ok(_) => Ok(None),
        Err(error) if matches!(error.code(), Code::MODULE_MISSING | Code::MODULE_DAMAGED) => {
            Ok(Some(Missing { version: run.digest.clone(), why: error.to_string() }))
        }
        Err(error) => Err(error),
    }
}

impl Host {
    /// A version of a flow: at hand, or loaded from the store.
    pub(crate) async fn version(&self, flow: &FlowName, digest: &Digest) -> Result<Arc<Flow>, Error> {
        if let Some(loaded) = self.loaded(flow, digest) {
            return Ok(loaded);
        }
        let Some(loader) = self.modules.as_ref().filter(|_| self.flow(flow).is_some()) else {
            let message = format!("module {} of flow {flow} is not loaded here", digest.short());
            return Err(Error::new(Code::MODULE_MISSING, message));
        };
        let turn = loader.turn(digest);
        let _turn = turn.lock().await;
        if let Some(loaded) = self.loaded(flow, digest) {
            return Ok(loaded);
        }
        let loaded = self.load_stored(loader, flow, digest).await?;
        tracing::info!(%flow, version = digest.short(), "loaded");
        self.serve(flow, |service| service.remember(&loaded));
        Ok(loaded)
    }

    /// What a version defines when its code is asked outside of a run: of a flow that is served here, or not.
    pub(crate) async fn definition(&self, flow: &FlowName, digest: &Digest) -> Result<Arc<Definition>, Error> {
        if let Some(loaded) = self.loaded(flow, digest) {
            return Ok(loaded.definition.clone());
        }
        let loader = self.loader()?;
        let turn = loader.turn(digest);
        let _turn = turn.lock().await;
        Ok(self.load_stored(loader, flow, digest).await?.definition.clone())
    }

    async fn load_stored(&self, loader: &Loader, flow: &FlowName, digest: &Digest) -> Result<Arc<Flow>, Error> {
        let stored = self.stored(flow);
        let version = stored.there(digest).await?;
        let bytes = stored.whole(&version).await?;
        loader.load(&Brought { bytes, digest: version.digest, signature: version.signature }, flow).await
    }

    /// What a run waits for, if it is under way and its version can be loaded nowhere.
    pub async fn waits_for(&self, run: &RunView) -> Result<Option<Missing>, Error> {
        let (flow, digest) = (&run.flow, &run.digest);
        let known = self.serve(flow, |service| service.find(digest).is_some() || service.was_whole(digest));
        if self.modules.is_none() || run.status.is_final() || known == Some(true) {
            return Ok(None);
        }
        // To see that costs to read the module: not again for everybody who asks how the run is doing.
        let missing = waits_for(&*self.state, &*self.data.store, run).await?;
        if missing.is_none() {
            self.serve(flow, |service| service.note_whole(digest));
        }
        Ok(missing)
    }

    pub(super) fn stored<'a>(&'a self, flow: &'a FlowName) -> Stored<'a> {
        Stored { flow, state: &*self.state, data: &*self.data.store }
    }

    pub(super) fn loader(&self) -> Result<&Loader, Error> {
        self.modules.as_ref().ok_or_else(|| {
            Error::new(
                Code::MODULES_FIXED,
                "this host has no module store: it serves the modules that it was made with",
            )
        })
    }
}
