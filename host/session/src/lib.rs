//! One run on one replica, as a pure state machine.
//!
//! The engine in `faas-flow-core` says how the state of a run changes. A [`Session`] adds what a replica does with that:
//! which changes are committed together, what happens when a commit fails, which ready nodes are executed here and which
//! are sent to other replicas, when the replica that owns the run renews its leases, and who is notified of what.
//!
//! A session does no I/O, reads no clock and spawns nothing. Its driver gives it an [`Input`], performs the [`Io`] that it
//! asks for, one after the other, and answers each; once it asks for nothing more, the driver takes [`Ready`] and acts on
//! it:
//!
//! ```text
//! session.input(input, circumstances);
//! while let Some(io) = session.io() {
//!     session.answer(perform(io), circumstances);
//! }
//! let ready = session.ready();
//! ```
//!
//! These invariants hold whatever the driver does. The property tests in `tests/` check them:
//!
//! - At most one commit is outstanding.
//! - A node is executed here only after its claim was committed, unless nothing but the flow's own code takes part. That
//!   has no effects and yields the same result when it is executed again.
//! - Other replicas are notified of ready nodes, and callers of the end of the run, only when everything that was applied
//!   is committed.
//! - When a commit conflicts, or nobody knows whether it happened, what was applied since the last commit is applied again
//!   to what the store has: a *replay*. A claim that another replica won meanwhile is given up.

mod apply;
mod batch;
mod commit;
mod committed;
mod dispatch;
mod durability;
mod end;
mod io;
mod joins;
mod load;
mod owner;
mod queue;
mod replay;
mod seen;
mod session;
mod tokens;
mod view;

pub use batch::{Documents, read_arrival};
pub use committed::run_exists;
pub use durability::{Durability, Role};
pub use io::{Answer, Circumstances, Delivery, Dispatch, End, Input, Io, Join, Leases, Ready, Room, Rules};
pub use load::{documents_for, load_all};
pub use session::Session;
