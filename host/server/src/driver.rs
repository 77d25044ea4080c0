//! Drives runs: turns the engine's effects into work, and what comes of the work into events.
//!
//! The store is the truth; a [`live::Live`] run is this replica's copy of it, with its work in progress. One commit takes a
//! node's output and claims what became ready, so a chain costs one store round trip per node at most; nodes that only run
//! the flow's own code share one ([`step`]).

mod commit_timer;
mod context;
mod control;
mod data;
mod drive;
mod durable;
mod ended;
mod events;
mod execute;
mod host;
mod instances;
mod live;
mod operation;
mod services;
mod submit;
mod sweep;
mod trace;

pub use control::Forwarded;
pub use ended::Ended;
pub use events::Events;
pub use host::{Host, Parts};
pub use submit::{Submission, Submitted, Waits};
