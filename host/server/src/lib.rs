//! The host of flows, as a library: what the `faas-flow` binary is made of.

pub mod cli;
mod config;
mod counters;
pub(crate) mod dashboard;
mod driver;
mod error;
pub mod events;
mod functions;
mod http;
mod local;
mod network;
mod progress;
mod remote;
mod serve;
mod settings;
mod traces;
pub mod versions;

pub use counters::{Counters, Ignored};
pub use driver::{Ended, Events, Forwarded, Host, Parts, Submission, Submitted, Waits};
pub use error::Error;
pub use functions::{Function, Functions};
pub use http::{Admin, Contract, Guards, function_router, router};
pub use local::local_router;
pub use network::{Http, Network};
pub use progress::{Progress, Step};
pub use serve::serve;
pub use settings::{Answers, Dispatch, Settings};
pub use traces::Traces;
pub use versions::runs::read_run;
pub use versions::{Clock, Flow, load_flow};
