//! The state of a run, and how it changes.
//!
//! The state is a set of small documents: one [`Run`], and one [`Scope`] for each instance of a dag. A [`RunState`]
//! contains those that are loaded. [`RunState::step`] applies one [`Event`] to them and returns the [`Effect`]s that
//! follow.

mod actor;
mod answer;
mod caught;
mod control;
mod documents;
mod engine;
mod events;
mod log;
mod nodes;
mod operations;
mod payloads;
mod rerun;
mod rounds;
mod signals;
mod state;
mod stored;
mod token;
mod tries;
mod view;

pub use actor::{Action, Actor};
pub use caught::{Caught, Ended, Evidence, FailureKind, Withdrawn};
pub use control::UnknownCalls;
pub use documents::{
    Answer, Attempt, Awaited, Branches, Callback, Called, Lease, NodeResponse, NodeState, Parent, Phase, Progress,
    Redone, Request, Run, Said, Scope, Suspended, Wait, WaitId,
};
pub use events::{Effect, Event, HeldClaim, Input, Outcome, Refusal, Report, RerunFrom, Start, Task, Work, set_of};
pub use log::{KeptLog, LOG, LogLevel, LogLine, LogPart};
pub use nodes::{NodeProgress, Row, Rows, Scopes, ShownNode, Tally, WIDE};
pub use operations::{Hidden, KeptOperations, OPERATIONS, OperationData, OperationKind, OperationsPart, Preview, Side};
pub use signals::{
    ADDRESS_KEY, Came, EarlySignals, MOST_EARLY_BYTES, MOST_EARLY_SIGNALS, SentSignal, Signal, Taken, Waiter,
};
pub use state::RunState;
pub use stored::{
    ANSWERS, CONTEXT, DATA, Doc, FORM, HOLD_DATA, Unreadable, decode, decode_member, encode, encode_member,
};
pub use token::ClaimToken;
pub use tries::{Tries, Try};
pub use view::{NodeView, Retrying, RunView, SignalView, WaitView};
