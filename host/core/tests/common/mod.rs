//! A driver without IO: executes work symbolically, in an order that a seed chooses, through the stored form.
#![allow(dead_code, reason = "each test uses its part")]

use faas_flow_core::definition::*;
use faas_flow_core::run::{
    Doc, Effect, Event, Input, Outcome, Report, Request, RunState, Scope, Start, Task, Work, decode, encode, set_of,
};
use faas_flow_core::*;
use std::collections::{BTreeMap, HashMap};

/// A xorshift, so that an order is repeated by its seed.
pub struct Random(pub u64);
impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

pub fn start(plan: &Plan) -> (RunState, Vec<Effect>) {
    let start = Start {
        id: RunId::new("run").unwrap(),
        flow: FlowName::new("flow").unwrap(),
        digest: Digest::of(b"module"),
        request: Request::default(),
        definition: None,
        input: payload("in"),
        now: 1,
    };
    RunState::start(plan, start)
}

pub fn payload(text: &str) -> Payload {
    Payload::Inline(text.to_owned().into())
}

pub fn text(payload: &Payload) -> String {
    match payload {
        Payload::Inline(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Payload::Stored { .. } => unreachable!("the tests store nothing"),
    }
}

/// What a run left behind.
#[derive(Debug, Default, PartialEq)]
pub struct Trace {
    pub result: Option<String>,
    pub status: Option<Status>,
    /// How often each node committed its own work, and its merging.
    pub commits: BTreeMap<String, usize>,
    pub merges: BTreeMap<String, usize>,
}

pub struct Driver<'a> {
    pub plan: &'a Plan,
    pub random: Random,
    /// Paths that fail, as a suffix.
    pub failing: Option<String>,
    /// Whether events come twice and leases are lost.
    pub faults: bool,
    store: BTreeMap<String, Vec<u8>>,
    sets: HashMap<String, BTreeMap<String, (u32, String)>>,
    ready: Vec<NodePath>,
    now: Millis,
    trace: Trace,
}

impl<'a> Driver<'a> {
    pub fn new(plan: &'a Plan, seed: u64) -> Self {
        let random = Random(seed | 1);
        let (store, sets, ready) = Default::default();
        Driver { plan, random, failing: None, faults: false, store, sets, ready, now: 1, trace: Trace::default() }
    }

    pub fn run(mut self) -> Trace {
        let (mut state, effects) = start(self.plan);
        self.commit(&mut state, effects);
        while !self.ready.is_empty() {
            let path = self.ready.swap_remove(self.random.below(self.ready.len()));
            if self.faults && self.random.below(4) == 0 {
                self.ready.push(path.clone());
            }
            self.now += 1;
            self.execute(path);
        }
        let state = self.load();
        self.trace.status = Some(state.run().status());
        self.trace.result = state.run().result.as_ref().map(text);
        assert!(state.claimable(Millis::MAX).is_empty() || state.run().status() == Status::Paused);
        self.trace
    }

    fn execute(&mut self, path: NodePath) {
        let mut state = self.load();
        let claim = |until| Event::Claim { path: path.clone(), owner: "a".to_owned(), until };
        if self.faults && self.random.below(5) == 0 {
            // A replica claims the node and is never heard of again; later its lease is over.
            if let Ok(effects) = state.step(self.plan, claim(self.now), self.now) {
                self.commit(&mut state, effects);
            }
            state = self.load();
        }
        let effects = match state.step(self.plan, claim(self.now + 10), self.now) {
            Ok(effects) => effects,
            Err(refusal) => {
                assert!(self.faults || self.failing.is_some(), "{path}: {refusal}");
                return;
            }
        };
        let [Effect::Execute(work)] = &effects[..] else { panic!("a claim yields its work: {effects:?}") };
        let work = work.clone();
        self.commit(&mut state, Vec::new());
        let outcome = self.outcome(&work);
        let merges = matches!(work.task, Task::Merge { .. });
        let report = Report { outcome, input_size: 0, attempts: Vec::new() };
        let event = Event::Complete { path: path.clone(), token: work.token, report };
        let mut state = self.load();
        let effects = state.step(self.plan, event.clone(), self.now).unwrap();
        *if merges { &mut self.trace.merges } else { &mut self.trace.commits }.entry(path.to_string()).or_default() +=
            1;
        self.commit(&mut state, effects);
        if self.faults {
            let mut state = self.load();
            assert!(state.step(self.plan, event, self.now).is_err(), "a repeated report commits nothing");
            let stale = Event::Claim { path, owner: "b".to_owned(), until: self.now + 1 };
            assert!(state.step(self.plan, stale, self.now).is_err() || self.again(&state, &work.path));
        }
    }

    /// Whether a node may rightly be claimed after it was completed: to merge its branches.
    fn again(&self, state: &RunState, path: &NodePath) -> bool {
        let scope = state.scope(&path.scope);
        scope.is_some_and(|scope| scope.nodes.iter().any(|n| n.id == path.node && n.branches.is_some()))
    }

    fn outcome(&mut self, work: &Work) -> Outcome {
        if self.failing.as_deref().is_some_and(|failing| work.path.to_string() == failing) {
            return Outcome::Failed(Failure::reject(Code::GUEST_REJECTED, "as the test wants"));
        }
        let input = |input: &Input| match &input.forwarder {
            Some(handler) => format!("{handler}({})", text(&input.payload)),
            None => text(&input.payload),
        };
        let named: Vec<String> = work.inputs.iter().map(|i| format!("{}:{}", i.from, input(i))).collect();
        let data = match (&work.aggregator, &work.inputs[..]) {
            (Some(handler), _) => format!("{handler}({})", named.join(",")),
            (None, [only]) => input(only),
            _ => String::new(),
        };
        match &work.task {
            Task::Operations(operations) => Outcome::Done(payload(
                &operations.list.iter().fold(data, |data, _| format!("{}<{data}>", work.path.node)),
            )),
            Task::Enter => Outcome::Branched(vec![(None, payload(&data))]),
            Task::Choose { keys, carries_nothing, .. } => {
                // Depends on the data's length only, so that the order of events cannot matter.
                let chosen = keys.iter().enumerate().filter(|(i, _)| *i == 0 || (data.len() >> i) & 1 == 1);
                let input = if *carries_nothing { Payload::empty() } else { payload(&data) };
                Outcome::Branched(chosen.map(|(_, key)| (Some(key.clone()), input.clone())).collect())
            }
            Task::Split { carries_nothing, .. } => {
                let items = (0..data.len() % 5).map(|i| {
                    let input = if *carries_nothing { Payload::empty() } else { payload(&format!("{i}")) };
                    (Some(BranchKey::new(format!("i {i}/")).unwrap()), input)
                });
                Outcome::Branched(items.collect())
            }
            Task::Merge { handler, only, epoch } => {
                let results = match only {
                    Some((key, payload)) => vec![format!("{key}={}", text(payload))],
                    None => {
                        let set = self.sets.get(&set_of(&work.path, *epoch)).unwrap();
                        let mut all: Vec<_> = set.iter().map(|(key, (i, v))| (*i, format!("{key}={v}"))).collect();
                        all.sort();
                        all.into_iter().map(|(_, value)| value).collect()
                    }
                };
                Outcome::Done(payload(&format!("{handler}({})", results.join(","))))
            }
            Task::Recover { failure, .. } => Outcome::Done(payload(&format!("recovered {}", failure.code))),
            Task::Finally { .. } => Outcome::Done(Payload::empty()),
        }
    }

    fn commit(&mut self, state: &mut RunState, effects: Vec<Effect>) {
        let mut joined = Vec::new();
        for effect in effects {
            match effect {
                Effect::Dispatch(path) => self.ready.push(path),
                Effect::Arrive { node, epoch, key, index, payload, total } => {
                    let set = self.sets.entry(set_of(&node, epoch)).or_default();
                    assert!(set.insert(key.to_string(), (index, text(&payload))).is_none(), "{node}[{key}] came twice");
                    if set.len() == total as usize {
                        joined.push(Event::Joined { path: node, epoch });
                    }
                }
                _ => {}
            }
        }
        let mut written = Vec::new();
        state.changed(|doc, _, bytes| written.push((doc, bytes)));
        for (doc, bytes) in written {
            self.store.insert(doc.name(), bytes);
            state.committed(&doc, 1);
        }
        for event in joined {
            let mut state = self.load();
            let effects = state.step(self.plan, event, self.now).unwrap();
            self.commit(&mut state, effects);
        }
    }

    /// Every step begins from the stored form alone.
    fn load(&self) -> RunState {
        let mut state = RunState::load(decode(&self.store["run"]).unwrap(), 1);
        for (name, bytes) in &self.store {
            if let Some(Doc::Scope(_)) = Doc::parse(name) {
                let scope: Scope = decode(bytes).unwrap();
                assert_eq!(encode(&scope), *bytes, "the stored form survives a round trip");
                state.load_scope(scope, 1);
            }
        }
        state
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
        max_parallel: None,
    }
}
