//! Mermaid. Ids are numbered, as Mermaid gives meaning to words such as `end`; labels carry the names.

use crate::view::{Shape, View};
use faas_flow_core::text::is_control;

pub(crate) fn render(view: &View, name: &str) -> String {
    let mut drawing = Drawing { out: format!("---\ntitle: {}\n---\nflowchart TD\n", yaml(name)), next: 0 };
    drawing.draw(view, 1);
    drawing.out
}

struct Drawing {
    out: String,
    next: usize,
}

impl Drawing {
    fn draw(&mut self, view: &View, depth: usize) {
        let ids: Vec<String> = view.shapes.iter().map(|shape| self.shape(shape, depth)).collect();
        if ids.is_empty() {
            let id = self.id();
            self.line(depth, &format!("{id}(\"no nodes\")"));
        }
        for arrow in &view.arrows {
            let (Some(from), Some(to)) = (ids.get(arrow.from), ids.get(arrow.to)) else { continue };
            let line = if arrow.carries { "-->" } else { "-.->" };
            let label = arrow.label.as_ref().map(|handler| format!("|\"{}\"|", escaped(handler))).unwrap_or_default();
            self.line(depth, &format!("{from} {line}{label} {to}"));
        }
    }

    fn shape(&mut self, shape: &Shape, depth: usize) -> String {
        let id = self.id();
        if shape.kind.is_pill() {
            self.line(depth, &format!("{id}([\"{}\"])", escaped(&shape.title)));
        } else if shape.frames.is_empty() {
            let heading = shape.heading();
            let parts = [&heading].into_iter().chain(&shape.lines).chain(&shape.notes);
            let label: Vec<String> = parts.map(|part| escaped(part)).collect();
            self.line(depth, &format!("{id}[\"{}\"]", label.join("<br/>")));
        } else {
            let heading = shape.heading();
            let label: Vec<String> = [&heading].into_iter().chain(&shape.notes).map(|part| escaped(part)).collect();
            self.line(depth, &format!("subgraph {id}[\"{}\"]", label.join(", ")));
            for frame in &shape.frames {
                if frame.title.is_empty() {
                    self.draw(&frame.view, depth + 1);
                } else {
                    let frame_id = self.id();
                    self.line(depth + 1, &format!("subgraph {frame_id}[\"{}\"]", escaped(&frame.title)));
                    self.draw(&frame.view, depth + 2);
                    self.line(depth + 1, "end");
                }
            }
            self.line(depth, "end");
        }
        id
    }

    fn id(&mut self) -> String {
        self.next += 1;
        format!("n{}", self.next)
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.out.push_str(&"    ".repeat(depth));
        self.out.push_str(text);
        self.out.push('\n');
    }
}

/// Text between double quotes: Mermaid writes entities with `#`, and reads HTML and Markdown in labels.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '#' | '`' | '*' | '_' | '\\' | ';' | '%' => {
                out.push_str(&format!("#{};", u32::from(character)));
            }
            character if is_control(character) => out.push(' '),
            character => out.push(character),
        }
    }
    out
}

/// A double-quoted YAML string: JSON's strings are YAML's.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples, view};

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(escaped("a\"b<br>#`c` & é;"), "a#quot;b#lt;br#gt;#35;#96;c#96; #amp; é#59;");
        assert_eq!(yaml("a\"b"), "\"a\\\"b\"");
    }

    #[test]
    fn edges_show_what_they_carry_and_dags_nest() {
        let text = render(&view::of(&samples::measured()), "measured");
        assert!(text.contains("-.->"), "{text}");
        assert!(text.contains("subgraph n2[\"C · condition, choose C/condition, merge results C/merge\"]"), "{text}");
        let opened = text.lines().filter(|line| line.trim_start().starts_with("subgraph")).count();
        assert_eq!(opened, text.lines().filter(|line| line.trim() == "end").count());
        let text = render(&view::of(&samples::catching()), "catching");
        for part in
            ["if it fails, recover n1/recover", "5 #37; of the items may fail", "if anything fails · recover (recover)"]
        {
            assert!(text.contains(part), "{text}");
        }
        let text = render(&view::of(&samples::awkward()), "awkward");
        assert!(text.contains("-->|\"f #lt;x#gt;\"|"), "{text}");
    }
}
