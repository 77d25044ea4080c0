//! What the labels of metrics tell apart.

use faas_flow_core::run::{Awaited, Outcome, Suspended};

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// It is not signed.
    Unsigned,
    /// Its signature is wrong.
    BadSignature,
    /// It was signed too long ago, or in the future.
    TooOld,
    /// It cannot be read.
    Malformed,
    /// It is about another flow, or about another run than its path says.
    Foreign,
    /// Its run does not exist in this replica's store.
    UnknownRun,
    /// Its run is pinned to a version that is stored nowhere.
    UnknownVersion,
    /// Its node is done, claimed by another replica, or not ready.
    Stale,
}

impl Ignored {
    pub(super) const ALL: [Ignored; 8] = [
        Ignored::Unsigned,
        Ignored::BadSignature,
        Ignored::TooOld,
        Ignored::Malformed,
        Ignored::Foreign,
        Ignored::UnknownRun,
        Ignored::UnknownVersion,
        Ignored::Stale,
    ];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ignored::Unsigned => "unsigned",
            Ignored::BadSignature => "bad-signature",
            Ignored::TooOld => "too-old",
            Ignored::Malformed => "malformed",
            Ignored::Foreign => "foreign-flow",
            Ignored::UnknownRun => "unknown-run",
            Ignored::UnknownVersion => "unknown-version",
            Ignored::Stale => "stale",
        }
    }
}

/// What became of an answer to a node that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerEnd {
    /// The node continues with it.
    Taken,
    /// Nobody waits for it, or not any more.
    Ignored,
    /// Its address is not signed, or wrongly.
    Refused,
    /// There is no such run.
    UnknownRun,
}

impl AnswerEnd {
    pub(super) const ALL: [AnswerEnd; 4] =
        [AnswerEnd::Taken, AnswerEnd::Ignored, AnswerEnd::Refused, AnswerEnd::UnknownRun];

    /// The value of the label `end`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            AnswerEnd::Taken => "taken",
            AnswerEnd::Ignored => "ignored",
            AnswerEnd::Refused => "refused",
            AnswerEnd::UnknownRun => "unknown-run",
        }
    }
}

/// How the execution of a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// With an output, or with branches.
    Done,
    /// It is suspended, and continues later.
    Suspended,
    /// It failed, after all its tries.
    Failed,
}

impl Executed {
    pub(super) const ALL: [Executed; 3] = [Executed::Done, Executed::Suspended, Executed::Failed];

    /// How an execution that ended so is counted.
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(_) | Outcome::Branched(_) => Executed::Done,
            Outcome::Suspended(_) => Executed::Suspended,
            Outcome::Failed(_) => Executed::Failed,
        }
    }

    /// The value of the label `end`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Executed::Done => "done",
            Executed::Suspended => "suspended",
            Executed::Failed => "failed",
        }
    }
}

/// What happened to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It was renewed.
    Renewed,
    /// It expired or was taken over, because this replica was too slow or could not reach the store.
    Lost,
    /// This replica released it before it stopped.
    Released,
}

impl Lease {
    pub(super) const ALL: [Lease; 3] = [Lease::Renewed, Lease::Lost, Lease::Released];

    /// The value of the label `end`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Lease::Renewed => "renewed",
            Lease::Lost => "lost",
            Lease::Released => "released",
        }
    }
}

/// Where a permit of a limit came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// This replica had leased it before.
    Lease,
    /// It was asked for in the store.
    Store,
}

impl Permit {
    pub(super) const ALL: [Permit; 2] = [Permit::Lease, Permit::Store];

    /// The value of the label `from`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Permit::Lease => "lease",
            Permit::Store => "store",
        }
    }
}

/// How a try of a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// With an answer that the flow takes.
    Answered,
    /// With an answer of another status, or without one.
    Failed,
}

impl CallEnd {
    pub(super) const ALL: [CallEnd; 2] = [CallEnd::Answered, CallEnd::Failed];

    /// The value of the label `end`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            CallEnd::Answered => "answered",
            CallEnd::Failed => "failed",
        }
    }
}

/// What is tried once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// A node as a whole.
    Node,
    /// A call.
    Call,
}

impl Retried {
    pub(super) const ALL: [Retried; 2] = [Retried::Node, Retried::Call];

    /// The value of the label `of`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Retried::Node => "node",
            Retried::Call => "call",
        }
    }
}

/// What a suspended node waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspendedFor {
    /// Its next try, or that of its call.
    Retry,
    /// A moment that the flow chose.
    Sleep,
    /// The answer of a function that was called asynchronously.
    Answer,
    /// A signal.
    Signal,
    /// The end of a run that it called.
    Run,
    /// A permit of a limit.
    Permit,
}

impl SuspendedFor {
    pub(super) const ALL: [SuspendedFor; 6] = [
        SuspendedFor::Retry,
        SuspendedFor::Sleep,
        SuspendedFor::Answer,
        SuspendedFor::Signal,
        SuspendedFor::Run,
        SuspendedFor::Permit,
    ];

    /// What a node that is suspended so waits for.
    pub fn of(suspended: &Suspended) -> Self {
        match suspended.wait.as_ref().map(|wait| &wait.of) {
            Some(Awaited::Function { .. }) => SuspendedFor::Answer,
            Some(Awaited::Signal { .. }) => SuspendedFor::Signal,
            Some(Awaited::Run { .. }) => SuspendedFor::Run,
            Some(Awaited::Limit { .. }) => SuspendedFor::Permit,
            None if suspended.asleep.is_some() => SuspendedFor::Sleep,
            None => SuspendedFor::Retry,
        }
    }

    /// The value of the label `for`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            SuspendedFor::Retry => "retry",
            SuspendedFor::Sleep => "sleep",
            SuspendedFor::Answer => "answer",
            SuspendedFor::Signal => "signal",
            SuspendedFor::Run => "run",
            SuspendedFor::Permit => "permit",
        }
    }
}

/// How sending an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventEnd {
    /// It was accepted.
    Sent,
    /// It was not. The owner of the run notices that after a lease.
    Failed,
}

impl EventEnd {
    pub(super) const ALL: [EventEnd; 2] = [EventEnd::Sent, EventEnd::Failed];

    /// The value of the label `end`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            EventEnd::Sent => "sent",
            EventEnd::Failed => "failed",
        }
    }
}

/// Why an ended run was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Its time was over.
    Expired,
    /// There were too many in the memory of this replica.
    Limit,
    /// Its flow had more than the budget allows.
    Budget,
    /// An operator asked for it.
    Request,
}

impl Deleted {
    pub(super) const ALL: [Deleted; 4] = [Deleted::Expired, Deleted::Limit, Deleted::Budget, Deleted::Request];

    /// The value of the label `reason`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Deleted::Expired => "expired",
            Deleted::Limit => "limit",
            Deleted::Budget => "budget",
            Deleted::Request => "request",
        }
    }
}
