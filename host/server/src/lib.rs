//! The program `faas-flow`: its command line and its configuration. As a library it serves programs that embed the host.

pub mod cli;
mod config;
mod error;
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing;
mod serve;

pub use error::{AdminTokenFault, Error, SourcesError, TokensFileFault, WhySigned};
pub use serve::serve;
