//! Projects: folders with the sources of a flow, in one of the languages that have an SDK.

mod build;
mod cargo;
mod go;
mod language;
mod recipe;
mod running;
pub(super) mod scaffold;
mod tool;
mod watch;

pub(super) use build::{Build, Refused};
pub(super) use language::Language;
pub(super) use watch::Sources;
