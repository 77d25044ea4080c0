//! What was applied since the last commit, and whether it may wait.
//!
//! The flow's own code has no effects and produces the same result again, so what it did may wait, for at most
//! [`Rules::commit_delay`](crate::Rules::commit_delay), and is committed together with what follows. Everything else is
//! committed before this replica continues.

use crate::durability::Durability;
use crate::session::{Claim, Session};
use bytes::Bytes;
use faas_flow_core::definition::Operation;
use faas_flow_core::run::{
    ANSWERS, CONTEXT, ClaimToken, Doc, Effect, Ended, Event, Outcome, Task, Withdrawn, Work, decode_member,
    encode_member, set_of,
};
use faas_flow_core::{BranchKey, Failure, Millis, NodePath, Payload, ScopePath};
use faas_flow_store::Arrival;
use std::collections::{BTreeMap, BTreeSet};

/// How many branches may start in a commit with other changes, see [`begin_together`].
const FEW_BRANCHES: usize = 16;
/// How many changed documents and arrivals, and how many bytes of other documents, may wait for a common commit. Both are
/// less than what one commit may contain.
const WAITING_DOCUMENTS: usize = 24;
const WAITING_BYTES: usize = 256 << 10;

/// Documents by name. Nothing refers to them except what is committed with them.
pub type Documents = Vec<(String, Bytes)>;

/// What was applied since the last commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The documents that are committed with the start of the run, if the run is not stored yet.
    pub(crate) beginning: Option<Documents>,
    /// In the order in which they were applied.
    pub(crate) events: Vec<Applied>,
    pub(crate) arrivals: Vec<Arriving>,
    /// The documents that must be written in one piece: those of a signal and of the node that takes it.
    pub(crate) together: BTreeSet<Doc>,
    /// What an event of the batch cancelled, if one did.
    pub(crate) cancelled: Option<Cancelled>,
    /// What events of the batch withdrew, if any did.
    pub(crate) withdrawn: Option<Withdrawing>,
    /// Whether it must be committed before this replica continues.
    pub(crate) pressing: bool,
    /// When it ends the run, if it does.
    pub(crate) ended: Option<Millis>,
    /// When the first event was applied.
    since: Millis,
    bytes: usize,
}

/// An event that was applied and is not committed yet.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) event: Event,
    pub(crate) documents: Documents,
    pub(crate) basis: Basis,
    /// When it was applied for the first time.
    pub(crate) at: Millis,
}

/// What an event was applied to, as far as that decides whether it may be applied again in a replay.
///
/// A claim says what its node executes only together with the node's state. If another replica has executed the node in the
/// meantime, the same claim could succeed and mean something else, such as merging the branches that the first one was to
/// start, and the report that follows would not belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Nothing in particular.
    Any,
    /// The node's last claim had this token, and its progress last changed at this time.
    Node { token: ClaimToken, since: Millis },
    /// This number of branches, which have arrived here and are not committed.
    Arrivals(u32),
}

/// What this replica was executing, and was about to execute, when an event cancelled it.
#[derive(Debug, Default)]
pub(crate) struct Cancelled {
    pub(crate) running: BTreeMap<NodePath, Claim>,
    pub(crate) start: Vec<Work>,
}

/// Parts of the run that do not go on, and what this replica was executing of them, and was about to execute.
#[derive(Debug, Default)]
pub(crate) struct Withdrawing {
    pub(crate) parts: Vec<Withdrawn>,
    pub(crate) running: BTreeMap<NodePath, Claim>,
    pub(crate) start: Vec<Work>,
}

/// A branch that has ended, and the node that started it.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) node: NodePath,
    pub(crate) branch: ScopePath,
    pub(crate) started_by: ClaimToken,
    pub(crate) total: u32,
    pub(crate) member: Arrival,
}

impl Arriving {
    pub(crate) fn new(
        node: NodePath,
        started_by: ClaimToken,
        key: &BranchKey,
        (index, total): (u32, u32),
        result: &Ended,
    ) -> Self {
        let branch = node.scope.branch(&node.node, Some(key));
        let bytes = encode_member(index, result).into();
        let member = Arrival { set: set_of(&node, started_by), member: key.to_string(), bytes };
        Self { node, branch, started_by, total, member }
    }
}

/// Reads a member of a set: the position of a branch among its siblings, from 0, and how it ended.
pub fn read_arrival(bytes: &[u8]) -> Result<(u32, Ended), Failure> {
    decode_member(bytes).map_err(|error| Failure::reject(error.code(), error.to_string()))
}

impl Batch {
    /// A batch that starts a run, with documents that are committed with it.
    pub(crate) fn beginning(documents: Documents, now: Millis) -> Self {
        Self { bytes: size(&documents), beginning: Some(documents), since: now, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.beginning.is_none()
    }

    /// The documents that are committed with it.
    pub(crate) fn documents(&self) -> Documents {
        let of_events = self.events.iter().flat_map(|applied| &applied.documents);
        let answers = self.has_answer().then(|| (ANSWERS.to_owned(), Bytes::from_static(b"1")));
        self.beginning.iter().flatten().chain(of_events).cloned().chain(answers).collect()
    }

    /// Whether an answer to a node that waits, or a signal, is part of it.
    pub(crate) fn has_answer(&self) -> bool {
        self.events.iter().any(|applied| matches!(applied.event.what(), Event::Answer { .. } | Event::Signal(_)))
    }

    /// The branches that have arrived in a set.
    pub(crate) fn arrived<'a>(&'a self, set: &'a str) -> impl Iterator<Item = &'a Arrival> {
        self.arrivals.iter().map(|arriving| &arriving.member).filter(move |member| member.set == set)
    }

    /// Adds an event that was applied.
    pub(crate) fn add(&mut self, applied: Applied, effects: &[Effect]) {
        if self.is_empty() {
            self.since = applied.at;
        }
        self.bytes += size(&applied.documents);
        // Other nodes load context values from the store.
        let sets_values = applied.documents.iter().any(|(name, _)| name.starts_with(CONTEXT));
        self.pressing |= sets_values || !may_wait(&applied.event) || !effects.iter().all(effect_may_wait);
        self.events.push(applied);
    }

    /// When it must be committed at the latest.
    pub(crate) fn due(&self, delay: Millis) -> Millis {
        self.since.saturating_add(delay)
    }
}

impl Session {
    /// Whether the commit may wait: the flow's own code is being executed here, and its result can be part of the same
    /// commit.
    pub(crate) fn batch_may_wait(&self, now: Millis) -> bool {
        let batch = &self.batch;
        let documents = self.state.changed().len() + batch.arrivals.len();
        let is_small = batch.bytes <= WAITING_BYTES && documents <= WAITING_DOCUMENTS;
        let must_not_wait = matches!(self.durability, Durability::Memory | Durability::Beginning);
        let is_pressing = batch.pressing || must_not_wait || !self.outbox.is_empty();
        let executes_own_code = || self.running.values().any(|claim| claim.own_code);
        is_small && !is_pressing && executes_own_code() && now < batch.due(self.rules.commit_delay)
    }
}

fn size(documents: &Documents) -> usize {
    documents.iter().map(|(_, bytes)| bytes.len()).sum()
}

fn may_wait(event: &Event) -> bool {
    match event {
        Event::Claim { .. } | Event::Joined { .. } | Event::Renew { .. } => true,
        Event::Complete { report, .. } => match &report.outcome {
            Outcome::Done(_) => true,
            Outcome::Branched(branches) => begin_together(branches),
            Outcome::Failed(_) | Outcome::Suspended(_) => false,
        },
        _ => false,
    }
}

fn effect_may_wait(effect: &Effect) -> bool {
    match effect {
        Effect::Execute(work) => is_own_code(&work.task),
        Effect::Dispatch(_) | Effect::Arrive { .. } => true,
        Effect::Returned { .. } | Effect::Cancel | Effect::Withdraw(_) | Effect::Ended | Effect::CallBack { .. } => {
            false
        }
    }
}

/// Whether branches are so few and small that they may start in a commit with other changes.
pub(crate) fn begin_together(branches: &[(Option<BranchKey>, Payload)]) -> bool {
    let bytes: u64 = branches.iter().map(|(_, payload)| payload.size()).sum();
    branches.len() <= FEW_BRANCHES && bytes <= WAITING_BYTES as u64
}

/// Whether a task only runs the flow's own code, so that it has no effects and produces the same result again.
pub(crate) fn is_own_code(task: &Task) -> bool {
    match task {
        Task::Operations(operations) => !operations.list.iter().any(Operation::is_call),
        Task::Enter
        | Task::Choose { .. }
        | Task::Split { .. }
        | Task::Merge { .. }
        | Task::Repeat { .. }
        | Task::Catch { .. } => true,
        // The handlers of the run must be called only once.
        Task::Recover { .. } | Task::Finally { .. } => false,
    }
}
