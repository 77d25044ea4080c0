//! Both versions in one picture: the view of the new version, with removed nodes and edges where they were.

use super::difference::{Change, Difference};
use super::text::described;
use crate::layout;
use crate::svg::{self, Marks};
use crate::view::{self, Arrow, Kind, Shape, View};
use faas_flow_core::Definition;
use std::collections::HashMap;

/// Maximum number of changed properties shown in one node; the other formats have all of them.
const LINES: usize = 4;

impl Difference {
    /// Both versions in one SVG picture, with what was added, removed and changed marked by signs and colours.
    ///
    /// `old` and `new` are the definitions that were compared.
    pub fn svg(&self, old: &Definition, new: &Definition, name: &str) -> String {
        render(self, old, new, name)
    }
}

fn render(difference: &Difference, old: &Definition, new: &Definition, name: &str) -> String {
    let details: HashMap<&str, Vec<String>> = difference
        .nodes
        .iter()
        .map(|node| (node.path.as_str(), node.details.iter().map(described).collect()))
        .collect();
    let mut view = both(view::of(old), view::of(new));
    annotate(&mut view, &details);
    let nodes = difference.nodes.iter().map(|node| (node.path.clone(), node.change)).collect();
    let edges = difference.edges.iter();
    let edges = edges.map(|edge| ((edge.from.clone(), edge.to.clone()), edge.change)).collect();
    let flow = difference.flow.iter().map(|detail| (Change::Changed, format!("flow: {}", described(detail))));
    let handlers = difference.handlers.iter();
    let handlers = handlers.map(|handler| (handler.change, format!("handler {}", handler.id)));
    let lines = flow.chain(handlers).map(|(change, line)| (change, layout::shortened(&line))).collect();
    svg::render_marked(&view, new, name, &Marks { nodes, edges, lines })
}

/// Adds to each changed node notes of how it changed.
fn annotate(view: &mut View, details: &HashMap<&str, Vec<String>>) {
    for shape in &mut view.shapes {
        let lines = details.get(shape.path.as_str()).map_or(&[][..], Vec::as_slice);
        shape.notes.extend(
            lines.iter().take(LINES).map(|line| format!("~ {}", line.replace("operations/list/", "operation "))),
        );
        if lines.len() > LINES {
            shape.notes.push(format!("~ and {} more", lines.len() - LINES));
        }
        for frame in &mut shape.frames {
            annotate(&mut frame.view, details);
        }
    }
}

/// Merges the views of both versions.
fn both(old: View, new: View) -> View {
    let mut arrows: Vec<(String, String, Arrow)> = Vec::new();
    // The shape that joins several ends is not a node of the flow, so only that of the new version is drawn.
    let of_nodes = |arrow: &&Arrow| old.shapes.get(arrow.to).is_some_and(|shape| shape.kind != Kind::End);
    let all = new.arrows.iter().map(|arrow| (&new, arrow));
    for (view, arrow) in all.chain(old.arrows.iter().filter(of_nodes).map(|arrow| (&old, arrow))) {
        let path = |at: usize| view.shapes.get(at).map(|shape| shape.path.clone()).unwrap_or_default();
        let from = path(arrow.from);
        let to = path(arrow.to);
        if !arrows.iter().any(|(known, also, _)| *known == from && *also == to) {
            let Arrow { carries, label, .. } = arrow;
            arrows.push((from, to, Arrow { from: 0, to: 0, carries: *carries, label: label.clone() }));
        }
    }
    let mut shapes = new.shapes;
    let mut last = None;
    for shape in old.shapes {
        let at = shapes.iter().position(|now| now.path == shape.path);
        last = match at.and_then(|at| shapes.get_mut(at)) {
            Some(now) => {
                merge(now, shape);
                at
            }
            None if shape.kind == Kind::End => last,
            None => {
                let place = last.map_or(0, |last| last + 1);
                shapes.insert(place, shape);
                Some(place)
            }
        };
    }
    let index: HashMap<&str, usize> = shapes.iter().enumerate().map(|(at, shape)| (shape.path.as_str(), at)).collect();
    let place = |(from, to, arrow): (String, String, Arrow)| {
        Some(Arrow { from: *index.get(from.as_str())?, to: *index.get(to.as_str())?, ..arrow })
    };
    let arrows = arrows.into_iter().filter_map(place).collect();
    View { shapes, arrows }
}

/// Adds the dags inside the old shape to the new one, unless the node is of another kind now.
fn merge(new: &mut Shape, old: Shape) {
    if new.kind != old.kind {
        return;
    }
    for frame in old.frames {
        match new.frames.iter_mut().find(|now| now.path == frame.path) {
            Some(now) => {
                let empty = View { shapes: Vec::new(), arrows: Vec::new() };
                now.view = both(frame.view, std::mem::replace(&mut now.view, empty));
            }
            None => new.frames.push(frame),
        }
    }
}
