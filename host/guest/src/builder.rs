//! The host's side of the WIT interface `builder`: the calls of `define` are recorded in an arena, which becomes a
//! [`Definition`].
//!
//! The handles that a flow holds are indices into the arena. A flow cannot forge them, since wasmtime checks them, and
//! cannot use them in another instance, since each has an arena of its own.

use crate::bindings::faas_flow::flow::builder::{self, Workflow};
use crate::builder_limits::{self as limits, Counts, Part, Text};
use crate::error::GuestError;
use crate::state::State;
use faas_flow_core::Definition;
use faas_flow_core::definition::{self as plain, Operation};
use faas_flow_core::schedule::{Missed, Overlap, Schedule, ScheduleInput};
use std::collections::HashMap;
use wasmtime::Result;
use wasmtime::component::Resource;

/// How deep dags may be nested. The validator has the same limit; this one stops a flow that would nest dags forever.
const DEPTH: usize = 32;
/// Which of the limits are those of nodes, and which those of calls.
const NODES: usize = 0;
const CALLS: usize = 1;

/// The parts of a definition under construction. The first dag is the outermost one.
pub(crate) struct Arena {
    counts: Counts,
    root: Definition,
    dags: Vec<Dag>,
    nodes: Vec<Node>,
    calls: Vec<plain::Call>,
    branches: Vec<Branches>,
    repeats: Vec<(plain::Repeat, usize)>,
    waits: Vec<plain::WaitFor>,
    limits: Vec<plain::Limit>,
    /// The limits of nodes and of calls, by the indices of these.
    limited: [HashMap<usize, usize>; 2],
}

/// A dag whose `shape` has everything but the nodes.
#[derive(Default)]
struct Dag {
    inside: Inside,
    shape: plain::Dag,
    nodes: Vec<(String, Kind)>,
}

/// Where a dag is.
#[derive(Default, Clone, Copy)]
struct Inside {
    /// How deep it is nested.
    depth: usize,
    /// The length of what comes before the ids of its nodes in their paths, in bytes.
    path: usize,
}

impl Inside {
    /// Where the dag inside this node is.
    fn node(self, id: &str) -> Self {
        Self { depth: self.depth + 1, path: self.path + id.len() + 1 }
    }

    /// Where the dag with this key is. Paths have a key between brackets and in percent-encoding.
    fn key(self, key: &str) -> Self {
        Self { path: self.path + 3 * key.len() + 2, ..self }
    }
}

enum Kind {
    Operations(usize),
    SubDag(usize),
    Condition(usize),
    ForEach(usize),
    Repeat(usize),
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
    Sleep(u64),
    SleepUntil(String),
    WaitFor(usize),
}

#[derive(Default)]
struct Branches {
    /// Where its dags are, but for their keys.
    inside: Inside,
    shape: plain::Branches,
    dags: Vec<(String, usize)>,
    /// The dag with the empty key.
    each: Option<usize>,
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
    fn count(&mut self, texts: &[(Text, &str)]) -> Counted {
        self.counts.call()?;
        texts.iter().try_for_each(|(kind, text)| self.counts.text(*kind, text))
    }

    fn add_dag(&mut self, inside: Inside) -> std::result::Result<usize, GuestError> {
        if inside.depth > DEPTH {
            return Err(GuestError::NestedTooDeep { limit: DEPTH });
        }
        self.counts.part(Part::Dag)?;
        self.dags.push(Dag { inside, ..Dag::default() });
        Ok(self.dags.len() - 1)
    }

    fn add_branches(&mut self, inside: Inside, handler: String) -> usize {
        let shape = plain::Branches { handler, ..plain::Branches::default() };
        self.branches.push(Branches { inside, shape, ..Branches::default() });
        self.branches.len() - 1
    }

    /// Counts an operation of a node and adds its call.
    fn add_call(&mut self, target: String) -> std::result::Result<usize, GuestError> {
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
    fn add_limit(&mut self, of: usize, index: usize, name: String) -> Result<Resource<builder::Limit>> {
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
        self.arena.count(&[])?;
        if self.arena.dags.is_empty() {
            self.arena.add_dag(Inside { depth: 1, path: 0 })?;
        }
        Ok(handle(0))
    }

    fn handlers(&mut self, _flow: Resource<Workflow>, ids: Vec<String>) -> Result<()> {
        self.arena.count(&[])?;
        for id in &ids {
            self.arena.counts.part(Part::Handler)?;
            self.arena.counts.text(Text::HandlerId, id)?;
        }
        self.arena.root.handlers.extend(ids);
        Ok(())
    }

    fn on_failure(&mut self, _flow: Resource<Workflow>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        self.arena.root.on_failure = Some(recover);
        Ok(())
    }

    fn finally(&mut self, _flow: Resource<Workflow>, finally: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &finally)])?;
        self.arena.root.finally = Some(finally);
        Ok(())
    }

    fn deadline(&mut self, _flow: Resource<Workflow>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        self.arena.root.deadline_ms = Some(ms);
        Ok(())
    }

    fn schedule(
        &mut self,
        _flow: Resource<Workflow>,
        name: String,
        when: String,
    ) -> Result<Resource<builder::Schedule>> {
        self.arena.count(&[(Text::Schedule, &name), (Text::Schedule, &when)])?;
        self.arena.counts.part(Part::Schedule)?;
        let index = self.arena.root.schedules.len();
        self.arena.root.schedules.push(Schedule { name, when, ..Schedule::default() });
        Ok(handle(index))
    }

    fn on_exhausted(&mut self, _flow: Resource<Workflow>, then: builder::Exhausted) -> Result<()> {
        self.arena.count(&[])?;
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

impl builder::HostSchedule for State {
    fn time_zone(&mut self, schedule: Resource<builder::Schedule>, name: String) -> Result<()> {
        self.arena.count(&[(Text::Schedule, &name)])?;
        part(&mut self.arena.root.schedules, &schedule)?.time_zone = Some(name);
        Ok(())
    }

    fn missed(&mut self, schedule: Resource<builder::Schedule>, then: builder::Missed) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.root.schedules, &schedule)?.missed = match then {
            builder::Missed::Skip => Missed::Skip,
            builder::Missed::One => Missed::One,
            builder::Missed::All => Missed::All,
        };
        Ok(())
    }

    fn overlap(&mut self, schedule: Resource<builder::Schedule>, then: builder::Overlap) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.root.schedules, &schedule)?.overlap = match then {
            builder::Overlap::Skip => Overlap::Skip,
            builder::Overlap::Allow => Overlap::Allow,
            builder::Overlap::Queue => Overlap::Queue,
            builder::Overlap::Replace => Overlap::Replace,
        };
        Ok(())
    }

    fn input(&mut self, schedule: Resource<builder::Schedule>, body: Vec<u8>, media_type: String) -> Result<()> {
        self.arena.count(&[(Text::Schedule, &media_type)])?;
        self.arena.counts.input(body.len())?;
        part(&mut self.arena.root.schedules, &schedule)?.input = Some(ScheduleInput { body, media_type });
        Ok(())
    }

    fn drop(&mut self, _schedule: Resource<builder::Schedule>) -> Result<()> {
        Ok(())
    }
}

impl State {
    /// Where the dag inside a new node of this dag is.
    fn inside(&mut self, dag: &Resource<builder::Dag>, id: &str) -> Result<Inside> {
        Ok(part(&mut self.arena.dags, dag)?.inside.node(id))
    }

    fn add_node(&mut self, dag: &Resource<builder::Dag>, id: String, kind: Kind) -> Result<()> {
        self.arena.counts.part(Part::Node)?;
        let dag = part(&mut self.arena.dags, dag)?;
        self.arena.counts.path(dag.inside.path + id.len())?;
        dag.nodes.push((id, kind));
        Ok(())
    }
}

impl builder::HostDag for State {
    fn node(&mut self, dag: Resource<builder::Dag>, id: String) -> Result<Resource<builder::Node>> {
        self.arena.count(&[(Text::NodeId, &id)])?;
        let index = self.arena.nodes.len();
        self.arena.nodes.push(Node::default());
        self.add_node(&dag, id, Kind::Operations(index))?;
        Ok(handle(index))
    }

    fn sub_dag(&mut self, dag: Resource<builder::Dag>, id: String) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[(Text::NodeId, &id)])?;
        let inside = self.inside(&dag, &id)?;
        let index = self.arena.add_dag(inside)?;
        self.add_node(&dag, id, Kind::SubDag(index))?;
        Ok(handle(index))
    }

    fn condition(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        choose: String,
    ) -> Result<Resource<builder::Branches>> {
        self.arena.count(&[(Text::NodeId, &id), (Text::HandlerId, &choose)])?;
        let inside = self.inside(&dag, &id)?;
        let index = self.arena.add_branches(inside, choose);
        self.add_node(&dag, id, Kind::Condition(index))?;
        Ok(handle(index))
    }

    fn for_each(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        split: String,
    ) -> Result<Resource<builder::Branches>> {
        self.arena.count(&[(Text::NodeId, &id), (Text::HandlerId, &split)])?;
        let inside = self.inside(&dag, &id)?;
        let index = self.arena.add_branches(inside, split);
        self.add_node(&dag, id, Kind::ForEach(index))?;
        Ok(handle(index))
    }

    fn repeat(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        again: String,
        most: u32,
    ) -> Result<Resource<builder::Repeated>> {
        self.arena.count(&[(Text::NodeId, &id), (Text::HandlerId, &again)])?;
        let inside = self.inside(&dag, &id)?;
        let round = self.arena.add_dag(inside)?;
        let index = self.arena.repeats.len();
        self.arena.repeats.push((plain::Repeat { handler: again, most, ..plain::Repeat::default() }, round));
        self.add_node(&dag, id, Kind::Repeat(index))?;
        Ok(handle(index))
    }

    fn edge(&mut self, dag: Resource<builder::Dag>, from: String, to: String, carries: builder::Carries) -> Result<()> {
        self.arena.count(&[(Text::NodeId, &from), (Text::NodeId, &to)])?;
        self.arena.counts.part(Part::Edge)?;
        let carries = match carries {
            builder::Carries::Output => plain::Carries::Output,
            builder::Carries::Nothing => plain::Carries::Nothing,
            builder::Carries::Forwarded(handler) => {
                self.arena.counts.text(Text::HandlerId, &handler)?;
                plain::Carries::Forwarded(handler)
            }
        };
        let dag = part(&mut self.arena.dags, &dag)?;
        self.arena.counts.path(2 * dag.inside.path + from.len() + to.len())?;
        dag.shape.edges.push(plain::Edge { from, to, carries });
        Ok(())
    }

    fn aggregate_inputs(&mut self, dag: Resource<builder::Dag>, node: String, aggregator: String) -> Result<()> {
        self.arena.count(&[(Text::NodeId, &node), (Text::HandlerId, &aggregator)])?;
        let aggregate = plain::AggregateInputs { node, aggregator };
        part(&mut self.arena.dags, &dag)?.shape.aggregate_inputs.push(aggregate);
        Ok(())
    }

    fn aggregate_ends(&mut self, dag: Resource<builder::Dag>, aggregator: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &aggregator)])?;
        part(&mut self.arena.dags, &dag)?.shape.aggregate_ends = Some(aggregator);
        Ok(())
    }

    fn recover_node(&mut self, dag: Resource<builder::Dag>, node: String, recover: String) -> Result<()> {
        self.arena.count(&[(Text::NodeId, &node), (Text::HandlerId, &recover)])?;
        part(&mut self.arena.dags, &dag)?.shape.recover_nodes.push(plain::RecoverNode { node, recover });
        Ok(())
    }

    fn recover(&mut self, dag: Resource<builder::Dag>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.dags, &dag)?.shape.recover = Some(recover);
        Ok(())
    }

    fn drop(&mut self, _dag: Resource<builder::Dag>) -> Result<()> {
        Ok(())
    }
}

impl State {
    fn add_step(&mut self, node: &Resource<builder::Node>, step: Step) -> Result<()> {
        let steps = &mut part(&mut self.arena.nodes, node)?.steps;
        steps.push(step);
        Ok(limits::operations_of_node(steps.len())?)
    }

    /// Adds to the headers or the query parameters of a call, whichever `list` is.
    fn add_parameter(
        &mut self,
        call: &Resource<builder::Call>,
        (name, value): (String, String),
        list: fn(&mut plain::Call) -> &mut Vec<(String, String)>,
    ) -> Result<()> {
        self.arena.count(&[(Text::Parameter, &name), (Text::Parameter, &value)])?;
        let call = part(&mut self.arena.calls, call)?;
        list(call).push((name, value));
        Ok(limits::parameters(call.headers.iter().chain(&call.query))?)
    }
}

impl builder::HostNode for State {
    fn apply(&mut self, node: Resource<builder::Node>, function: String) -> Result<Resource<builder::Call>> {
        self.arena.count(&[(Text::Target, &function)])?;
        let index = self.arena.add_call(function)?;
        self.add_step(&node, Step::Apply(index))?;
        Ok(handle(index))
    }

    fn request(&mut self, node: Resource<builder::Node>, url: String) -> Result<Resource<builder::Call>> {
        self.arena.count(&[(Text::Target, &url)])?;
        let index = self.arena.add_call(url)?;
        self.add_step(&node, Step::Request(index))?;
        Ok(handle(index))
    }

    fn modify(&mut self, node: Resource<builder::Node>, modifier: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &modifier)])?;
        self.arena.counts.part(Part::Operation)?;
        self.add_step(&node, Step::Modify(modifier))
    }

    fn sleep(&mut self, node: Resource<builder::Node>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        self.arena.counts.part(Part::Operation)?;
        self.add_step(&node, Step::Sleep(ms))
    }

    fn sleep_until(&mut self, node: Resource<builder::Node>, moment: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &moment)])?;
        self.arena.counts.part(Part::Operation)?;
        self.add_step(&node, Step::SleepUntil(moment))
    }

    fn wait_for(&mut self, node: Resource<builder::Node>, signal: String) -> Result<Resource<builder::SignalWait>> {
        self.arena.count(&[(Text::NodeId, &signal)])?;
        self.add_wait(&node, plain::SignalSource::Named(signal))
    }

    fn wait_for_named(&mut self, node: Resource<builder::Node>, name: String) -> Result<Resource<builder::SignalWait>> {
        self.arena.count(&[(Text::HandlerId, &name)])?;
        self.add_wait(&node, plain::SignalSource::Handler(name))
    }

    fn retry(&mut self, node: Resource<builder::Node>, policy: builder::Backoff) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.nodes, &node)?.shape.retry = Some(backoff(policy));
        Ok(())
    }

    fn timeout(&mut self, node: Resource<builder::Node>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.nodes, &node)?.shape.timeout_ms = Some(ms);
        Ok(())
    }

    fn limit(&mut self, node: Resource<builder::Node>, name: String) -> Result<Resource<builder::Limit>> {
        part(&mut self.arena.nodes, &node)?;
        self.arena.add_limit(NODES, node.rep() as usize, name)
    }

    fn drop(&mut self, _node: Resource<builder::Node>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostCall for State {
    fn method(&mut self, call: Resource<builder::Call>, name: String) -> Result<()> {
        self.arena.count(&[(Text::Method, &name)])?;
        part(&mut self.arena.calls, &call)?.method = Some(name);
        Ok(())
    }

    fn header(&mut self, call: Resource<builder::Call>, name: String, value: String) -> Result<()> {
        self.add_parameter(&call, (name, value), |call| &mut call.headers)
    }

    fn query(&mut self, call: Resource<builder::Call>, name: String, value: String) -> Result<()> {
        self.add_parameter(&call, (name, value), |call| &mut call.query)
    }

    fn prepare(&mut self, call: Resource<builder::Call>, prepare: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &prepare)])?;
        part(&mut self.arena.calls, &call)?.prepare = Some(prepare);
        Ok(())
    }

    fn receive(&mut self, call: Resource<builder::Call>, receive: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &receive)])?;
        part(&mut self.arena.calls, &call)?.receive = Some(receive);
        Ok(())
    }

    fn recover(&mut self, call: Resource<builder::Call>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.calls, &call)?.recover = Some(recover);
        Ok(())
    }

    fn recover_from(&mut self, call: Resource<builder::Call>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.calls, &call)?.recover_from = Some(recover);
        Ok(())
    }

    fn retry(&mut self, call: Resource<builder::Call>, policy: builder::Backoff) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.calls, &call)?.retry = Some(backoff(policy));
        Ok(())
    }

    fn retry_on(&mut self, call: Resource<builder::Call>, statuses: Vec<u16>) -> Result<()> {
        self.arena.count(&[])?;
        limits::statuses(statuses.len())?;
        part(&mut self.arena.calls, &call)?.retry_on = statuses;
        Ok(())
    }

    fn timeout(&mut self, call: Resource<builder::Call>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.calls, &call)?.timeout_ms = Some(ms);
        Ok(())
    }

    fn asynchronous(&mut self, call: Resource<builder::Call>) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.calls, &call)?.asynchronous = true;
        Ok(())
    }

    fn limit(&mut self, call: Resource<builder::Call>, name: String) -> Result<Resource<builder::Limit>> {
        part(&mut self.arena.calls, &call)?;
        self.arena.add_limit(CALLS, call.rep() as usize, name)
    }

    fn drop(&mut self, _call: Resource<builder::Call>) -> Result<()> {
        Ok(())
    }
}

impl State {
    fn add_wait(
        &mut self,
        node: &Resource<builder::Node>,
        signal: plain::SignalSource,
    ) -> Result<Resource<builder::SignalWait>> {
        self.arena.counts.part(Part::Operation)?;
        let index = self.arena.waits.len();
        self.arena.waits.push(plain::WaitFor { signal, timeout_ms: None, recover_from: None });
        self.add_step(node, Step::WaitFor(index))?;
        Ok(handle(index))
    }
}

impl builder::HostSignalWait for State {
    fn timeout(&mut self, wait: Resource<builder::SignalWait>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.waits, &wait)?.timeout_ms = Some(ms);
        Ok(())
    }

    fn recover_from(&mut self, wait: Resource<builder::SignalWait>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.waits, &wait)?.recover_from = Some(recover);
        Ok(())
    }

    fn drop(&mut self, _wait: Resource<builder::SignalWait>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostLimit for State {
    fn concurrent(&mut self, limit: Resource<builder::Limit>, count: u32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.limits, &limit)?.figures.concurrent = Some(count);
        Ok(())
    }

    fn per_second(&mut self, limit: Resource<builder::Limit>, rate: f64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.limits, &limit)?.figures.per_second = Some(rate);
        Ok(())
    }

    fn key(&mut self, limit: Resource<builder::Limit>, key: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &key)])?;
        part(&mut self.arena.limits, &limit)?.key = Some(key);
        Ok(())
    }

    fn drop(&mut self, _limit: Resource<builder::Limit>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostRepeated for State {
    fn dag(&mut self, repeat: Resource<builder::Repeated>) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[])?;
        Ok(handle(part(&mut self.arena.repeats, &repeat)?.1))
    }

    fn wait(&mut self, repeat: Resource<builder::Repeated>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.repeats, &repeat)?.0.wait_ms = ms;
        Ok(())
    }

    fn drop(&mut self, _repeat: Resource<builder::Repeated>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostBranches for State {
    fn branch(&mut self, branches: Resource<builder::Branches>, key: String) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[(Text::BranchKey, &key)])?;
        let inside = part(&mut self.arena.branches, &branches)?.inside.key(&key);
        let index = self.arena.add_dag(inside)?;
        let branches = part(&mut self.arena.branches, &branches)?;
        if key.is_empty() {
            branches.each.get_or_insert(index);
        }
        branches.dags.push((key, index));
        Ok(handle(index))
    }

    fn each(&mut self, branches: Resource<builder::Branches>) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[])?;
        let Branches { inside, each, .. } = part(&mut self.arena.branches, &branches)?;
        let (inside, each) = (*inside, *each);
        if let Some(index) = each {
            return Ok(handle(index));
        }
        let index = self.arena.add_dag(inside)?;
        let branches = part(&mut self.arena.branches, &branches)?;
        branches.each = Some(index);
        branches.dags.push((String::new(), index));
        Ok(handle(index))
    }

    fn aggregate(&mut self, branches: Resource<builder::Branches>, aggregator: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &aggregator)])?;
        part(&mut self.arena.branches, &branches)?.shape.aggregator = Some(aggregator);
        Ok(())
    }

    fn carries_nothing(&mut self, branches: Resource<builder::Branches>) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.carries_nothing = true;
        Ok(())
    }

    fn max_parallel(&mut self, branches: Resource<builder::Branches>, count: u32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.max_parallel = Some(count);
        Ok(())
    }

    fn tolerate(&mut self, branches: Resource<builder::Branches>, items: u32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.tolerate = Some(plain::Tolerate::Items(items));
        Ok(())
    }

    fn tolerate_share(&mut self, branches: Resource<builder::Branches>, share: f32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.tolerate = Some(plain::Tolerate::Share(share));
        Ok(())
    }

    fn gather(&mut self, branches: Resource<builder::Branches>, gather: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &gather)])?;
        part(&mut self.arena.branches, &branches)?.shape.gather = Some(gather);
        Ok(())
    }

    fn drop(&mut self, _branches: Resource<builder::Branches>) -> Result<()> {
        Ok(())
    }
}
