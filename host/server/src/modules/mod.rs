//! The versions of a flow: where their modules are kept, which one is in service, and how that changes while runs go on.
//!
//! A module is known by its sha256. Its bytes are in the data store; what is known of it (a [`Version`]) and which one new
//! runs begin with (the [`Active`] pointer) are documents of the flow's own partition of the state store, which all
//! replicas share. A run stays with the module that it began with.

mod activate;
mod active;
mod canary;
mod follow;
mod gc;
mod image;
mod list;
mod load;
mod plan;
mod push;
mod service;
mod store;
mod version;

pub use activate::Expected;
pub use active::{Activation, Active, Canary, Origin, Share, Why, Withdrawn};
pub use canary::{Ends, Tally};
pub use gc::{Collected, Keep};
pub use list::{CanaryRuns, Listed, Standing, VersionView};
pub(crate) use load::waits_for;
pub use load::{Loader, Missing};
pub use plan::{Planned, Sorted};
pub use push::{Pushed, Upload};
pub use version::{By, Version};

pub(crate) use service::Service;
