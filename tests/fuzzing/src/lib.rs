//! What the fuzz targets do with their inputs: a function for each of them, which panics if something does not hold.
//!
//! The targets in `fuzz/` call these functions, built with instrumentation. A test of the host calls them, too, with every input
//! that the repository has for them: so they compile and hold in each run of the tests, and an input that has once led to a
//! crash becomes a test when it is put among these inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests and the fuzzer use this crate, and what does not hold is a panic"
)]

#[cfg(feature = "host")]
mod compiler_answer;
#[cfg(feature = "host")]
mod configuration;
mod definition;
#[cfg(feature = "host")]
mod event;
#[cfg(feature = "host")]
mod http;
mod media_type;
mod node_path;
#[cfg(feature = "host")]
mod scenario;
mod stored_form;
#[cfg(feature = "host")]
mod text;

#[cfg(feature = "host")]
pub use compiler_answer::compiler_answer;
#[cfg(feature = "host")]
pub use configuration::configuration;
pub use definition::definition;
#[cfg(feature = "host")]
pub use event::event;
#[cfg(feature = "host")]
pub use http::http;
pub use media_type::media_type;
pub use node_path::node_path;
#[cfg(feature = "host")]
pub use scenario::scenario;
pub use stored_form::stored_form;
#[cfg(feature = "host")]
pub use text::text;

/// A fuzz target.
#[cfg(feature = "host")]
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The folder in the repository with the inputs to begin with.
    pub seeds: &'static str,
    /// Does with an input what the target does.
    pub try_input: fn(&[u8]),
}

/// Every target.
#[cfg(feature = "host")]
pub const TARGETS: [Target; 10] = [
    Target { name: "stored_form", seeds: "host/core/tests/golden", try_input: stored_form },
    Target { name: "node_path", seeds: "fuzz/seeds/node_path", try_input: node_path },
    Target { name: "media_type", seeds: "fuzz/seeds/media_type", try_input: media_type },
    Target { name: "definition", seeds: "fuzz/seeds/definition", try_input: definition },
    Target { name: "event", seeds: "fuzz/seeds/event", try_input: event },
    Target { name: "compiler_answer", seeds: "fuzz/seeds/compiler_answer", try_input: compiler_answer },
    Target { name: "http", seeds: "fuzz/seeds/http", try_input: http },
    Target { name: "configuration", seeds: "fuzz/seeds/configuration", try_input: configuration },
    Target { name: "scenario", seeds: "fuzz/seeds/scenario", try_input: scenario },
    Target { name: "text", seeds: "fuzz/seeds/text", try_input: text },
];
