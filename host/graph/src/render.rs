//! Draws a flow in one of the formats.

use crate::format::Format;
use crate::{dot, json, mermaid, svg, view};
use faas_flow_core::run::{NodeProgress, Progress};
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
/// running, running before ready, and so on. A failure that was caught is marked with the class `caught`. Each node leads where
/// `link` says of the most urgent one that it stands for.
pub fn render_progress<'a>(
    definition: &Definition,
    name: &str,
    nodes: impl IntoIterator<Item = &'a NodeProgress>,
    link: impl Fn(&NodePath) -> String,
) -> String {
    let mut urgent: HashMap<String, (Progress, bool, &NodePath)> = HashMap::new();
    let mut drawn = view::Drawn::new(definition);
    for NodeProgress { path, progress, is_caught } in nodes {
        let (shown, is_marked, of) = urgent.entry(drawn.path(path)).or_insert((*progress, *is_caught, path));
        if urgency(*progress) > urgency(*shown) {
            (*shown, *of) = (*progress, path);
        }
        *is_marked |= is_caught;
    }
    let added = |(path, (progress, is_caught, of)): (String, (Progress, bool, &NodePath))| {
        let class = [progress.as_str(), if is_caught { " caught" } else { "" }].concat();
        (path, svg::Added { class, link: link(of) })
    };
    let added = urgent.into_iter().map(added).collect();
    svg::render_with(&view::of(definition), definition, name, &added)
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
    use faas_flow_core::schedule::Schedule;

    #[test]
    fn schedules_lead_to_the_start_in_every_picture() {
        let schedule = |name: &str, time_zone: Option<&str>| Schedule {
            name: name.to_owned(),
            when: "@daily".to_owned(),
            time_zone: time_zone.map(str::to_owned),
            ..Schedule::default()
        };
        let schedules = vec![schedule("nightly", Some("Europe/Berlin")), schedule("poll", None)];
        let definition = Definition { schedules, ..samples::measured() };
        for format in [Format::Svg, Format::Mermaid, Format::Dot] {
            let picture = render(&definition, "measured", format);
            for title in ["nightly · @daily Europe/Berlin", "poll · @daily"] {
                assert!(picture.contains(title), "{title} in {picture}");
            }
        }
        let arrows = |definition: &Definition| render(definition, "measured", Format::Mermaid).matches("-.-> ").count();
        assert_eq!(arrows(&definition), arrows(&samples::measured()) + 2, "each leads to the start");
    }

    /// SLEEP-1, SIGNAL-1, LIMIT-1, SCHED-1, CATCH-1, CATCH-2, TOLERATE-1, TOLERATE-2, REPEAT-1.
    #[test]
    fn whatever_waits_forgives_and_repeats_is_in_every_picture() {
        let definition = samples::everything();
        let said = [
            "limit payments: 10 at a time, by key tenant",
            "charge, recover declined",
            "sleep 24 h",
            "wait for signal approval, recover nobody, timeout 48 h",
            "sleep until delivery",
            "if it fails, recover ask/recover",
            "2 items may fail",
            "gather results and failures items/gather",
            "again until/again",
            "at most 10 rounds",
            "30 s between rounds",
            "if anything fails · recover (recover)",
            "nightly · @daily",
        ];
        for (format, file) in [(Format::Svg, "svg"), (Format::Mermaid, "mermaid"), (Format::Dot, "dot")] {
            let picture = render(&definition, "everything", format);
            for text in said {
                assert!(picture.contains(text), "{text}: {picture}");
            }
            insta::assert_snapshot!(format!("everything.{file}"), picture);
        }
    }

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

    fn node(path: &str, progress: Progress, is_caught: bool) -> NodeProgress {
        NodeProgress { path: NodePath::parse(path).unwrap(), progress, is_caught }
    }

    /// CATCH-1.
    #[test]
    fn a_failure_that_was_caught_is_marked() {
        let nodes = [node("n1", Progress::Done, true), node("F", Progress::Done, false)];
        let svg = render_progress(&samples::catching(), "catching", &nodes, |_| String::new());
        assert!(svg.contains("class=\"node operations done caught\" id=\"node:n1\""), "{svg}");
        assert!(svg.contains("class=\"node for-each done\" id=\"node:F\""), "{svg}");
    }

    #[test]
    fn a_node_of_a_for_each_shows_the_most_urgent_progress_of_its_items() {
        let definition = samples::dynamic();
        let nodes = [
            node("F[a]/f1", Progress::Running, false),
            node("F[b]/f1", Progress::Failed, false),
            node("F[c]/f1", Progress::Done, false),
            node("F[a]/f2", Progress::Waiting, false),
        ];
        let svg = render_progress(&definition, "dynamic", &nodes, |path| format!("node?{path}"));
        assert!(svg.contains("class=\"node operations failed\" id=\"node:F/f1\""), "{svg}");
        assert!(svg.contains("<a href=\"node?F[b]/f1\">") && svg.contains("role=\"group\""), "{svg}");
        assert_eq!(svg.matches("<a ").count(), svg.matches("</a>").count());
        assert!(svg.contains("class=\"node operations waiting\" id=\"node:F/f2\""), "{svg}");
    }
}
