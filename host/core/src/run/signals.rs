//! Signals: named messages from outside to a run. Each one is the output of one node that waits for it.
//!
//! For each name a run has a [`Signal`] document of its own, so that runs of which many nodes wait, each for its own signal,
//! change only what is about one of them. The document of a signal and the node that takes it are written in one commit.

use super::documents::{Answer, Awaited, NodeState, Said, Suspended, WaitId, is_zero, is_zero_millis};
use super::engine::Followed;
use super::events::{Effect, Refusal};
use super::state::RunState;
use crate::plan::Plan;
use crate::{Millis, NodePath, Payload, SignalName};
use serde::{Deserialize, Serialize};

/// How many signals a run keeps for which no node waits yet.
pub const MOST_EARLY_SIGNALS: u32 = 1_000;
/// How many bytes their bodies may have altogether: 64 MiB.
pub const MOST_EARLY_BYTES: u64 = 64 << 20;
/// How many signals of one name a run remembers that were taken: so long an idempotency key counts.
const REMEMBERED: usize = 1_000;
/// How many of those are remembered besides that were sent to signed addresses, each of which works once. Together with the
/// others they fit into a commit.
const REMEMBERED_OF_ADDRESSES: usize = 2_000;
/// With what the idempotency key of a signal begins that was sent to a signed address. Keys that senders choose begin otherwise.
pub const ADDRESS_KEY: &str = "url:";

/// The signals of one name that have come to a run, and the nodes that wait for one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// In the order in which they came. Of those that were taken, the latest thousand, and the latest two thousand that were
    /// sent to signed addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub came: Vec<Came>,
    /// In the order in which they began to wait. Some may have given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiters: Vec<Waiter>,
}

/// A signal that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// A number that the replica drew which took it.
    pub id: u64,
    /// The idempotency key that its sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it came.
    pub at: Millis,
    /// Its body, until a node takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
    /// The node that has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<NodePath>,
}

/// A node that waits for a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The node.
    pub path: NodePath,
    /// Its wait.
    pub to: WaitId,
}

/// A signal that a node has taken. It keeps it when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The index of the operation that has waited for it.
    pub operation: u32,
    /// The signal.
    pub signal: SignalName,
    /// When it came.
    pub at: Millis,
    /// Its body, which is the operation's output.
    pub body: Payload,
}

/// The signals that a run keeps for which no node waits yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlySignals {
    /// Their number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u32,
    /// The size of their bodies, in bytes.
    #[serde(default, skip_serializing_if = "is_zero_millis")]
    pub bytes: u64,
}

/// A signal that somebody sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentSignal {
    /// Its name.
    pub name: SignalName,
    /// A random number, by which it is recognized if nobody knows whether the commit has happened.
    pub id: u64,
    /// An idempotency key: of several signals with the same name and key, one counts.
    pub key: Option<String>,
    /// Its body.
    pub body: Payload,
}

impl RunState {
    /// Takes a signal: the node that has waited for it the longest goes on with its body. If no node waits, the run keeps it.
    pub(super) fn signal(&mut self, plan: &Plan, sent: &SentSignal, now: Millis) -> Followed {
        let signal = self.signal_named(&sent.name)?;
        if signal.came.iter().any(|came| came.id == sent.id) {
            // The commit happened of which nobody knew.
            return Ok(Vec::new());
        }
        if sent.key.is_some() && signal.came.iter().any(|came| came.key == sent.key) {
            return Err(Refusal::Repeated);
        }
        self.in_flow()?;
        if !plan.signals().include(&sent.name) {
            return Err(Refusal::NeverAwaited);
        }
        let mut came = Came { id: sent.id, key: sent.key.clone(), at: now, body: None, by: None };
        let (waiter, passed) = self.first_waiter(&signal.waiters)?;
        let looked_at: Vec<NodePath> = signal.waiters.iter().take(passed).map(|waiter| waiter.path.clone()).collect();
        for path in &looked_at {
            self.claim_scopes(path);
        }
        match &waiter {
            Some(Waiter { path, to }) => {
                came.by = Some(path.clone());
                self.change(path)?.take_signal(*to, &sent.name, &sent.body, now);
            }
            None => {
                let early = self.early_signals()?.with(sent.body.size())?;
                *self.change_early_signals() = early;
                came.body = Some(sent.body.clone());
            }
        }
        let signal = self.change_signal(&sent.name);
        signal.waiters.drain(..passed);
        signal.came.push(came);
        signal.forget_old();
        Ok(waiter.map(|waiter| Effect::Dispatch(waiter.path)).into_iter().collect())
    }

    /// The first of these nodes that still waits, and how many there are up to it. The others have gone on without a signal.
    fn first_waiter(&self, waiters: &[Waiter]) -> Result<(Option<Waiter>, usize), Refusal> {
        for (before, waiter) in waiters.iter().enumerate() {
            match self.node(&waiter.path) {
                Ok(node) if node.awaits().is_some_and(|wait| wait.id == waiter.to) => {
                    return Ok((Some(waiter.clone()), before + 1));
                }
                Err(Refusal::Needs(doc)) => return Err(Refusal::Needs(doc)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok((None, waiters.len()))
    }

    /// Loads what [`RunState::await_signal`] needs, so that it cannot be refused.
    pub(super) fn may_await_signal(&self, suspended: &Suspended) -> Result<(), Refusal> {
        if let Some((name, _)) = suspended.signal()
            && self.signal_named(name)?.first_kept().is_some()
        {
            self.early_signals()?;
        }
        Ok(())
    }

    /// A node that was suspended takes the first signal that the run has kept, or waits for the next one.
    pub(super) fn await_signal(&mut self, path: &NodePath, suspended: &Suspended) -> Result<(), Refusal> {
        let Some((name, to)) = suspended.signal() else { return Ok(()) };
        let signal = self.signal_named(name)?;
        if let Some(kept) = signal.first_kept() {
            let Some(came) = self.change_signal(name).came.get_mut(kept) else { return Ok(()) };
            let (body, at) = (came.body.take().unwrap_or_default(), came.at);
            came.by = Some(path.clone());
            self.change_early_signals().remove(&body);
            self.change(path)?.take_signal(to, name, &body, at);
        } else if signal.waiters.iter().all(|waiter| waiter.to != to || waiter.path != *path) {
            self.change_signal(name).waiters.push(Waiter { path: path.clone(), to });
        }
        Ok(())
    }

    /// Whether the run keeps a signal that has come, since no node has taken it; `None` if its document is not loaded or it is
    /// not known.
    pub fn keeps_signal(&self, name: &SignalName, id: u64) -> Option<bool> {
        let came = self.signal_named(name).ok()?.came.iter().find(|came| came.id == id)?;
        Some(came.by.is_none())
    }
}

impl EarlySignals {
    /// With one more that has a body of this size, in bytes; [`Refusal::TooManySignals`] if there is no room.
    pub fn with(self, size: u64) -> Result<Self, Refusal> {
        let more = Self { count: self.count + 1, bytes: self.bytes.saturating_add(size) };
        let fits = more.count <= MOST_EARLY_SIGNALS && more.bytes <= MOST_EARLY_BYTES;
        if fits { Ok(more) } else { Err(Refusal::TooManySignals) }
    }

    fn remove(&mut self, body: &Payload) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(body.size());
    }
}

impl Signal {
    /// The position of the first one that no node has taken.
    fn first_kept(&self) -> Option<usize> {
        self.came.iter().position(|came| came.body.is_some())
    }

    /// Drops those that were taken long ago.
    fn forget_old(&mut self) {
        self.forget(REMEMBERED, |came| !came.is_to_address());
        self.forget(REMEMBERED_OF_ADDRESSES, Came::is_to_address);
    }

    /// Drops the oldest of those that were taken and that the filter matches, until there are no more than this.
    fn forget(&mut self, most: usize, matches: impl Fn(&Came) -> bool) {
        let may_go = |came: &Came| came.body.is_none() && matches(came);
        let mut superfluous = self.came.iter().filter(|came| may_go(came)).count().saturating_sub(most);
        self.came.retain(|came| {
            let goes = superfluous > 0 && may_go(came);
            superfluous -= usize::from(goes);
            !goes
        });
    }
}

impl Came {
    /// Whether it was sent to a signed address.
    fn is_to_address(&self) -> bool {
        self.key.as_deref().is_some_and(|key| key.starts_with(ADDRESS_KEY))
    }
}

impl Suspended {
    /// The signal that it waits for, and its wait.
    pub fn signal(&self) -> Option<(&SignalName, WaitId)> {
        let wait = self.wait.as_deref()?;
        match &wait.of {
            Awaited::Signal { signal } => Some((signal, wait.id)),
            Awaited::Function { .. } | Awaited::Run { .. } | Awaited::Limit { .. } => None,
        }
    }
}

impl NodeState {
    fn take_signal(&mut self, to: WaitId, name: &SignalName, body: &Payload, at: Millis) {
        let said = Said::Response { status: 200, headers: Vec::new(), body: body.clone() };
        self.answer = Some(Box::new(Answer { to, at, said }));
        self.signals.retain(|taken| taken.operation != to.operation);
        self.signals.push(Taken { operation: to.operation, signal: name.clone(), at, body: body.clone() });
    }
}
