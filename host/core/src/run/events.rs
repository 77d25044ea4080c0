//! What happens to a run, and what follows: the words between the engine and whoever drives it.

use super::documents::{Attempt, Request, Suspended};
use super::stored::Doc;
use super::token::ClaimToken;
use crate::definition::Operations;
use crate::{BranchKey, Definition, Digest, Failure, FlowName, HandlerId, Millis, NodePath, Payload, RunId, Status};
use std::sync::Arc;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A replica wants to execute a node. Answered by [`Effect::Execute`].
    Claim {
        /// Which node.
        path: NodePath,
        /// The replica.
        owner: Arc<str>,
        /// The new claim's token, which no other claim of this run has.
        token: ClaimToken,
        /// Until when it holds the node.
        until: Millis,
    },
    /// A replica still executes a node.
    Renew {
        /// Which node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
        /// Until when it holds the node from now on.
        until: Millis,
    },
    /// A replica gives a node back that it executes no longer.
    Release {
        /// Which node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
    },
    /// A replica has executed a node.
    Complete {
        /// Which node.
        path: NodePath,
        /// The token of its claim.
        token: ClaimToken,
        /// What came of it.
        report: Report,
    },
    /// All branches of a node have arrived in its set.
    Joined {
        /// The node.
        path: NodePath,
        /// The claim that began the branches.
        began_by: ClaimToken,
    },
    /// The run's deadline has passed.
    Deadline,
    /// Nothing new starts from here on.
    Pause,
    /// What is ready starts. What is ready in scopes that are not at hand is found when they are:
    /// [`RunState::claimable`](super::RunState::claimable).
    Resume,
    /// The run ends.
    Stop,
    /// A run that ended, or is paused, goes on from this node: it and what follows from it are executed again, and what
    /// had failed, or was cancelled by the run's end, is executed too. Deadline and callback begin anew.
    ///
    /// Needs the node's scope, those around it, and the one in which the run failed. Elsewhere, what ran when the run
    /// ended goes on when its lease is over.
    Rerun {
        /// Which node; those before it are done.
        path: NodePath,
    },
    /// A replica wants to tell the run's callback of its end. Answered by [`Effect::CallBack`].
    CallBack {
        /// When somebody else may try if nothing is heard of this delivery.
        until: Millis,
    },
    /// A replica has tried to tell the run's callback.
    CalledBack {
        /// Which delivery: [`Effect::CallBack`]'s.
        tries: u32,
        /// Why it failed; none if it was delivered.
        failure: Option<Failure>,
        /// When to try again after a failure; none gives up.
        next: Option<Millis>,
    },
}

/// What came of executing a node.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it yielded, or why it did not.
    pub outcome: Outcome,
    /// The bytes it was given.
    pub input_size: u64,
    /// Its tries in this claim, in order.
    pub attempts: Vec<Attempt>,
}

/// What a node's execution ended in.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Its output.
    Done(Payload),
    /// The branches that it begins, with their inputs; a sub-dag's only branch has no key.
    Branched(Vec<(Option<BranchKey>, Payload)>),
    /// Its failure, after all tries.
    Failed(Failure),
    /// A wait before it goes on.
    Suspended(Suspended),
}

/// What follows from an event.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The node may be claimed, by whoever comes first. Where it is the start of a branch, whoever dispatches it keeps to
    /// the `max_parallel` of the node that began the branch.
    Dispatch(NodePath),
    /// Whoever claimed the node executes this.
    Execute(Work),
    /// A branch ended and arrives at the node that began it: to be added to the set [`set_of`]`(node, began_by)` in the
    /// same commit. When the set has `total` members, [`Event::Joined`] is due.
    Arrive {
        /// The node that began the branch.
        node: NodePath,
        /// The claim that began it.
        began_by: ClaimToken,
        /// Its key.
        key: BranchKey,
        /// Its place among its siblings.
        index: u32,
        /// Its result.
        payload: Payload,
        /// How many siblings there are.
        total: u32,
    },
    /// What is being executed for this run has become pointless.
    Cancel,
    /// The run has ended.
    Ended,
    /// Whoever claimed the delivery tells the run's callback how the run ended.
    CallBack {
        /// Where to.
        url: String,
        /// Which delivery this is, from 1; to report with.
        tries: u32,
    },
}

/// The name of the set in which the branches of one claim of a node arrive.
pub fn set_of(node: &NodePath, began_by: ClaimToken) -> String {
    format!("{node}@{began_by}")
}

/// Why an event changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A document is needed that is not at hand: load it and try again. If it does not exist, neither does the node.
    #[error("needs {0:?}")]
    Needs(Doc),
    /// The run, or this phase of it, is over.
    #[error("the run has ended")]
    Ended,
    /// The run is paused.
    #[error("the run is paused")]
    Paused,
    /// Somebody else holds the node.
    #[error("the node is leased")]
    Leased,
    /// The node, or the callback, waits until a moment in time.
    #[error("it is too early: not before {until}")]
    Early {
        /// That moment.
        until: Millis,
    },
    /// The node is done, or not ready, or another claim has replaced this one, or the one that began its scope.
    #[error("the event is out of date")]
    Stale,
    /// The run is under way and not paused.
    #[error("the run is under way: pause or stop it first")]
    Running,
    /// A predecessor of the node is not done.
    #[error("a node before it is not done: re-run from that one")]
    Unready,
    /// The node is in a branch that has arrived beside others.
    #[error("its branch has already arrived at {node}: re-run from that node instead")]
    Arrived {
        /// The node that began the branch.
        node: NodePath,
    },
    /// There is no such node.
    #[error("there is no such node")]
    Unknown,
}

/// What a node's execution consists of.
#[derive(Debug, Clone)]
pub struct Work {
    /// The node.
    pub path: NodePath,
    /// The token to report with.
    pub token: ClaimToken,
    /// What arrives on the edges that carry data, in declared order; or the scope's input, from nowhere (`""`).
    pub inputs: Vec<Input>,
    /// Merges the inputs. Without it, an only input is the data, and several are none.
    pub aggregator: Option<HandlerId>,
    /// Where to go on, if the node was suspended; its attempts before that are in the state already.
    pub suspended: Option<Suspended>,
    /// What to do with the data.
    pub task: Task,
}

/// One input of a node.
#[derive(Debug, Clone)]
pub struct Input {
    /// The predecessor's id.
    pub from: String,
    /// Its output.
    pub payload: Payload,
    /// What rewrites it on the way.
    pub forwarder: Option<HandlerId>,
}

/// What a node does with its data.
#[derive(Debug, Clone)]
pub enum Task {
    /// Runs operations; ends in [`Outcome::Done`].
    Operations(Arc<Operations>),
    /// Hands the data to a dag; ends in [`Outcome::Branched`].
    Enter,
    /// Chooses among these keys; ends in [`Outcome::Branched`].
    Choose {
        /// The `condition` handler.
        handler: HandlerId,
        /// The keys that it may choose.
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
        /// The key and result of an only branch; otherwise they are in the set [`set_of`]`(path, began_by)`.
        only: Option<(String, Payload)>,
        /// The claim that began the branches.
        began_by: ClaimToken,
    },
    /// Runs the flow's failure handler; ends in [`Outcome::Done`] or [`Outcome::Failed`].
    Recover {
        /// The `recover` handler.
        handler: HandlerId,
        /// What the run failed of.
        failure: Failure,
    },
    /// Runs the flow's finally handler; ends in [`Outcome::Done`] or [`Outcome::Failed`].
    Finally {
        /// The `finally` handler.
        handler: HandlerId,
        /// How the run ends.
        verdict: Status,
    },
}

/// What a new run is.
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
    /// Given where the definition depends on the request.
    pub definition: Option<Arc<Definition>>,
    /// The body of the request.
    pub input: Payload,
    /// Whom to tell when the run ends.
    pub callback: Option<String>,
    /// The moment.
    pub now: Millis,
}
