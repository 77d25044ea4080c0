//! The parts of a definition that `define` describes, until they are put together.

use super::limits::{Counts, Part, Text};
use crate::bindings::faas_flow::flow::builder;
use crate::error::GuestError;
use faas_flow_core::Definition;
use faas_flow_core::definition::{self as plain, Operation};
use std::collections::HashMap;
use wasmtime::Result;
use wasmtime::component::Resource;

/// How deep dags may be nested. The validator has the same limit; this one stops a flow that would nest dags forever.
const DEPTH: usize = 32;

/// Which of the limits are those of nodes, and which those of calls.
pub(super) const NODES: usize = 0;
pub(super) const CALLS: usize = 1;

/// The parts of a definition under construction. The first dag is the outermost one.
pub(crate) struct Arena {
    pub(super) counts: Counts,
    pub(super) root: Definition,
    pub(super) dags: Vec<Dag>,
    pub(super) nodes: Vec<Node>,
    pub(super) calls: Vec<plain::Call>,
    pub(super) branches: Vec<Branches>,
    pub(super) repeats: Vec<(plain::Repeat, usize)>,
    pub(super) waits: Vec<plain::WaitFor>,
    pub(super) limits: Vec<plain::Limit>,
    /// The limits of nodes and of calls, by the indices of these.
    limited: [HashMap<usize, usize>; 2],
}

/// A dag whose `shape` has everything but the nodes.
#[derive(Default)]
pub(super) struct Dag {
    pub(super) inside: Inside,
    pub(super) shape: plain::Dag,
    pub(super) nodes: Vec<(String, Kind)>,
}

/// Where a dag is.
#[derive(Default, Clone, Copy)]
pub(super) struct Inside {
    /// How deep it is nested.
    pub(super) depth: usize,
    /// The length of what comes before the ids of its nodes in their paths, in bytes.
    pub(super) path: usize,
}

impl Inside {
    /// Where the dag inside this node is.
    pub(super) fn node(self, id: &str) -> Self {
        Self { depth: self.depth + 1, path: self.path + id.len() + 1 }
    }

    /// Where the dag with this key is. Paths have a key between brackets and in percent-encoding.
    pub(super) fn key(self, key: &str) -> Self {
        Self { path: self.path + 3 * key.len() + 2, ..self }
    }
}

pub(super) enum Kind {
    Operations(usize),
    SubDag(usize),
    Condition(usize),
    ForEach(usize),
    Repeat(usize),
}

#[derive(Default)]
pub(super) struct Node {
    pub(super) shape: plain::Operations,
    pub(super) steps: Vec<Step>,
}

pub(super) enum Step {
    Apply(usize),
    Request(usize),
    Modify(String),
    Sleep(u64),
    SleepUntil(String),
    WaitFor(usize),
}

#[derive(Default)]
pub(super) struct Branches {
    /// Where its dags are, but for their keys.
    pub(super) inside: Inside,
    pub(super) shape: plain::Branches,
    pub(super) dags: Vec<(String, usize)>,
    /// The dag with the empty key.
    pub(super) each: Option<usize>,
}

type Counted = std::result::Result<(), GuestError>;

impl Arena {
    /// An arena for a definition of at most this many nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        let counts = Counts::new(nodes);
        Self {
            counts,
            root: Definition::default(),
            dags: vec![],
            nodes: vec![],
            calls: vec![],
            branches: vec![],
            repeats: vec![],
            waits: vec![],
            limits: vec![],
            limited: Default::default(),
        }
    }

    /// Counts a call that passes these texts.
    pub(super) fn count(&mut self, texts: &[(Text, &str)]) -> Counted {
        self.counts.call()?;
        texts.iter().try_for_each(|(kind, text)| self.counts.text(*kind, text))
    }

    pub(super) fn add_dag(&mut self, inside: Inside) -> std::result::Result<usize, GuestError> {
        if inside.depth > DEPTH {
            return Err(GuestError::NestedTooDeep { limit: DEPTH });
        }
        self.counts.part(Part::Dag)?;
        self.dags.push(Dag { inside, ..Dag::default() });
        Ok(self.dags.len() - 1)
    }

    pub(super) fn add_branches(&mut self, inside: Inside, handler: String) -> usize {
        let shape = plain::Branches { handler, ..plain::Branches::default() };
        self.branches.push(Branches { inside, shape, ..Branches::default() });
        self.branches.len() - 1
    }

    /// Counts an operation of a node and adds its call.
    pub(super) fn add_call(&mut self, target: String) -> std::result::Result<usize, GuestError> {
        self.counts.part(Part::Operation)?;
        self.calls.push(plain::Call { target, ..plain::Call::default() });
        Ok(self.calls.len() - 1)
    }

    /// Takes the definition and leaves the arena empty.
    pub(crate) fn take(&mut self) -> Definition {
        let mut definition = std::mem::take(&mut self.root);
        definition.dag = self.take_dag(0);
        self.dags.clear();
        self.nodes.clear();
        self.calls.clear();
        self.branches.clear();
        self.repeats.clear();
        self.waits.clear();
        self.limits.clear();
        self.limited = Default::default();
        definition
    }

    /// Recurses as deep as dags are nested, which `add_dag` limits.
    fn take_dag(&mut self, index: usize) -> plain::Dag {
        let Dag { mut shape, nodes, .. } = take(&mut self.dags, index);
        for (id, kind) in nodes {
            let kind = match kind {
                Kind::Operations(index) => plain::NodeKind::Operations(self.take_operations(index)),
                Kind::SubDag(index) => plain::NodeKind::SubDag(self.take_dag(index)),
                Kind::Condition(index) => plain::NodeKind::Condition(self.take_branches(index)),
                Kind::ForEach(index) => plain::NodeKind::ForEach(self.take_branches(index)),
                Kind::Repeat(index) => plain::NodeKind::Repeat(self.take_repeat(index)),
            };
            shape.nodes.push(plain::Node { id, kind });
        }
        shape
    }

    fn take_operations(&mut self, index: usize) -> plain::Operations {
        let Node { mut shape, steps } = take(&mut self.nodes, index);
        shape.limit = self.take_limit(NODES, index);
        for step in steps {
            shape.list.push(match step {
                Step::Apply(index) => Operation::Apply(self.take_call(index)),
                Step::Request(index) => Operation::Request(self.take_call(index)),
                Step::Modify(handler) => Operation::Modify(handler),
                Step::Sleep(ms) => Operation::Sleep(ms),
                Step::SleepUntil(handler) => Operation::SleepUntil(handler),
                Step::WaitFor(index) => Operation::WaitFor(self.take_wait(index)),
            });
        }
        shape
    }

    fn take_wait(&mut self, index: usize) -> plain::WaitFor {
        let nothing = || plain::WaitFor {
            signal: plain::SignalSource::Named(String::new()),
            timeout_ms: None,
            recover_from: None,
        };
        self.waits.get_mut(index).map_or_else(nothing, |wait| std::mem::replace(wait, nothing()))
    }

    fn take_call(&mut self, index: usize) -> plain::Call {
        let limit = self.take_limit(CALLS, index);
        plain::Call { limit, ..take(&mut self.calls, index) }
    }

    fn take_limit(&mut self, of: usize, index: usize) -> Option<plain::Limit> {
        let at = self.limited.get_mut(of)?.remove(&index)?;
        Some(take(&mut self.limits, at))
    }

    /// Adds the limit of a node or of a call, in place of an earlier one.
    pub(super) fn add_limit(&mut self, of: usize, index: usize, name: String) -> Result<Resource<builder::Limit>> {
        self.count(&[(Text::NodeId, &name)])?;
        let at = self.limits.len();
        self.limits.push(plain::Limit { name, ..plain::Limit::default() });
        self.limited.get_mut(of).and_then(|limited| limited.insert(index, at));
        Ok(handle(at))
    }

    fn take_repeat(&mut self, index: usize) -> plain::Repeat {
        let (shape, dag) = take(&mut self.repeats, index);
        plain::Repeat { dag: self.take_dag(dag), ..shape }
    }

    fn take_branches(&mut self, index: usize) -> plain::Branches {
        let Branches { mut shape, dags, .. } = take(&mut self.branches, index);
        for (key, index) in dags {
            let dag = self.take_dag(index);
            shape.dags.push(plain::Branch { key, dag });
        }
        shape
    }
}

fn take<T: Default>(parts: &mut [T], index: usize) -> T {
    parts.get_mut(index).map(std::mem::take).unwrap_or_default()
}

/// The part that a handle refers to.
pub(super) fn part<'a, T, H: 'static>(parts: &'a mut [T], handle: &Resource<H>) -> Result<&'a mut T> {
    parts.get_mut(handle.rep() as usize).ok_or_else(|| wasmtime::Error::msg("the handle belongs to another instance"))
}

pub(super) fn handle<H: 'static>(index: usize) -> Resource<H> {
    Resource::new_own(index as u32)
}
