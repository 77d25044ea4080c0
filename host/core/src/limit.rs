//! Limits over all runs: how many calls may be in flight together, and how many may begin in a second.
//!
//! Nothing here reads a clock or a store. [`Lines`] is a document of the store; a replica changes it and commits it.

mod figures;
mod hold;
mod line;
mod lines;

pub use figures::{Allowance, BadFigures, Figures, LARGEST_RATE, SMALLEST_RATE, Scope, is_limit_name};
pub use hold::{Hold, Ticket, Waiter};
pub use line::{Entered, Line, MOST_WAITING, Share};
pub use lines::{LONGEST_KEY, Lines, SHARDS, document_of, shard_of};
