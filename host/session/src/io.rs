//! What goes into a session and what comes out of it.

use crate::batch::Documents;
use faas_flow_core::run::{ClaimToken, Doc, Event, Refusal, Work};
use faas_flow_core::{Failure, Millis, NodePath};
use faas_flow_store::{Change, Committed, Document};
use std::sync::Arc;

/// What stays the same for all runs of a replica. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The replica's name, which no other replica has.
    pub owner: Arc<str>,
    /// How long a claim holds a node.
    pub lease: Millis,
    /// How long what only the flow's own code did may wait to be committed.
    pub commit_delay: Millis,
    /// How long the run is kept after its end.
    pub history_ttl: Millis,
}

/// The world around a session at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// The time.
    pub now: Millis,
    /// Where ready nodes may go.
    pub room: Room,
}

/// Where ready nodes may go.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// How many nodes of the run this replica may execute at a time; 0 while it has no room at all.
    pub nodes: usize,
    /// Whether other replicas get any.
    pub dispatch: Dispatch,
}

/// Which ready nodes are offered to other replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// None: all are executed here.
    Local,
    /// Those that there is no room for here.
    Overflow,
    /// All.
    Everything,
}

/// What a driver tells a session.
#[derive(Debug)]
pub enum Input {
    /// Something happened to the run. The documents are committed with it, if it is not refused.
    Event(Event, Documents),
    /// Claims a node that somebody says is ready.
    Claim(NodePath),
    /// A third of a lease has passed: renews what is executed here, claims what nobody holds, and notices what others did
    /// to the run.
    Look,
    /// Nobody owns the run: this replica does from now on. Where it did already, it looks at once.
    Recover,
    /// Something that was waiting for this moment may be claimed.
    Wake,
    /// What was to be committed by now ([`Ready::commit_by`]) is due.
    CommitDue,
    /// Makes the run durable: somebody will look for it in the store.
    Store,
    /// The replica stops: releases what it executes and leaves the run to others, which find it due at once.
    Release,
}

/// What a session asks its driver to do before it goes on. There is at most one such request at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Io {
    /// Reads these documents in one consistent view, after the pause that `tries` failed tries call for. Answered by
    /// [`Answer::Loaded`]. The driver tries again itself while the store is unavailable for a moment.
    Load {
        /// Which documents.
        docs: Vec<Doc>,
        /// How many tries of what they are needed for have failed in a row.
        tries: u32,
    },
    /// Reads the run's own document, once: the next look tries again. Answered by [`Answer::Loaded`].
    LoadRun,
    /// Reads all documents of the run, once. Answered by [`Answer::LoadedAll`].
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

/// What became of an [`Io`].
#[derive(Debug)]
pub enum Answer {
    /// The documents of [`Io::Load`] in its order, or the one of [`Io::LoadRun`]; none for those that are not stored.
    Loaded(Vec<Option<Document>>),
    /// All documents of the run; empty if there is no such run.
    LoadedAll(Vec<(String, Document)>),
    /// The store did not answer a read.
    NotLoaded(Failure),
    /// The change was committed.
    Committed(Committed),
    /// Somebody else has changed the run: nothing was committed.
    Conflict,
    /// The store did not answer: nobody knows whether the change was committed.
    Unknown(Failure),
    /// The context values, or why they cannot be stored.
    Values(Result<Documents, Failure>),
}

/// What a driver does once a session asks for no more I/O.
#[derive(Debug, Default)]
pub struct Ready {
    /// Everything that is being executed here has become pointless: cut it off before anything in `start` begins.
    pub cancel: bool,
    /// What to execute.
    pub start: Vec<Work>,
    /// Ready nodes that other replicas are to be told of.
    pub send: Vec<NodePath>,
    /// A delivery of the run's callback that was claimed here.
    pub call_back: Option<Delivery>,
    /// The run has come to its end, or paused: whoever waits for it is to be told.
    pub over: Option<Over>,
    /// Nodes whose branches may all have arrived: where a set is full, [`Event::Joined`] is due.
    pub count: Vec<Join>,
    /// By when [`Input::CommitDue`] is due; none if nothing waits to be committed.
    pub commit_by: Option<Millis>,
    /// What became of leases.
    pub leases: Leases,
    /// Why the event of the input was refused; none if it was not.
    pub refused: Option<Refusal>,
    /// The session has given up, and this replica leaves the run to whichever finds its leases expired.
    pub abandoned: Option<Failure>,
    /// The run could not be made durable, and goes on in memory.
    pub unstored: Option<Failure>,
}

/// A delivery of a run's callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where to.
    pub url: String,
    /// Which delivery this is, from 1; to report with in [`Event::CalledBack`].
    pub tries: u32,
}

/// How a run came to its end, or to a halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// A commit of this replica ended it.
    Ended,
    /// Another replica ended it.
    EndedElsewhere,
    /// A commit of this replica paused it since a node's tries were exhausted.
    Exhausted,
    /// It is paused, and nothing of it is executed here.
    Paused,
}

/// A node that waits for its branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The node.
    pub node: NodePath,
    /// The claim that began the branches.
    pub began_by: ClaimToken,
    /// How many branches there are.
    pub total: u32,
}

/// What became of leases of this replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leases {
    /// Leases that hold for longer now.
    pub renewed: usize,
    /// Leases that this replica held until another one took the node, or until it had to abandon the run.
    pub lost: usize,
    /// Leases that it released before it stopped.
    pub released: usize,
}

/// Whether what became ready a moment ago can be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// An event about it may be on its way.
    Events,
    /// Whoever would have sent an event is gone.
    Nobody,
}
