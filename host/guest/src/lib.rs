//! Loads, limits, caches and calls flow components.
//!
//! Modules come from strangers. Their bytes are read and compiled in a process of its own (`compiler.rs`), and their code runs
//! under [`Limits`].
//!
//! [`Guests`] turns the bytes of a component into a [`Module`]. A module describes its flow ([`Module::define`]) and
//! creates [`Instance`]s, each of which serves one run until one of its calls fails. Whatever a flow's code does, the host
//! keeps running: a crash, an endless loop or a broken limit becomes a coded [`Failure`](faas_flow_core::Failure).

mod bindings;
mod builder;
mod cache;
mod compiler;
mod context;
mod engine;
mod error;
mod exports;
mod flow_log;
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing;
mod guests;
mod instance;
mod keep_budget;
mod kinds;
mod limits;
mod memory;
mod module;
mod node_log;
mod place;
mod preinit;
mod private;
mod room;
mod state;
mod wasi;

pub use cache::functions_of;
pub use compiler::{Compiler, Waited, Waiting, compile, waiting};
pub use context::{
    CallContext, ContextError, Failed, HandlerCall, HttpRequest, HttpResponse, Level, NoContext, Observer, Outcome,
    RunContext,
};
pub use error::{Found, GuestError};
pub use flow_log::{FlowLog, LogLimits};
pub use guests::Guests;
pub use instance::Instance;
pub use keep_budget::KeepBudget;
pub use limits::Limits;
pub use memory::{Memory, Purpose, Reservation, Short, count};
pub use module::{Defined, Module};
pub use node_log::NodeLog;
pub use preinit::preinitialized;
pub use private::make_private;
pub use room::Instances;
pub use wasi::WasiImports;
