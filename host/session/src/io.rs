//! The inputs and outputs of a session.

use crate::batch::Documents;
use faas_flow_core::run::{ClaimToken, Doc, Event, Refusal, Withdrawn, Work};
use faas_flow_core::{Failure, Millis, NodePath, Status};
use faas_flow_store::{Change, Committed, Document};
use std::sync::Arc;

/// Settings that are the same for all runs of a replica. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The unique name of the replica.
    pub owner: Arc<str>,
    /// How long a claim holds a node.
    pub lease: Millis,
    /// How long the results of the flow's own code may wait for a commit.
    pub commit_delay: Millis,
    /// How long the run is kept after its end.
    pub history_ttl: Millis,
    /// How long it is kept if it has failed.
    pub history_ttl_failed: Millis,
}

impl Rules {
    /// When a run is deleted that ended so at this moment.
    pub fn expires(&self, status: Status, ended: Millis) -> Millis {
        ended.saturating_add(if status == Status::Failed { self.history_ttl_failed } else { self.history_ttl })
    }
}

/// The circumstances in which a session takes an input.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The current time, by a clock that may be wrong.
    pub now: Millis,
    /// A clock that only measures durations: the time since some moment, which is never set.
    pub uptime: Millis,
    /// Where ready nodes may be executed.
    pub room: Room,
}

/// Where ready nodes may be executed.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// How many nodes of the run this replica may execute at a time; 0 if it has no room.
    pub nodes: usize,
    /// Which ready nodes are sent to other replicas.
    pub dispatch: Dispatch,
}

/// Which ready nodes are sent to other replicas as events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// None: this replica executes all of them.
    Local,
    /// Those for which this replica has no room.
    Overflow,
    /// All.
    Everything,
}

/// An input of a session.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "almost every input is an event, so a box would only cost an allocation")]
pub enum Input {
    /// Something happened to the run. If the event is not refused, the documents are committed with it.
    Event(Event, Documents),
    /// An event of another replica says that this node is ready: claims it.
    Claim(NodePath),
    /// A third of a lease has passed: renews the leases of this replica, claims what no replica holds, and checks what
    /// other replicas did to the run.
    Check,
    /// The run has no owner: this replica becomes its owner. If it is the owner already, it checks the run at once.
    Recover,
    /// The wait of a node is over.
    Wake,
    /// The time of [`Ready::commit_by`] has come.
    CommitDue,
    /// Stores the run, since somebody will look for it in the store.
    Store,
    /// This replica no longer executes these nodes, which [`Ready::cut_off`] has named.
    CutOff(Vec<(NodePath, ClaimToken)>),
    /// The replica is shutting down: releases its claims and leaves the run, which is due for other replicas at once.
    Release,
}

/// I/O that a session requests from its driver before it continues. There is at most one such request at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Io {
    /// Reads these documents in one consistent view, after the pause that `tries` failed tries call for. Answered by
    /// [`Answer::Loaded`]. If the store is unavailable for a moment, the driver itself tries again.
    Load {
        /// The documents.
        docs: Vec<Doc>,
        /// How many commits that needed them have failed in a row.
        tries: u32,
    },
    /// Reads the run's own document, once: the next check tries again. Answered by [`Answer::Loaded`].
    LoadRun,
    /// Reads all documents of the run that hold no data, once. Answered by [`Answer::LoadedAll`].
    LoadAll,
    /// Commits a change, after the pause that `tries` failed tries call for. Answered by [`Answer::Committed`],
    /// [`Answer::Conflict`] or [`Answer::Unknown`].
    Commit {
        /// The change.
        change: Change,
        /// How many tries have failed in a row.
        tries: u32,
    },
    /// Gathers the context values that the driver holds of a run in [`Durability::Memory`](crate::Durability::Memory), as
    /// documents. Answered by [`Answer::Values`].
    Values {
        /// How many tries have failed in a row: the driver pauses as for [`Io::Commit`].
        tries: u32,
    },
}

/// The answer to an [`Io`].
#[derive(Debug)]
pub enum Answer {
    /// The documents of [`Io::Load`] in its order, or the one of [`Io::LoadRun`]. `None` for those that are not stored.
    Loaded(Vec<Option<Document>>),
    /// All documents of the run; empty if there is no such run.
    LoadedAll(Vec<(String, Document)>),
    /// The store did not answer a read.
    NotLoaded(Failure),
    /// The change was committed.
    Committed(Committed),
    /// Another replica has changed the run. Nothing was committed.
    Conflict,
    /// The store did not answer. The change may or may not be committed.
    Unknown(Failure),
    /// The context values, or why they cannot be stored.
    Values(Result<Documents, Failure>),
}

/// What a driver does once a session asks for no more I/O.
#[derive(Debug, Default)]
pub struct Ready {
    /// Whether to cancel everything that this replica executes, before anything in `start` begins.
    pub cancel: bool,
    /// Parts of the run that do not go on, since a failure in them was caught. The runs that they have called are to be stopped.
    pub withdrawn: Vec<Withdrawn>,
    /// The claims under which this replica executes something of them, which is to be cancelled.
    pub withdrawn_claims: Vec<ClaimToken>,
    /// Nodes that are cancelled, or whose report was refused, since another replica has brought the run to its end. That
    /// replica may wait for them: once they are no longer executed here, [`Input::CutOff`] is due.
    pub cut_off: Vec<(NodePath, ClaimToken)>,
    /// After a check: all claims of this replica, whose leases were renewed. No call may begin under any other claim that was
    /// committed before the check began. `None` if nothing was checked.
    pub renewed: Option<Vec<ClaimToken>>,
    /// What to execute. Calls may begin under a claim until a lease after this replica asked for it, or renewed it.
    pub start: Vec<Work>,
    /// Ready nodes to send to other replicas as events.
    pub send: Vec<NodePath>,
    /// A try to send the callback, which this replica has claimed.
    pub call_back: Option<Delivery>,
    /// The run has ended or paused. Those who wait for that are to be notified.
    pub end: Option<End>,
    /// Nodes whose branches may all have ended. If the set of one is complete, [`Event::Joined`] is due.
    pub count: Vec<Join>,
    /// When [`Input::CommitDue`] is due; `None` if nothing waits for a commit.
    pub commit_by: Option<Millis>,
    /// What happened to the leases of this replica.
    pub leases: Leases,
    /// Why the event of the input was refused, if it was.
    pub refused: Option<Refusal>,
    /// Why this replica has abandoned the run, if it has. Another replica recovers it when its leases have expired.
    pub abandoned: Option<Failure>,
    /// Why the run could not be stored and continues in memory, if that happened.
    pub unstored: Option<Failure>,
}

/// A try to send the callback of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The URL to call.
    pub url: String,
    /// How often the run had ended before.
    pub round: u32,
    /// The number of this try, from 1, for the report ([`Event::CalledBack`]).
    pub tries: u32,
    /// How many tries were made before this one since the run ended, or since somebody asked to send the callback again.
    pub earlier: u32,
}

/// How a run ended for this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A commit of this replica ended it.
    Ended,
    /// Another replica ended it.
    EndedElsewhere,
    /// A commit of this replica paused it, since the attempts of a node were exhausted.
    Exhausted,
    /// It is paused, and this replica executes nothing of it.
    Paused,
}

/// A node whose branches are in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The node.
    pub node: NodePath,
    /// The claim that started the branches.
    pub started_by: ClaimToken,
    /// The number of branches.
    pub total: u32,
}

/// What happened to the leases of a replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leases {
    /// Leases that were renewed.
    pub renewed: usize,
    /// Leases that were lost because another replica took the node or this one abandoned the run.
    pub lost: usize,
    /// Leases that were released during shutdown.
    pub released: usize,
}
