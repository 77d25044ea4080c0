//! The places of a definition: its nodes, edges, branches, handlers and tries, as scenarios name and cover them.
//!
//! The place of a node is its path without the keys of items and rounds: `large[yes]/ask`, `items/ship`.

use crate::scenario::suggestion;
use faas_flow_core::definition::{
    Branches, Call, Carries, Dag, Limit, NodeKind, Operation, Operations, SignalSource, WaitFor,
};
use faas_flow_core::{Definition, NodePath, split_target};
use faas_flow_versions::Flow;
use std::collections::BTreeSet;

/// When a handler has been called, as the history of a run shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    /// With this operation of the node at this place.
    Operation(String, usize),
    /// When the node at this place began.
    Began(String),
    /// When the node at this place was done.
    Done(String),
    /// When this operation of the node at this place had failed for good.
    Recovered(String, usize),
    /// When no signal had come in time for the node at this place.
    Missed(String),
    /// When the node at this place had failed.
    Caught(String),
    /// With the data from one place to the other.
    Forwarded(String, String),
}

/// All places of a definition, in its order.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Each node: its place and its id.
    pub(crate) nodes: Vec<(String, String)>,
    /// Each edge, from one place to another.
    pub(crate) edges: Vec<(String, String)>,
    /// Each branch of a condition.
    pub(crate) branches: Vec<String>,
    /// Each handler.
    pub(crate) handlers: Vec<(String, Called)>,
    /// Each call, and each node, with a retry policy: its place, and the number of the operation of a call.
    pub(crate) tries: Vec<(String, Option<usize>)>,
    /// The places of conditions, whose branches have names.
    conditions: BTreeSet<String>,
    /// The functions and URLs that are called.
    functions: BTreeSet<String>,
    /// Whether runs may have other nodes, since the definition depends on the request.
    is_open: bool,
}

/// A place inside of another one.
fn inside(dag: &str, id: &str) -> String {
    if dag.is_empty() { id.to_owned() } else { format!("{dag}/{id}") }
}

impl Places {
    pub(crate) fn of(flow: &Flow) -> Self {
        let mut places = Self { is_open: flow.plan.is_none(), ..Self::default() };
        places.definition(&flow.definition);
        places
    }

    /// The place of a node of a run.
    pub(crate) fn place(&self, path: &NodePath) -> String {
        let mut place = String::new();
        for step in path.scope.steps() {
            place = inside(&place, step.node.as_str());
            if let Some(key) = step.key.filter(|_| self.conditions.contains(&place)) {
                place = format!("{place}[{key}]");
            }
        }
        inside(&place, path.node.as_str())
    }

    /// The functions and URLs that the flow calls.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &str> + Clone {
        self.functions.iter().map(String::as_str)
    }

    /// Whether the flow may call this function or URL.
    pub(crate) fn calls(&self, name: &str) -> bool {
        self.is_open || self.functions.contains(name)
    }

    /// What the author of a scenario calls a node: its place, its path in a run, or its id if no other node has that. The error
    /// says what to write instead.
    pub(crate) fn resolve(&self, name: &str) -> Result<String, String> {
        if self.nodes.iter().any(|(place, _)| place == name) || self.is_open {
            return Ok(name.to_owned());
        }
        let with_id: Vec<&str> =
            self.nodes.iter().filter(|(_, id)| id == name).map(|(place, _)| place.as_str()).collect();
        match &*with_id {
            [] => {}
            [only] => return Ok((*only).to_owned()),
            several => {
                let several = several.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(", ");
                return Err(format!("several nodes are called `{name}`: write one of {several}"));
            }
        }
        if let Ok(path) = NodePath::parse(name)
            && self.nodes.iter().any(|(place, _)| *place == self.place(&path))
        {
            return Ok(name.to_owned());
        }
        let known = self.nodes.iter().map(|(place, _)| place.as_str());
        Err(format!("the flow has no node `{name}`{}", suggestion(name, known)))
    }

    fn definition(&mut self, definition: &Definition) {
        self.dag("", &definition.dag);
        let hooks = [("(failure)", &definition.on_failure), ("(finally)", &definition.finally)];
        for (id, handler) in hooks {
            if let Some(handler) = handler {
                self.handlers.push((handler.clone(), Called::Began(id.to_owned())));
            }
        }
    }

    fn handler(&mut self, handler: Option<&String>, called: Called) {
        self.handlers.extend(handler.map(|handler| (handler.clone(), called)));
    }

    fn dag(&mut self, at: &str, dag: &Dag) {
        for node in &dag.nodes {
            let place = inside(at, &node.id);
            self.nodes.push((place.clone(), node.id.clone()));
            match &node.kind {
                NodeKind::Operations(operations) => self.operations(&place, operations),
                NodeKind::SubDag(dag) => self.dag(&place, dag),
                NodeKind::Condition(branches) => {
                    self.conditions.insert(place.clone());
                    self.branches(&place, branches);
                    for branch in &branches.dags {
                        let branch_place = format!("{place}[{}]", branch.key);
                        self.branches.push(branch_place.clone());
                        self.dag(&branch_place, &branch.dag);
                    }
                }
                NodeKind::ForEach(branches) => {
                    self.branches(&place, branches);
                    for branch in &branches.dags {
                        self.dag(&place, &branch.dag);
                    }
                }
                NodeKind::Repeat(repeat) => {
                    self.handler(Some(&repeat.handler), Called::Done(place.clone()));
                    self.dag(&place, &repeat.dag);
                }
            }
        }
        for edge in &dag.edges {
            let (from, to) = (inside(at, &edge.from), inside(at, &edge.to));
            if let Carries::Forwarded(handler) = &edge.carries {
                self.handler(Some(handler), Called::Forwarded(from.clone(), to.clone()));
            }
            self.edges.push((from, to));
        }
        for inputs in &dag.aggregate_inputs {
            self.handler(Some(&inputs.aggregator), Called::Began(inside(at, &inputs.node)));
        }
        self.handler(dag.aggregate_ends.as_ref(), Called::Began(inside(at, "(end)")));
        for node in &dag.recover_nodes {
            self.handler(Some(&node.recover), Called::Caught(inside(at, &node.node)));
        }
        self.handler(dag.recover.as_ref(), Called::Began(inside(at, "(recover)")));
    }

    fn branches(&mut self, place: &str, branches: &Branches) {
        self.handler(Some(&branches.handler), Called::Began(place.to_owned()));
        self.handler(branches.aggregator.as_ref(), Called::Done(place.to_owned()));
        self.handler(branches.gather.as_ref(), Called::Done(place.to_owned()));
    }

    fn operations(&mut self, place: &str, operations: &Operations) {
        if operations.retry.is_some() {
            self.tries.push((place.to_owned(), None));
        }
        self.limit(place, operations.limit.as_ref());
        for (index, operation) in operations.list.iter().enumerate() {
            let with = || Called::Operation(place.to_owned(), index);
            match operation {
                Operation::Modify(handler) | Operation::SleepUntil(handler) => self.handler(Some(handler), with()),
                Operation::Sleep(_) => {}
                Operation::WaitFor(WaitFor { signal, recover_from, .. }) => {
                    if let SignalSource::Handler(handler) = signal {
                        self.handler(Some(handler), with());
                    }
                    self.handler(recover_from.as_ref(), Called::Missed(place.to_owned()));
                }
                Operation::Apply(call) => {
                    self.functions.insert(split_target(&call.target).0.to_owned());
                    self.call((place, index), call);
                }
                Operation::Request(call) => {
                    self.functions.insert(call.target.clone());
                    self.call((place, index), call);
                }
            }
        }
    }

    fn call(&mut self, (place, index): (&str, usize), call: &Call) {
        if call.retry.is_some() {
            self.tries.push((place.to_owned(), Some(index)));
        }
        self.limit(place, call.limit.as_ref());
        self.handler(call.prepare.as_ref(), Called::Operation(place.to_owned(), index));
        self.handler(call.receive.as_ref(), Called::Operation(place.to_owned(), index));
        self.handler(call.recover.as_ref(), Called::Recovered(place.to_owned(), index));
        self.handler(call.recover_from.as_ref(), Called::Recovered(place.to_owned(), index));
    }

    fn limit(&mut self, place: &str, limit: Option<&Limit>) {
        self.handler(limit.and_then(|limit| limit.key.as_ref()), Called::Began(place.to_owned()));
    }
}
