//! The host of flows, as a library: what the `faas-flow` binary is made of.

pub mod cli;
mod config;
mod counters;
pub(crate) mod dashboard;
mod driver;
mod error;
pub mod events;
mod flows;
mod functions;
mod http;
mod local;
pub mod modules;
mod network;
mod progress;
mod remote;
mod serve;
mod settings;
pub mod signature;
mod traces;

pub use counters::{Counters, Ignored};
pub use driver::{Clock, Ended, Events, Forwarded, Host, Parts, Submission, Submitted, Waits, read_run};
pub use error::Error;
pub use flows::{Brought, Flow, load_flow};
pub use functions::{Function, Functions};
pub use http::{Admin, Contract, Guards, function_router, router};
pub use local::local_router;
pub use network::{Http, Network};
pub use progress::{Progress, Step};
pub use serve::serve;
pub use settings::{Answers, Dispatch, Settings};
pub use traces::Traces;
