//! The comparison: dags in pairs, their nodes by id, the properties of nodes by their JSON form.

use super::difference::{Change, Detail, Difference, EdgeChange, HandlerChange, NodeChange};
use crate::view::encoded;
use faas_flow_core::definition::{Branches, Carries, Dag, Edge, Node, NodeKind, Repeat};
use faas_flow_core::{Definition, MAX_DEPTH, redact};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How many pairs of operations of one node are compared, to find those that both versions have.
const MOST_PAIRS: usize = 40_000;

impl Difference {
    /// Compares the definitions of two versions of a flow.
    pub fn between(old: &Definition, new: &Definition) -> Self {
        let mut difference = Difference::default();
        properties(Some(&flow(old)), Some(&flow(new)), "", &mut difference.flow);
        ends("ends", &old.dag, &new.dag, &mut difference.flow);
        dags(&old.dag, &new.dag, "", 0, &mut difference);
        let was: BTreeSet<&String> = old.handlers.iter().collect();
        let is: BTreeSet<&String> = new.handlers.iter().collect();
        let handler = |id: &&String| {
            let change = if is.contains(*id) { Change::Added } else { Change::Removed };
            HandlerChange { id: (*id).clone(), change }
        };
        difference.handlers = was.symmetric_difference(&is).map(handler).collect();
        difference
    }
}

/// The properties of the flow as a whole, as JSON.
fn flow(definition: &Definition) -> Value {
    let Definition { dag, handlers: _, on_failure, finally, deadline_ms, on_exhausted, schedules } = definition;
    let schedules: BTreeMap<&str, _> = schedules.iter().map(|schedule| (schedule.name.as_str(), schedule)).collect();
    let schedules = (!schedules.is_empty()).then_some(schedules);
    json!({
        "schedules": schedules,
        "on-failure": on_failure, "finally": finally, "deadline-ms": deadline_ms, "on-exhausted": on_exhausted,
        "aggregate-ends": dag.aggregate_ends,
    })
}

fn dags(old: &Dag, new: &Dag, prefix: &str, depth: usize, out: &mut Difference) {
    if depth >= MAX_DEPTH {
        return;
    }
    let was = Indexed::new(old);
    let is = Indexed::new(new);
    for node in was.nodes() {
        match is.node(&node.id) {
            Some(now) => nodes((&was, node), (&is, now), prefix, depth, out),
            None => one(node, Change::Removed, prefix, depth, out),
        }
    }
    for node in is.nodes().filter(|node| was.node(&node.id).is_none()) {
        one(node, Change::Added, prefix, depth, out);
    }
    let follows_added = |edge: &&Edge| {
        let is_added = was.node(&edge.from).is_none() && is.node(&edge.from).is_some();
        is_added && was.node(&edge.to).is_some()
    };
    out.next.extend(new.edges.iter().filter(follows_added).map(|edge| format!("{prefix}{}", edge.to)));
    edges(old, new, prefix, out);
}

/// A dag whose nodes are found by their ids.
struct Indexed<'a> {
    dag: &'a Dag,
    /// The index of the first node with each id.
    at: HashMap<&'a str, usize>,
    /// The first aggregator that is given for each node.
    aggregators: HashMap<&'a str, &'a str>,
    /// The predecessors of each node, in declared order.
    before: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Indexed<'a> {
    fn new(dag: &'a Dag) -> Self {
        let mut indexed = Self { dag, at: HashMap::new(), aggregators: HashMap::new(), before: HashMap::new() };
        for (at, node) in dag.nodes.iter().enumerate() {
            indexed.at.entry(&node.id).or_insert(at);
        }
        for inputs in &dag.aggregate_inputs {
            indexed.aggregators.entry(&inputs.node).or_insert(&inputs.aggregator);
        }
        for edge in &dag.edges {
            indexed.before.entry(&edge.to).or_default().push(&edge.from);
        }
        indexed
    }

    fn node(&self, id: &str) -> Option<&'a Node> {
        self.at.get(id).and_then(|at| self.dag.nodes.get(*at))
    }

    /// The first node with each id, in declared order.
    fn nodes(&self) -> impl Iterator<Item = &'a Node> {
        let nodes = self.dag.nodes.iter().enumerate();
        nodes.filter(|(at, node)| self.at.get(node.id.as_str()) == Some(at)).map(|(_, node)| node)
    }
}

/// Records a node that only one version has, and everything inside it.
fn one(node: &Node, change: Change, prefix: &str, depth: usize, out: &mut Difference) {
    let path = format!("{prefix}{}", node.id);
    out.nodes.push(NodeChange { path: path.clone(), change, details: Vec::new() });
    let none = Dag::default();
    for (prefix, _, dag) in inside(node, &path) {
        match change {
            Change::Added => dags(&none, dag, &prefix, depth + 1, out),
            _ => dags(dag, &none, &prefix, depth + 1, out),
        }
    }
    if change != Change::Added && matches!(node.kind, NodeKind::ForEach(_) | NodeKind::Repeat(_)) {
        out.each.insert(path);
    }
}

/// Compares a node that both versions have.
fn nodes(old: (&Indexed<'_>, &Node), new: (&Indexed<'_>, &Node), prefix: &str, depth: usize, out: &mut Difference) {
    let path = format!("{prefix}{}", old.1.id);
    let was = inside(old.1, &path);
    let is = inside(new.1, &path);
    let old_kind = word(old.1);
    let new_kind = word(new.1);
    let mut details = Vec::new();
    if old_kind == new_kind {
        properties(Some(&own(old.1)), Some(&own(new.1)), "", &mut details);
    } else {
        details.push(Detail { property: "kind".into(), was: Some(old_kind.into()), is: Some(new_kind.into()) });
    }
    inputs(old, new, &mut details);
    let none = Dag::default();
    // Dags in nodes of different kinds have nothing in common, even if their paths are equal.
    let comparable = if old_kind == new_kind { &is[..] } else { &[] };
    let of_new: HashMap<&str, &Dag> = comparable.iter().map(|(prefix, _, dag)| (prefix.as_str(), *dag)).collect();
    let mut nested = Vec::new();
    let mut in_both = HashSet::new();
    for (prefix, name, dag) in &was {
        let now = of_new.get(prefix.as_str()).copied();
        if let Some(now) = now {
            in_both.insert(prefix.as_str());
            ends(&format!("{name}/ends"), dag, now, &mut details);
        }
        nested.push((prefix, *dag, now.unwrap_or(&none)));
    }
    let only_new = is.iter().filter(|(prefix, ..)| !in_both.contains(prefix.as_str()));
    nested.extend(only_new.map(|(prefix, _, dag)| (prefix, &none, *dag)));
    if !details.is_empty() {
        out.nodes.push(NodeChange { path: path.clone(), change: Change::Changed, details });
    }
    for (prefix, old, new) in nested {
        dags(old, new, prefix, depth + 1, out);
    }
    if matches!(old.1.kind, NodeKind::ForEach(_) | NodeKind::Repeat(_)) {
        out.each.insert(path);
    }
}

/// The dags inside a node, each with the prefix of its nodes' paths and its name among the node's properties.
fn inside<'a>(node: &'a Node, path: &str) -> Vec<(String, String, &'a Dag)> {
    let mut seen = HashSet::new();
    let all = match &node.kind {
        NodeKind::Operations(_) => Vec::new(),
        NodeKind::SubDag(dag) => vec![(format!("{path}/"), "sub-dag".to_owned(), dag)],
        NodeKind::Repeat(repeat) => vec![(format!("{path}/"), "repeat/dag".to_owned(), &repeat.dag)],
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
        NodeKind::Repeat(_) => "repeat",
    }
}

/// A node's properties without the dags inside it, as JSON.
fn own(node: &Node) -> Value {
    let ends = |branches: &Branches| -> Map<String, Value> {
        let ends = |dag: &Dag| dag.aggregate_ends.clone().map_or(Value::Null, Value::from);
        branches
            .dags
            .iter()
            .map(|branch| {
                let Dag { recover, .. } = &branch.dag;
                (branch.key.clone(), json!({ "aggregate-ends": ends(&branch.dag), "recover": recover }))
            })
            .collect()
    };
    let common = |branches: &Branches| {
        let Branches { handler, dags: _, aggregator, carries_nothing, max_parallel, tolerate, gather } = branches;
        json!({
            "handler": handler, "aggregator": aggregator, "carries-nothing": carries_nothing, "max-parallel": max_parallel,
            "tolerate": tolerate, "gather": gather,
        })
    };
    match &node.kind {
        NodeKind::Operations(operations) => json!({ "operations": operations }),
        NodeKind::SubDag(dag) => json!({ "sub-dag": { "aggregate-ends": dag.aggregate_ends, "recover": dag.recover } }),
        NodeKind::Repeat(Repeat { handler, dag, most, wait_ms }) => json!({
            "repeat": { "handler": handler, "most": most, "wait-ms": wait_ms },
            "repeat/dag": { "aggregate-ends": dag.aggregate_ends, "recover": dag.recover },
        }),
        NodeKind::Condition(branches) => {
            let keys: Vec<&str> = branches.dags.iter().map(|branch| branch.key.as_str()).collect();
            json!({ "condition": common(branches), "keys": keys, "condition/dags": ends(branches) })
        }
        NodeKind::ForEach(branches) => json!({ "for-each": common(branches), "for-each/dag": ends(branches).get("") }),
    }
}

/// Compares how the inputs of a node are merged: by which aggregator, and in which order. Which inputs there are is a matter
/// of edges.
fn inputs(old: (&Indexed<'_>, &Node), new: (&Indexed<'_>, &Node), out: &mut Vec<Detail>) {
    let aggregator = |(dag, node): (&Indexed<'_>, &Node)| {
        dag.aggregators.get(node.id.as_str()).map_or(Value::Null, |aggregator| Value::from(*aggregator))
    };
    properties(Some(&aggregator(old)), Some(&aggregator(new)), "aggregate-inputs", out);
    let recover = |(dag, node): (&Indexed<'_>, &Node)| {
        let recover = dag.dag.recover_nodes.iter().find(|one| one.node == node.id);
        recover.map_or(Value::Null, |one| Value::from(one.recover.as_str()))
    };
    properties(Some(&recover(old)), Some(&recover(new)), "recover", out);
    let predecessors = |(dag, node): (&Indexed<'_>, &Node)| -> Vec<String> {
        let before = dag.before.get(node.id.as_str()).into_iter().flatten();
        before.map(|id| (*id).to_owned()).collect()
    };
    let was = predecessors(old);
    let is = predecessors(new);
    if was != is && set(&was) == set(&is) {
        out.push(Detail { property: "inputs".into(), was: Some(was.into()), is: Some(is.into()) });
    }
}

fn set(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}

/// Compares which nodes are the ends of a dag; their order matters if an aggregator merges them.
fn ends(property: &str, old: &Dag, new: &Dag, out: &mut Vec<Detail>) {
    let ends = |dag: &Dag| -> Vec<String> {
        let left: HashSet<&str> = dag.edges.iter().map(|edge| edge.from.as_str()).collect();
        dag.nodes.iter().filter(|node| !left.contains(node.id.as_str())).map(|node| node.id.clone()).collect()
    };
    let was = ends(old);
    let is = ends(new);
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
    let was = all(old);
    let is = all(new);
    let pairs: BTreeSet<&(String, String)> = was.keys().chain(is.keys()).collect();
    for pair in pairs {
        let was = was.get(pair).cloned();
        let is = is.get(pair).cloned();
        let change = match (&was, &is) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (was, is) if was != is => Change::Changed,
            _ => continue,
        };
        out.edges.push(EdgeChange {
            from: format!("{prefix}{}", pair.0),
            to: format!("{prefix}{}", pair.1),
            change,
            was,
            is,
        });
    }
}

/// Walks down two JSON values together and records the properties in which they differ.
fn properties(was: Option<&Value>, is: Option<&Value>, at: &str, out: &mut Vec<Detail>) {
    let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let was = present(was);
    let is = present(is);
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
        _ => out.push(detail(at.to_owned(), was, is)),
    }
}

/// A property that differs. What is secret in its values is compared, but not shown.
fn detail(property: String, was: Option<Value>, is: Option<Value>) -> Detail {
    let name = property.rsplit('/').next().unwrap_or_default();
    let shown = |value: Option<Value>| {
        value.map(|mut value| {
            hide(name, &mut value);
            value
        })
    };
    let (was, is) = (shown(was), shown(is));
    Detail { property, was, is }
}

/// Hides the secrets of calls in a value of this name.
fn hide(name: &str, value: &mut Value) {
    match (name, value) {
        ("target", Value::String(target)) => *target = redact::url(target),
        ("headers" | "query", Value::Array(pairs)) => {
            for value in pairs.iter_mut().filter_map(|pair| pair.get_mut(1)) {
                *value = redact::HIDDEN.into();
            }
        }
        (_, Value::Object(members)) => members.iter_mut().for_each(|(name, value)| hide(name, value)),
        (_, Value::Array(values)) => values.iter_mut().for_each(|value| hide("", value)),
        _ => {}
    }
}

/// Compares lists of operations by their longest common subsequence. Between its members, equally many operations at the
/// same index count as changed; otherwise they count as removed and added.
fn list(was: &[Value], is: &[Value], below: &dyn Fn(&dyn std::fmt::Display) -> String, out: &mut Vec<Detail>) {
    let mut i = 0;
    let mut j = 0;
    for (a, b) in common(was, is).into_iter().chain([(was.len(), is.len())]) {
        let removed = was.get(i..a).unwrap_or_default();
        let added = is.get(j..b).unwrap_or_default();
        if removed.len() == added.len() && i == j {
            for (at, (was, is)) in removed.iter().zip(added).enumerate() {
                properties(Some(was), Some(is), &below(&(i + at)), out);
            }
        } else {
            let one = |at: usize, was, is| detail(below(&at), was, is);
            out.extend(removed.iter().enumerate().map(|(at, value)| one(i + at, Some(value.clone()), None)));
            out.extend(added.iter().enumerate().map(|(at, value)| one(j + at, None, Some(value.clone()))));
        }
        i = a + 1;
        j = b + 1;
    }
}

/// The indices of the longest common subsequence in both lists. Among several of the same length, swapping the lists gives
/// the same one, so that the difference backwards is the mirror of the difference forwards.
///
/// In very long lists only what they begin and end with counts, since the time is proportional to the product of their lengths.
fn common(a: &[Value], b: &[Value]) -> Vec<(usize, usize)> {
    if a.len().saturating_mul(b.len()) > MOST_PAIRS {
        return common_at_ends(a, b);
    }
    let mut lengths = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    let length = |lengths: &[Vec<usize>], i: usize, j: usize| lengths.get(i).and_then(|row| row.get(j)).copied();
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let longest = if x == y {
                length(&lengths, i + 1, j + 1).map(|length| length + 1)
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(place) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *place = longest.unwrap_or_default();
            }
        }
    }
    let mut pairs = Vec::new();
    let mut i = 0;
    let mut j = 0;
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            pairs.push((i, j));
            i += 1;
            j += 1;
            continue;
        }
        let order = length(&lengths, i + 1, j).cmp(&length(&lengths, i, j + 1));
        if order.then_with(|| y.to_string().cmp(&x.to_string())).is_lt() {
            j += 1;
        } else {
            i += 1;
        }
    }
    pairs
}

/// The indices of what both lists begin with, and of what both end with.
fn common_at_ends(a: &[Value], b: &[Value]) -> Vec<(usize, usize)> {
    let first = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let rest = a.iter().skip(first).rev().zip(b.iter().skip(first).rev());
    let last = rest.take_while(|(x, y)| x == y).count();
    let pairs = (0..first).map(|at| (at, at));
    pairs.chain((0..last).rev().map(|back| (a.len() - 1 - back, b.len() - 1 - back))).collect()
}
