//! What a flow's code may ask the host, and the values that its handlers take and return.

use crate::{FlowLog, NodeLog};
use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::definition::HandlerKind;
use faas_flow_core::{Code, Content, Failure, Labels, MediaType, Millis, Status};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The severity of a log line.
pub use faas_flow_core::run::LogLevel as Level;

/// How a run ended, as passed to a `finally` handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The run succeeded.
    Success,
    /// The run failed or was stopped.
    Failure,
}

/// What has failed, as passed to a `recover-from` or `gather` handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What failed, and where.
    pub failure: Failure,
    /// The status of the response, if a call failed because of it.
    pub status: Option<u16>,
}

/// An HTTP request before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method in upper case.
    pub method: String,
    /// The absolute URL with its query.
    pub url: String,
    /// The headers in order; a name may occur more than once.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// An HTTP response as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code, 100 to 599.
    pub status: u16,
    /// The headers in order of arrival, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl HttpRequest {
    /// The media type of the body, as the headers say.
    pub fn media_type(&self) -> MediaType {
        MediaType::of_message(&self.headers)
    }
}

impl HttpResponse {
    /// The media type of the body, as the headers say.
    pub fn media_type(&self) -> MediaType {
        MediaType::of_message(&self.headers)
    }
}

/// What a flow's code can learn about the current call.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The path of the node in the run; empty outside of nodes.
    pub node: String,
    /// How often the node was begun anew as another piece of work.
    pub round: u32,
    /// Which attempt of the node this is, from 1; 0 outside of nodes.
    pub attempt: u32,
    /// The state of the run when the call began.
    pub state: Status,
    /// The labels that the run had then.
    pub labels: Labels,
    /// The node's inputs by predecessor, in declared order, before an aggregator merges them.
    pub inputs: Vec<(String, Content)>,
    /// Who gets to know of the calls of handlers.
    pub observer: Option<Arc<dyn Observer>>,
    /// What is kept of the lines that the node's code logs, if they are kept.
    pub log: Option<Arc<NodeLog>>,
}

/// Gets to know of calls of handlers.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A handler was called.
    fn called(&self, call: HandlerCall<'_>);
}

/// A call of a handler that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerCall<'a> {
    /// The handler's kind.
    pub kind: HandlerKind,
    /// Its id.
    pub handler: &'a str,
    /// When it was called.
    pub start: SystemTime,
    /// Why it failed, if it did.
    pub failure: Option<Code>,
}

impl Default for CallContext {
    fn default() -> Self {
        let (node, labels, inputs) = (String::new(), Labels::new(), Vec::new());
        Self { node, round: 0, attempt: 0, state: Status::Running, labels, inputs, observer: None, log: None }
    }
}

/// Why the host does not give a flow's code what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextError {
    /// The code asked for what there cannot be. It gets this text, and decides what to do.
    Refused(String),
    /// The host is at fault, not the code: the call of the handler ends at once with this failure.
    Host(Failure),
}

impl From<&str> for ContextError {
    fn from(text: &str) -> Self {
        Self::Refused(text.to_owned())
    }
}

/// What a flow's code can learn about its run.
#[async_trait]
pub trait RunContext: Send + Sync {
    /// The id of the run.
    fn request_id(&self) -> &str;
    /// The name under which the flow is deployed.
    fn flow_name(&self) -> &str;
    /// What the clock of the flow's code says, which stands still: when the run began.
    fn clock(&self) -> Millis;
    /// A secret of the host, the same on each replica, from which the random numbers of its runs follow. Empty if it has none.
    fn secret(&self) -> Vec<u8>;
    /// The values of a query parameter of the request that started the run, decoded, in order.
    fn query(&self, name: &str) -> Vec<String>;
    /// The values of a header of that request, in order. Names are compared case-insensitively.
    fn header(&self, name: &str) -> Vec<String>;
    /// The value of a key as committed by earlier nodes of this run. Changes of the current node are kept by the instance.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ContextError>;
    /// An address to which one signal of this name can be sent to the run, as the node of this call gives it to somebody. It
    /// expires after this time, in milliseconds.
    fn signal_url(&self, call: &CallContext, name: &str, valid_ms: Option<u64>) -> Result<String, ContextError>;
    /// Writes a line of this call to the host's log.
    fn log(&self, call: &CallContext, level: Level, message: &str);
    /// A handler of the run was called, which took this long, with the turns of others in between.
    fn handled(&self, _took: Duration) {}
}

/// The context of a `define` outside of a run: it only knows the flow's name.
#[derive(Debug, Clone)]
pub struct NoContext {
    flow: String,
    log: Arc<FlowLog>,
}

impl NoContext {
    /// The context of the flow with this name.
    pub fn new(flow: impl Into<String>) -> Self {
        Self { flow: flow.into(), log: Arc::default() }
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
    fn clock(&self) -> Millis {
        0
    }
    fn secret(&self) -> Vec<u8> {
        Vec::new()
    }
    fn query(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
    fn header(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
    async fn get(&self, _key: &str) -> Result<Option<Bytes>, ContextError> {
        Ok(None)
    }
    fn signal_url(&self, _call: &CallContext, _name: &str, _valid_ms: Option<u64>) -> Result<String, ContextError> {
        Err("there is no run in `define` to which a signal could be sent".into())
    }
    fn log(&self, call: &CallContext, level: Level, message: &str) {
        self.log.write(("", &self.flow), call, level, message);
    }
}
