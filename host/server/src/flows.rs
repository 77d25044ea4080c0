//! Flows in service: modules with their plans.

use crate::Error;
use faas_flow_core::{Code, Definition, FlowName, Plan};
use faas_flow_guest::{Guests, Module, NoContext, RunContext};
use std::path::Path;
use std::sync::Arc;

/// A flow in service.
#[derive(Clone)]
pub struct Flow {
    /// The name that it is called by.
    pub name: FlowName,
    /// Its module.
    pub module: Module,
    /// Its plan; none where the definition depends on the request and is asked for at the start of each run.
    pub plan: Option<Arc<Plan>>,
    /// What it defined when it was loaded.
    pub definition: Arc<Definition>,
}

/// Reads, compiles and checks a module. Without a name, the file's is taken: `greet.wasm` is `greet`.
pub async fn load_flow(guests: Arc<Guests>, path: &Path, name: Option<FlowName>) -> Result<Flow, Error> {
    let unreadable = |source| Error::ModuleUnreadable { path: path.to_owned(), source };
    let bytes = tokio::fs::read(path).await.map_err(unreadable)?;
    let name = match name {
        Some(name) => name,
        None => FlowName::new(path.file_stem().unwrap_or_default().to_string_lossy().replace(['_', '.'], "-"))?,
    };
    let module = tokio::task::spawn_blocking(move || guests.load(&bytes))
        .await
        .map_err(|error| Error::new(Code::INTERNAL, format!("loading the module ended early: {error}")))??;
    let defined = module.define(Arc::new(NoContext::new(name.as_str()))).await?;
    let plan = Arc::new(Plan::new(defined.definition).map_err(Error::Definition)?);
    let definition = plan.definition().clone();
    Ok(Flow { name, module, plan: (!defined.read_context).then_some(plan), definition })
}

impl Flow {
    /// The plan of one run: the flow's own, or a fresh one where the definition depends on the request.
    pub(crate) async fn plan_for(&self, context: Arc<dyn RunContext>) -> Result<Arc<Plan>, Error> {
        match &self.plan {
            Some(plan) => Ok(plan.clone()),
            None => {
                let defined = self.module.define(context).await?;
                Ok(Arc::new(Plan::new(defined.definition).map_err(Error::Definition)?))
            }
        }
    }
}
