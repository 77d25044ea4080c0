//! Pictures of a flow: pure functions from its [`Definition`] to text.
//!
//! Wrong definitions are drawn too, as far as that goes: a picture helps most when `check` complains. Edges to nowhere
//! are left out, and nothing is drawn below [`DEEPEST`].

mod diff;
mod dot;
mod json;
mod layout;
mod mermaid;
#[cfg(test)]
mod samples;
mod svg;
mod view;

pub use diff::{Change, Colours, Detail, Difference, EdgeChange, HandlerChange, NodeChange};
pub use json::render_json;
pub(crate) use svg::escaped;

use faas_flow_core::run::Progress;
use faas_flow_core::{Definition, NodePath};
use std::collections::HashMap;

/// Dags nested deeper than this are left out; a valid definition nests less deeply.
const DEEPEST: usize = 40;

/// What a flow is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A picture with its own layout: no scripts, no fonts to load.
    Svg,
    /// A Mermaid flowchart, for Markdown.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
    /// What the original answers to `?export-dag=true`.
    Json,
    /// The definition as the flow gave it.
    Definition,
}

impl Format {
    /// Every format, with the name that the command line knows it by.
    pub const ALL: [(&'static str, Format); 5] = [
        ("svg", Format::Svg),
        ("mermaid", Format::Mermaid),
        ("dot", Format::Dot),
        ("json", Format::Json),
        ("definition", Format::Definition),
    ];

    /// The MIME type of what [`render`] returns.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Svg => "image/svg+xml",
            Format::Mermaid => "text/vnd.mermaid; charset=utf-8",
            Format::Dot => "text/vnd.graphviz; charset=utf-8",
            Format::Json | Format::Definition => "application/json",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Format::ALL.map(|(name, _)| name).join(", ");
        let found = Format::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, format)| format).ok_or_else(|| format!("`{text}` is not a format: use one of {}", names()))
    }
}

/// Draws the flow called `name`. The same definition gives the same bytes.
pub fn render(definition: &Definition, name: &str, format: Format) -> String {
    match format {
        Format::Svg => svg::render(&view::of(definition), definition, name),
        Format::Mermaid => mermaid::render(&view::of(definition), name),
        Format::Dot => dot::render(&view::of(definition), name),
        Format::Json => render_json(definition, None),
        Format::Definition => json::indented(definition),
    }
}

/// Draws the flow with the progress of each node as a class of it. A node in a for-each is drawn once, with that which
/// matters most of all its items.
pub(crate) fn render_progress<'a>(
    definition: &Definition,
    name: &str,
    nodes: impl Iterator<Item = (&'a NodePath, Progress)>,
) -> String {
    let mut classes: HashMap<String, &'static str> = HashMap::new();
    for (path, progress) in nodes {
        let class = classes.entry(view::drawn_as(definition, path)).or_insert("");
        *class = weighty(class, progress.as_str());
    }
    svg::render_classed(&view::of(definition), definition, name, &classes)
}

/// The one of two that matters more.
fn weighty(one: &'static str, other: &'static str) -> &'static str {
    let order = ["", "waiting", "done", "ready", "branching", "running", "failed"];
    let weight = |word: &str| order.iter().position(|known| *known == word);
    if weight(one) >= weight(other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_drawn_once_in_every_picture() {
        for (name, definition) in samples::all() {
            let svg = render(&definition, name, Format::Svg);
            let mermaid = render(&definition, name, Format::Mermaid);
            let dot = render(&definition, name, Format::Dot);
            for path in samples::paths(&definition.dag, "") {
                assert_eq!(svg.matches(&format!("data-path=\"{path}\"")).count(), 1, "{name} {path}");
                assert_eq!(dot.matches(&format!("    \"{path}\" [")).count(), 1, "{name} {path}");
            }
            let nodes = samples::paths(&definition.dag, "").len();
            assert!(mermaid.lines().filter(|line| line.contains("[\"")).count() >= nodes, "{name}");
        }
    }

    #[test]
    fn the_same_definition_gives_the_same_bytes() {
        for (name, definition) in samples::all() {
            for (_, format) in Format::ALL {
                assert_eq!(render(&definition, name, format), render(&definition.clone(), name, format));
            }
        }
    }

    #[test]
    fn wrong_definitions_are_drawn_too() {
        for (name, definition) in samples::wrong() {
            for (_, format) in Format::ALL {
                assert!(!render(&definition, name, format).is_empty(), "{name} {format:?}");
            }
        }
    }

    #[test]
    fn formats_are_read_by_their_names() {
        for (name, format) in Format::ALL {
            assert_eq!(name.parse(), Ok(format));
        }
        let error = "png".parse::<Format>().unwrap_err();
        assert_eq!(error, "`png` is not a format: use one of svg, mermaid, dot, json, definition");
    }
}
