//! Set-up for the tests of the engine and of what drives it: small definitions, a driver for one run, and random
//! definitions that are the same for the same seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "for tests only")]

pub mod large;

use crate::definition::*;
use crate::run::{
    Attempt, ClaimToken, Effect, Event, NodeState, NodeView, Outcome, Refusal, Report, Request, RunState, RunView,
    Start, Try, Work,
};
use crate::*;

/// A xorshift, so that an order is repeated by its seed.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`; 0 if that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// What a run of the tests begins with.
pub fn the_start() -> Start {
    Start {
        id: RunId::new("run").unwrap(),
        flow: FlowName::new("flow").unwrap(),
        digest: Digest::of(b"module"),
        request: Request::default(),
        definition: None,
        input: payload("in"),
        callback: None,
        parent: None,
        labels: crate::Labels::new(),
        start_at: None,
        now: 1,
    }
}

/// A payload that stands inside the state.
pub fn payload(text: &str) -> Payload {
    Payload::inline(text.to_owned())
}

/// A node's path from its text.
pub fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

/// A node that has no operations.
pub fn node(id: &str) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::Operations(Operations::default()) }
}

/// An edge that carries the output of `from`.
pub fn edge(from: &str, to: &str) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), carries: Carries::Output }
}

/// Nodes joined by edges that carry data, given as pairs of ids.
pub fn graph<const N: usize>(nodes: Vec<Node>, edges: [(&str, &str); N]) -> Dag {
    Dag { nodes, edges: edges.map(|(from, to)| edge(from, to)).into(), ..Dag::default() }
}

/// A node `n` alone.
pub fn lone() -> Dag {
    graph(vec![node("n")], [])
}

/// A condition whose branches all have the dag [`lone`].
pub fn condition(id: &str, keys: &[&str]) -> Node {
    let dags = keys.iter().map(|key| Branch { key: (*key).to_owned(), dag: lone() }).collect();
    Node {
        id: id.to_owned(),
        kind: NodeKind::Condition(Branches { handler: "h".to_owned(), dags, ..Default::default() }),
    }
}

/// A for-each over a dag, with its other settings from `branches`.
pub fn for_each(id: &str, dag: Dag, branches: Branches) -> Node {
    let dags = vec![Branch { key: String::new(), dag }];
    Node { id: id.to_owned(), kind: NodeKind::ForEach(Branches { handler: "h".to_owned(), dags, ..branches }) }
}

/// A node that contains a dag.
pub fn sub_dag(id: &str, dag: Dag) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::SubDag(dag) }
}

/// A node that runs a dag at most so many times.
pub fn repeat(id: &str, dag: Dag, most: u32) -> Node {
    let repeat = Repeat { handler: "h".to_owned(), dag, most, wait_ms: 0 };
    Node { id: id.to_owned(), kind: NodeKind::Repeat(repeat) }
}

/// Round `round` of a repeat, with this input.
pub fn round(round: u32, input: &str) -> Outcome {
    Outcome::Branched(vec![(round_key(round), payload(input))])
}

/// A flow with this dag, and with the handlers `h`, `f` and `a`.
pub fn flow(dag: Dag) -> Definition {
    Definition { dag, handlers: ["h", "f", "a"].map(str::to_owned).into(), ..Definition::default() }
}

/// A report of an outcome, without anything else.
pub fn reported(outcome: Outcome) -> Report {
    Report {
        outcome,
        response: None,
        labels: crate::Labels::new(),
        evidence: None,
        input_size: 0,
        attempts: Vec::new(),
        tries: Vec::new(),
        log: None,
        operations: None,
    }
}

/// Branches with these keys and inputs.
pub fn branched(branches: &[(&str, &str)]) -> Outcome {
    let branch = |(key, input): &(&str, &str)| (Some(BranchKey::new(key).unwrap()), payload(input));
    Outcome::Branched(branches.iter().map(branch).collect())
}

/// A failure that may pass, or one that cannot.
pub fn failed(retry: bool) -> Outcome {
    let new = if retry { Failure::retry } else { Failure::reject };
    Outcome::Failed(new(Code::CALL_STATUS, "`f` answered with status 503"))
}

/// One run whose events the test names. Each event happens one millisecond after the one before.
pub struct Driver {
    pub plan: Plan,
    pub state: RunState,
    pub now: Millis,
    claims: u32,
}

impl Driver {
    /// A run that has begun at 1, with a callback.
    pub fn new(definition: Definition) -> Self {
        Self::begin(definition, Some("http://127.0.0.1/done".to_owned()))
    }

    /// As [`Driver::new`], without a callback.
    pub fn without_callback(definition: Definition) -> Self {
        Self::begin(definition, None)
    }

    fn begin(definition: Definition, callback: Option<String>) -> Self {
        let plan = Plan::new(definition).unwrap();
        let start = Start { callback, ..the_start() };
        let (state, _) = RunState::start(&plan, start);
        Self { plan, state, now: 1, claims: 0 }
    }

    /// Applies an event.
    pub fn step(&mut self, event: Event) -> Result<Vec<Effect>, Refusal> {
        self.now += 1;
        self.state.step(&self.plan, &event, self.now)
    }

    /// Claims a node for 100 ms, with a token of its own.
    pub fn claim(&mut self, node: &str) -> Result<Work, Refusal> {
        self.claims += 1;
        let (token, until) = (ClaimToken::new(self.claims), self.now + 101);
        let lost = self.state.claims().into_iter().find(|(held, _)| *held == path(node)).map(|(_, claim)| claim);
        let claim = Event::Claim { path: path(node), owner: "me".into(), token, until, lost };
        let effects = self.step(claim)?;
        let [Effect::Execute(work)] = &effects[..] else { panic!("{effects:?}") };
        Ok(work.clone())
    }

    /// Reports what came of a claim, with one attempt and an input of 3 bytes.
    pub fn report(&mut self, work: &Work, outcome: Outcome) -> Result<Vec<Effect>, Refusal> {
        let failure = match &outcome {
            Outcome::Failed(failure) => Some(failure.clone()),
            _ => None,
        };
        let attempts = vec![Attempt { started: self.now, ended: self.now + 1, failure, next: None }];
        let report = Report { input_size: 3, attempts, ..reported(outcome) };
        self.step(Event::Complete { path: work.path.clone(), token: work.token, report })
    }

    /// Notes tries of a node's calls that have failed.
    pub fn tried(&mut self, work: &Work, tries: &[Try]) -> Result<Vec<Effect>, Refusal> {
        let (path, token) = (work.path.clone(), work.token);
        self.step(Event::Tried { path, token, attempts: Vec::new(), tries: tries.to_vec() })
    }

    /// A node as it is shown.
    pub fn shown(&self, node: &str) -> NodeView {
        let view = RunView::new(self.state.run(), self.state.scopes());
        view.nodes.into_iter().find(|shown| shown.path == path(node)).unwrap()
    }

    /// Claims a node and reports an outcome.
    pub fn execute(&mut self, node: &str, outcome: Outcome) -> Vec<Effect> {
        let work = self.claim(node).unwrap();
        self.report(&work, outcome).unwrap()
    }

    /// Executes a node that sets this status for the answer of the run.
    pub fn respond(&mut self, node: &str, status: u16, outcome: Outcome) -> Vec<Effect> {
        let work = self.claim(node).unwrap();
        let response = Some(Box::new(ResponseHead::new(status, Vec::new()).unwrap()));
        let report = Report { response, ..reported(outcome) };
        self.step(Event::Complete { path: work.path, token: work.token, report }).unwrap()
    }

    /// The status that the flow has set for the answer of the run.
    pub fn answered(&self) -> Option<u16> {
        self.state.run().response_head().map(|head| head.status)
    }

    /// Executes a node with this output.
    pub fn done(&mut self, node: &str, output: &str) -> Vec<Effect> {
        self.execute(node, Outcome::Done(payload(output)))
    }

    /// Re-runs from a node.
    pub fn rerun(&mut self, node: &str) -> Result<Vec<Effect>, Refusal> {
        self.step(Event::rerun_from(path(node)))
    }

    /// The state of a node, or of one of the run's handlers.
    pub fn node(&self, text: &str) -> &NodeState {
        let path = path(text);
        let hook = self.state.run().hooks.iter().find(|hook| path.scope.is_root() && hook.id == path.node);
        hook.or_else(|| self.state.scope(&path.scope)?.node(&path.node)).unwrap()
    }

    /// The nodes that may be claimed now.
    pub fn ready(&self) -> Vec<String> {
        self.state.claimable(self.now).iter().map(NodePath::to_string).collect()
    }

    /// The run's status.
    pub fn status(&self) -> Status {
        self.state.run().status()
    }
}

/// A definition out of random numbers, valid by its making.
pub fn definition(random: &mut Random, depth: usize) -> Definition {
    let mut definition = Definition { dag: dag(random, depth), ..Definition::default() };
    if random.below(2) == 0 {
        definition.on_failure = Some("h".to_owned());
    }
    if random.below(2) == 0 {
        definition.finally = Some("h".to_owned());
    }
    definition.handlers = vec!["h".to_owned(), "f".to_owned(), "a".to_owned()];
    definition
}

/// The dag that a scope is an instance of, as its author wrote it.
pub fn dag_of<'a>(root: &'a Dag, scope: &ScopePath) -> &'a Dag {
    scope.steps().fold(root, |dag, step| {
        let node = dag.nodes.iter().find(|node| node.id == step.node.as_str()).unwrap();
        match (&node.kind, &step.key) {
            (NodeKind::SubDag(dag), None) => dag,
            (NodeKind::Condition(branches), Some(key)) => {
                &branches.dags.iter().find(|branch| branch.key == key.as_str()).unwrap().dag
            }
            (NodeKind::ForEach(branches), Some(_)) => &branches.dags[0].dag,
            (NodeKind::Repeat(repeat), Some(_)) => &repeat.dag,
            _ => panic!("{scope} is no branch of {}", node.id),
        }
    })
}

fn dag(random: &mut Random, depth: usize) -> Dag {
    let size = 1 + random.below(5);
    let mut dag = Dag { aggregate_ends: (random.below(2) == 0).then(|| "a".to_owned()), ..Dag::default() };
    for i in 0..size {
        let kind = match random.below(if depth > 0 { 7 } else { 4 }) {
            4 => NodeKind::SubDag(self::dag(random, depth - 1)),
            5 => NodeKind::Condition(branches(random, depth - 1, &["k1", "k 2", "k/3"])),
            6 => NodeKind::ForEach(branches(random, depth - 1, &[""])),
            n => NodeKind::Operations(Operations {
                list: vec![Operation::Modify("h".to_owned()); n],
                ..Default::default()
            }),
        };
        dag.nodes.push(Node { id: format!("n{i}"), kind });
        if i == 0 {
            continue;
        }
        let first = random.below(i);
        let more: Vec<usize> = (0..i).filter(|from| *from == first || random.below(3) == 0).collect();
        for from in more {
            let carries = match random.below(4) {
                0 => Carries::Nothing,
                1 => Carries::Forwarded("f".to_owned()),
                _ => Carries::Output,
            };
            dag.edges.push(Edge { from: format!("n{from}"), to: format!("n{i}"), carries });
        }
        if random.below(2) == 0 {
            dag.aggregate_inputs.push(AggregateInputs { node: format!("n{i}"), aggregator: "a".to_owned() });
        }
    }
    dag
}

fn branches(random: &mut Random, depth: usize, keys: &[&str]) -> Branches {
    Branches {
        handler: "h".to_owned(),
        dags: keys.iter().map(|key| Branch { key: (*key).to_owned(), dag: dag(random, depth) }).collect(),
        aggregator: (random.below(3) > 0).then(|| "a".to_owned()),
        carries_nothing: random.below(4) == 0,
        ..Branches::default()
    }
}

/// The same definition, in which some failures are caught or tolerated.
pub fn with_catches(mut definition: Definition, random: &mut Random) -> Definition {
    put_catches(&mut definition.dag, random);
    definition
}

fn put_catches(dag: &mut Dag, random: &mut Random) {
    dag.recover = (random.below(3) == 0).then(|| "h".to_owned());
    for node in &mut dag.nodes {
        if random.below(4) == 0 {
            dag.recover_nodes.push(RecoverNode { node: node.id.clone(), recover: "h".to_owned() });
        }
        match &mut node.kind {
            NodeKind::Operations(_) => {}
            NodeKind::SubDag(dag) => put_catches(dag, random),
            NodeKind::Repeat(repeat) => put_catches(&mut repeat.dag, random),
            NodeKind::Condition(branches) => {
                branches.dags.iter_mut().for_each(|branch| put_catches(&mut branch.dag, random));
            }
            NodeKind::ForEach(branches) => {
                branches.tolerate = (random.below(2) == 0).then(|| Tolerate::Items(random.below(2) as u32));
                branches.gather = (random.below(2) == 0).then(|| "a".to_owned());
                branches.dags.iter_mut().for_each(|branch| put_catches(&mut branch.dag, random));
            }
        }
    }
}

/// The same definition, in which some sub-dags are repeats.
pub fn with_repeats(mut definition: Definition, random: &mut Random) -> Definition {
    put_repeats(&mut definition.dag, random);
    definition
}

fn put_repeats(dag: &mut Dag, random: &mut Random) {
    for node in &mut dag.nodes {
        match &mut node.kind {
            NodeKind::SubDag(dag) => {
                put_repeats(dag, random);
                if random.below(3) > 0 {
                    *node = repeat(&node.id, std::mem::take(dag), 1 + random.below(4) as u32);
                }
            }
            NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                branches.dags.iter_mut().for_each(|branch| put_repeats(&mut branch.dag, random));
            }
            NodeKind::Operations(_) | NodeKind::Repeat(_) => {}
        }
    }
}

/// The same definition, in which some nodes wait for signals that their data names, before they do anything else.
pub fn with_signals(mut definition: Definition, random: &mut Random) -> Definition {
    put_signals(&mut definition.dag, random);
    definition
}

fn put_signals(dag: &mut Dag, random: &mut Random) {
    for node in &mut dag.nodes {
        match &mut node.kind {
            NodeKind::Operations(operations) if random.below(2) == 0 => {
                let signal = SignalSource::Handler("h".to_owned());
                let wait = WaitFor { signal, timeout_ms: None, recover_from: None };
                operations.list.insert(0, Operation::WaitFor(wait));
            }
            NodeKind::Operations(_) => {}
            NodeKind::SubDag(dag) => put_signals(dag, random),
            NodeKind::Repeat(repeat) => put_signals(&mut repeat.dag, random),
            NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                branches.dags.iter_mut().for_each(|branch| put_signals(&mut branch.dag, random));
            }
        }
    }
}

/// The same definition, in which some of the operations call functions.
pub fn with_calls(mut definition: Definition, random: &mut Random) -> Definition {
    put_calls(&mut definition.dag, random);
    definition
}

fn put_calls(dag: &mut Dag, random: &mut Random) {
    for node in &mut dag.nodes {
        match &mut node.kind {
            NodeKind::Operations(operations) => {
                for operation in &mut operations.list {
                    if random.below(2) == 0 {
                        *operation = Operation::Apply(Call { target: "f".to_owned(), ..Call::default() });
                    }
                }
            }
            NodeKind::SubDag(dag) => put_calls(dag, random),
            NodeKind::Repeat(repeat) => put_calls(&mut repeat.dag, random),
            NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                branches.dags.iter_mut().for_each(|branch| put_calls(&mut branch.dag, random));
            }
        }
    }
}
