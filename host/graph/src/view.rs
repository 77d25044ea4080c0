//! What every picture shows, before any layout: one shape per node, with the dags inside it.

use faas_flow_core::definition::{
    Branch, Branches, Call, Carries, Dag, Definition, Edge, Limit, Node, NodeKind, Operation, Operations, Repeat,
    SignalSource, Tolerate, WaitFor,
};
use faas_flow_core::schedule::{MOST_SCHEDULES, Schedule};
use faas_flow_core::{MAX_DEPTH, NodePath, ShownDuration, redact};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

/// What a branch key does not encode in a path, as in the paths of a run.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-');

/// A dag to draw.
pub(crate) struct View {
    pub shapes: Vec<Shape>,
    pub arrows: Vec<Arrow>,
}

/// A node to draw.
pub(crate) struct Shape {
    /// Its path, as in a run but without the keys of a for-each and the rounds of a repeat: `C[c1]/F/n1`.
    pub path: String,
    pub title: String,
    pub kind: Kind,
    /// The operations in order.
    pub lines: Vec<String>,
    /// How the node is run: aggregators, retries, limits.
    pub notes: Vec<String>,
    pub frames: Vec<Frame>,
}

/// A dag inside a node.
pub(crate) struct Frame {
    /// Empty for a sub-dag, since its node has no other dag.
    pub title: String,
    pub path: String,
    pub view: View,
}

/// What a shape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Operations,
    SubDag,
    Condition,
    ForEach,
    Repeat,
    /// Joins several ends of a dag. It is not a node of the definition.
    End,
    /// Catches what fails in a dag. It is not a node of the definition either.
    Recover,
    /// Begins runs. It is no node either.
    Schedule,
}

impl Kind {
    /// Whether it is drawn as a pill with its title, since it is no node of the definition.
    pub fn is_pill(self) -> bool {
        matches!(self, Kind::End | Kind::Recover | Kind::Schedule)
    }

    pub fn word(self) -> &'static str {
        match self {
            Kind::Operations => "operations",
            Kind::SubDag => "sub-dag",
            Kind::Condition => "condition",
            Kind::ForEach => "for-each",
            Kind::Repeat => "repeat",
            Kind::End => "end",
            Kind::Recover => "recover",
            Kind::Schedule => "schedule",
        }
    }
}

/// An edge to draw, between the shapes of one view by their index.
pub(crate) struct Arrow {
    pub from: usize,
    pub to: usize,
    /// Whether the edge carries data; otherwise it only orders its nodes.
    pub carries: bool,
    pub label: Option<String>,
}

impl View {
    /// The shapes without an incoming arrow; all of them if every shape has one.
    pub fn starts(&self) -> Vec<&Shape> {
        self.without(|arrow, index| arrow.to == index)
    }

    /// The shapes without an outgoing arrow; all of them if every shape has one.
    pub fn ends(&self) -> Vec<&Shape> {
        self.without(|arrow, index| arrow.from == index)
    }

    fn without(&self, touches: impl Fn(&Arrow, usize) -> bool) -> Vec<&Shape> {
        let mut touched = vec![false; self.shapes.len()];
        for arrow in &self.arrows {
            for index in [arrow.from, arrow.to] {
                if touches(arrow, index)
                    && let Some(seen) = touched.get_mut(index)
                {
                    *seen = true;
                }
            }
        }
        let free: Vec<&Shape> = self.shapes.iter().zip(&touched).filter(|(_, seen)| !**seen).map(|(s, _)| s).collect();
        if free.is_empty() { self.shapes.iter().collect() } else { free }
    }
}

impl Shape {
    /// The title and the kind: `C · condition`. A node of operations shows its id alone.
    pub fn heading(&self) -> String {
        match self.kind {
            Kind::Operations | Kind::End | Kind::Recover | Kind::Schedule => self.title.clone(),
            kind => format!("{} · {}", self.title, kind.word()),
        }
    }
}

/// The view of the nodes of a flow.
pub(crate) fn of_nodes(definition: &Definition) -> View {
    view(&definition.dag, "", 0)
}

/// The view of a whole flow.
pub(crate) fn of(definition: &Definition) -> View {
    let mut view = of_nodes(definition);
    begin(&definition.schedules, &mut view);
    view
}

/// The path of the shape of a schedule.
pub(crate) fn schedule_path(name: &str) -> String {
    format!("(schedule {name})")
}

/// Adds the schedules, which lead to where runs begin.
fn begin(schedules: &[Schedule], view: &mut View) {
    let mut is_start: Vec<bool> = view.shapes.iter().map(|shape| !shape.kind.is_pill()).collect();
    for arrow in &view.arrows {
        if let Some(start) = is_start.get_mut(arrow.to) {
            *start = false;
        }
    }
    let starts: Vec<usize> = is_start.iter().enumerate().filter(|(_, start)| **start).map(|(at, _)| at).collect();
    for Schedule { name, when, time_zone, input, .. } in schedules.iter().take(MOST_SCHEDULES) {
        let from = view.shapes.len();
        let zone = time_zone.as_ref().map_or(String::new(), |zone| format!(" {zone}"));
        let (path, title) = (schedule_path(name), format!("{name} · {when}{zone}"));
        view.shapes.push(Shape { path, title, kind: Kind::Schedule, lines: vec![], notes: vec![], frames: vec![] });
        // Of an invalid definition, which has several starts, the first one is enough.
        let first = starts.first().map(|to| Arrow { from, to: *to, carries: input.is_some(), label: None });
        view.arrows.extend(first);
    }
}

/// Finds the shapes that stand for the nodes of runs.
pub(crate) struct Drawn<'a> {
    definition: &'a Definition,
    /// The insides of the dags that were looked at, by the prefix of their shapes' paths.
    insides: HashMap<String, Insides<'a>>,
}

/// The dags inside the nodes of a dag, by the node's id and, in a condition, the branch's key.
type Insides<'a> = HashMap<(&'a str, Option<&'a str>), &'a Dag>;

impl<'a> Drawn<'a> {
    pub(crate) fn new(definition: &'a Definition) -> Self {
        Self { definition, insides: HashMap::new() }
    }

    /// The path of the shape that stands for a run's node.
    pub(crate) fn path(&mut self, path: &NodePath) -> String {
        let mut dag = Some(&self.definition.dag);
        let mut drawn = String::new();
        for step in path.scope.steps() {
            let insides = dag.map(|dag| &*self.insides.entry(drawn.clone()).or_insert_with(|| insides(dag)));
            let of = |key| insides.and_then(|insides| insides.get(&(step.node.as_str(), key)));
            drawn.push_str(step.node.as_str());
            dag = of(None).copied();
            if let Some(key) = step.key.as_ref().filter(|_| dag.is_none()) {
                dag = of(Some(key.as_str())).copied();
                if dag.is_some() {
                    let _ = write!(drawn, "[{}]", encoded(key.as_str()));
                }
            }
            drawn.push('/');
        }
        drawn + path.node.as_str()
    }
}

fn insides(dag: &Dag) -> Insides<'_> {
    let mut insides = Insides::new();
    let mut seen = HashSet::new();
    for node in dag.nodes.iter().filter(|node| seen.insert(node.id.as_str())) {
        let id = node.id.as_str();
        match &node.kind {
            NodeKind::Operations(_) => {}
            NodeKind::SubDag(dag) => {
                insides.insert((id, None), dag);
            }
            NodeKind::Condition(branches) => {
                for branch in &branches.dags {
                    insides.entry((id, Some(&branch.key))).or_insert(&branch.dag);
                }
            }
            NodeKind::Repeat(repeat) => {
                insides.insert((id, None), &repeat.dag);
            }
            NodeKind::ForEach(branches) => {
                insides.extend(branches.dags.first().map(|branch| ((id, None), &branch.dag)));
            }
        }
    }
    insides
}

fn view(dag: &Dag, prefix: &str, depth: usize) -> View {
    if depth >= MAX_DEPTH {
        return View { shapes: Vec::new(), arrows: Vec::new() };
    }
    let mut aggregators = HashMap::new();
    for inputs in &dag.aggregate_inputs {
        aggregators.entry(inputs.node.as_str()).or_insert(inputs.aggregator.as_str());
    }
    let aggregator = |node: &Node| aggregators.get(node.id.as_str()).copied();
    let recover = |node: &Node| dag.recover_nodes.iter().find(|one| one.node == node.id).map(|one| &*one.recover);
    let shape = |node: &Node| shape(node, aggregator(node), recover(node), prefix, depth);
    let mut shapes: Vec<Shape> = dag.nodes.iter().map(shape).collect();
    let mut index = HashMap::new();
    for (at, node) in dag.nodes.iter().enumerate() {
        index.entry(node.id.as_str()).or_insert(at);
    }
    let arrow = |edge: &Edge| {
        let (carries, label) = match &edge.carries {
            Carries::Output => (true, None),
            Carries::Nothing => (false, None),
            Carries::Forwarded(handler) => (true, Some(handler.clone())),
        };
        Some(Arrow { from: *index.get(edge.from.as_str())?, to: *index.get(edge.to.as_str())?, carries, label })
    };
    let mut arrows: Vec<Arrow> = dag.edges.iter().filter_map(arrow).filter(|arrow| arrow.from != arrow.to).collect();
    join_ends(dag, prefix, &mut shapes, &mut arrows);
    catch(dag, prefix, &mut shapes);
    View { shapes, arrows }
}

/// Joins several ends in a shape of its own, which says how they become the result.
fn join_ends(dag: &Dag, prefix: &str, shapes: &mut Vec<Shape>, arrows: &mut Vec<Arrow>) {
    let mut is_end = vec![true; shapes.len()];
    for arrow in arrows.iter() {
        if let Some(end) = is_end.get_mut(arrow.from) {
            *end = false;
        }
    }
    let ends: Vec<usize> = is_end.iter().enumerate().filter(|(_, end)| **end).map(|(at, _)| at).collect();
    if ends.len() < 2 {
        return;
    }
    let to = shapes.len();
    let carries = dag.aggregate_ends.is_some();
    let title = match &dag.aggregate_ends {
        Some(handler) => format!("end · {handler}"),
        None => "end · no result".into(),
    };
    let path = format!("{prefix}(end)");
    shapes.push(Shape { path, title, kind: Kind::End, lines: vec![], notes: vec![], frames: vec![] });
    arrows.extend(ends.into_iter().map(|from| Arrow { from, to, carries, label: None }));
}

/// Adds the shape of what catches the failures of a dag. No arrow leads to it: each node of the dag may be the one that fails.
fn catch(dag: &Dag, prefix: &str, shapes: &mut Vec<Shape>) {
    if let Some(handler) = &dag.recover {
        let (path, title) = (format!("{prefix}(recover)"), format!("if anything fails · recover {handler}"));
        shapes.push(Shape { path, title, kind: Kind::Recover, lines: vec![], notes: vec![], frames: vec![] });
    }
}

/// The shape of a node: `aggregator` merges its inputs, and `recover` catches its failure.
fn shape(node: &Node, aggregator: Option<&str>, recover: Option<&str>, prefix: &str, depth: usize) -> Shape {
    let path = format!("{prefix}{}", node.id);
    let inside = |title: &str, path: String, dag: &Dag| {
        let view = view(dag, &format!("{path}/"), depth + 1);
        Frame { title: title.to_owned(), path, view }
    };
    let mut notes: Vec<String> = Vec::new();
    notes.extend(aggregator.map(|aggregator| format!("merge {aggregator}")));
    let (kind, lines, frames) = match &node.kind {
        NodeKind::Operations(operations) => {
            limits(operations, &mut notes);
            (Kind::Operations, operations.list.iter().map(operation).collect(), vec![])
        }
        NodeKind::SubDag(dag) => (Kind::SubDag, vec![], vec![inside("", path.clone(), dag)]),
        NodeKind::Condition(branches) => {
            branch_notes("choose", branches, &mut notes);
            let one = |branch: &Branch| inside(&branch.key, format!("{path}[{}]", encoded(&branch.key)), &branch.dag);
            (Kind::Condition, vec![], branches.dags.iter().map(one).collect())
        }
        NodeKind::ForEach(branches) => {
            branch_notes("split", branches, &mut notes);
            let one = |branch: &Branch| inside("each item", path.clone(), &branch.dag);
            (Kind::ForEach, vec![], branches.dags.iter().map(one).collect())
        }
        NodeKind::Repeat(repeat) => {
            round_notes(repeat, &mut notes);
            (Kind::Repeat, vec![], vec![inside("each round", path.clone(), &repeat.dag)])
        }
    };
    notes.extend(recover.map(|handler| format!("if it fails, recover {handler}")));
    Shape { path, title: node.id.clone(), kind, lines, notes, frames }
}

fn branch_notes(verb: &str, branches: &Branches, notes: &mut Vec<String>) {
    notes.push(format!("{verb} {}", branches.handler));
    if let Some(handler) = &branches.aggregator {
        notes.push(format!("merge results {handler}"));
    }
    if let Some(count) = branches.max_parallel {
        notes.push(format!("at most {count} at a time"));
    }
    match branches.tolerate {
        Some(Tolerate::Items(1)) => notes.push("1 item may fail".into()),
        Some(Tolerate::Items(items)) => notes.push(format!("{items} items may fail")),
        Some(Tolerate::Share(share)) => {
            notes.push(format!("{} % of the items may fail", f64::from((share * 1e4).round()) / 100.0))
        }
        None => {}
    }
    if let Some(handler) = &branches.gather {
        notes.push(format!("gather results and failures {handler}"));
    }
    if branches.carries_nothing {
        notes.push("carries nothing".into());
    }
}

fn round_notes(repeat: &Repeat, notes: &mut Vec<String>) {
    notes.push(format!("again {}", repeat.handler));
    notes.push(format!("at most {} rounds", repeat.most));
    if repeat.wait_ms > 0 {
        notes.push(format!("{} between rounds", duration(repeat.wait_ms)));
    }
}

fn limits(operations: &Operations, notes: &mut Vec<String>) {
    if let Some(retry) = &operations.retry {
        notes.push(format!("{} tries", retry.attempts));
    }
    if let Some(ms) = operations.timeout_ms {
        notes.push(format!("timeout {}", duration(ms)));
    }
    notes.extend(operations.limit.as_ref().map(limit));
}

/// `limit payments: 10 at a time, 5 per second, by key n/0/limit-key`
fn limit(limit: &Limit) -> String {
    let key = limit.key.as_ref().map_or(String::new(), |key| format!(", by key {key}"));
    format!("limit {}: {}{key}", limit.name, limit.figures)
}

pub(crate) fn operation(operation: &Operation) -> String {
    match operation {
        Operation::Apply(call) => described(call, None),
        Operation::Request(call) => described(call, Some("POST")),
        Operation::Modify(handler) => format!("modify {handler}"),
        Operation::Sleep(ms) => format!("sleep {}", duration(*ms)),
        Operation::SleepUntil(handler) => format!("sleep until {handler}"),
        Operation::WaitFor(wait) => awaited(wait),
    }
}

fn awaited(WaitFor { signal, timeout_ms, recover_from }: &WaitFor) -> String {
    let mut text = match signal {
        SignalSource::Named(name) => format!("wait for signal {name}"),
        SignalSource::Handler(handler) => format!("wait for the signal of {handler}"),
    };
    if let Some(recover) = recover_from {
        let _ = write!(text, ", recover {recover}");
    }
    if let Some(ms) = timeout_ms {
        let _ = write!(text, ", timeout {}", duration(*ms));
    }
    text
}

fn described(call: &Call, default_method: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(method) = call.method.as_deref().or(default_method) {
        text.push_str(method);
        text.push(' ');
    }
    text.push_str(&redact::url(&call.target));
    if call.asynchronous {
        text.push_str(", asynchronous");
    }
    if let Some(recover) = call.recover_from.as_ref().filter(|_| call.recover.is_none()) {
        let _ = write!(text, ", recover {recover}");
    }
    if let Some(retry) = &call.retry {
        let _ = write!(text, ", {} tries", retry.attempts);
    }
    if let Some(ms) = call.timeout_ms {
        let _ = write!(text, ", timeout {}", duration(ms));
    }
    if let Some(of_call) = &call.limit {
        let _ = write!(text, ", {}", limit(of_call));
    }
    text
}

pub(crate) const fn duration(ms: u64) -> ShownDuration {
    ShownDuration(Duration::from_millis(ms))
}

/// A branch key in the form that it has in a path.
pub(crate) fn encoded(key: &str) -> PercentEncode<'_> {
    utf8_percent_encode(key, KEY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn several_ends_meet_in_a_virtual_end() {
        let view = of(&samples::parallel_ends(None));
        assert_eq!(view.shapes.last().unwrap().title, "end · no result");
        assert!(view.arrows.iter().filter(|arrow| arrow.to == view.shapes.len() - 1).all(|arrow| !arrow.carries));
        let view = of(&samples::parallel_ends(Some("ends")));
        assert_eq!(view.shapes.last().unwrap().title, "end · ends");
        assert!(view.arrows.iter().all(|arrow| arrow.carries));
        assert!(of(&samples::single()).shapes.iter().all(|shape| shape.kind != Kind::End));
    }

    #[test]
    fn a_sleep_is_drawn_with_its_time_or_its_handler() {
        assert_eq!(operation(&Operation::Sleep(36 * 3600 * 1000)), "sleep 36 h");
        assert_eq!(operation(&Operation::SleepUntil("n/0".to_owned())), "sleep until n/0");
    }

    /// LIMIT-1.
    #[test]
    fn a_limit_is_drawn_on_its_call_or_its_node() {
        let figures = faas_flow_core::limit::Figures { concurrent: Some(10), per_second: Some(2.5) };
        let limit = Limit { name: "payments".to_owned(), figures, key: Some("n/0/limit-key".to_owned()) };
        let call = Call { target: "pay".to_owned(), limit: Some(limit.clone()), ..Call::default() };
        let drawn = "limit payments: 10 at a time, 2.5 per second, by key n/0/limit-key";
        assert_eq!(operation(&Operation::Apply(call)), format!("pay, {drawn}"));
        let (mut notes, operations) = (Vec::new(), Operations { limit: Some(limit), ..Operations::default() });
        limits(&operations, &mut notes);
        assert_eq!(notes, [drawn]);
    }

    #[test]
    fn a_wait_for_a_signal_is_drawn_with_its_name_its_timeout_and_its_handlers() {
        let named = WaitFor { signal: SignalSource::Named("paid".into()), timeout_ms: None, recover_from: None };
        assert_eq!(operation(&Operation::WaitFor(named)), "wait for signal paid");
        let (signal, recover_from) = (SignalSource::Handler("n/0".into()), Some("n/0/recover-from".into()));
        let chosen = WaitFor { signal, timeout_ms: Some(90_000), recover_from };
        let drawn = "wait for the signal of n/0, recover n/0/recover-from, timeout 1 min 30 s";
        assert_eq!(operation(&Operation::WaitFor(chosen)), drawn);
    }

    #[test]
    fn keys_are_percent_encoded_in_paths() {
        assert_eq!(encoded("a/b]é").to_string(), "a%2Fb%5D%C3%A9");
    }
}
