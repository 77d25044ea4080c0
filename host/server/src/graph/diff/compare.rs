//! The comparison: dags side by side, nodes by their ids, properties by their JSON form.

use super::super::{DEEPEST, view::encoded};
use super::{Change, Detail, Difference, EdgeChange, HandlerChange, NodeChange};
use faas_flow_core::Definition;
use faas_flow_core::definition::{Branches, Carries, Dag, Node, NodeKind};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub(super) fn definitions(old: &Definition, new: &Definition) -> Difference {
    let mut difference = Difference::default();
    properties(Some(&flow(old)), Some(&flow(new)), "", &mut difference.flow);
    ends("ends", &old.dag, &new.dag, &mut difference.flow);
    dags(&old.dag, &new.dag, "", 0, &mut difference);
    let (was, is): (BTreeSet<&String>, BTreeSet<&String>) =
        (old.handlers.iter().collect(), new.handlers.iter().collect());
    let handler = |id: &&String| {
        let change = if is.contains(*id) { Change::Came } else { Change::Went };
        HandlerChange { id: (*id).clone(), change }
    };
    difference.handlers = was.symmetric_difference(&is).map(handler).collect();
    difference
}

/// The flow without its nodes and handlers.
fn flow(definition: &Definition) -> Value {
    let Definition { dag, handlers: _, on_failure, finally, deadline_ms, on_exhausted } = definition;
    json!({
        "on-failure": on_failure, "finally": finally, "deadline-ms": deadline_ms, "on-exhausted": on_exhausted,
        "aggregate-ends": dag.aggregate_ends,
    })
}

fn dags(old: &Dag, new: &Dag, prefix: &str, depth: usize, out: &mut Difference) {
    if depth > DEEPEST {
        return;
    }
    let (was, is) = (by_id(old), by_id(new));
    for (at, node) in old.nodes.iter().enumerate() {
        if was.get(node.id.as_str()) != Some(&at) {
            continue;
        }
        match is.get(node.id.as_str()).and_then(|at| new.nodes.get(*at)) {
            Some(now) => nodes((old, node), (new, now), prefix, depth, out),
            None => one(node, Change::Went, prefix, depth, out),
        }
    }
    for (at, node) in new.nodes.iter().enumerate() {
        if is.get(node.id.as_str()) == Some(&at) && !was.contains_key(node.id.as_str()) {
            one(node, Change::Came, prefix, depth, out);
            let next = survivors(node, new, &was).into_iter().map(|id| format!("{prefix}{id}")).collect();
            out.next.insert(format!("{prefix}{}", node.id), next);
        }
    }
    edges(old, new, prefix, out);
}

/// Where the first node with each id stands.
fn by_id(dag: &Dag) -> HashMap<&str, usize> {
    let mut index = HashMap::new();
    for (at, node) in dag.nodes.iter().enumerate() {
        index.entry(node.id.as_str()).or_insert(at);
    }
    index
}

/// The nodes of the old dag that are reached first from a new one.
fn survivors<'a>(from: &'a Node, new: &'a Dag, old: &HashMap<&str, usize>) -> Vec<&'a str> {
    let (mut found, mut seen, mut open) = (Vec::new(), HashSet::from([from.id.as_str()]), vec![from.id.as_str()]);
    while let Some(id) = open.pop() {
        for edge in new.edges.iter().filter(|edge| edge.from == id) {
            if seen.insert(edge.to.as_str()) {
                let place = if old.contains_key(edge.to.as_str()) { &mut found } else { &mut open };
                place.push(edge.to.as_str());
            }
        }
    }
    found
}

/// A node that only one version has, with all that is in it.
fn one(node: &Node, change: Change, prefix: &str, depth: usize, out: &mut Difference) {
    let path = format!("{prefix}{}", node.id);
    out.nodes.push(NodeChange { path: path.clone(), change, details: Vec::new() });
    let none = Dag::default();
    for (prefix, _, dag) in inside(node, &path) {
        match change {
            Change::Came => dags(&none, dag, &prefix, depth + 1, out),
            _ => dags(dag, &none, &prefix, depth + 1, out),
        }
    }
    if change != Change::Came && matches!(node.kind, NodeKind::ForEach(_)) {
        out.each.insert(path);
    }
}

/// A node that both versions have.
fn nodes(old: (&Dag, &Node), new: (&Dag, &Node), prefix: &str, depth: usize, out: &mut Difference) {
    let path = format!("{prefix}{}", old.1.id);
    let (was, is) = (inside(old.1, &path), inside(new.1, &path));
    let mut details = Vec::new();
    match (word(old.1), word(new.1)) {
        (was, is) if was != is => {
            details.push(Detail { property: "kind".into(), was: Some(was.into()), is: Some(is.into()) });
        }
        _ => properties(Some(&own(old.1)), Some(&own(new.1)), "", &mut details),
    }
    inputs(old, new, &mut details);
    let none = Dag::default();
    // Dags of different kinds have nothing to do with each other, even if they stand at one path.
    let same = word(old.1) == word(new.1);
    let find = |all: &[(String, String, &'_ Dag)], prefix: &str| all.iter().position(|(at, ..)| same && at == prefix);
    let mut nested = Vec::new();
    for (prefix, name, dag) in &was {
        let now = find(&is, prefix).and_then(|at| is.get(at));
        if let Some((_, _, now)) = now {
            ends(&format!("{name}/ends"), dag, now, &mut details);
        }
        nested.push((prefix, *dag, now.map_or(&none, |(_, _, dag)| *dag)));
    }
    nested.extend(is.iter().filter(|(at, ..)| find(&was, at).is_none()).map(|(at, _, dag)| (at, &none, *dag)));
    if !details.is_empty() {
        out.nodes.push(NodeChange { path: path.clone(), change: Change::Changed, details });
    }
    for (prefix, old, new) in nested {
        dags(old, new, prefix, depth + 1, out);
    }
    if matches!(old.1.kind, NodeKind::ForEach(_)) {
        out.each.insert(path);
    }
}

/// The dags inside a node: the prefix of their nodes' paths, their name among the properties, and they themselves.
fn inside<'a>(node: &'a Node, path: &str) -> Vec<(String, String, &'a Dag)> {
    let mut seen = HashSet::new();
    let all = match &node.kind {
        NodeKind::Operations(_) => Vec::new(),
        NodeKind::SubDag(dag) => vec![(format!("{path}/"), "sub-dag".to_owned(), dag)],
        NodeKind::Condition(branches) => {
            let branch = branches.dags.iter();
            let branch = branch.map(|branch| {
                (format!("{path}[{}]/", encoded(&branch.key)), format!("condition/dags/{}", branch.key), &branch.dag)
            });
            branch.collect()
        }
        NodeKind::ForEach(branches) => {
            let branch = branches.dags.iter();
            branch.map(|branch| (format!("{path}/"), "for-each/dag".to_owned(), &branch.dag)).collect()
        }
    };
    all.into_iter().filter(|(prefix, ..)| seen.insert(prefix.clone())).collect()
}

fn word(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::Operations(_) => "operations",
        NodeKind::SubDag(_) => "sub-dag",
        NodeKind::Condition(_) => "condition",
        NodeKind::ForEach(_) => "for-each",
    }
}

/// What a node is without the dags inside it.
fn own(node: &Node) -> Value {
    let ends = |branches: &Branches| -> Map<String, Value> {
        let ends = |dag: &Dag| dag.aggregate_ends.clone().map_or(Value::Null, Value::from);
        branches
            .dags
            .iter()
            .map(|branch| (branch.key.clone(), json!({ "aggregate-ends": ends(&branch.dag) })))
            .collect()
    };
    let common = |branches: &Branches| {
        let Branches { handler, dags: _, aggregator, carries_nothing, max_parallel } = branches;
        json!({
            "handler": handler, "aggregator": aggregator, "carries-nothing": carries_nothing, "max-parallel": max_parallel,
        })
    };
    match &node.kind {
        NodeKind::Operations(operations) => json!({ "operations": operations }),
        NodeKind::SubDag(dag) => json!({ "sub-dag": { "aggregate-ends": dag.aggregate_ends } }),
        NodeKind::Condition(branches) => {
            let keys: Vec<&str> = branches.dags.iter().map(|branch| branch.key.as_str()).collect();
            json!({ "condition": common(branches), "keys": keys, "condition/dags": ends(branches) })
        }
        NodeKind::ForEach(branches) => json!({ "for-each": common(branches), "for-each/dag": ends(branches).get("") }),
    }
}

/// How the inputs of a node come together: the aggregator, and the order in which it sees them. Which they are is told by edges.
fn inputs(old: (&Dag, &Node), new: (&Dag, &Node), out: &mut Vec<Detail>) {
    let aggregator = |(dag, node): (&Dag, &Node)| {
        let aggregator = dag.aggregate_inputs.iter().find(|inputs| inputs.node == node.id);
        aggregator.map_or(Value::Null, |inputs| inputs.aggregator.clone().into())
    };
    properties(Some(&aggregator(old)), Some(&aggregator(new)), "aggregate-inputs", out);
    let predecessors = |(dag, node): (&Dag, &Node)| -> Vec<String> {
        dag.edges.iter().filter(|edge| edge.to == node.id).map(|edge| edge.from.clone()).collect()
    };
    let (was, is) = (predecessors(old), predecessors(new));
    if was != is && set(&was) == set(&is) {
        out.push(Detail { property: "inputs".into(), was: Some(was.into()), is: Some(is.into()) });
    }
}

fn set(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}

/// Which nodes are the ends of a dag; their order matters where an aggregator sees them.
fn ends(property: &str, old: &Dag, new: &Dag, out: &mut Vec<Detail>) {
    let ends = |dag: &Dag| -> Vec<String> {
        let leaves = |node: &&Node| dag.edges.iter().all(|edge| edge.from != node.id);
        dag.nodes.iter().filter(leaves).map(|node| node.id.clone()).collect()
    };
    let (was, is) = (ends(old), ends(new));
    let ordered = old.aggregate_ends.is_some() && new.aggregate_ends.is_some();
    if (ordered && was != is) || set(&was) != set(&is) {
        out.push(Detail { property: property.to_owned(), was: Some(was.into()), is: Some(is.into()) });
    }
}

fn edges(old: &Dag, new: &Dag, prefix: &str, out: &mut Difference) {
    let all = |dag: &Dag| {
        let mut edges: BTreeMap<(String, String), Carries> = BTreeMap::new();
        for edge in &dag.edges {
            edges.entry((edge.from.clone(), edge.to.clone())).or_insert_with(|| edge.carries.clone());
        }
        edges
    };
    let (was, is) = (all(old), all(new));
    let pairs: BTreeSet<&(String, String)> = was.keys().chain(is.keys()).collect();
    for pair in pairs {
        let (was, is) = (was.get(pair).cloned(), is.get(pair).cloned());
        let change = match (&was, &is) {
            (None, _) => Change::Came,
            (_, None) => Change::Went,
            (was, is) if was != is => Change::Changed,
            _ => continue,
        };
        let (from, to) = (format!("{prefix}{}", pair.0), format!("{prefix}{}", pair.1));
        out.edges.push(EdgeChange { from, to, change, was, is });
    }
}

/// Goes down two values at once, and notes where they part.
fn properties(was: Option<&Value>, is: Option<&Value>, at: &str, out: &mut Vec<Detail>) {
    let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let (was, is) = (present(was), present(is));
    if was == is {
        return;
    }
    let below = |name: &dyn std::fmt::Display| if at.is_empty() { name.to_string() } else { format!("{at}/{name}") };
    match (&was, &is) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                properties(a.get(name), b.get(name), &below(name), out);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if at.ends_with("/list") => list(a, b, &below, out),
        _ => out.push(Detail { property: at.to_owned(), was, is }),
    }
}

/// Operations: the longest row of them that both have stays; between its members, as many change, or some go and some come.
fn list(was: &[Value], is: &[Value], below: &dyn Fn(&dyn std::fmt::Display) -> String, out: &mut Vec<Detail>) {
    let (mut i, mut j) = (0, 0);
    for (a, b) in common(was, is).into_iter().chain([(was.len(), is.len())]) {
        let (went, came) = (was.get(i..a).unwrap_or_default(), is.get(j..b).unwrap_or_default());
        if went.len() == came.len() && i == j {
            for (at, (was, is)) in went.iter().zip(came).enumerate() {
                properties(Some(was), Some(is), &below(&(i + at)), out);
            }
        } else {
            let one = |at: usize, was, is| Detail { property: below(&at), was, is };
            out.extend(went.iter().enumerate().map(|(at, value)| one(i + at, Some(value.clone()), None)));
            out.extend(came.iter().enumerate().map(|(at, value)| one(j + at, None, Some(value.clone()))));
        }
        (i, j) = (a + 1, b + 1);
    }
}

/// The places of the longest common subsequence. Of several, the same one comes out from either side.
fn common(a: &[Value], b: &[Value]) -> Vec<(usize, usize)> {
    let mut lengths = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    let length = |lengths: &[Vec<usize>], i: usize, j: usize| lengths.get(i).and_then(|row| row.get(j)).copied();
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let longest = match x == y {
                true => length(&lengths, i + 1, j + 1).map(|length| length + 1),
                false => length(&lengths, i + 1, j).max(length(&lengths, i, j + 1)),
            };
            if let Some(place) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *place = longest.unwrap_or_default();
            }
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let order = length(&lengths, i + 1, j).cmp(&length(&lengths, i, j + 1));
        match order.then_with(|| y.to_string().cmp(&x.to_string())) {
            Ordering::Less => j += 1,
            _ => i += 1,
        }
    }
    pairs
}
