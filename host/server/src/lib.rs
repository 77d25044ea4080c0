//! The host of flows, as a library: what the `faas-flow` binary is made of.

pub mod cli;
mod driver;
mod error;
mod flows;
mod functions;
pub mod graph;
mod http;
mod progress;
mod settings;

pub use driver::{Ended, Host, Submission, Submitted, Waits, read_run};
pub use error::Error;
pub use flows::{Flow, load_flow};
pub use functions::{Function, Functions};
pub use http::router;
pub use progress::{Progress, Step};
pub use settings::Settings;
