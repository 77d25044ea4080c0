//! A flow as it is served: a module, checked and compiled, with the plan that follows from its definition.

use super::error::Error;
use super::signature::Trusted;
use bytes::Bytes;
use faas_flow_core::definition::{Dag, NodeKind};
use faas_flow_core::{Definition, Digest, FlowName, Plan};
use faas_flow_guest::{GuestError, Guests, Limits, Module, NoContext, RunContext, waiting};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Up to so many nodes, checking a definition takes less time than passing it to another thread is worth.
const FEW_NODES: usize = 500;

/// One version of a flow, loaded.
#[derive(Clone)]
pub struct Flow {
    /// The name that the flow is called by.
    pub name: FlowName,
    /// Its module.
    pub module: Module,
    /// Its plan; none if the definition depends on the request, so that the module defines the flow anew for each run.
    pub plan: Option<Arc<Plan>>,
    /// What the module defined when it was loaded.
    pub definition: Arc<Definition>,
}

/// The bytes of a module, with their digest and signature.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The bytes.
    pub bytes: Bytes,
    /// Their sha256.
    pub digest: Digest,
    /// The line of the signature, if there is one. It has not been verified.
    pub signature: Option<String>,
}

impl Artifact {
    /// Computes the digest of a module's bytes. That takes a while if there are many: see [`hashed`](Self::hashed).
    pub fn new(bytes: Bytes, signature: Option<String>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest, signature }
    }

    /// Like [`new`](Self::new), on a thread that serves no requests.
    pub async fn hashed(bytes: Bytes, signature: Option<String>) -> Result<Self, Error> {
        computed("hashing the module", move || Self::new(bytes, signature)).await
    }
}

/// Computes what takes long on a thread that serves no requests. A runtime with a single thread, such as that of simulations,
/// computes it itself, so that how long it takes does not decide what happens next.
pub(super) async fn computed<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => Ok(work()),
        _ => blocking(task, work).await,
    }
}

/// Does work that takes long, and may wait for something, on a thread that serves no requests.
pub(super) async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::Interrupted { task, source })
}

/// Reads, compiles and checks a module. Without a name, the flow has that of the file: `greet.wasm` is `greet`.
pub async fn load_flow(guests: Arc<Guests>, path: &Path, name: Option<FlowName>) -> Result<Flow, Error> {
    let artifact = Artifact::new(read_module(path).await?, None);
    load_module(guests, &Trusted::default(), &artifact, name_of(path, name)?).await
}

/// Reads the file of a module. A file that is larger than any host accepts is not read to its end.
pub async fn read_module(path: &Path) -> Result<Bytes, Error> {
    let unreadable = |source| Error::ModuleUnreadable { path: path.to_owned(), source };
    let limit = Limits::default().module_bytes;
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Error::ModuleIsFolder { path: path.to_owned() });
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > limit {
        return Err(GuestError::ModuleTooLarge { size, limit }.into());
    }
    let mut bytes = Vec::with_capacity(size);
    // A pipe or device has no size. One byte more than the limit is enough for the guest to refuse the module.
    (&mut file).take(limit as u64 + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    Ok(bytes.into())
}

/// The given name, or else one that is made from the name of the file.
pub fn name_of(path: &Path, name: Option<FlowName>) -> Result<FlowName, Error> {
    if let Some(name) = name {
        return Ok(name);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    FlowName::new(stem.replace(['_', '.'], "-")).map_err(Error::BadFlowName)
}

/// Compiles and checks a module. If there are trusted keys, one of them must have signed it; nothing reads the module before
/// that is verified.
pub async fn load_module(
    guests: Arc<Guests>,
    trusted: &Trusted,
    artifact: &Artifact,
    name: FlowName,
) -> Result<Flow, Error> {
    verify(trusted, artifact, &name).await?;
    let module = compile(guests, artifact).await?;
    trusted.check(module.digest(), &name, module.wit_version(), artifact.signature.as_deref())?;
    let flow = define(module, name).await?;
    // Only the code of a module that passed every check is cached.
    let module = flow.module.clone();
    blocking("caching compiled code", move || module.keep_code()).await?;
    Ok(flow)
}

/// Checks the signature of a module that was not read yet, if there are trusted keys.
pub async fn verify(trusted: &Trusted, artifact: &Artifact, name: &FlowName) -> Result<(), Error> {
    if trusted.is_empty() {
        return Ok(());
    }
    let (trusted, artifact, name) = (trusted.clone(), artifact.clone(), name.clone());
    Ok(computed("verifying the module's signature", move || {
        trusted.check_unread(&artifact.bytes, &artifact.digest, &name, artifact.signature.as_deref())
    })
    .await??)
}

/// Compiles a module without running any of its code. Dropping the future ends the compiler.
pub async fn compile(guests: Arc<Guests>, artifact: &Artifact) -> Result<Module, Error> {
    let Artifact { bytes, digest, .. } = artifact.clone();
    let (_waiting, waited) = waiting();
    Ok(blocking("loading the module", move || guests.load_as(&bytes, &digest, &waited)).await??)
}

/// Asks a module for its definition, and checks that.
async fn define(module: Module, name: FlowName) -> Result<Flow, Error> {
    let defined = module.define(Arc::new(NoContext::new(name.as_str()))).await?;
    let plan = computed("checking the definition", move || plan(defined.definition)).await??;
    let definition = plan.definition().clone();
    Ok(Flow { name, module, plan: (!defined.read_context).then_some(plan), definition })
}

/// The plan of a definition, if that is valid.
pub(super) fn plan(definition: Definition) -> Result<Arc<Plan>, Error> {
    Plan::new(definition).map(Arc::new).map_err(Error::InvalidDefinition)
}

impl Flow {
    /// The digest of its module.
    pub fn digest(&self) -> &Digest {
        self.module.digest()
    }

    /// The plan of one run: that of the flow, or a new one if the definition depends on the request, which `context` knows.
    pub async fn plan_for(&self, context: Arc<dyn RunContext>) -> Result<Arc<Plan>, Error> {
        match &self.plan {
            Some(plan) => Ok(plan.clone()),
            None => {
                let definition = self.module.define(context).await?.definition;
                if nodes(&definition.dag) > FEW_NODES {
                    return computed("checking the definition", move || plan(definition)).await?;
                }
                plan(definition)
            }
        }
    }
}

/// The number of nodes in a dag and in all dags inside it.
fn nodes(dag: &Dag) -> usize {
    let inside = |kind: &NodeKind| match kind {
        NodeKind::Operations(_) => 0,
        NodeKind::SubDag(dag) => nodes(dag),
        NodeKind::Repeat(repeat) => nodes(&repeat.dag),
        NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
            branches.dags.iter().map(|branch| nodes(&branch.dag)).sum()
        }
    };
    dag.nodes.iter().map(|node| 1 + inside(&node.kind)).sum()
}
