//! One replica: does what the sessions of its runs ask for.
//!
//! The store is the truth; a [`Session`](faas_flow_session::Session) is this replica's copy of a run, with its work in
//! progress. One commit takes a node's output and claims what became ready, so a chain costs one store round trip per node
//! at most; nodes that only run the flow's own code share one.
//!
//! - `host.rs`, `services.rs`: the replica, and what all of its runs work with
//! - `submit.rs`, `control.rs`, `sweep.rs`: how runs begin, what people ask of them, and how lost runs are recovered
//! - `live.rs`, `drive.rs`, `commit_timer.rs`, `durable.rs`, `ended.rs`: a run, and the loop that drives its session
//! - `execute.rs`, `operation.rs`, `instances.rs`, `context.rs`, `data.rs`: executing a node
//! - `functions.rs`, `network.rs`, `events/`: what is called, and how other replicas are told of work
//! - `counters.rs`, `traces.rs`, `trace.rs`, `progress.rs`: what a replica shows of its work
//! - `settings.rs`, `error.rs`: limits and times, and what can go wrong

mod commit_timer;
mod context;
mod control;
pub mod counters;
mod data;
mod drive;
mod durable;
mod ended;
pub mod error;
pub mod events;
mod execute;
pub mod functions;
mod host;
mod instances;
mod live;
pub mod network;
mod operation;
pub mod progress;
mod services;
pub mod settings;
mod submit;
mod sweep;
mod trace;
pub mod traces;

pub use control::Forwarded;
pub use counters::{Counters, Ignored};
pub use ended::Ended;
pub use error::Error;
pub use events::Events;
pub use functions::{Function, Functions};
pub use host::{Host, Parts};
pub use network::{Http, Network};
pub use progress::{Progress, Step};
pub use settings::{Answers, Dispatch, Settings};
pub use submit::{Submission, Submitted, Waits};
pub use traces::Traces;
