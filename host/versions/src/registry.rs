//! The versions of all flows, as one replica sees them: those it serves, and those in the stores.

use super::clock::Clock;
use super::error::{Absence, Error};
use super::flow::{Artifact, Flow, plan};
use super::loader::Loader;
use super::store::Stored;
use super::swaps::{SwapCounts, Swaps};
use super::table::Table;
use super::tally::RunEnd;
use super::timing::Timing;
use faas_flow_core::run::Run;
use faas_flow_core::{Definition, Digest, FlowName, Millis, Plan, RunId};
use faas_flow_guest::Instances;
use faas_flow_store::{DataStore, StateStore};
use std::sync::Arc;

/// The version that a run is pinned to, and the run's plan.
pub type Pinned = (Arc<Flow>, Arc<Plan>);

/// The versions of flows: which ones this replica serves and has loaded, and what the stores that it shares with other
/// replicas say about them.
///
/// [`deploy`](Self::deploy) serves a flow here only; [`register_image`](Self::register_image), [`push`](Self::push),
/// [`activate`](Self::activate) and the like change the stores, and every replica that [`follow`](Self::follow)s them serves
/// what they say.
pub struct Versions {
    pub(super) state: Arc<dyn StateStore>,
    pub(super) data: Arc<dyn DataStore>,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) table: Table,
    pub(super) swaps: SwapCounts,
    loader: Option<Loader>,
}

impl Versions {
    /// Serves no flow yet. Without a loader, it has only the versions that are deployed directly, and everything that concerns
    /// the module store fails with [`Error::NoModuleStore`].
    pub fn new(state: Arc<dyn StateStore>, data: Arc<dyn DataStore>, loader: Option<Loader>, clock: Clock) -> Self {
        let (timing, table, swaps) = (Timing::default(), Table::default(), SwapCounts::default());
        Self { state, data, clock, timing, table, swaps, loader }
    }

    /// Uses other times than the default ones.
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// Serves a version of a flow from now on, in place of another. Runs of the other version go on with it.
    pub fn deploy(&self, flow: Flow) {
        self.deploy_shared(Arc::new(flow));
    }

    pub(super) fn deploy_shared(&self, flow: Arc<Flow>) {
        self.table.deploy(flow.name.clone(), flow);
    }

    /// The active version of a flow; none if the flow is not served here.
    pub fn active(&self, flow: &FlowName) -> Option<Arc<Flow>> {
        self.table.active(flow)
    }

    /// The version that this new run begins with: the active one, or the canary; none if the flow is not served here. An error
    /// if the active version cannot be loaded here.
    pub fn for_new_run(&self, flow: &FlowName, run: &RunId) -> Result<Option<Arc<Flow>>, Error> {
        let chosen = self.table.choose(flow, run).transpose();
        chosen.map_err(|why| Error::ActiveMissing { flow: flow.clone(), why })
    }

    /// Whether runs of all flows that are served here may begin. The error is about the first flow of which none may.
    pub fn ready(&self) -> Result<(), Error> {
        match self.table.withheld() {
            Some((flow, why)) => Err(Error::ActiveMissing { flow, why }),
            None => Ok(()),
        }
    }

    /// The active versions of all flows that are served here, sorted by name.
    pub fn all_active(&self) -> Vec<Arc<Flow>> {
        self.table.all().into_iter().map(|(_, active)| active).collect()
    }

    /// The size of the largest module that can be pushed, in bytes; none if there is no module store.
    pub fn module_limit(&self) -> Option<usize> {
        self.loader.as_ref().map(Loader::module_bytes)
    }

    /// The instances of the modules that were loaded here; none if there is no module store.
    pub fn instances(&self) -> Option<Instances> {
        self.loader.as_ref().map(Loader::instances)
    }

    /// How often this replica has changed which version it serves, and could not.
    pub fn swaps(&self) -> Swaps {
        self.swaps.read()
    }

    /// Counts a run that ended here, for the canary if it is the run's version.
    pub fn count_ended(&self, flow: &Flow, end: RunEnd) {
        // Most flows have no canary, and then reading is enough.
        if self.table.read(&flow.name, |service| service.canary.is_some()) == Some(true) {
            self.table.change(&flow.name, |service| service.count(flow.digest(), end));
        }
    }

    /// The version and the plan that a run is pinned to, loaded from the stores if need be.
    pub async fn pinned(&self, run: &Run) -> Result<Pinned, Error> {
        let loaded = self.load(&run.flow, &run.digest).await;
        let flow = loaded.map_err(|error| Error::RunWaits { run: run.id.clone(), source: Box::new(error) })?;
        let plan = match (&run.definition, &flow.plan) {
            (Some(definition), _) => plan((**definition).clone())?,
            (None, Some(plan)) => plan.clone(),
            (None, None) => return Err(Error::DefinitionMissing { run: run.id.clone() }),
        };
        Ok((flow, plan))
    }

    /// A version and a plan with which the callback of an ended run can be sent: any version of the run's flow will do, since
    /// the run's own may have been removed. None if the flow is not served here.
    pub fn for_callback(&self, run: &Run) -> Result<Option<Pinned>, Error> {
        let flow = self.table.find(&run.flow, &run.digest).or_else(|| self.active(&run.flow));
        let Some(flow) = flow else { return Ok(None) };
        let plan = match &flow.plan {
            Some(plan) => plan.clone(),
            None => plan((*flow.definition).clone())?,
        };
        Ok(Some((flow, plan)))
    }

    /// A version of a flow that is served here, loaded from the stores if need be.
    pub async fn load(&self, flow: &FlowName, digest: &Digest) -> Result<Arc<Flow>, Error> {
        if let Some(loaded) = self.table.find(flow, digest) {
            return Ok(loaded);
        }
        let Some(loader) = self.loader.as_ref().filter(|_| self.active(flow).is_some()) else {
            let (flow, digest) = (flow.clone(), digest.clone());
            return Err(Error::Missing { flow, digest, absence: Absence::NotLoaded });
        };
        let turn = loader.turn(digest);
        let _turn = turn.lock().await;
        // Another task may have loaded it in the meantime.
        if let Some(loaded) = self.table.find(flow, digest) {
            return Ok(loaded);
        }
        let loaded = self.load_stored(loader, flow, digest).await?;
        tracing::info!(%flow, version = digest.short(), "loaded version");
        self.table.change(flow, |service| service.remember(&loaded));
        Ok(loaded)
    }

    /// What a version defines when it is asked outside of a run. The flow need not be served here.
    pub async fn definition(&self, flow: &FlowName, digest: &Digest) -> Result<Arc<Definition>, Error> {
        if let Some(loaded) = self.table.find(flow, digest) {
            return Ok(loaded.definition.clone());
        }
        let loader = self.loader()?;
        let turn = loader.turn(digest);
        let _turn = turn.lock().await;
        Ok(self.load_stored(loader, flow, digest).await?.definition.clone())
    }

    /// The plan by which a run was executed, for those who only read it. The flow need not be served here.
    pub async fn plan_of(&self, run: &Run) -> Result<Arc<Plan>, Error> {
        let known = self.table.find(&run.flow, &run.digest).and_then(|loaded| loaded.plan.clone());
        match (&run.definition, known) {
            (Some(definition), _) => plan((**definition).clone()),
            (None, Some(known)) => Ok(known),
            (None, None) => plan((*self.definition(&run.flow, &run.digest).await?).clone()),
        }
    }

    async fn load_stored(&self, loader: &Loader, flow: &FlowName, digest: &Digest) -> Result<Arc<Flow>, Error> {
        let stored = self.stored(flow);
        let version = stored.loadable(digest).await?;
        let bytes = stored.intact_bytes(&version).await?;
        stored.keep(&version).await;
        loader.load(&Artifact { bytes, digest: version.digest, signature: version.signature }, flow).await
    }

    pub(super) fn stored<'a>(&'a self, flow: &'a FlowName) -> Stored<'a> {
        Stored { flow, state: &*self.state, data: &*self.data }
    }

    pub(super) fn loader(&self) -> Result<&Loader, Error> {
        self.loader.as_ref().ok_or(Error::NoModuleStore)
    }

    pub(super) fn has_module_store(&self) -> bool {
        self.loader.is_some()
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }
}
