//! Loads, limits, caches and calls flow components.
//!
//! [`Guests`] turns the bytes of a component into a [`Module`]; a module says what its flow looks like
//! ([`Module::define`]) and gives out [`Instance`]s, each of which serves one run until something goes wrong in it.
//! Whatever a flow's code does, it ends as a coded [`Failure`](faas_flow_core::Failure) and the host goes on.

mod bindings;
mod builder;
mod cache;
mod compiler;
mod context;
mod engine;
mod error;
mod guests;
mod instance;
mod limits;
mod module;
mod private;
mod room;
mod state;

pub use compiler::{Compiler, compile};
pub use context::{CallContext, HttpRequest, HttpResponse, Level, NoContext, Outcome, RunContext};
pub use error::GuestError;
pub use guests::Guests;
pub use instance::Instance;
pub use limits::Limits;
pub use module::{Defined, Module};
pub use private::make_private;
