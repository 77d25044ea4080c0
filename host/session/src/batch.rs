//! What was applied since the last commit, and whether it may wait.
//!
//! What only the flow's own code did has no effects and comes out the same when it is done again, so it waits for
//! [`Rules::commit_delay`](crate::Rules::commit_delay) at most and is committed together with what follows. Everything
//! else is committed before this replica goes on.

use crate::durability::Durability;
use crate::session::{Claim, Session};
use bytes::Bytes;
use faas_flow_core::definition::Operation;
use faas_flow_core::run::{CONTEXT, ClaimToken, Effect, Event, Outcome, Task, Work, decode, encode, set_of};
use faas_flow_core::{BranchKey, Failure, Millis, NodePath, Payload, ScopePath};
use faas_flow_store::Arrival;
use std::collections::BTreeMap;

/// Branches that may begin in a commit with other things, see [`begin_together`].
const FEW_BRANCHES: usize = 16;
/// Changed documents with arrivals, and bytes of others, that may wait to be committed together: less than a commit may
/// hold.
const WAITING_DOCUMENTS: usize = 24;
const WAITING_BYTES: usize = 256 << 10;

/// Documents by their names, which nothing depends on but what is committed with them.
pub type Documents = Vec<(String, Bytes)>;

/// What was applied since the last commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The documents of a run that is not stored yet.
    pub(crate) beginning: Option<Documents>,
    /// In the order in which they were applied.
    pub(crate) events: Vec<(Event, Documents)>,
    pub(crate) arrivals: Vec<Arriving>,
    /// What an event of it cancelled; none if none did.
    pub(crate) cancelled: Option<Cancelled>,
    /// Whether it must be committed before this replica goes on.
    pub(crate) pressing: bool,
    /// Whether the run has ended with it.
    pub(crate) ended: bool,
    /// When the first event was applied.
    since: Millis,
    bytes: usize,
}

/// What was being executed here, and what was about to be, when an event cancelled it all.
#[derive(Debug, Default)]
pub(crate) struct Cancelled {
    pub(crate) running: BTreeMap<NodePath, Claim>,
    pub(crate) start: Vec<Work>,
}

/// A branch that ended, and the node that it arrives at.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) node: NodePath,
    pub(crate) branch: ScopePath,
    pub(crate) began_by: ClaimToken,
    pub(crate) total: u32,
    pub(crate) member: Arrival,
}

impl Arriving {
    pub(crate) fn new(
        node: NodePath,
        began_by: ClaimToken,
        key: &BranchKey,
        (index, total): (u32, u32),
        payload: &Payload,
    ) -> Self {
        let branch = node.scope.branch(&node.node, Some(key));
        let bytes = encode(&(index, payload)).into();
        let member = Arrival { set: set_of(&node, began_by), member: key.to_string(), bytes };
        Self { node, branch, began_by, total, member }
    }
}

/// A branch's place among its siblings and its result, from the bytes with which it arrived in its set.
pub fn read_arrival(bytes: &[u8]) -> Result<(u32, Payload), Failure> {
    decode(bytes).map_err(|error| Failure::reject(error.code(), error.to_string()))
}

impl Batch {
    /// A batch that begins a run, with documents that are committed with it.
    pub(crate) fn beginning(documents: Documents, now: Millis) -> Self {
        Self { bytes: size(&documents), beginning: Some(documents), since: now, ..Self::default() }
    }

    /// An empty batch for events that are applied again: they were to be committed, so they must not wait.
    pub(crate) fn replayed(beginning: Option<Documents>) -> Self {
        Self { beginning, pressing: true, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.beginning.is_none()
    }

    /// The documents that are committed with it.
    pub(crate) fn documents(&self) -> Documents {
        let of_events = self.events.iter().flat_map(|(_, documents)| documents);
        self.beginning.iter().flatten().chain(of_events).cloned().collect()
    }

    /// The branches that have arrived in a set.
    pub(crate) fn arrived<'a>(&'a self, set: &'a str) -> impl Iterator<Item = &'a Arrival> {
        self.arrivals.iter().map(|arriving| &arriving.member).filter(move |member| member.set == set)
    }

    /// Takes in an event that was applied.
    pub(crate) fn add(&mut self, event: Event, documents: Documents, effects: &[Effect], now: Millis) {
        if self.is_empty() {
            self.since = now;
        }
        self.bytes += size(&documents);
        // Other nodes ask the store for context values.
        let sets_values = documents.iter().any(|(name, _)| name.starts_with(CONTEXT));
        self.pressing |= sets_values || !may_wait(&event) || !effects.iter().all(effect_may_wait);
        self.events.push((event, documents));
    }

    /// Until when it may wait.
    pub(crate) fn due(&self, delay: Millis) -> Millis {
        self.since.saturating_add(delay)
    }
}

impl Session {
    /// Whether what was applied may be committed later: the flow's own code is being executed here, and its end will be
    /// committed too.
    pub(crate) fn batch_may_wait(&self, now: Millis) -> bool {
        let batch = &self.batch;
        let documents = self.state.changed().len() + batch.arrivals.len();
        let is_small = batch.bytes <= WAITING_BYTES && documents <= WAITING_DOCUMENTS;
        let waits_for_nothing = matches!(self.durability, Durability::Memory | Durability::Beginning);
        let is_pressing = batch.pressing || waits_for_nothing || !self.outbox.is_empty();
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
        Effect::Cancel | Effect::Ended | Effect::CallBack { .. } => false,
    }
}

/// Whether branches are so few that they may begin in a commit with other things.
pub(crate) fn begin_together(branches: &[(Option<BranchKey>, Payload)]) -> bool {
    let bytes: u64 = branches.iter().map(|(_, payload)| payload.size()).sum();
    branches.len() <= FEW_BRANCHES && bytes <= WAITING_BYTES as u64
}

/// Whether nothing but the flow's own code takes part: without effects, and with the same result when executed again.
pub(crate) fn is_own_code(task: &Task) -> bool {
    match task {
        Task::Operations(operations) => {
            operations.list.iter().all(|operation| matches!(operation, Operation::Modify(_)))
        }
        Task::Enter | Task::Choose { .. } | Task::Split { .. } | Task::Merge { .. } => true,
        // The run's handlers are executed once.
        Task::Recover { .. } | Task::Finally { .. } => false,
    }
}
