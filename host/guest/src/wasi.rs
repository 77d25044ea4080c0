//! The system that a flow's code sees through WASI, on which compilers for most languages insist.
//!
//! All of it is virtual, and follows from the run and the node alone, so that the code does the same in each instance and when
//! it is executed again:
//!
//! - The clock stands at the start of the run. Sleeping takes no time: it moves the clock.
//! - Random numbers follow from the run, the node and the handler ([`numbers`]).
//! - What is written to stdout and stderr is logged, by lines ([`output`]). The last of what was written to stderr is part of
//!   the failure if the code crashes.
//! - Files, sockets, arguments and environment do not exist. Calls that need them fail.
//!
//! A core module that imports WASI preview 1 is wrapped in a component with an adapter ([`adapter`]), which imports what it
//! needs from the host ([`preview1`]). Those imports are the host's own: they are no part of the contract with flows, so they may
//! change with the adapter, and a flow that uses `context` alone pays nothing for them. A component that imports WASI 0.2 gets
//! the same from [`preview2`]. [`docs/languages.md`] has the table for authors.

pub(crate) mod adapter;
mod missing;
mod numbers;
mod offer;
mod output;
mod preview1;
mod preview2;
mod system;

pub use offer::WasiImports;
pub(crate) use offer::{CLOCK, is_wasi, offer, shown};
pub(crate) use system::{Stopped, System};
