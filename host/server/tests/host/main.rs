//! The host as a library, where a test needs what no program can be made to do: a store that waits, or a moment between
//! two steps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod budget;
mod bulk;
mod corpora;
mod drain;
mod gc;
mod history;
mod logs;
mod looks;
mod slow;
