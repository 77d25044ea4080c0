//! Replicas that drive one run over one store, one step after the other, in an order that a seed chooses.

use crate::replica::{Fate, LEASE, Replica, circumstances, rules};
use crate::work;
use faas_flow_core::run::{
    Attempt, Awaited, ClaimToken, DATA, Doc, Ended, Event, NodeState, Outcome, Progress, Refusal, Report, RunState,
    Said, Scope, SentSignal, Signal, Suspended, Task, Try, Wait, WaitId, Work, decode, set_of,
};
use faas_flow_core::testing::{Random, payload, the_start};
use faas_flow_core::{
    Code, Failure, NodeId, NodePath, Partition, Payload, Place, Plan, ResponseHead, RunId, ScopePath, SignalName,
    Status,
};
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

    /// A node with a wait for a signal waits until it has got one.
    fn awaits_signal(&mut self, work: &Work) -> Option<Suspended> {
        use faas_flow_core::definition::Operation;
        let Task::Operations(operations) = &work.task else { return None };
        let waits = matches!(operations.list.first(), Some(Operation::WaitFor(_))) && work.signals.is_empty();
        if !waits {
            return None;
        }
        let signal = signal_of(&work.path);
        if !self.signals.contains(&signal) {
            self.signals.push(signal.clone());
        }
        let known = work.suspended.as_ref().and_then(|suspended| suspended.wait.clone());
        let wait = known.filter(|wait| matches!(wait.of, Awaited::Signal { .. })).unwrap_or_else(|| {
            let id = WaitId { claim: work.token, operation: 0 };
            Box::new(Wait { id, of: Awaited::Signal { signal }, since: self.now, limit: None, looks: 0 })
        });
        let until = self.now + 5 * LEASE;
        Some(Suspended { data: Some(payload("so far")), wait: Some(wait), ..Suspended::until(until) })
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

    /// What a replica executes has failed, and goes on.
    fn fail_a_try(&mut self, number: usize, nth: usize) {
        let Work { path, token, .. } = self.replicas[number].works[nth].clone();
        let number_of = self.tried.values().map(Vec::len).sum::<usize>() as u32 + 1;
        let claim = (path.to_string(), token);
        self.tried.entry(claim).or_default().push(number_of);
        let failure = Failure::retry(Code::CALL_STATUS, "busy");
        let tries = vec![Try::begin(0, number_of, u32::MAX, self.now).failed(self.now, Some(503), &failure)];
        let event = Event::Tried { path, token, attempts: Vec::new(), tries };
        self.input(number, Input::Event(event, Documents::new()));
    }

    /// HIST-8: no try is in the history twice, and none is missing that failed under the claim with which its node was done.
    fn check_tries(&self, state: &RunState) {
        let nodes = state.scopes().flat_map(|scope| scope.nodes.iter().map(move |node| (scope, node)));
        for (scope, node) in nodes {
            let known: Vec<u32> = node.tries.iter().flat_map(|tries| &tries.kept).map(|one| one.number).collect();
            let once: BTreeSet<u32> = known.iter().copied().collect();
            assert_eq!(once.len(), known.len(), "{known:?} of {}", scope.path.node(&node.id));
            let claim = (scope.path.node(&node.id).to_string(), node.token);
            let tried = self.tried.get(&claim).filter(|_| node.progress == Progress::Done);
            for number in tried.into_iter().flatten().rev().take(10) {
                assert!(once.contains(number), "try {number} of {claim:?} is lost: {known:?}");
            }
        }
    }

    /// A replica has executed something.
    fn finish(&mut self, number: usize, nth: usize) {
        let work = self.replicas[number].works.swap_remove(nth);
        let (outcome, documents) = self.outcome(number, &work);
        if calls(&work.task)
            && matches!(outcome, Outcome::Suspended(_))
            && let Some(count) = self.calls.get_mut(&work.path.to_string())
        {
            *count -= 1;
        }
        let failure = match &outcome {
            Outcome::Failed(failure) => Some(failure.clone()),
            _ => None,
        };
        let attempts = vec![Attempt { started: self.now, ended: self.now, failure, next: None }];
        let report = Report {
            outcome,
            response: work::response(&work.path).map(Box::new),
            evidence: None,
            labels: faas_flow_core::Labels::new(),
            input_size: 0,
            attempts,
            tries: Vec::new(),
        };
        for (name, bytes) in &documents {
            self.replicas[number].cached.insert(name.clone(), bytes.clone());
        }
        let event = Event::Complete { path: work.path, token: work.token, report };
        self.input(number, Input::Event(event, documents));
    }

    fn outcome(&mut self, number: usize, work: &Work) -> (Outcome, Documents) {
        let merges = matches!(work.task, Task::Merge { .. });
        let catches = matches!(work.task, Task::Catch { .. });
        let fails = |(path, when): &(String, bool)| *path == work.path.to_string() && *when == merges && !catches;
        if self.failing.as_ref().is_some_and(fails) {
            let failure = Failure::reject(Code::GUEST_REJECTED, "as the test wants");
            return (Outcome::Failed(failure), Documents::new());
        }
        if let Some(suspended) = self.awaits_signal(work) {
            return (Outcome::Suspended(suspended), Documents::new());
        }
        if self.chance(self.faults.waits) {
            let until = self.now + self.random.below(100) as u64;
            let wait = (self.random.below(2) == 0).then(|| Box::new(self.question(work)));
            let wait = Suspended {
                until,
                operation: 0,
                tries: 1,
                begun: None,
                data: Some(payload("so far")),
                wait,
                asleep: None,
                failed: 0,
            };
            return (Outcome::Suspended(wait), Documents::new());
        }
        let replica = &self.replicas[number];
        // As long as nothing of the run is stored, its outputs have no documents of their own.
        let is_stored = replica.session.as_ref().is_some_and(|session| session.durability() != Durability::Memory);
        let set = |started_by| self.set(replica, &set_of(&work.path, started_by), &work.path);
        match work::outcome(work, &|payload| self.text(Some(replica), payload), &set) {
            Outcome::Done(Payload { place: Place::Inline(bytes), media_type }) if is_stored && bytes.len() > INLINE => {
                let doc = format!("{DATA}{}/{}/0", work.path, work.token);
                let kept = Payload::kept(&doc, bytes.len() as u64).of_type(media_type);
                (Outcome::Done(kept), vec![(doc, bytes)])
            }
            outcome => (outcome, Documents::new()),
        }
    }

    /// Asks something outside, whose answer may be lost, or come twice. If it has not come when the wait is over, the node
    /// goes on without it.
    fn question(&mut self, work: &Work) -> Wait {
        let id = WaitId { claim: work.token, operation: 0 };
        if !self.chance(self.faults.events) {
            self.answers.push((work.path.clone(), id));
        }
        if self.chance(self.faults.events) {
            self.answers.push((work.path.clone(), id));
        }
        Wait { id, of: Awaited::Function { name: "slow".to_owned() }, since: self.now, limit: None, looks: 0 }
    }

    /// What has arrived in a set, in the order of the branches.
    fn set(&self, replica: &Replica, set: &str, node: &NodePath) -> Vec<(String, Ended)> {
        let session = replica.session.as_ref().unwrap();
        let unsaved: Vec<_> =
            session.unsaved_arrivals(set).map(|one| (one.member.clone(), one.bytes.clone())).collect();
        let members = if session.branches_of(node) == Some(unsaved.len() as u32) {
            unsaved
        } else {
            block_on(self.store.arrivals(&Partition::of_run(&self.id), set)).unwrap()
        };
        let mut all: Vec<_> = members
            .into_iter()
            .map(|(key, bytes)| {
                let (index, ended) = read_arrival(&bytes).unwrap();
                (index, (key, ended))
            })
            .collect();
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, branch)| branch).collect()
    }

    /// The text of a payload, wherever it is.
    fn text(&self, replica: Option<&Replica>, payload: &Payload) -> String {
        let bytes = match &payload.place {
            Place::Inline(bytes) => bytes.clone(),
            Place::Kept { doc, .. } => match replica.and_then(|replica| replica.cached.get(doc)) {
                Some(bytes) => bytes.clone(),
                None => {
                    let stored =
                        block_on(self.store.read(&Partition::of_run(&self.id), std::slice::from_ref(doc))).unwrap();
                    stored[0].clone().unwrap_or_else(|| panic!("{doc} is not stored")).bytes
                }
            },
            Place::Stored { .. } => unreachable!("the simulation has no data store"),
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(payload.media_type, work::media_type_of(&text), "{text:?} has kept its media type");
        text
    }

    /// The answer of the run is as one of the nodes has said that are done, or the failure handler; and if any of them has
    /// said something, it is not lost.
    fn check_response(&self, state: &RunState) {
        let run = state.run();
        let is_done = |node: &&NodeState| node.progress == Progress::Done;
        let of_scope = |scope: &Scope| {
            let done = scope.nodes.iter().filter(is_done);
            done.map(|node| scope.path.node(&node.id)).collect::<Vec<NodePath>>()
        };
        let done: Vec<NodePath> = match run.status() {
            Status::Succeeded => {
                // What failed does not count, nor what was cancelled with it.
                let counts = |path: &NodePath| self.rerun || state.goes_on(path);
                state.scopes().flat_map(of_scope).filter(counts).collect()
            }
            Status::Failed => {
                let handler = run.hooks.iter().filter(is_done).filter(|hook| hook.id == NodeId::failure());
                handler.map(|hook| ScopePath::root().node(&hook.id)).collect()
            }
            _ => Vec::new(),
        };
        let said: Vec<ResponseHead> = done.iter().filter_map(work::response).collect();
        match run.response_head() {
            Some(head) => assert!(said.contains(head), "nobody has set {head:?}"),
            // What was set by a node that was executed again, in a branch that was not chosen again, is gone; and what was set last
            // is gone if it was set by something that has failed.
            None => {
                let caught =
                    |scope: &Scope| scope.caught.is_some() || scope.nodes.iter().any(|node| node.caught.is_some());
                assert!(said.is_empty() || self.rerun || state.scopes().any(caught), "{said:?} is lost");
            }
        }
    }

    /// A node whose work has effects is executed once, but for each lease of it that ran out.
    fn check_calls(&self) {
        // What is executed again since somebody asked for it is checked by who asked.
        if self.rerun {
            return;
        }
        for (path, times) in &self.calls {
            let lost = self.lost_leases(path);
            assert!(*times <= 1 + lost, "{path} was executed {times} times, and {lost} leases of it ran out");
        }
    }

    /// How many leases of a node ran out, in all of its history.
    pub fn lost_leases(&self, path: &str) -> usize {
        let path = NodePath::parse(path).unwrap();
        let state = self.state().unwrap();
        let of_scope = state.scope(&path.scope).into_iter().flat_map(|scope| &scope.nodes);
        let Some(node) = of_scope.chain(&state.run().hooks).find(|node| node.id == path.node) else { return 0 };
        let is_lost =
            |attempt: &&Attempt| attempt.failure.as_ref().is_some_and(|failure| failure.code == Code::NODE_LOST);
        node.attempts.iter().filter(is_lost).count()
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

/// The signal for which a node waits: each for its own.
fn signal_of(node: &NodePath) -> SignalName {
    let hash = node.to_string().bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    SignalName::new(format!("{hash:x}")).unwrap()
}

/// Whether a task has effects beyond the flow's own code.
fn calls(task: &Task) -> bool {
    use faas_flow_core::definition::Operation;
    match task {
        Task::Operations(operations) => operations.list.iter().any(Operation::is_call),
        Task::Recover { .. } | Task::Finally { .. } => true,
        _ => false,
    }
}
