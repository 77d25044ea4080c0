//! The document of the run itself.

use super::super::actor::Action;
use super::{Callback, NodeState, WaitId};
use crate::{Definition, Digest, Failure, FlowName, Labels, Millis, NodePath, Payload, ResponseHead, RunId, Status};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The run itself. It changes only when the run starts, when somebody pauses, resumes, stops or re-runs it, and when it
/// ends. Every commit of a node can therefore check that it is unchanged without contending for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The request id.
    pub id: RunId,
    /// The flow's name.
    pub flow: FlowName,
    /// The module with which the run began and on which it ends.
    pub digest: Digest,
    /// When it began.
    pub started: Millis,
    /// The moment at which it was to start, if its caller has named one. None of its nodes is executed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Millis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Millis>,
    /// When it was last re-run after it had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<Millis>,
    /// When it fails unless it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Millis>,
    /// Its labels, by which people find it.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What the flow's code may ask about the request.
    pub request: Request,
    /// Stored only if the definition depends on the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arc<Definition>>,
    /// Its phase.
    pub phase: Phase,
    /// Whether no new nodes may start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// How the run ends. It is known before the failure and finally handlers are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Status>,
    /// The result, or what the failure handler returned instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// The status and headers of its result, if a node has set them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Box<NodeResponse>>,
    /// The status and headers of what the failure handler returned, if it has set them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_response: Option<Box<ResponseHead>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The calls of the failure handler and the finally handler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<NodeState>,
    /// The callback to send when the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// The node of another run that began this one and waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<Parent>>,
    /// What people have asked of it, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
}

impl Run {
    /// The status that callers see. A run counts as running while its failure or finally handler is still executing.
    pub fn status(&self) -> Status {
        match (self.phase, self.verdict) {
            (Phase::Ended, Some(verdict)) => verdict,
            _ if self.paused => Status::Paused,
            _ => Status::Running,
        }
    }

    /// The status and headers that the flow has set for the answer to its caller, once it is known how the run ends.
    pub fn response_head(&self) -> Option<&ResponseHead> {
        match self.verdict? {
            Status::Succeeded => self.response.as_ref().map(|response| &response.head),
            Status::Failed => self.failure_response.as_deref(),
            _ => None,
        }
    }
}

/// The phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The nodes of the flow are executed.
    Flow,
    /// The failure handler is executed.
    Failure,
    /// The finally handler is executed.
    Finally,
    /// The run has ended. Only its callback, and a re-run, still change it.
    Ended,
}

/// The parts of the request that are stored with the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Decoded, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Names in lower case, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// Status and headers that a node has set for the result of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeResponse {
    /// The node.
    pub by: NodePath,
    /// What it has set.
    pub head: ResponseHead,
}

/// The node of another run that began a run, and that waits for its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The flow of that run.
    pub flow: FlowName,
    /// Its request id.
    pub run: RunId,
    /// The node.
    pub node: NodePath,
    /// The wait that the end of this run ends.
    pub to: WaitId,
    /// The flows of the runs around this one, the outermost first; the last one is `flow`.
    pub within: Vec<FlowName>,
}
