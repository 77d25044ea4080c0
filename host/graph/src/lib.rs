//! Pictures of flows and differences between their versions: pure functions from a [`Definition`] to text.
//!
//! Invalid definitions are drawn too, as far as possible, because a picture helps most when `check` complains: edges to
//! unknown nodes are left out, and so are dags nested deeper than [`MAX_DEPTH`].
//!
//! [`Definition`]: faas_flow_core::Definition
//! [`MAX_DEPTH`]: faas_flow_core::MAX_DEPTH

mod diff;
mod dot;
mod format;
mod json;
mod layout;
mod mermaid;
mod render;
#[cfg(test)]
mod samples;
mod svg;
mod view;

pub use diff::difference::{Change, Detail, Difference, EdgeChange, HandlerChange, NodeChange};
pub use diff::text::Colours;
pub use format::Format;
pub use json::render_json;
pub use render::{render, render_progress};
pub use svg::escaped;
