//! Sessions of several replicas over the store in memory, under a scheduler and with faults that a seed chooses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod batching;
mod cluster;
mod control;
mod many_replicas;
mod properties;
mod replays;
mod replica;
mod reruns;
mod rules;
mod shared;
mod signals;
mod waits;
mod work;
