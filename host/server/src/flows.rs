//! Flows in service: modules with their plans.

use crate::Error;
use crate::signature::Trusted;
use bytes::Bytes;
use faas_flow_core::{Code, Definition, Digest, FlowName, Plan};
use faas_flow_guest::{GuestError, Guests, Limits, Module, NoContext, RunContext};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

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
    let brought = Brought::new(read_module(path).await?, None);
    load_module(guests, &Trusted::default(), &brought, name_of(path, name)?).await
}

/// A module as it was brought.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their sha256.
    pub digest: Digest,
    /// The line of its signature.
    pub signature: Option<String>,
}

impl Brought {
    /// A module with the line of its signature.
    pub fn new(bytes: Bytes, signature: Option<String>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest, signature }
    }
}

/// The bytes of a module's file. Of one that is too large for any host, no more than that is read.
pub(crate) async fn read_module(path: &Path) -> Result<Bytes, Error> {
    let unreadable = |source| Error::ModuleUnreadable { path: path.to_owned(), source };
    let limit = Limits::default().module_bytes;
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let size = usize::try_from(file.metadata().await.map_err(unreadable)?.len()).unwrap_or(usize::MAX);
    if size > limit {
        return Err(GuestError::ModuleTooLarge { size, limit }.into());
    }
    let mut bytes = Vec::with_capacity(size);
    // What is no file says no size; one that is too large all the same is refused where it is loaded.
    (&mut file).take(limit as u64 + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    Ok(bytes.into())
}

/// The name, or else the file's.
pub(crate) fn name_of(path: &Path, name: Option<FlowName>) -> Result<FlowName, Error> {
    match name {
        Some(name) => Ok(name),
        None => Ok(FlowName::new(path.file_stem().unwrap_or_default().to_string_lossy().replace(['_', '.'], "-"))?),
    }
}

/// Compiles and checks a module that one of the keys has signed, if there are any. None of its code runs before that is
/// known.
pub(crate) async fn load_module(
    guests: Arc<Guests>,
    trusted: &Trusted,
    brought: &Brought,
    name: FlowName,
) -> Result<Flow, Error> {
    trusted.wants(brought.signature.as_deref(), &name)?;
    let module = compile(guests, brought).await?;
    trusted.check(module.digest(), &name, module.wit_version(), brought.signature.as_deref())?;
    let flow = defined(module, name).await?;
    // What is refused leaves nothing behind.
    let module = flow.module.clone();
    let kept = tokio::task::spawn_blocking(move || module.keep_code()).await;
    kept.map_err(|error| Error::new(Code::INTERNAL, format!("keeping compiled code ended early: {error}")))?;
    Ok(flow)
}

/// Compiles a module, and runs none of its code.
pub(crate) async fn compile(guests: Arc<Guests>, brought: &Brought) -> Result<Module, Error> {
    let (bytes, digest) = (brought.bytes.clone(), brought.digest.clone());
    tokio::task::spawn_blocking(move || guests.load_as(&bytes, &digest))
        .await
        .map_err(|error| Error::new(Code::INTERNAL, format!("loading the module ended early: {error}")))?
        .map_err(Error::from)
}

/// Asks a module what its flow looks like, and checks that.
async fn defined(module: Module, name: FlowName) -> Result<Flow, Error> {
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
