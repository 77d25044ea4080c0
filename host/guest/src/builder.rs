//! The host's side of the WIT interface `builder`: the calls of `define` are recorded in an arena, which becomes a
//! [`Definition`].
//!
//! The handles that a flow holds are indices into the arena. A flow cannot forge them, since wasmtime checks them, and
//! cannot use them in another instance, since each has an arena of its own.

use crate::bindings::faas_flow::flow::builder::{self, Workflow};
use crate::error::GuestError;
use crate::state::State;
use faas_flow_core::Definition;
use faas_flow_core::definition::{self as plain, Operation};
use wasmtime::Result;
use wasmtime::component::Resource;

/// How deep dags may be nested. The validator has the same limit; this one stops a flow that would nest dags forever.
const DEPTH: usize = 32;
/// How many calls of `builder` one `define` may make.
const CALLS: usize = 50_000;
/// How many bytes of text those calls may pass altogether.
const BYTES: usize = 16 << 20;

/// The parts of a definition under construction. The first dag is the outermost one.
#[derive(Default)]
pub(crate) struct Arena {
    calls_made: usize,
    bytes: usize,
    root: Definition,
    dags: Vec<Dag>,
    nodes: Vec<Node>,
    calls: Vec<plain::Call>,
    branches: Vec<Branches>,
}

/// A dag whose `shape` has everything but the nodes.
#[derive(Default)]
struct Dag {
    depth: usize,
    shape: plain::Dag,
    nodes: Vec<(String, Kind)>,
}

enum Kind {
    Operations(usize),
    SubDag(usize),
    Condition(usize),
    ForEach(usize),
}

#[derive(Default)]
struct Node {
    shape: plain::Operations,
    steps: Vec<Step>,
}

enum Step {
    Apply(usize),
    Request(usize),
    Modify(String),
}

#[derive(Default)]
struct Branches {
    depth: usize,
    shape: plain::Branches,
    dags: Vec<(String, usize)>,
}

impl Arena {
    /// Counts a call that passes so many bytes of text.
    fn count(&mut self, bytes: usize) -> std::result::Result<(), GuestError> {
        self.calls_made += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.calls_made > CALLS || self.bytes > BYTES {
            return Err(GuestError::DefinitionTooLarge { calls: CALLS, bytes: BYTES });
        }
        Ok(())
    }

    fn add_dag(&mut self, depth: usize) -> std::result::Result<usize, GuestError> {
        if depth > DEPTH {
            return Err(GuestError::NestedTooDeep { limit: DEPTH });
        }
        self.dags.push(Dag { depth, ..Dag::default() });
        Ok(self.dags.len() - 1)
    }

    fn add_branches(&mut self, depth: usize, handler: String) -> usize {
        let shape = plain::Branches { handler, ..plain::Branches::default() };
        self.branches.push(Branches { depth, shape, dags: Vec::new() });
        self.branches.len() - 1
    }

    fn add_call(&mut self, target: String) -> usize {
        self.calls.push(plain::Call { target, ..plain::Call::default() });
        self.calls.len() - 1
    }

    /// Takes the definition and leaves the arena empty.
    pub(crate) fn take(&mut self) -> Definition {
        let mut definition = std::mem::take(&mut self.root);
        definition.dag = self.take_dag(0);
        *self = Self::default();
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
            };
            shape.nodes.push(plain::Node { id, kind });
        }
        shape
    }

    fn take_operations(&mut self, index: usize) -> plain::Operations {
        let Node { mut shape, steps } = take(&mut self.nodes, index);
        for step in steps {
            shape.list.push(match step {
                Step::Apply(index) => Operation::Apply(take(&mut self.calls, index)),
                Step::Request(index) => Operation::Request(take(&mut self.calls, index)),
                Step::Modify(handler) => Operation::Modify(handler),
            });
        }
        shape
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
fn part<'a, T, H: 'static>(parts: &'a mut [T], handle: &Resource<H>) -> Result<&'a mut T> {
    parts.get_mut(handle.rep() as usize).ok_or_else(|| wasmtime::Error::msg("the handle belongs to another instance"))
}

fn handle<H: 'static>(index: usize) -> Resource<H> {
    Resource::new_own(index as u32)
}

fn backoff(policy: builder::Backoff) -> plain::Backoff {
    let builder::Backoff { attempts, first_delay_ms, factor, max_delay_ms } = policy;
    plain::Backoff { attempts, first_delay_ms, factor, max_delay_ms }
}

impl builder::Host for State {}

impl builder::HostWorkflow for State {
    fn dag(&mut self, _flow: Resource<Workflow>) -> Result<Resource<builder::Dag>> {
        self.arena.count(0)?;
        if self.arena.dags.is_empty() {
            self.arena.add_dag(1)?;
        }
        Ok(handle(0))
    }

    fn handlers(&mut self, _flow: Resource<Workflow>, ids: Vec<String>) -> Result<()> {
        for id in &ids {
            self.arena.count(id.len())?;
        }
        self.arena.count(0)?;
        self.arena.root.handlers.extend(ids);
        Ok(())
    }

    fn on_failure(&mut self, _flow: Resource<Workflow>, recover: String) -> Result<()> {
        self.arena.count(recover.len())?;
        self.arena.root.on_failure = Some(recover);
        Ok(())
    }

    fn finally(&mut self, _flow: Resource<Workflow>, finally: String) -> Result<()> {
        self.arena.count(finally.len())?;
        self.arena.root.finally = Some(finally);
        Ok(())
    }

    fn deadline(&mut self, _flow: Resource<Workflow>, ms: u64) -> Result<()> {
        self.arena.count(0)?;
        self.arena.root.deadline_ms = Some(ms);
        Ok(())
    }

    fn on_exhausted(&mut self, _flow: Resource<Workflow>, then: builder::Exhausted) -> Result<()> {
        self.arena.count(0)?;
        self.arena.root.on_exhausted = match then {
            builder::Exhausted::Fail => plain::Exhausted::Fail,
            builder::Exhausted::Pause => plain::Exhausted::Pause,
        };
        Ok(())
    }

    fn drop(&mut self, _flow: Resource<Workflow>) -> Result<()> {
        Ok(())
    }
}

impl State {
    fn add_node(&mut self, dag: &Resource<builder::Dag>, id: String, kind: Kind) -> Result<()> {
        part(&mut self.arena.dags, dag)?.nodes.push((id, kind));
        Ok(())
    }
}

impl builder::HostDag for State {
    fn node(&mut self, dag: Resource<builder::Dag>, id: String) -> Result<Resource<builder::Node>> {
        self.arena.count(id.len())?;
        let index = self.arena.nodes.len();
        self.arena.nodes.push(Node::default());
        self.add_node(&dag, id, Kind::Operations(index))?;
        Ok(handle(index))
    }

    fn sub_dag(&mut self, dag: Resource<builder::Dag>, id: String) -> Result<Resource<builder::Dag>> {
        self.arena.count(id.len())?;
        let depth = part(&mut self.arena.dags, &dag)?.depth;
        let index = self.arena.add_dag(depth + 1)?;
        self.add_node(&dag, id, Kind::SubDag(index))?;
        Ok(handle(index))
    }

    fn condition(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        choose: String,
    ) -> Result<Resource<builder::Branches>> {
        self.arena.count(id.len() + choose.len())?;
        let depth = part(&mut self.arena.dags, &dag)?.depth;
        let index = self.arena.add_branches(depth, choose);
        self.add_node(&dag, id, Kind::Condition(index))?;
        Ok(handle(index))
    }

    fn for_each(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        split: String,
    ) -> Result<Resource<builder::Branches>> {
        self.arena.count(id.len() + split.len())?;
        let depth = part(&mut self.arena.dags, &dag)?.depth;
        let index = self.arena.add_branches(depth, split);
        self.add_node(&dag, id, Kind::ForEach(index))?;
        Ok(handle(index))
    }

    fn edge(&mut self, dag: Resource<builder::Dag>, from: String, to: String, carries: builder::Carries) -> Result<()> {
        self.arena.count(from.len() + to.len())?;
        let carries = match carries {
            builder::Carries::Output => plain::Carries::Output,
            builder::Carries::Nothing => plain::Carries::Nothing,
            builder::Carries::Forwarded(handler) => {
                self.arena.count(handler.len())?;
                plain::Carries::Forwarded(handler)
            }
        };
        part(&mut self.arena.dags, &dag)?.shape.edges.push(plain::Edge { from, to, carries });
        Ok(())
    }

    fn aggregate_inputs(&mut self, dag: Resource<builder::Dag>, node: String, aggregator: String) -> Result<()> {
        self.arena.count(node.len() + aggregator.len())?;
        let aggregate = plain::AggregateInputs { node, aggregator };
        part(&mut self.arena.dags, &dag)?.shape.aggregate_inputs.push(aggregate);
        Ok(())
    }

    fn aggregate_ends(&mut self, dag: Resource<builder::Dag>, aggregator: String) -> Result<()> {
        self.arena.count(aggregator.len())?;
        part(&mut self.arena.dags, &dag)?.shape.aggregate_ends = Some(aggregator);
        Ok(())
    }

    fn drop(&mut self, _dag: Resource<builder::Dag>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostNode for State {
    fn apply(&mut self, node: Resource<builder::Node>, function: String) -> Result<Resource<builder::Call>> {
        self.arena.count(function.len())?;
        let index = self.arena.add_call(function);
        part(&mut self.arena.nodes, &node)?.steps.push(Step::Apply(index));
        Ok(handle(index))
    }

    fn request(&mut self, node: Resource<builder::Node>, url: String) -> Result<Resource<builder::Call>> {
        self.arena.count(url.len())?;
        let index = self.arena.add_call(url);
        part(&mut self.arena.nodes, &node)?.steps.push(Step::Request(index));
        Ok(handle(index))
    }

    fn modify(&mut self, node: Resource<builder::Node>, modifier: String) -> Result<()> {
        self.arena.count(modifier.len())?;
        part(&mut self.arena.nodes, &node)?.steps.push(Step::Modify(modifier));
        Ok(())
    }

    fn retry(&mut self, node: Resource<builder::Node>, policy: builder::Backoff) -> Result<()> {
        self.arena.count(0)?;
        part(&mut self.arena.nodes, &node)?.shape.retry = Some(backoff(policy));
        Ok(())
    }

    fn timeout(&mut self, node: Resource<builder::Node>, ms: u64) -> Result<()> {
        self.arena.count(0)?;
        part(&mut self.arena.nodes, &node)?.shape.timeout_ms = Some(ms);
        Ok(())
    }

    fn drop(&mut self, _node: Resource<builder::Node>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostCall for State {
    fn method(&mut self, call: Resource<builder::Call>, name: String) -> Result<()> {
        self.arena.count(name.len())?;
        part(&mut self.arena.calls, &call)?.method = Some(name);
        Ok(())
    }

    fn header(&mut self, call: Resource<builder::Call>, name: String, value: String) -> Result<()> {
        self.arena.count(name.len() + value.len())?;
        part(&mut self.arena.calls, &call)?.headers.push((name, value));
        Ok(())
    }

    fn query(&mut self, call: Resource<builder::Call>, name: String, value: String) -> Result<()> {
        self.arena.count(name.len() + value.len())?;
        part(&mut self.arena.calls, &call)?.query.push((name, value));
        Ok(())
    }

    fn prepare(&mut self, call: Resource<builder::Call>, prepare: String) -> Result<()> {
        self.arena.count(prepare.len())?;
        part(&mut self.arena.calls, &call)?.prepare = Some(prepare);
        Ok(())
    }

    fn receive(&mut self, call: Resource<builder::Call>, receive: String) -> Result<()> {
        self.arena.count(receive.len())?;
        part(&mut self.arena.calls, &call)?.receive = Some(receive);
        Ok(())
    }

    fn recover(&mut self, call: Resource<builder::Call>, recover: String) -> Result<()> {
        self.arena.count(recover.len())?;
        part(&mut self.arena.calls, &call)?.recover = Some(recover);
        Ok(())
    }

    fn retry(&mut self, call: Resource<builder::Call>, policy: builder::Backoff) -> Result<()> {
        self.arena.count(0)?;
        part(&mut self.arena.calls, &call)?.retry = Some(backoff(policy));
        Ok(())
    }

    fn retry_on(&mut self, call: Resource<builder::Call>, statuses: Vec<u16>) -> Result<()> {
        self.arena.count(2 * statuses.len())?;
        part(&mut self.arena.calls, &call)?.retry_on = statuses;
        Ok(())
    }

    fn timeout(&mut self, call: Resource<builder::Call>, ms: u64) -> Result<()> {
        self.arena.count(0)?;
        part(&mut self.arena.calls, &call)?.timeout_ms = Some(ms);
        Ok(())
    }

    fn drop(&mut self, _call: Resource<builder::Call>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostBranches for State {
    fn branch(&mut self, branches: Resource<builder::Branches>, key: String) -> Result<Resource<builder::Dag>> {
        self.arena.count(key.len())?;
        let depth = part(&mut self.arena.branches, &branches)?.depth;
        let index = self.arena.add_dag(depth + 1)?;
        part(&mut self.arena.branches, &branches)?.dags.push((key, index));
        Ok(handle(index))
    }

    fn each(&mut self, branches: Resource<builder::Branches>) -> Result<Resource<builder::Dag>> {
        let Branches { depth, dags, .. } = part(&mut self.arena.branches, &branches)?;
        match dags.iter().find(|(key, _)| key.is_empty()) {
            Some((_, index)) => Ok(handle(*index)),
            None => {
                let depth = *depth;
                let index = self.arena.add_dag(depth + 1)?;
                part(&mut self.arena.branches, &branches)?.dags.push((String::new(), index));
                Ok(handle(index))
            }
        }
    }

    fn aggregate(&mut self, branches: Resource<builder::Branches>, aggregator: String) -> Result<()> {
        self.arena.count(aggregator.len())?;
        part(&mut self.arena.branches, &branches)?.shape.aggregator = Some(aggregator);
        Ok(())
    }

    fn carries_nothing(&mut self, branches: Resource<builder::Branches>) -> Result<()> {
        self.arena.count(0)?;
        part(&mut self.arena.branches, &branches)?.shape.carries_nothing = true;
        Ok(())
    }

    fn max_parallel(&mut self, branches: Resource<builder::Branches>, count: u32) -> Result<()> {
        self.arena.count(0)?;
        part(&mut self.arena.branches, &branches)?.shape.max_parallel = Some(count);
        Ok(())
    }

    fn drop(&mut self, _branches: Resource<builder::Branches>) -> Result<()> {
        Ok(())
    }
}
