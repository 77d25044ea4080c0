//! Both versions in one picture: the view of the new version, with removed nodes and edges where they were.

use super::difference::{Change, Difference};
use super::text::described;
use crate::layout;
use crate::svg::{self, Marks};
use crate::view::{self, Arrow, Kind, Shape, View};
use faas_flow_core::Definition;
use std::collections::{BTreeSet, HashMap, HashSet};

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
    let (was, is) = (view::of(old), view::of(new));
    let nodes = difference.nodes.iter().map(|node| (node.path.clone(), node.change));
    let nodes = nodes.chain(schedules(old, new)).collect();
    let edges = difference.edges.iter();
    let edges = edges.map(|edge| ((edge.from.clone(), edge.to.clone()), edge.change));
    let edges = edges.chain(begins(&was, &is)).collect();
    let mut view = both(was, is);
    annotate(&mut view, &details);
    let flow = difference
        .flow
        .iter()
        .filter(|detail| !is_whole_schedule(&detail.property))
        .map(|detail| (Change::Changed, format!("flow: {}", described(detail))));
    let handlers = difference.handlers.iter();
    let handlers = handlers.map(|handler| (handler.change, format!("handler {}", handler.id)));
    let lines = flow.chain(handlers).map(|(change, line)| (change, layout::shortened(&line))).collect();
    svg::render_marked(&view, new, name, &Marks { nodes, edges, lines })
}

/// Whether a property is a schedule that only one version has, or all schedules of the only version that has some. They are
/// drawn.
fn is_whole_schedule(property: &str) -> bool {
    property == "schedules" || property.strip_prefix("schedules/").is_some_and(|rest| !rest.contains('/'))
}

/// How schedules differ, by the paths of their shapes.
fn schedules(old: &Definition, new: &Definition) -> Vec<(String, Change)> {
    let named = |definition: &'_ Definition, name: &str| {
        definition.schedules.iter().find(|schedule| schedule.name == name).cloned()
    };
    let names: BTreeSet<&String> = old.schedules.iter().chain(&new.schedules).map(|schedule| &schedule.name).collect();
    let change = |name: &String| match (named(old, name), named(new, name)) {
        (None, _) => Some(Change::Added),
        (_, None) => Some(Change::Removed),
        (was, is) => (was != is).then_some(Change::Changed),
    };
    names.into_iter().filter_map(|name| Some((view::schedule_path(name), change(name)?))).collect()
}

/// The arrows from schedules that only one version has.
fn begins(old: &View, new: &View) -> Vec<((String, String), Change)> {
    let all = |view: &View| -> HashSet<(String, String)> {
        let path = |at: usize| view.shapes.get(at).map(|shape| shape.path.clone());
        let begins = view.arrows.iter();
        let begins = begins.filter(|arrow| view.shapes.get(arrow.from).is_some_and(|from| from.kind == Kind::Schedule));
        begins.filter_map(|arrow| Some((path(arrow.from)?, path(arrow.to)?))).collect()
    };
    let (was, is) = (all(old), all(new));
    let removed = was.difference(&is).map(|ends| (ends.clone(), Change::Removed));
    removed.chain(is.difference(&was).map(|ends| (ends.clone(), Change::Added))).collect()
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
    let mut drawn = HashSet::new();
    for (view, arrow) in all.chain(old.arrows.iter().filter(of_nodes).map(|arrow| (&old, arrow))) {
        let path = |at: usize| view.shapes.get(at).map(|shape| shape.path.clone()).unwrap_or_default();
        let from = path(arrow.from);
        let to = path(arrow.to);
        if drawn.insert((from.clone(), to.clone())) {
            let Arrow { carries, label, .. } = arrow;
            arrows.push((from, to, Arrow { from: 0, to: 0, carries: *carries, label: label.clone() }));
        }
    }
    let shapes = all_shapes(old.shapes, new.shapes);
    let index: HashMap<&str, usize> = shapes.iter().enumerate().map(|(at, shape)| (shape.path.as_str(), at)).collect();
    let place = |(from, to, arrow): (String, String, Arrow)| {
        Some(Arrow { from: *index.get(from.as_str())?, to: *index.get(to.as_str())?, ..arrow })
    };
    let arrows = arrows.into_iter().filter_map(place).collect();
    View { shapes, arrows }
}

/// The shapes of the new version, each of the old one behind the old one that came before it.
fn all_shapes(old: Vec<Shape>, mut new: Vec<Shape>) -> Vec<Shape> {
    let mut index = HashMap::new();
    for (at, shape) in new.iter().enumerate() {
        index.entry(shape.path.clone()).or_insert(at);
    }
    let mut before_all = Vec::new();
    let mut behind: Vec<Vec<Shape>> = new.iter().map(|_| Vec::new()).collect();
    let mut last = None;
    let mut removed = HashSet::new();
    for shape in old {
        if let Some(at) = index.get(&shape.path) {
            if let Some(now) = new.get_mut(*at) {
                merge(now, shape);
            }
            last = Some(*at);
        } else if shape.kind != Kind::End && removed.insert(shape.path.clone()) {
            let group = last.and_then(|last: usize| behind.get_mut(last)).unwrap_or(&mut before_all);
            group.push(shape);
        }
    }
    let mut shapes = before_all;
    for (shape, behind) in new.into_iter().zip(behind) {
        shapes.push(shape);
        shapes.extend(behind);
    }
    shapes
}

/// Adds the dags inside the old shape to the new one, unless the node is of another kind now.
fn merge(new: &mut Shape, old: Shape) {
    if new.kind != old.kind {
        return;
    }
    let mut index = HashMap::new();
    for (at, frame) in new.frames.iter().enumerate() {
        index.entry(frame.path.clone()).or_insert(at);
    }
    for frame in old.frames {
        match index.get(&frame.path).and_then(|at| new.frames.get_mut(*at)) {
            Some(now) => {
                let empty = View { shapes: Vec::new(), arrows: Vec::new() };
                now.view = both(frame.view, std::mem::replace(&mut now.view, empty));
            }
            None => new.frames.push(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(path: &str) -> Shape {
        let kind = if path.starts_with('(') { Kind::End } else { Kind::Operations };
        let (path, title) = (path.to_owned(), String::new());
        Shape { path, title, kind, lines: Vec::new(), notes: Vec::new(), frames: Vec::new() }
    }

    /// The order in which shapes are drawn if each removed one is inserted behind the one before it.
    fn inserted(old: &[String], new: &[String]) -> Vec<String> {
        let mut all = new.to_vec();
        let mut last = None;
        for path in old {
            last = match all.iter().position(|now| now == path) {
                Some(at) => Some(at),
                None if path.starts_with('(') => last,
                None => {
                    let place = last.map_or(0, |last| last + 1);
                    all.insert(place, path.clone());
                    Some(place)
                }
            };
        }
        all
    }

    /// Some nodes in some order, and perhaps the end behind them.
    fn paths() -> impl Strategy<Value = Vec<String>> {
        let nodes = proptest::sample::subsequence(vec!["a", "b", "c", "d", "e", "f", "g", "h"], 0..8).prop_shuffle();
        (nodes, any::<bool>())
            .prop_map(|(nodes, ends)| nodes.into_iter().chain(ends.then_some("(end)")).map(str::to_owned).collect())
    }

    proptest! {
        #[test]
        fn a_removed_node_is_drawn_behind_the_one_before_it(old in paths(), new in paths()) {
            let shapes = |paths: &[String]| paths.iter().map(|path| shape(path)).collect();
            let drawn = all_shapes(shapes(&old), shapes(&new));
            let drawn: Vec<String> = drawn.into_iter().map(|shape| shape.path).collect();
            prop_assert_eq!(drawn, inserted(&old, &new));
        }
    }
}
