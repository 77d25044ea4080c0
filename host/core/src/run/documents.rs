//! The stored documents of a run.

use super::caught::{Caught, Ended};
use super::events::HeldClaim;
use super::signals::Taken;
use super::token::ClaimToken;
use super::tries::{Tries, Try};
use crate::{
    Code, Definition, Digest, Failure, FlowName, Labels, Millis, NodeId, NodePath, Payload, PlanDag, ResponseHead,
    RunId, ScopePath, SignalName, Status, moment, redact,
};
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

/// The callback of a run, and its delivery so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The URL to call.
    pub url: String,
    /// How often the run had ended before. Each end has a callback of its own, which the receiver can tell from the others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// The number of tries that have begun since the run ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// How many of them had begun when somebody last asked to send it again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before: u32,
    /// When the next try may begin. `None` before the end of the run, and after the callback was delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
    /// When it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Millis>,
    /// Why the latest try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Callback {
    /// A callback to be sent when the run has ended.
    pub fn new(url: String) -> Self {
        Self { url, round: 0, tries: 0, before: 0, next: None, delivered: None, failure: None }
    }

    /// Whether it may be sent again: it was delivered or given up.
    pub fn is_over(&self) -> bool {
        self.next.is_none() && self.tries > 0
    }

    /// Whether it was given up: no further try will be made unless somebody asks for it.
    pub fn is_given_up(&self) -> bool {
        self.next.is_none() && self.delivered.is_none() && self.failure.is_some()
    }

    /// How far its delivery has come, in a word: `pending`, `delivered` or `given-up`.
    pub fn state(&self) -> &'static str {
        match self.delivered {
            Some(_) => "delivered",
            None if self.is_given_up() => "given-up",
            None => "pending",
        }
    }

    /// How far its delivery has come, as a sentence: `given up after 3 tries: FF0216: ...`.
    pub fn described(&self) -> String {
        let tries = match self.tries {
            1 => "1 try".to_owned(),
            tries => format!("{tries} tries"),
        };
        let state = match (self.delivered, self.next) {
            (Some(at), _) => format!("delivered {} after {tries}", moment(at)),
            (None, Some(_)) if self.tries == 0 => "about to be sent".to_owned(),
            (None, Some(next)) => format!("not delivered after {tries}, next try {}", moment(next)),
            (None, None) if self.is_given_up() => format!("given up after {tries}"),
            (None, None) => "to be sent when the run has ended".to_owned(),
        };
        self.failure.as_ref().map_or(state.clone(), |failure| format!("{state}: {failure}"))
    }

    /// The callback without the secrets of its URL, which may be anywhere behind its host.
    pub fn redacted(self) -> Self {
        Self { url: redact::origin(&self.url), ..self }
    }
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

/// One instance of a dag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Its path.
    pub path: ScopePath,
    /// What its start gets.
    pub input: Payload,
    /// Its position among its siblings, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// The number of siblings, including itself.
    pub siblings: u32,
    /// The claim that started it. It distinguishes this scope from one that a lost claim of the same node started.
    #[serde(rename = "epoch")]
    pub started_by: ClaimToken,
    /// In the order of the definition.
    pub nodes: Vec<NodeState>,
    /// The failure in it that was caught, by its `recover` handler or by the for-each around it. Nothing else of it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught: Option<Box<Caught>>,
}

impl Scope {
    /// A scope whose start is ready. `place` is its position among its siblings, and their number.
    pub fn new(
        dag: &PlanDag,
        path: ScopePath,
        input: Payload,
        place: (u32, u32),
        started_by: ClaimToken,
        now: Millis,
    ) -> Self {
        let mut nodes: Vec<_> = dag.nodes.iter().map(|node| NodeState::new(node.id.clone())).collect();
        if let Some(start) = nodes.get_mut(dag.start) {
            start.progress = Progress::Ready;
            start.since = now;
        }
        Self { path, input, index: place.0, siblings: place.1, started_by, nodes, caught: None }
    }

    /// Copies from the scope that this one replaces the attempts and tries, for the history, and the rounds, so that no round
    /// of a node comes twice.
    pub(crate) fn follow(&mut self, earlier: &Scope) {
        for (node, earlier) in self.nodes.iter_mut().zip(&earlier.nodes) {
            node.attempts.clone_from(&earlier.attempts);
            node.tries.clone_from(&earlier.tries);
            node.round = earlier.round;
            node.called.clone_from(&earlier.called);
        }
    }

    /// A node's state, by its id.
    pub fn node(&self, id: &NodeId) -> Option<&NodeState> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// Whether a node of this scope started `branch`, which is shown: it was not replaced, although it may be an earlier round of
    /// a repeat, of which nothing goes on.
    pub(super) fn began(&self, branch: &Scope) -> bool {
        let node = branch.path.parent().and_then(|(parent, _)| self.node(&parent.node));
        node.and_then(|node| node.branches.as_ref()).is_some_and(|branches| branches.have_begun(branch))
    }

    /// Whether a node of this scope started `branch` and has not replaced it since.
    pub fn started(&self, branch: &Scope) -> bool {
        let node = branch.path.parent().and_then(|(parent, _)| self.node(&parent.node));
        node.and_then(|node| node.branches.as_ref()).is_some_and(|branches| branches.started_by == branch.started_by)
    }
}

/// One node of a scope, and its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its id. With it, the history can be read without the module.
    pub id: NodeId,
    /// Its progress.
    pub progress: Progress,
    /// When its progress last changed.
    #[serde(default, skip_serializing_if = "is_zero_millis")]
    pub since: Millis,
    /// The latest claim. Only this one may commit.
    #[serde(default, skip_serializing_if = "ClaimToken::is_none")]
    pub token: ClaimToken,
    /// Which replica executes it, while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The branches that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Branches>,
    /// What it gets instead of its inputs, since an operator replaced them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Payload>,
    /// How often it was begun anew as another piece of work: since something before it was done anew, or its input was
    /// replaced. For a node with branches, also how often it was to begin them anew. A failed or lost attempt does not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// Where it continues after a wait. Removed when it is done or has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspended>,
    /// The answer that it waits for, or is about to wait for, if the answer has come. Removed once the node has reported
    /// what it made of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<Answer>>,
    /// The signals that it has taken since it last began anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Taken>,
    /// The runs that it has called, in the order of their beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<Called>,
    /// The failure that its `recover` handler has caught, or is to catch. The branches that it had begun do not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught: Option<Box<Caught>>,
    /// Its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// When it was claimed for the first time since it last began: with the run, with a re-run that executes it again, or after
    /// a pause that its failure had caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Millis>,
    /// The size of all its inputs before any aggregator, in bytes.
    #[serde(default, skip_serializing_if = "is_zero_millis")]
    pub input_size: u64,
    /// All its attempts: those that failed, and the one that ended it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The tries of its calls, if one has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<Box<Tries>>,
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
            given: None,
            round: 0,
            suspended: None,
            answer: None,
            signals: Vec::new(),
            called: Vec::new(),
            caught: None,
            output: None,
            started: None,
            input_size: 0,
            attempts: Vec::new(),
            tries: None,
        }
    }

    /// The wait of a ready node that goes on: until a moment, or until an answer comes before that. `None` if the node does
    /// not wait, or no longer.
    pub(crate) fn waits(&self) -> Option<&Suspended> {
        self.suspended.as_ref().filter(|_| self.progress == Progress::Ready && self.answer.is_none())
    }

    /// The answer from outside that a ready node waits for; `None` if it waits for none, or the answer has come.
    pub(crate) fn awaits(&self) -> Option<&Wait> {
        self.waits().and_then(|suspended| suspended.wait.as_deref())
    }

    /// The question of a node that has no answer yet, whether it waits for it or a replica looks for it at this moment.
    pub(crate) fn asked(&self) -> Option<&Wait> {
        let open = matches!(self.progress, Progress::Ready | Progress::Running) && self.answer.is_none();
        self.suspended.as_ref().filter(|_| open).and_then(|suspended| suspended.wait.as_deref())
    }

    /// Notes the run that it waits for, for the history.
    pub(crate) fn note_called(&mut self) {
        let wait = self.suspended.as_ref().and_then(|suspended| suspended.wait.as_deref());
        if let Some(Wait { of: Awaited::Run { flow, run }, .. }) = wait
            && self.called.iter().all(|called| called.run != *run)
        {
            self.called.push(Called { flow: flow.clone(), run: run.clone() });
        }
    }

    /// Adds attempts and tries that have ended.
    pub(crate) fn note(&mut self, attempts: &[Attempt], tries: &[Try]) {
        self.attempts.extend_from_slice(attempts);
        for one in tries {
            self.tries.get_or_insert_default().push(one.clone());
        }
    }

    /// Whether the latest of these attempts or of these tries is in its history.
    pub fn has_noted(&self, attempts: &[Attempt], tries: &[Try]) -> bool {
        let knows = |one: &Try| self.tries.as_ref().is_some_and(|known| known.kept.contains(one));
        attempts.last().is_some_and(|attempt| self.attempts.contains(attempt)) || tries.last().is_some_and(knows)
    }

    /// Whether its failure has paused the run, so that it begins anew when the run goes on.
    pub fn is_exhausted(&self) -> bool {
        let failure = self.attempts.last().and_then(|attempt| attempt.failure.as_ref());
        let has_failed = failure.is_some_and(|failure| failure.code != Code::NODE_LOST);
        self.progress == Progress::Ready && self.suspended.is_none() && self.caught.is_none() && has_failed
    }

    /// Notes that the attempt is lost which a replica was making. What goes on after a wait is another attempt from now on.
    pub(crate) fn lose_attempt(&mut self, failure: Failure, now: Millis) {
        let began = self.suspended.as_mut().and_then(|suspended| suspended.begun.take());
        let started = began.unwrap_or(self.since);
        self.attempts.push(Attempt { started, ended: now, failure: Some(failure), next: None });
    }

    /// The claim of a node that is running.
    pub(crate) fn held(&self) -> HeldClaim {
        HeldClaim { token: self.token, until: self.lease.as_ref().map(|lease| lease.until) }
    }
}

/// The progress of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// A predecessor is not done.
    Waiting,
    /// It may be claimed; if it is suspended, only when its wait is over or its answer has come. If it has started branches, they have all ended
    /// and are to be merged.
    Ready,
    /// A replica holds its lease.
    Running,
    /// Its branches are in flight.
    Branching,
    /// Its output is committed.
    Done,
    /// It has failed, and so has the run.
    Failed,
    /// It had begun when the run came to its end, which cut it off. Only views of a run say so; it is never stored.
    Cancelled,
}

impl Progress {
    /// The word for it that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Progress::Waiting => "waiting",
            Progress::Ready => "ready",
            Progress::Running => "running",
            Progress::Branching => "branching",
            Progress::Done => "done",
            Progress::Failed => "failed",
            Progress::Cancelled => "cancelled",
        }
    }
}

/// The exclusive right of a replica to execute a node for a limited time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The replica.
    pub owner: Arc<str>,
    /// When it ends: from then on any replica may claim the node.
    pub until: Millis,
}

/// A stored wait of a node, during which no replica holds the node: between two tries, or for an answer from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// When the node may be claimed again.
    pub until: Millis,
    /// The index of the operation at which it continues.
    pub operation: u32,
    /// The number of tries of that operation so far.
    pub tries: u32,
    /// When the attempt began that goes on after the wait; `None` if another one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Millis>,
    /// The data for that operation; `None` if the node starts again from its first operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
    /// What ends the wait before that moment, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Box<Wait>>,
    /// Since when it sleeps, if it waits because the flow says so, and not for another try or an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep: Option<Millis>,
    /// How many attempts of the node had failed before the one that goes on after the wait.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
}

impl Suspended {
    /// A wait until a moment, after which the node starts again from its first operation.
    pub fn until(until: Millis) -> Self {
        Self { until, operation: 0, tries: 0, begun: None, data: None, wait: None, asleep: None, failed: 0 }
    }

    /// How many attempts of the node have failed that count for its retry policy.
    pub fn failed_attempts(&self) -> u32 {
        // What starts again from its first operation waits for another attempt: its tries are attempts.
        if self.data.is_none() { self.tries } else { self.failed }
    }
}

/// What a suspended node waits for: an answer from outside, at most until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What the answer must name. Nobody else can end the wait.
    pub id: WaitId,
    /// Who answers.
    pub of: Awaited,
    /// When the question was asked.
    pub since: Millis,
    /// When nobody answers any more. Until then the node may be claimed from time to time, to look for an answer that was
    /// lost. `None` if the wait has no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Millis>,
    /// How often a replica has looked for the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
}

/// Identifies one wait of a node. Each claim of a node suspends it once at most, so that no two waits have the same id, and
/// an answer that is late is not taken for the answer to a later question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitId {
    /// The claim under which the question was asked.
    pub claim: ClaimToken,
    /// The index of the operation that asked.
    pub operation: u32,
}

/// Who answers a node that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// A function that was called asynchronously.
    Function {
        /// Its name.
        name: String,
    },
    /// Somebody who sends a signal to the run.
    Signal {
        /// The name of the signal.
        signal: SignalName,
    },
    /// Another run, which the node began.
    Run {
        /// The flow, by the name that it was called by.
        flow: String,
        /// The request id of the run.
        run: RunId,
    },
    /// A permit of a limit over all runs, which another node or call gives back.
    Limit {
        /// The name of the limit.
        name: String,
        /// The key under which the node counts; empty if the limit has no keys.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        key: String,
    },
}

/// A run that a node has called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// The flow, by the name that it was called by.
    pub flow: String,
    /// The request id of the run.
    pub run: RunId,
}

/// The answer to a node that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The wait that it ends.
    pub to: WaitId,
    /// When it came.
    pub at: Millis,
    /// What it says.
    pub said: Said,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// A response, as the callee of a call gives it.
    Response {
        /// Its status.
        status: u16,
        /// Its headers, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
        /// Its body.
        body: Payload,
    },
    /// That there will be no response, for this reason.
    Failed(Failure),
    /// That the node has got a permit of the limit for which it waits. This answers no call.
    Permit,
}

/// The branches of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branches {
    /// Their number.
    pub total: u32,
    /// The claim that started them.
    #[serde(rename = "epoch")]
    pub started_by: ClaimToken,
    /// The key and result of a single branch. With several, their results are collected in a set in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<(String, Payload)>,
    /// Why the only branch failed, if that is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_failure: Option<Failure>,
    /// How many branches have failed, which is tolerated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Whether the set has all members, although the node waits for branches that are run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// The number of the round, from 1, if the node is a repeat: each round is its only branch at its time. Earlier rounds are
    /// stored, and nothing of them goes on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// The branches that were run again after they had ended beside others. Their results replace those in the set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redone: Vec<Redone>,
}

impl Branches {
    /// These branches, all in flight.
    pub(super) fn new(total: u32, started_by: ClaimToken) -> Self {
        let (only, only_failure, redone) = (None, None, Vec::new());
        Self { total, started_by, only, only_failure, failed: 0, full: false, round: 0, redone }
    }

    /// Notes how the only branch ended.
    pub(super) fn end_only(&mut self, key: String, ended: Ended) {
        self.only_failure = ended.as_ref().err().cloned();
        self.only = Some((key, ended.unwrap_or_default()));
    }

    /// Notes that a branch goes on that had ended.
    pub(super) fn end_again(&mut self) {
        (self.only, self.only_failure) = (None, None);
    }

    /// The key of the only branch, and how it ended.
    pub(super) fn only_ended(&self) -> Option<(String, Ended)> {
        let (key, result) = self.only.clone()?;
        Some((key, self.only_failure.clone().map_or(Ok(result), Err)))
    }

    /// Whether no branch that is run again is still in flight.
    pub(super) fn are_redone(&self) -> bool {
        !self.redone.iter().any(Redone::is_open)
    }
}

/// A branch that is run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redone {
    /// Its key.
    pub key: String,
    /// Its new result, once it has ended again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
    /// Why it failed again, if that is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Redone {
    /// Whether it is still in flight.
    pub(super) fn is_open(&self) -> bool {
        self.result.is_none() && self.failure.is_none()
    }

    /// Notes how it has ended.
    pub(super) fn end(&mut self, ended: Ended) {
        match ended {
            Ok(result) => (self.result, self.failure) = (Some(result), None),
            Err(failure) => (self.result, self.failure) = (None, Some(failure)),
        }
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.failure.clone().map(Err).or_else(|| self.result.clone().map(Ok))
    }
}

/// One attempt at executing a node: from its first operation to its end, with all waits of its calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// Why it failed; `None` if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When the next attempt was due, if there was to be one by the node's retry policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
}

pub(super) fn is_zero(n: &u32) -> bool {
    *n == 0
}

pub(super) fn is_zero_millis(n: &u64) -> bool {
    *n == 0
}
