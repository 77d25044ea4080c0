//! What the end-to-end tests in `tests/e2e/` share.
//!
//! They drive the real program from outside, over HTTP and by its command line, and use no crate that it is made of but
//! the smallest. [`program`] says which program that is. A file of `tests/e2e/` is a module of the one test program:
//! `cargo xtask test --test e2e dashboard::` runs the tests of one of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use this crate, and a test fails by a panic"
)]

pub mod browser;
pub mod command;
pub mod definition;
pub mod events;
pub mod gateway;
pub mod image;
pub mod machine;
pub mod program;
pub mod server;
pub mod versions;
pub mod wait;
