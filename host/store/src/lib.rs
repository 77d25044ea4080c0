//! The stores of runs: two traits, the conformance suite that checks their backends, and one module per backend.
//!
//! A [`StateStore`] has the state of runs: small documents that are changed by compare-and-swap. A [`DataStore`] has
//! bytes: payloads and context values that are too large for a document. [`open_state`] and [`open_data`] choose the
//! backend by address.

mod address;
mod changes;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod consul;
mod data;
mod entry;
mod error;
mod etcd;
mod files;
mod malformed;
mod memory;
mod open;
mod private;
mod query;
mod redis;
mod s3;
mod sqlite;
mod state;

pub use changes::{Changed, Seen};
pub use data::{DataKey, DataStore};
pub use error::{CommitError, StoreError};
pub use open::{open_data, open_state};
pub use private::create_private_folder;
pub use query::{Cursor, RunCounts, RunFailure, RunPage, RunQuery, every_run};
pub use state::{Arrival, Change, Check, Committed, Document, Expect, Put, RunEntry, StateStore};
