//! Replicas that drive one run over one store, one step after the other, in an order that a seed chooses.

mod checks;
mod execution;

use crate::replica::{Fate, LEASE, Replica, circumstances, rules};
use crate::work;
use execution::calls;
use faas_flow_core::run::{
    Attempt, Awaited, ClaimToken, DATA, Doc, Ended, Event, NodeState, Outcome, Progress, Refusal, Report, RunState,
    Said, SentSignal, Signal, Suspended, Task, Try, Wait, WaitId, Work, decode, set_of,
};
use faas_flow_core::testing::{Random, payload, reported, the_start};
use faas_flow_core::{Code, Failure, NodePath, Partition, Payload, Place, Plan, RunId, SignalName, Status};
use faas_flow_session::{Circumstances, Dispatch, Documents, Durability, Input, Role, Session, load_all, read_arrival};
use faas_flow_store::{StateStore, open_state};
use futures_executor::block_on;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longer outputs get a document of their own.
const INLINE: usize = 24;

/// Steps with faults; from then on a run must come to its end.
const FAULTY_STEPS: usize = 3_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// How many replicas there are besides the first.
    pub more_replicas: usize,
    /// Events may be lost, repeated and late: one in this many, or none if 0.
    pub events: usize,
    /// Commits may have no effect or no answer: one in this many, or none if 0.
    pub store: usize,
    /// Replicas may crash at a step: at one in this many, or at none if 0.
    pub crashes: usize,
    /// Nodes may wait before they continue: one in this many, or none if 0.
    pub waits: usize,
    /// The one crash, at this step.
    pub crash_at: Option<usize>,
}

impl Faults {
    /// Everything, with the same odds.
    pub fn all(more_replicas: usize, odds: usize) -> Self {
        Self { more_replicas, events: odds, store: odds, crashes: odds * 4, waits: odds, crash_at: None }
    }
}

/// What a run left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    pub status: Option<Status>,
    pub result: Option<String>,
    /// Nodes that are done, by path.
    pub done: BTreeSet<String>,
}

pub struct Cluster {
    plan: Arc<Plan>,
    faults: Faults,
    random: Random,
    store: Arc<dyn StateStore>,
    id: RunId,
    replicas: Vec<Replica>,
    rooms: Vec<(usize, Dispatch)>,
    hints: Vec<NodePath>,
    /// Answers from outside that are on their way.
    answers: Vec<(NodePath, WaitId)>,
    /// Signals that are sent again until they are stored.
    signals: Vec<SignalName>,
    now: u64,
    durability: Durability,
    /// A node that fails: when it merges, or else when it does its own work.
    pub failing: Option<(String, bool)>,
    /// How often work with calls was started, per node, without what a wait was behind.
    calls: BTreeMap<String, usize>,
    /// The tries that failed while a replica executed a node, by the claim under which it did. Each has another number.
    tried: BTreeMap<(String, ClaimToken), Vec<u32>>,
    /// Whether an operator ran a part of the run again.
    rerun: bool,
    /// Steps so far.
    pub steps: usize,
}

impl Cluster {
    pub fn new(plan: &Arc<Plan>, seed: u64, faults: Faults) -> Self {
        let mut random = Random(seed | 1);
        for _ in 0..4 {
            random.below(2);
        }
        let count = 1 + faults.more_replicas;
        let rooms = (0..count).map(|_| {
            let dispatch = match random.below(if faults.more_replicas == 0 { 1 } else { 3 }) {
                0 => Dispatch::Local,
                1 => Dispatch::Overflow,
                _ => Dispatch::Everything,
            };
            (1 + random.below(6), dispatch)
        });
        let rooms = rooms.collect();
        let durability = match random.below(3) {
            0 if plan.is_single_node() && plan.signals().is_empty() => Durability::Memory,
            0 | 1 => Durability::Delayed,
            _ => Durability::Beginning,
        };
        Self {
            plan: plan.clone(),
            faults,
            random,
            store: block_on(open_state("memory")).unwrap(),
            id: RunId::new("run").unwrap(),
            replicas: (0..count).map(|_| Replica::default()).collect(),
            rooms,
            hints: Vec::new(),
            answers: Vec::new(),
            signals: Vec::new(),
            now: 1,
            durability,
            failing: None,
            calls: BTreeMap::new(),
            tried: BTreeMap::new(),
            rerun: false,
            steps: 0,
        }
    }

    /// Goes on until the run has ended or paused and nobody is at work on it.
    pub fn run(&mut self) -> Trace {
        let limit = self.steps + 3 * FAULTY_STEPS;
        loop {
            self.steps += 1;
            assert!(self.steps < limit, "the run does not end: {:?}", self.state().map(|state| state.run().status()));
            if self.steps + 2 * FAULTY_STEPS == limit {
                self.faults = Faults { more_replicas: self.faults.more_replicas, ..Faults::default() };
            }
            self.now += 1;
            if !self.step() {
                break;
            }
        }
        self.check_calls();
        let state = self.state().unwrap();
        self.check_response(&state);
        self.check_tries(&state);
        let done = |node: &&NodeState| node.progress == Progress::Done;
        let scopes = state
            .scopes()
            .flat_map(|scope| scope.nodes.iter().filter(done).map(|node| scope.path.node(&node.id).to_string()));
        Trace {
            status: Some(state.run().status()),
            result: state.run().result.as_ref().map(|result| self.text(None, result)),
            done: scopes.collect(),
        }
    }

    /// Takes some steps.
    pub fn run_some(&mut self, steps: usize) {
        for _ in 0..steps {
            self.now += 1;
            self.step();
        }
    }

    /// One step of a replica or of the queue; false if nothing is left to do.
    fn step(&mut self) -> bool {
        let mut choices: Vec<(usize, Step)> = Vec::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            if replica.io.is_some() {
                choices.push((number, Step::Io));
            }
            choices.extend((0..replica.works.len()).map(|nth| (number, Step::Finish(nth))));
            if replica.io.is_none() && replica.commit_by.is_some_and(|by| by <= self.now) {
                choices.push((number, Step::CommitDue));
            }
        }
        choices.extend((0..self.hints.len()).map(|hint| (hint, Step::Hint)));
        choices.extend((0..self.answers.len()).map(|answer| (answer, Step::Answer)));
        // Senders do not send faster than signals are taken.
        if self.replicas.iter().all(|replica| replica.inputs.is_empty()) {
            choices.extend((0..self.signals.len()).map(|signal| (signal, Step::Signal)));
        }
        if choices.is_empty() || self.random.below(20) == 0 {
            let is_quiet = choices.is_empty();
            if is_quiet && self.is_over() {
                return false;
            }
            self.check(is_quiet);
            return true;
        }
        let (number, step) = choices.swap_remove(self.random.below(choices.len()));
        match step {
            Step::Hint => self.claim(number),
            Step::Answer => self.answer(number),
            Step::Signal => self.signal(number),
            Step::Io => self.perform(number),
            Step::Finish(nth) if self.chance(self.faults.waits) => self.fail_a_try(number, nth),
            Step::Finish(nth) => self.finish(number, nth),
            Step::CommitDue => self.input(number, Input::CommitDue),
        }
        let crashes = self.faults.crash_at == Some(self.steps) || self.chance(self.faults.crashes);
        if crashes && !matches!(step, Step::Hint | Step::Answer | Step::Signal) {
            self.replicas[number] = Replica::default();
        }
        true
    }

    fn chance(&mut self, odds: usize) -> bool {
        odds > 0 && self.random.below(odds) == 0
    }

    fn circumstances(&self, replica: usize) -> Circumstances {
        circumstances(self.now, self.rooms[replica])
    }

    /// The run as it is stored.
    pub fn state(&self) -> Option<RunState> {
        load_all(block_on(self.store.read_all(&Partition::of_run(&self.id))).unwrap()).unwrap()
    }

    fn is_over(&self) -> bool {
        let status = self.state().map(|state| state.run().status());
        status.is_some_and(|status| status.is_final() || status == Status::Paused)
    }

    fn input(&mut self, replica: usize, input: Input) {
        let circumstances = self.circumstances(replica);
        self.replicas[replica].input(input, &circumstances);
        self.act(replica);
    }

    /// Acts on what a session says, until it waits for I/O.
    fn act(&mut self, number: usize) {
        while self.replicas[number].is_ready() {
            let circumstances = self.circumstances(number);
            let known = self.replicas[number].works.len();
            let ready = self.replicas[number].act(&circumstances);
            if let Some(history) = self.replicas[number].history.take() {
                block_on(self.store.commit(&Partition::of_run(&self.id), history)).unwrap();
            }
            for work in self.replicas[number].works.iter().skip(if ready.cancel { 0 } else { known }) {
                if calls(&work.task) {
                    *self.calls.entry(work.path.to_string()).or_default() += 1;
                }
            }
            for join in ready.count {
                let set = set_of(&join.node, join.started_by);
                if block_on(self.store.arrived(&Partition::of_run(&self.id), &set)).unwrap() == u64::from(join.total) {
                    let joined = Event::Joined { path: join.node, started_by: join.started_by };
                    self.replicas[number].inputs.push_back(Input::Event(joined, Documents::new()));
                }
            }
            for path in ready.send {
                if self.chance(self.faults.events) {
                    self.hints.push(path.clone());
                }
                if !self.chance(self.faults.events) {
                    self.hints.push(path);
                }
            }
            if self.replicas[number].inputs.is_empty() {
                return;
            }
            self.replicas[number].go_on(&circumstances);
        }
    }

    fn perform(&mut self, number: usize) {
        let fate = if !self.chance(self.faults.store) {
            Fate::Answered
        } else if self.random.below(2) == 0 {
            Fate::Lost
        } else {
            Fate::AnswerLost
        };
        let (store, circumstances) = (self.store.clone(), self.circumstances(number));
        self.replicas[number].perform(&*store, fate, &circumstances);
        self.act(number);
    }

    /// An event about a node reaches some replica.
    fn claim(&mut self, hint: usize) {
        let path = self.hints.swap_remove(hint);
        if let Some(number) = self.help_with(&path) {
            self.input(number, Input::Claim(path));
        }
    }

    /// What a node waits for reaches some replica.
    fn answer(&mut self, nth: usize) {
        let (path, to) = self.answers.swap_remove(nth);
        if let Some(number) = self.help_with(&path) {
            let said = Said::Response { status: 200, headers: Vec::new(), body: payload("answer") };
            self.input(number, Input::Event(Event::Answer { path, to, said }, Documents::new()));
        }
    }

    /// A signal reaches some replica. Its sender sends it again until it knows that it is stored, perhaps several times at once.
    fn signal(&mut self, nth: usize) {
        let name = self.signals[nth].clone();
        let is_over = self.state().is_some_and(|state| state.run().status().is_final());
        if is_over || self.came(&name) > 0 {
            self.signals.swap_remove(nth);
            return;
        }
        if let Some(number) = self.help(&[Doc::Run]) {
            let id = self.seed();
            let sent = SentSignal { body: work::payload(name.as_str()), name, id, key: Some("once".to_owned()) };
            self.input(number, Input::Event(Event::Signal(sent), Documents::new()));
        } else {
            // It is not stored yet, or has ended.
            self.check(true);
        }
    }

    /// How many signals of this name are stored.
    fn came(&self, name: &SignalName) -> usize {
        let docs = [Doc::Signal(name.clone()).name()];
        let documents = block_on(self.store.read(&Partition::of_run(&self.id), &docs)).unwrap();
        let document = documents.into_iter().flatten().next();
        document.map_or(0, |document| decode::<Signal>(&document.bytes).unwrap().came.len())
    }

    /// A replica that works on the run, or opens it for this node; `None` if it has ended.
    fn help_with(&mut self, path: &NodePath) -> Option<usize> {
        self.help(&Doc::around(path))
    }

    fn help(&mut self, docs: &[Doc]) -> Option<usize> {
        let number = self.random.below(self.replicas.len());
        if self.replicas[number].session.is_none() {
            let docs: Vec<String> = docs.iter().map(Doc::name).collect();
            let documents = block_on(self.store.read(&Partition::of_run(&self.id), &docs)).unwrap();
            let known = docs.into_iter().zip(documents).filter_map(|(name, doc)| Some((name, doc?))).collect();
            let state = load_all(known).unwrap()?;
            if state.run().status().is_final() {
                return None;
            }
            let (seed, plan) = (self.seed(), self.plan.clone());
            self.replicas[number].open(number, seed, &plan, state, Role::Helper);
        }
        Some(number)
    }

    fn seed(&mut self) -> u64 {
        self.random.below(usize::MAX) as u64
    }

    /// Every replica checks the run. If none works on it, one of them finds it due, or its caller asks again.
    fn check(&mut self, is_quiet: bool) {
        if is_quiet {
            self.now += LEASE / 3;
        }
        for number in 0..self.replicas.len() {
            if self.replicas[number].session.is_some() && self.replicas[number].io.is_none() {
                self.input(number, Input::Check);
                self.input(number, Input::Wake);
            }
        }
        let number = self.random.below(self.replicas.len());
        let entry = block_on(self.store.entry(&self.id)).unwrap();
        if entry.is_none() {
            if self.replicas.iter().all(|replica| replica.session.is_none()) {
                self.begin(number);
            }
            return;
        }
        let is_due =
            entry.is_some_and(|entry| !entry.status.is_final() && entry.due.is_some_and(|due| due <= self.now));
        if is_due && self.replicas[number].io.is_none() {
            if self.replicas[number].session.is_none() {
                let Some(state) = self.state() else { return };
                let (seed, plan) = (self.seed(), self.plan.clone());
                self.replicas[number].open(number, seed, &plan, state, Role::Helper);
            }
            self.input(number, Input::Recover);
        }
    }

    fn begin(&mut self, number: usize) {
        self.calls.clear();
        self.hints.clear();
        let begun = RunState::start(&self.plan, the_start());
        let (seed, circumstances) = (self.seed(), self.circumstances(number));
        let plan = (self.plan.clone(), rules(number), seed);
        let mut session = Session::begin(plan, begun, Documents::new(), self.durability, &circumstances);
        self.replicas[number].io = session.io();
        self.replicas[number].session = Some(session);
        self.act(number);
    }

    /// An operator asks a replica for something, and nothing goes wrong with that.
    pub fn ask(&mut self, event: Event) -> Result<(), Refusal> {
        let faults = std::mem::take(&mut self.faults);
        let number = self.random.below(self.replicas.len());
        let (seed, plan, state) = (self.seed(), self.plan.clone(), self.state().unwrap());
        self.replicas[number] = Replica::default();
        self.replicas[number].open(number, seed, &plan, state, Role::owner(self.now));
        self.rerun |= matches!(event, Event::Rerun { .. });
        let circumstances = self.circumstances(number);
        let store = self.store.clone();
        self.replicas[number].input(Input::Event(event, Documents::new()), &circumstances);
        while self.replicas[number].io.is_some() {
            self.replicas[number].perform(&*store, Fate::Answered, &circumstances);
        }
        let refused = {
            let ready = self.replicas[number].session.as_mut().unwrap().ready();
            self.replicas[number].works.extend(ready.start);
            self.replicas[number].commit_by = ready.commit_by;
            self.hints.extend(ready.send);
            ready.refused
        };
        self.faults = faults;
        match refused {
            Some(refusal) => {
                self.replicas[number] = Replica::default();
                Err(refusal)
            }
            None => Ok(()),
        }
    }

    /// Two operators ask two replicas in the same moment.
    pub fn ask_twice_at_once(&mut self, event: &Event) {
        self.rerun |= matches!(event, Event::Rerun { .. });
        for number in 0..2 {
            let (seed, plan, state) = (self.seed(), self.plan.clone(), self.state().unwrap());
            self.replicas[number] = Replica::default();
            self.replicas[number].open(number, seed, &plan, state, Role::owner(self.now));
        }
        for number in 0..2 {
            self.input(number, Input::Event(event.clone(), Documents::new()));
        }
        // Nothing that either of them starts ends before both are answered.
        while self.replicas.iter().take(2).any(|replica| replica.io.is_some()) {
            let number = self.random.below(2);
            if self.replicas[number].io.is_some() {
                self.perform(number);
            }
        }
    }

    /// How often work with calls was started, per node.
    pub fn calls(&self) -> &BTreeMap<String, usize> {
        &self.calls
    }

    /// Begins to count calls anew.
    pub fn forget_calls(&mut self) {
        self.calls.clear();
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Hint,
    Answer,
    Signal,
    Io,
    Finish(usize),
    CommitDue,
}
