//! What the tests of several crates share.
//!
//! - [`servers`] starts real servers: Redis, NATS and, given its arguments, any other.
//! - [`double`] serves HTTP in place of a function, a gateway or whatever else a test needs to answer.
//! - [`proxy`] is an address before servers, one of which gets the connections.
//! - [`redis`] has two servers of Redis that change places.
//! - [`modules`] finds the flows that `cargo xtask modules` built.
//! - `s3`, `consul`, `tls` and `hostile` are features, since what they need takes long to compile.
//!
//! Everything ends with the value that stands for it, also when the test fails. Whatever goes wrong here panics: it is
//! the test that called that fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use this crate, and a test fails by a panic"
)]

#[cfg(feature = "consul")]
pub mod consul;
pub mod double;
#[cfg(feature = "hostile")]
pub mod hostile;
pub mod modules;
pub mod proxy;
pub mod redis;
#[cfg(feature = "s3")]
pub mod s3;
pub mod servers;
#[cfg(feature = "tls")]
pub mod tls;
