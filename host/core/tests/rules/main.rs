//! One example for each rule of `docs/concepts.md` that the engine implements. The comment of a test names its rules.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod answers;
mod catches;
mod claims;
mod control;
mod data;
mod ends;
mod failures;
mod history;
mod joins;
mod media_types;
mod repeats;
mod schedules;
mod signals;
mod sleeps;
mod starts;
mod waits;
