//! What a flow's code may ask the host, and the values that its handlers take.

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::Status;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step, for the author only.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may become a problem.
    Warn,
    /// What is one.
    Error,
}

/// How a run ended, as a `finally` handler hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It produced its result.
    Success,
    /// It did not.
    Failure,
}

/// An HTTP request before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Upper case.
    pub method: String,
    /// Absolute, with its query.
    pub url: String,
    /// In order; a name may occur more than once.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// An HTTP response as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// 100 to 599.
    pub status: u16,
    /// In order of arrival; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// What is known about one call of the flow's code.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Where the node stands in the run; empty outside of nodes.
    pub node: String,
    /// The state of the run when the call began.
    pub state: Status,
    /// The node's inputs by predecessor in declared order, before any aggregator.
    pub inputs: Vec<(String, Bytes)>,
}

impl Default for CallContext {
    fn default() -> Self {
        Self { node: String::new(), state: Status::Running, inputs: Vec::new() }
    }
}

/// What is known about a run while its flow's code runs.
#[async_trait]
pub trait RunContext: Send + Sync {
    /// The id of the run.
    fn request_id(&self) -> &str;
    /// The name under which the flow is deployed.
    fn flow_name(&self) -> &str;
    /// The values of a query parameter of the request that began the run, decoded, in order.
    fn query(&self, name: &str) -> Vec<String>;
    /// The values of a header of that request, in order; names are compared without regard to case.
    fn header(&self, name: &str) -> Vec<String>;
    /// A value that a committed node of this run has set. The node's own changes are not asked for here.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, String>;
    /// Writes a line to the host's log.
    fn log(&self, node: &str, level: Level, message: &str);
}

/// The context of a `define` that belongs to no run: it knows the flow's name only.
#[derive(Debug, Clone)]
pub struct NoContext {
    flow: String,
}

impl NoContext {
    /// The context of the flow with this name.
    pub fn new(flow: impl Into<String>) -> Self {
        Self { flow: flow.into() }
    }
}

#[async_trait]
impl RunContext for NoContext {
    fn request_id(&self) -> &str {
        ""
    }
    fn flow_name(&self) -> &str {
        &self.flow
    }
    fn query(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
    fn header(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
    async fn get(&self, _key: &str) -> Result<Option<Bytes>, String> {
        Ok(None)
    }
    fn log(&self, _node: &str, level: Level, message: &str) {
        let flow = &self.flow;
        match level {
            Level::Trace => tracing::trace!(flow, "{message}"),
            Level::Debug => tracing::debug!(flow, "{message}"),
            Level::Info => tracing::info!(flow, "{message}"),
            Level::Warn => tracing::warn!(flow, "{message}"),
            Level::Error => tracing::error!(flow, "{message}"),
        }
    }
}
