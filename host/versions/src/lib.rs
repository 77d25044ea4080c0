//! The versions of flows: where their modules are stored, which version is in service, and how that changes while runs go on.
//!
//! A module is identified by its sha256. Its bytes are in the data store. What is known of it (a [`Version`]) and which
//! version new runs begin with (the [`Active`] pointer) are documents of the flow's own partition of the state store, which
//! all replicas share. A run stays with the module that it began with.
//!
//! [`Versions`] is what a replica holds: the table of the flows that it serves, and everything that can be done with the
//! stored versions.

mod activate;
mod active;
mod canary;
mod clock;
mod error;
mod flow;
mod follow;
mod gc;
mod health;
mod image;
mod list;
mod loader;
pub mod logs;
mod missing;
pub mod operations;
mod plan;
mod push;
mod registry;
pub mod runs;
mod service;
mod share;
pub mod signature;
mod store;
mod swaps;
mod table;
mod tally;
mod timing;
mod version;

pub use activate::{Changed, Expected};
pub use active::{Activation, Active, Why};
pub use canary::{Canary, CanaryRule, Withdrawn};
pub use clock::Clock;
pub use error::{Absence, Error, RevisionConflict};
pub use flow::{Artifact, Flow, compile, load_flow, load_module, name_of, read_module, verify};
pub use gc::{Collected, Keep, Removal};
pub use image::Registered;
pub use list::{CanaryRuns, Listed, RunCounts, VersionState, VersionView};
pub use loader::Loader;
pub use missing::{MissingModule, missing_module};
pub use plan::{Planned, Sorted};
pub use push::{IfRemoved, Pushed, Upload};
pub use registry::{Pinned, Versions};
pub use share::Share;
pub use swaps::Swaps;
pub use tally::{Ends, RunEnd, Tally};
pub use timing::Timing;
pub use version::{By, Origin, Version};
