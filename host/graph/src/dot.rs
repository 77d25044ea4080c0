//! Graphviz. A node with dags inside is a cluster with two points of its own, where edges come in and go out.

use crate::view::{Arrow, Kind, Shape, View};
use faas_flow_core::text::is_control;

const STYLE: &str = "    graph [compound=true, fontname=\"sans-serif\", fontsize=12, style=rounded, color=\"#8895a7\"];
    node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef4ff\", color=\"#3b6fd4\", fontname=\"sans-serif\", fontsize=12];
    edge [color=\"#5b6675\", fontname=\"sans-serif\", fontsize=10];
";

pub(crate) fn render(view: &View, name: &str) -> String {
    let mut out = format!("digraph {} {{\n{STYLE}", quoted(name));
    draw(&mut out, view, 1);
    out.push_str("}\n");
    out
}

fn draw(out: &mut String, view: &View, depth: usize) {
    for shape in &view.shapes {
        if shape.frames.is_empty() {
            let form = match shape.kind {
                Kind::End => ", shape=oval, fillcolor=\"#f2f4f7\", color=\"#5b6675\"",
                Kind::Schedule => ", shape=oval, fillcolor=\"#f2f8fb\", color=\"#2a7a9b\"",
                Kind::Recover => ", shape=oval, fillcolor=\"#fdf4f4\", color=\"#a83e3e\"",
                _ => "",
            };
            line(out, depth, &format!("{} [label={}{form}];", quoted(&shape.path), label(shape)));
        } else {
            cluster(out, shape, depth);
        }
    }
    for arrow in &view.arrows {
        if let (Some(from), Some(to)) = (view.shapes.get(arrow.from), view.shapes.get(arrow.to)) {
            edge(out, depth, &leaving(from), &to.path, attributes(arrow));
        }
    }
}

fn cluster(out: &mut String, shape: &Shape, depth: usize) {
    line(out, depth, &format!("subgraph {} {{", quoted(&format!("cluster {}", shape.path))));
    line(out, depth + 1, &format!("label={};", quoted(&shape.heading())));
    let form = if shape.kind == Kind::Condition { "diamond" } else { "oval" };
    let notes = quoted(&shape.notes.join("\n"));
    let entry = format!("{} [shape={form}, label={notes}, style=filled];", quoted(&shape.path));
    line(out, depth + 1, &entry);
    line(out, depth + 1, &format!("{} [shape=point, label=\"\"];", quoted(&leaving(shape))));
    for (at, frame) in shape.frames.iter().enumerate() {
        let framed = !frame.title.is_empty();
        if framed {
            line(out, depth + 1, &format!("subgraph {} {{", quoted(&format!("cluster {} {at}", frame.path))));
            line(out, depth + 2, &format!("label={}; style=\"rounded,dashed\";", quoted(&frame.title)));
        }
        draw(out, &frame.view, depth + 1 + usize::from(framed));
        if framed {
            line(out, depth + 1, "}");
        }
        for start in frame.view.starts() {
            edge(out, depth + 1, &shape.path, &start.path, String::new());
        }
        for end in frame.view.ends() {
            edge(out, depth + 1, &leaving(end), &leaving(shape), String::new());
        }
    }
    line(out, depth, "}");
}

/// Where the edges from a shape begin.
fn leaving(shape: &Shape) -> String {
    if shape.frames.is_empty() { shape.path.clone() } else { format!("{}/(out)", shape.path) }
}

fn attributes(arrow: &Arrow) -> String {
    let mut parts = Vec::new();
    if !arrow.carries {
        parts.push("style=dashed".to_owned());
    }
    if let Some(handler) = &arrow.label {
        parts.push(format!("label={}", quoted(handler)));
    }
    if parts.is_empty() { String::new() } else { format!(" [{}]", parts.join(", ")) }
}

fn edge(out: &mut String, depth: usize, from: &str, to: &str, attributes: String) {
    line(out, depth, &format!("{} -> {}{attributes};", quoted(from), quoted(to)));
}

fn label(shape: &Shape) -> String {
    let title = shape.heading();
    let parts: Vec<&str> = [&title].into_iter().chain(&shape.lines).chain(&shape.notes).map(String::as_str).collect();
    quoted(&parts.join("\n"))
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.push_str(&"    ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}

/// A quoted string of DOT: a backslash would begin an escape of its own.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Entities are read inside strings.
            '&' => out.push_str("&amp;"),
            character if is_control(character) => out.push(' '),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples, view};

    #[test]
    fn strings_cannot_break_out() {
        assert_eq!(quoted("a\"b\\N\n<c> & é"), "\"a\\\"b\\\\N\\n<c> &amp; é\"");
    }

    #[test]
    fn edges_show_what_they_carry_and_dags_nest() {
        let dot = render(&view::of(&samples::measured()), "measured");
        assert!(dot.contains("\"C/(out)\" -> \"n2\" [style=dashed];"), "{dot}");
        assert!(dot.contains("subgraph \"cluster C[c1] 0\""), "{dot}");
        assert_eq!(dot.matches('{').count(), dot.matches('}').count());
        let dot = render(&view::of(&samples::awkward()), "awkward");
        assert!(dot.contains("[label=\"say \\\"hi\\\" [<ü>]\"]"), "{dot}");
    }
}
