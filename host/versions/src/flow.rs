//! A flow as it is served: a module, checked and compiled, with the plan that follows from its definition.

use super::error::Error;
use super::signature::Trusted;
use bytes::Bytes;
use faas_flow_core::{Definition, Digest, FlowName, Plan};
use faas_flow_guest::{GuestError, Guests, Limits, Module, NoContext, RunContext};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

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
    /// Computes the digest of a module's bytes.
    pub fn new(bytes: Bytes, signature: Option<String>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest, signature }
    }
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
    let size = usize::try_from(file.metadata().await.map_err(unreadable)?.len()).unwrap_or(usize::MAX);
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

/// Compiles and checks a module. If there are trusted keys, one of them must have signed it; none of its code runs before
/// that is verified.
pub async fn load_module(
    guests: Arc<Guests>,
    trusted: &Trusted,
    artifact: &Artifact,
    name: FlowName,
) -> Result<Flow, Error> {
    // Compiling takes seconds, so a signature that cannot be right is refused first.
    trusted.require(artifact.signature.as_deref(), &name)?;
    let module = compile(guests, artifact).await?;
    trusted.check(module.digest(), &name, module.wit_version(), artifact.signature.as_deref())?;
    let flow = define(module, name).await?;
    // Only the code of a module that passed every check is cached.
    let module = flow.module.clone();
    let cached = tokio::task::spawn_blocking(move || module.keep_code()).await;
    cached.map_err(|source| Error::Interrupted { task: "caching compiled code", source })?;
    Ok(flow)
}

/// Compiles a module without running any of its code.
pub async fn compile(guests: Arc<Guests>, artifact: &Artifact) -> Result<Module, Error> {
    let Artifact { bytes, digest, .. } = artifact.clone();
    tokio::task::spawn_blocking(move || guests.load_as(&bytes, &digest))
        .await
        .map_err(|source| Error::Interrupted { task: "loading the module", source })?
        .map_err(Error::from)
}

/// Asks a module for its definition, and checks that.
async fn define(module: Module, name: FlowName) -> Result<Flow, Error> {
    let defined = module.define(Arc::new(NoContext::new(name.as_str()))).await?;
    let plan = plan(defined.definition)?;
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
            None => plan(self.module.define(context).await?.definition),
        }
    }
}
