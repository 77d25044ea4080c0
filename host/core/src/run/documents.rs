//! The stored documents of a run.

mod branches;
mod callback;
mod node;
mod run;
mod scope;
mod wait;

pub use branches::{Branches, Redone};
pub use callback::Callback;
pub use node::{Attempt, Lease, NodeState, Progress};
pub use run::{NodeResponse, Parent, Phase, Request, Run};
pub use scope::Scope;
pub use wait::{Answer, Awaited, Called, Said, Suspended, Wait, WaitId};

pub(super) fn is_zero(n: &u32) -> bool {
    *n == 0
}

pub(super) fn is_zero_millis(n: &u64) -> bool {
    *n == 0
}
