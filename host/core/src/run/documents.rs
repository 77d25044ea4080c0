//! What is stored of a run.

use super::token::ClaimToken;
use crate::{Definition, Digest, Failure, FlowName, Millis, NodeId, Payload, PlanDag, RunId, ScopePath, Status};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The run itself. It changes only at its start, when somebody pauses, resumes or stops it, and towards its end, so
/// every commit of a node can check that it is unchanged without contending for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The request id.
    pub id: RunId,
    /// The flow's name.
    pub flow: FlowName,
    /// The module that the run began with and stays with.
    pub digest: Digest,
    /// When it began.
    pub started: Millis,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Millis>,
    /// When it fails if it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Millis>,
    /// What the flow's code may ask about the request.
    pub request: Request,
    /// Kept only where the definition depends on the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arc<Definition>>,
    /// How far it is.
    pub phase: Phase,
    /// Whether nothing new may start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// How the flow ended: known before the failure and finally handlers run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Status>,
    /// The result, or what the failure handler answers in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The failure handler's and the finally handler's call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<NodeState>,
    /// Who is to be told of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

impl Run {
    /// What callers see. A run that has a verdict and still runs its handlers counts as running.
    pub fn status(&self) -> Status {
        match (self.phase, self.verdict) {
            (Phase::Ended, Some(verdict)) => verdict,
            _ if self.paused => Status::Paused,
            _ => Status::Running,
        }
    }
}

/// Who is told when a run ends, and how that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Where to.
    pub url: String,
    /// Deliveries that were begun since the run ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// When the next delivery may begin; none before the run's end, and none when it is delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
    /// When it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Millis>,
    /// Why the latest delivery failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Callback {
    /// A callback to be delivered when the run ends.
    pub fn new(url: String) -> Self {
        Self { url, tries: 0, next: None, delivered: None, failure: None }
    }
}

/// The request that began a run, as far as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Decoded, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Names in lower case, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its nodes run.
    Flow,
    /// Its failure handler runs.
    Failure,
    /// Its finally handler runs.
    Finally,
    /// Nothing will change any more.
    Ended,
}

/// One instance of a dag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Which.
    pub path: ScopePath,
    /// What its start receives.
    pub input: Payload,
    /// Its place among its siblings, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// How many siblings there are, itself included.
    pub siblings: u32,
    /// The claim that began it, so that the branches of a lost attempt are not mistaken for this one's.
    #[serde(rename = "epoch")]
    pub began_by: ClaimToken,
    /// In the order of the definition.
    pub nodes: Vec<NodeState>,
}

impl Scope {
    /// A scope whose start is ready.
    pub fn new(
        dag: &PlanDag,
        path: ScopePath,
        input: Payload,
        place: (u32, u32),
        began_by: ClaimToken,
        now: Millis,
    ) -> Self {
        let mut nodes: Vec<_> = dag.nodes.iter().map(|node| NodeState::new(node.id.clone())).collect();
        if let Some(start) = nodes.get_mut(dag.start) {
            start.progress = Progress::Ready;
            start.since = now;
        }
        Self { path, input, index: place.0, siblings: place.1, began_by, nodes }
    }

    /// Keeps the attempts of the scope that this one replaces as history.
    pub(crate) fn follow(&mut self, earlier: &Scope) {
        for (node, earlier) in self.nodes.iter_mut().zip(&earlier.nodes) {
            node.attempts.clone_from(&earlier.attempts);
        }
    }

    /// A node's state, by its id.
    pub fn node(&self, id: &NodeId) -> Option<&NodeState> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// Whether one of this scope's nodes began `branch`, and has not begun others in its place since.
    pub fn began(&self, branch: &Scope) -> bool {
        let node = branch.path.parent().and_then(|(parent, _)| self.node(&parent.node));
        node.and_then(|node| node.branches.as_ref()).is_some_and(|branches| branches.began_by == branch.began_by)
    }
}

/// One node of a scope, and its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its id, so that history reads without the module.
    pub id: NodeId,
    /// How far it is.
    pub progress: Progress,
    /// When it came that far.
    #[serde(default, skip_serializing_if = "is_zero_millis")]
    pub since: Millis,
    /// The latest claim, which is the only one that may commit.
    #[serde(default, skip_serializing_if = "ClaimToken::is_none")]
    pub token: ClaimToken,
    /// Who runs it, while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The branches that it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Branches>,
    /// Where it goes on after a wait; kept until it is done or has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspended>,
    /// What it yielded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// When it was claimed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Millis>,
    /// How many bytes it was given.
    #[serde(default, skip_serializing_if = "is_zero_millis")]
    pub input_size: u64,
    /// Tries that failed, and the one that ended it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl NodeState {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id,
            progress: Progress::Waiting,
            since: 0,
            token: ClaimToken::NONE,
            lease: None,
            branches: None,
            suspended: None,
            output: None,
            started: None,
            input_size: 0,
            attempts: Vec::new(),
        }
    }
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// A predecessor is not done.
    Waiting,
    /// It may be claimed, once its wait is over if it is suspended: for its work, or, where `branches` is set, for merging
    /// them.
    Ready,
    /// Somebody holds its lease.
    Running,
    /// Its branches run.
    Branching,
    /// It committed its output.
    Done,
    /// It failed for good.
    Failed,
}

impl Progress {
    /// Its word, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Progress::Waiting => "waiting",
            Progress::Ready => "ready",
            Progress::Running => "running",
            Progress::Branching => "branching",
            Progress::Done => "done",
            Progress::Failed => "failed",
        }
    }
}

/// The right to execute a node until a moment in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The replica.
    pub owner: Arc<str>,
    /// When somebody else may claim the node.
    pub until: Millis,
}

/// A wait of a node between two tries, longer than a replica would hold its lease for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// When the node may be claimed again.
    pub until: Millis,
    /// The index of the operation at which it goes on.
    pub operation: u32,
    /// The tries of that operation so far.
    pub tries: u32,
    /// What that operation receives; none where the node starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
}

/// The branches of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branches {
    /// How many there are.
    pub total: u32,
    /// The claim that began them.
    #[serde(rename = "epoch")]
    pub began_by: ClaimToken,
    /// The key and result of an only branch, which needs no set to arrive in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<(String, Payload)>,
}

/// One try at executing a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// What went wrong: nothing in the one that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn is_zero_millis(n: &u64) -> bool {
    *n == 0
}
