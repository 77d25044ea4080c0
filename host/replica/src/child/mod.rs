//! Runs that a node of another run begins and waits for: flows that call flows.
//!
//! A call of a function tells who calls ([`PARENT`]). If the callee is a flow, it begins a run with the id that the header
//! names, and answers at once. The node waits as it does for a function that was called asynchronously, and the end of the
//! run is the answer. Flows that this host serves itself are called without a request.

mod begin;
mod end;
mod header;
mod orphan;
mod outcome;
mod stop;

pub use begin::Begun;
pub(crate) use begin::kept;
pub(crate) use header::child_id;
pub use header::{Calling, PARENT, WAITS, wait_text};
pub(crate) use orphan::Looks;
pub(crate) use outcome::{Child, names, read, response};
pub use stop::UnreachedRun;
pub(crate) use stop::{CalledRun, abandons, forgotten, has_abandoned};

/// Maximum number of runs that are within each other.
pub(crate) const MAX_CALLS: usize = 16;
