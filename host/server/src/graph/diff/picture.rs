//! Both graphs in one: the view of the new version, with what went of the old one in its place.

use super::text::described;
use super::{Change, Difference};
use crate::graph::layout;
use crate::graph::svg::{self, Mark, Marks};
use crate::graph::view::{self, Arrow, Kind, Shape, View};
use faas_flow_core::Definition;
use std::collections::HashMap;

/// Lines that say how one node changed; the rest is in the other formats.
const LINES: usize = 4;

pub(super) fn render(difference: &Difference, old: &Definition, new: &Definition, name: &str) -> String {
    let details: HashMap<&str, Vec<String>> = difference
        .nodes
        .iter()
        .map(|node| (node.path.as_str(), node.details.iter().map(described).collect()))
        .collect();
    let mut view = both(view::of(old), view::of(new));
    annotate(&mut view, &details);
    let mark = |change| match change {
        Change::Came => Mark::Came,
        Change::Went => Mark::Went,
        Change::Changed => Mark::Changed,
    };
    let nodes = difference.nodes.iter().map(|node| (node.path.clone(), mark(node.change))).collect();
    let edges = difference.edges.iter();
    let edges = edges.map(|edge| ((edge.from.clone(), edge.to.clone()), mark(edge.change))).collect();
    let flow = difference.flow.iter().map(|detail| (Mark::Changed, format!("flow: {}", described(detail))));
    let handlers = difference.handlers.iter();
    let handlers = handlers.map(|handler| (mark(handler.change), format!("handler {}", handler.id)));
    let lines = flow.chain(handlers).map(|(mark, line)| (mark, layout::shortened(&line))).collect();
    svg::render_marked(&view, new, name, &Marks { nodes, edges, lines })
}

/// Says in each node that changed how it did.
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

fn both(old: View, new: View) -> View {
    let mut arrows: Vec<(String, String, Arrow)> = Vec::new();
    // Where several ends meet is no node of the flow: only those of the new version do.
    let of_nodes = |arrow: &&Arrow| old.shapes.get(arrow.to).is_some_and(|shape| shape.kind != Kind::End);
    let all = new.arrows.iter().map(|arrow| (&new, arrow));
    for (view, arrow) in all.chain(old.arrows.iter().filter(of_nodes).map(|arrow| (&old, arrow))) {
        let path = |at: usize| view.shapes.get(at).map(|shape| shape.path.clone()).unwrap_or_default();
        let (from, to) = (path(arrow.from), path(arrow.to));
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
            // Several ends that are no more are not a node of the flow.
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
        let (from, to) = (*index.get(from.as_str())?, *index.get(to.as_str())?);
        Some(Arrow { from, to, ..arrow })
    };
    let arrows = arrows.into_iter().filter_map(place).collect();
    View { shapes, arrows }
}

/// Adds the dags of the old shape to the new one. Of another kind of node nothing is left.
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
