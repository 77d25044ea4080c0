//! A node, its claim and its attempts.

use super::{Answer, Awaited, Branches, Called, Suspended, Wait, is_zero, is_zero_millis};
use crate::run::caught::Caught;
use crate::run::events::HeldClaim;
use crate::run::log::KeptLog;
use crate::run::operations::KeptOperations;
use crate::run::signals::Taken;
use crate::run::token::ClaimToken;
use crate::run::tries::{Tries, Try};
use crate::{Code, Failure, Millis, NodeId, Payload};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// What its code has logged, as far as that is kept: a part for each claim under which it has logged something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<KeptLog>,
    /// What its operations got and yielded, as far as that is kept: a part for each claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<KeptOperations>,
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
            logs: Vec::new(),
            operations: Vec::new(),
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
