//! The interface between the engine and its driver: what happens to a run, and what follows from it.

use super::actor::Actor;
use super::caught::{Caught, Ended, Evidence, Withdrawn};
use super::documents::{Answer, Attempt, Parent, Request, Said, Suspended, WaitId};
use super::log::KeptLog;
use super::operations::KeptOperations;
use super::signals::{SentSignal, Taken};
use super::stored::Doc;
use super::token::ClaimToken;
use super::tries::Try;
use crate::definition::Operations;
use crate::{
    BranchKey, Definition, Digest, Failure, FlowName, HandlerId, Labels, Millis, NodePath, Payload, ResponseHead,
    RunId, ScopePath, Status,
};
use std::sync::Arc;

/// A claim as a replica has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldClaim {
    /// Its token.
    pub token: ClaimToken,
    /// When its lease ends, by the clock of the replica that holds it; `None` if it has no lease.
    pub until: Option<Millis>,
}

/// Something that happens to a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// A replica wants to execute a node. Answered by [`Effect::Execute`].
    Claim {
        /// The node.
        path: NodePath,
        /// The replica.
        owner: Arc<str>,
        /// The new claim's token, which no other claim of this run has.
        token: ClaimToken,
        /// When its lease ends.
        until: Millis,
        /// The claim that it replaces, since the replica that has made it is lost; `None` if the node is ready.
        lost: Option<HeldClaim>,
    },
    /// A replica still executes a node.
    Renew {
        /// The node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
        /// Until when it wants to hold the node. An earlier moment than before changes nothing.
        until: Millis,
    },
    /// A replica releases a node that it no longer executes.
    Release {
        /// The node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
    },
    /// A replica no longer executes a node of a run that has come to its end: what it executed was cut off.
    CutOff {
        /// The node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
    },
    /// Attempts of a node, or tries of its calls, have failed, and the replica that executes it goes on. So the history has
    /// them before the node reports. Refused as [`Refusal::Stale`] if it has them already.
    Tried {
        /// The node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
        /// The attempts, in order.
        attempts: Vec<Attempt>,
        /// The tries, in order.
        tries: Vec<Try>,
    },
    /// A replica has executed a node.
    Complete {
        /// The node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
        /// The result.
        report: Report,
    },
    /// All branches of a node have arrived in its set.
    Joined {
        /// The node.
        path: NodePath,
        /// The claim that started the branches.
        started_by: ClaimToken,
    },
    /// What a node waits for has come from outside. The node need not have reported yet that it waits: the answer may be
    /// faster. An answer that nobody waits for, or that came before, is refused.
    Answer {
        /// The node.
        path: NodePath,
        /// The wait that it ends.
        to: WaitId,
        /// What it says.
        said: Said,
    },
    /// Somebody sends a signal. Answered by [`Effect::Dispatch`] of the node that takes it, or by nothing if the run keeps it for
    /// a node that will wait for it.
    Signal(SentSignal),
    /// The run's deadline has passed. It has then also passed for [`Event::Claim`], [`Event::Complete`], [`Event::Joined`],
    /// [`Event::Pause`] and [`Event::Resume`]: whichever of these comes first after the deadline fails the run, so that no
    /// run succeeds late.
    Deadline,
    /// From now on no new nodes start.
    Pause,
    /// Everything that is ready starts. Only the ready nodes of loaded scopes are dispatched; for the others, load their
    /// scopes and ask [`RunState::claimable`](super::RunState::claimable).
    Resume,
    /// The run ends.
    Stop,
    /// A run that has ended or is paused continues from a node: it and everything that follows it are executed again,
    /// and so is what had failed or was cancelled when the run ended. Deadline and callback start anew.
    ///
    /// The node's scope, the scopes around it, and the scope in which the run failed must be loaded. In other scopes, nodes
    /// that were running when the run ended continue when their leases have expired.
    Rerun {
        /// Where to begin; `None` to go on only from what had failed or was cancelled. A run that has succeeded, or is
        /// paused, has nothing of that kind.
        from: Option<RerunFrom>,
    },
    /// A replica wants to send the run's callback. Answered by [`Effect::CallBack`].
    CallBack {
        /// When another replica may try if this one has not reported by then.
        until: Millis,
    },
    /// A replica has tried to send the run's callback.
    CalledBack {
        /// The number of the try, from [`Effect::CallBack`].
        tries: u32,
        /// Why it failed; none if it was delivered.
        failure: Option<Failure>,
        /// When to try again after a failure; `None` gives the callback up.
        next: Option<Millis>,
    },
    /// The run is to have a callback after all, if it has none: its caller has not waited until its end.
    SetCallback {
        /// The URL to call.
        url: String,
    },
    /// The callback of a run that has ended is sent again, although it was delivered or given up.
    SendCallback,
    /// Another event, and who has asked for it. The run remembers that, in the same commit.
    Asked {
        /// Who.
        actor: Box<Actor>,
        /// What they have asked for.
        event: Box<Event>,
    },
}

impl Event {
    /// Runs a node, and everything that follows it, again with the same input.
    pub fn rerun_from(path: NodePath) -> Self {
        Event::Rerun { from: Some(RerunFrom { path, input: None }) }
    }
}

/// Where a run begins again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerunFrom {
    /// The node. All its predecessors must be done.
    pub path: NodePath,
    /// What it gets instead of its inputs; `None` if they stay as they were. Neither forwarders nor an aggregator apply to it.
    pub input: Option<Payload>,
}

/// What a replica reports after executing a node.
#[derive(Debug, Clone)]
pub struct Report {
    /// How the execution ended.
    pub outcome: Outcome,
    /// The status and headers that the node has set for the answer of the run. They do not count if it has failed.
    pub response: Option<Box<ResponseHead>>,
    /// The labels that the node has given the run. They do not count if it has failed.
    pub labels: Labels,
    /// If it failed and something may catch that: the data that the handler is given.
    pub evidence: Option<Box<Evidence>>,
    /// The size of all its inputs before any aggregator, in bytes.
    pub input_size: u64,
    /// Its attempts under this claim, in order, except those of an earlier [`Event::Tried`].
    pub attempts: Vec<Attempt>,
    /// The tries of its calls under this claim that failed, or succeeded after a failure, in order, except those of an earlier
    /// [`Event::Tried`].
    pub tries: Vec<Try>,
    /// What its code has logged under this claim, if that is kept. Its document is committed with the report.
    pub log: Option<KeptLog>,
    /// What its operations got and yielded under this claim, if that is kept. Its document is committed with the report.
    pub operations: Option<KeptOperations>,
}

/// How the execution of a node ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// With this output.
    Done(Payload),
    /// With branches to start, each with its key and input. The only branch of a sub-dag has no key.
    Branched(Vec<(Option<BranchKey>, Payload)>),
    /// With this failure, after all attempts.
    Failed(Failure),
    /// With a wait, after which it continues: for a moment, or for an answer.
    Suspended(Suspended),
}

/// What follows from an event.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The node is ready: any replica may claim it. If it is the start of a branch, the driver must respect the
    /// `max_parallel` of the node that started the branch.
    Dispatch(NodePath),
    /// The replica that claimed the node is to execute this.
    Execute(Work),
    /// A branch has ended. Its result must be added to the set [`set_of`]`(node, started_by)` in the same commit. When the set
    /// has `total` members, [`Event::Joined`] is due.
    Arrive {
        /// The node that started the branch.
        node: NodePath,
        /// The claim that started it.
        started_by: ClaimToken,
        /// Its key.
        key: BranchKey,
        /// Its position among its siblings, from 0.
        index: u32,
        /// Its result, or why it failed, which is tolerated.
        result: Ended,
        /// The number of siblings, including itself.
        total: u32,
    },
    /// A branch that was run again has ended. The node that started it knows its result.
    Returned {
        /// The node that started the branch.
        node: NodePath,
        /// The branch.
        branch: ScopePath,
    },
    /// Everything that is being executed for this run is to be cancelled.
    Cancel,
    /// What is being executed of this part of the run is to be cancelled, and the runs that it called are to be stopped.
    Withdraw(Withdrawn),
    /// The run has ended.
    Ended,
    /// The replica whose [`Event::CallBack`] was accepted is to send the callback.
    CallBack {
        /// The URL to call.
        url: String,
        /// How often the run had ended before.
        round: u32,
        /// The number of this try, from 1. It identifies the try in [`Event::CalledBack`].
        tries: u32,
        /// How many tries were made before this one since the run ended, or since somebody asked to send the callback again.
        earlier: u32,
    },
}

/// The name of the set that collects the results of the branches that one claim of a node started.
pub fn set_of(node: &NodePath, started_by: ClaimToken) -> String {
    format!("{node}@{started_by}")
}

/// Why an event changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This document must be loaded first. Load it and try again; if it does not exist, neither does the node.
    #[error("needs {0:?}")]
    Needs(Doc),
    /// The run, or the phase that the event is about, has ended.
    #[error("the run has ended")]
    Ended,
    /// The run is paused.
    #[error("the run is paused")]
    Paused,
    /// Another claim holds the node.
    #[error("the node is leased")]
    Leased,
    /// The node or the callback is waiting, or the deadline has not passed.
    #[error("it is too early: not before {until}")]
    Early {
        /// When the wait ends.
        until: Millis,
    },
    /// The node is done or not ready, or the claim that reports, or the one that started its branch, has been replaced.
    #[error("the event is out of date")]
    Stale,
    /// The run has neither ended nor paused.
    #[error("the run is still running: pause or stop it first")]
    Running,
    /// A predecessor of the node is not done.
    #[error("a predecessor of the node is not done: re-run from that one")]
    Unready,
    /// The node is part of something whose failure was caught.
    #[error("a failure around the node was caught: run again from the node that caught it, or from an earlier one")]
    Caught,
    /// Nothing of the run has failed or was cancelled.
    #[error(
        "no node of the run failed or was cut off: name the node to run again from, or resume the run if it is paused"
    )]
    Whole,
    /// There is no such node.
    #[error("there is no such node")]
    Unknown,
    /// The callback is sent when the run ends.
    #[error("the run has not ended: its callback is sent when it does")]
    Unended,
    /// The caller of the run wants no callback.
    #[error("the run has no callback: its caller asked for none")]
    NoCallback,
    /// A signal with the same key has come before.
    #[error("a signal of this name with the same idempotency key was received before")]
    Repeated,
    /// No node of the flow waits for such a signal.
    #[error("no node of the flow waits for a signal of this name")]
    NeverAwaited,
    /// The run keeps as many signals as it may, of their count or their bytes.
    #[error(
        "the run already keeps 1,000 signals for which no node waits yet, or 64 MiB of them: send this one again later"
    )]
    TooManySignals,
    /// The callback is neither delivered nor given up.
    #[error("the callback is still being sent")]
    Sending,
}

/// What a replica executes for a node.
#[derive(Debug, Clone)]
pub struct Work {
    /// The node.
    pub path: NodePath,
    /// The labels that the run has.
    pub labels: Labels,
    /// The token of the claim, for the report.
    pub token: ClaimToken,
    /// What the data edges carry, in the order of their declaration. A start has one input: that of its scope, from `""`.
    pub inputs: Vec<Input>,
    /// Merges the inputs. Without an aggregator, a single input is the node's data, and several inputs mean empty data.
    pub aggregator: Option<HandlerId>,
    /// Where to continue if the node was suspended. Its earlier attempts are in the state already.
    pub suspended: Option<Box<Suspended>>,
    /// The answer that has come to the node. It may answer a question that a lost claim asked.
    pub answer: Option<Box<Answer>>,
    /// The signals that the node has taken.
    pub signals: Vec<Taken>,
    /// How many runs the node has called before.
    pub called: u32,
    /// What to do with the data.
    pub task: Task,
    /// How often this was begun anew as another piece of work, since something before it was done anew or its input was
    /// replaced. Calls of another round are other calls, with idempotency keys of their own.
    pub round: u32,
}

/// One input of a node.
#[derive(Debug, Clone)]
pub struct Input {
    /// The predecessor's id.
    pub from: String,
    /// Its output.
    pub payload: Payload,
    /// Rewrites the output before the node gets it.
    pub forwarder: Option<HandlerId>,
}

/// What a node does with its data.
#[derive(Debug, Clone)]
pub enum Task {
    /// Runs operations; ends in [`Outcome::Done`].
    Operations(Arc<Operations>),
    /// Passes the data to a dag; ends in [`Outcome::Branched`].
    Enter,
    /// Chooses among these keys; ends in [`Outcome::Branched`].
    Choose {
        /// The `condition` handler.
        handler: HandlerId,
        /// The keys that it may choose from.
        keys: Vec<BranchKey>,
        /// Whether the branches start with empty data.
        carries_nothing: bool,
    },
    /// Yields items; ends in [`Outcome::Branched`].
    Split {
        /// The `for-each` handler.
        handler: HandlerId,
        /// Whether the branches start with empty data.
        carries_nothing: bool,
    },
    /// Merges the results of branches; ends in [`Outcome::Done`].
    Merge {
        /// The `aggregate` handler.
        handler: HandlerId,
        /// Whether the handler is a `gather` handler, which sees failures, too; otherwise it is an `aggregate` handler, which
        /// sees the results of those that succeeded.
        gathers: bool,
        /// The key and result of a single branch. With several, their results are in the set [`set_of`]`(path, started_by)`.
        only: Option<(String, Ended)>,
        /// The claim that started the branches.
        started_by: ClaimToken,
        /// Results that replace those in the set, by their keys, since these branches were run again.
        redone: Vec<(String, Ended)>,
    },
    /// Turns a failure into data; ends in [`Outcome::Done`] or [`Outcome::Failed`].
    Catch {
        /// The `recover-from` handler.
        handler: HandlerId,
        /// What has failed.
        caught: Box<Caught>,
    },
    /// Begins the first round of a repeat, or asks its handler whether there is another one. Ends in [`Outcome::Branched`] with
    /// the next round, or in [`Outcome::Done`] with the result of the latest one.
    Repeat {
        /// The `again` handler.
        handler: HandlerId,
        /// How many rounds there may be.
        most: u32,
        /// The wait before another round, in milliseconds; 0 for none.
        wait_ms: u64,
        /// The number and the result of the round that has ended; `None` if none has begun.
        ended: Option<(u32, Payload)>,
    },
    /// Runs the flow's failure handler; ends in [`Outcome::Done`] or [`Outcome::Failed`].
    Recover {
        /// The `recover` handler.
        handler: HandlerId,
        /// Why the run failed.
        failure: Failure,
    },
    /// Runs the flow's finally handler; ends in [`Outcome::Done`] or [`Outcome::Failed`].
    Finally {
        /// The `finally` handler.
        handler: HandlerId,
        /// The state in which the run ends.
        verdict: Status,
    },
}

/// What is needed to start a run.
#[derive(Debug, Clone)]
pub struct Start {
    /// The request id.
    pub id: RunId,
    /// The flow's name.
    pub flow: FlowName,
    /// The module.
    pub digest: Digest,
    /// What the flow's code may ask about the request.
    pub request: Request,
    /// The definition, if it depends on the request.
    pub definition: Option<Arc<Definition>>,
    /// The body of the request.
    pub input: Payload,
    /// The URL of the callback, if the caller wants one.
    pub callback: Option<String>,
    /// The node that waits for the run, if the run was called by another one.
    pub parent: Option<Box<Parent>>,
    /// The labels that its caller gives it.
    pub labels: Labels,
    /// The moment at which the run is to start, if that is not now.
    pub start_at: Option<Millis>,
    /// The current time.
    pub now: Millis,
}
