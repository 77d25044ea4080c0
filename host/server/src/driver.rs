//! Drives runs: turns the engine's effects into work, and what comes of the work into events.
//!
//! The store is the truth; a [`live::Live`] run is this replica's copy of it, with its work in progress. One commit takes a
//! node's output and claims what became ready, so a chain costs one store round trip per node.

mod data;
mod execute;
mod host;
mod live;
mod operation;
mod submit;

pub use host::{Host, read_run};
pub use live::Ended;
pub use submit::{Submission, Submitted, Waits};
