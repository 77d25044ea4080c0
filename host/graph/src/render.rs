//! Draws a flow in one of the formats.

use crate::format::Format;
use crate::{dot, json, mermaid, svg, view};
use faas_flow_core::run::Progress;
use faas_flow_core::{Definition, NodePath, redact};
use std::collections::HashMap;

/// Draws the flow called `name`, without the secrets of its calls ([`redact`]). The same definition always gives the same
/// bytes.
pub fn render(definition: &Definition, name: &str, format: Format) -> String {
    match format {
        Format::Svg => svg::render(&view::of(definition), definition, name),
        Format::Mermaid => mermaid::render(&view::of(definition), name),
        Format::Dot => dot::render(&view::of(definition), name),
        Format::Json => json::render_json(definition, None),
        Format::Definition => json::indented(&redact::definition(definition)),
    }
}

/// Draws the flow as SVG, with the progress of each node as an additional class of its group.
///
/// A node inside a for-each is drawn once for all items. Its class is the most urgent progress of them: failed before
/// running, running before ready, and so on.
pub fn render_progress<'a>(
    definition: &Definition,
    name: &str,
    nodes: impl Iterator<Item = (&'a NodePath, Progress)>,
) -> String {
    let mut urgent: HashMap<String, Progress> = HashMap::new();
    let mut drawn = view::Drawn::new(definition);
    for (path, progress) in nodes {
        let shown = urgent.entry(drawn.path(path)).or_insert(progress);
        if urgency(progress) > urgency(*shown) {
            *shown = progress;
        }
    }
    let classes = urgent.into_iter().map(|(path, progress)| (path, progress.as_str())).collect();
    svg::render_classed(&view::of(definition), definition, name, &classes)
}

/// How urgently a reader of the picture needs to see this progress. Of several nodes that are drawn as one, the most
/// urgent is shown.
const fn urgency(progress: Progress) -> u8 {
    match progress {
        Progress::Waiting => 0,
        Progress::Done => 1,
        Progress::Ready => 2,
        Progress::Branching => 3,
        Progress::Running => 4,
        Progress::Cancelled => 5,
        Progress::Failed => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

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
    fn invalid_definitions_are_drawn_too() {
        for (name, definition) in samples::wrong() {
            for (_, format) in Format::ALL {
                assert!(!render(&definition, name, format).is_empty(), "{name} {format:?}");
            }
        }
    }

    #[test]
    fn a_node_of_a_for_each_shows_the_most_urgent_progress_of_its_items() {
        let definition = samples::dynamic();
        let path = |text: &str| NodePath::parse(text).unwrap();
        let nodes = [
            (path("F[a]/f1"), Progress::Running),
            (path("F[b]/f1"), Progress::Failed),
            (path("F[c]/f1"), Progress::Done),
            (path("F[a]/f2"), Progress::Waiting),
        ];
        let svg = render_progress(&definition, "dynamic", nodes.iter().map(|(path, progress)| (path, *progress)));
        assert!(svg.contains("class=\"node operations failed\" id=\"node:F/f1\""), "{svg}");
        assert!(svg.contains("class=\"node operations waiting\" id=\"node:F/f2\""), "{svg}");
    }
}
