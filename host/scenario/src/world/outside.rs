//! What is outside of a cluster: the functions and URLs that its flows call.

use super::power::Power;
use async_trait::async_trait;
use faas_flow_core::run::Parent;
use faas_flow_core::{Failure, FlowName, RunId};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_replica::Host;
use faas_flow_versions::Loader;
use std::sync::Arc;

/// The functions and URLs that flows call, and what they get to know of the runs.
#[async_trait]
pub trait Outside: Send + Sync {
    /// Whether a name that the gateway knows is that of a function, and not of a flow of the cluster.
    fn is_function(&self, name: &str) -> bool;

    /// A replica calls a function behind the gateway.
    async fn call(&self, power: &Power, name: &str, request: HttpRequest) -> Result<HttpResponse, Failure>;

    /// A replica sends a request to any other URL.
    async fn request(&self, power: &Power, request: HttpRequest) -> Result<HttpResponse, Failure>;

    /// A replica puts a call of this function into the queue.
    fn queues(&self, _power: &Power, _name: &str, _run: &str) {}

    /// A run has begun another one, which is stored from now on.
    fn begins(&self, _parent: &Parent, _child: &RunId) {}

    /// A run has tried to stop this one, which it had called.
    fn reaches(&self, _run: &str, _reached: bool) {}
}

/// The versions of a flow that operators push while replicas run.
pub trait Modules: Send + Sync {
    /// The flow.
    fn flow(&self) -> &FlowName;

    /// What loads the versions.
    fn loader(&self) -> Loader;

    /// A replica has begun.
    fn begun(&self, host: Arc<Host>);
}
