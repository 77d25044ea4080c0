//! The host of flows, as a library: what the `faas-flow` binary is made of.

pub mod cli;
mod config;
pub(crate) mod dashboard;
mod http;
mod local;
mod remote;
mod serve;

pub use http::{Admin, Contract, Guards, function_router, router};
pub use local::local_router;
pub use serve::serve;
