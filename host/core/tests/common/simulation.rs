//! Replicas that drive one run over one store, under a scheduler and with faults that a seed chooses.

use super::store::{Conflict, Data, Store};
use super::{Random, work};
use faas_flow_core::run::{
    Attempt, ClaimToken, DATA, Doc, Effect, Event, Outcome, Phase, Progress, Refusal, Report, RunState, Suspended, Task, Work,
};
use faas_flow_core::{Code, Failure, Millis, NodePath, Payload, Plan, Status};
use std::collections::BTreeMap;

const LEASE: Millis = 20;
/// Longer outputs are in documents of their own.
const INLINE: usize = 24;
/// Steps with faults; from then on a run must come to its end.
const FAULTY_STEPS: usize = 3_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// How many replicas there are besides the first.
    pub more_replicas: usize,
    /// Each chance to lose, repeat, crash, forget, hang or wait is taken once in so many times; 0 is never.
    pub odds: usize,
    /// The one crash, at this point of the run.
    pub crash_at: Option<usize>,
}

/// What a run left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    pub result: Option<String>,
    pub status: Option<Status>,
    /// How often each node committed its own work, and its merging, and how often its set let it go on.
    pub commits: BTreeMap<String, usize>,
    pub merges: BTreeMap<String, usize>,
    pub joins: BTreeMap<String, usize>,
}

impl Trace {
    /// The same without the run's handlers, which run at each of its ends.
    pub fn without_handlers(mut self) -> Self {
        self.commits.retain(|path, _| !path.starts_with('('));
        self
    }
}

#[derive(Default)]
struct Replica {
    state: Option<RunState>,
    works: Vec<Work>,
}

pub struct Simulation<'a> {
    plan: &'a Plan,
    faults: Faults,
    random: Random,
    /// A node that fails: when it merges, or else when it does its own work.
    pub failing: Option<(String, bool)>,
    pub store: Store,
    replicas: Vec<Replica>,
    hints: Vec<NodePath>,
    /// What each suspended node is to go on with; not followed any more once the run was re-run.
    waits: Option<BTreeMap<NodePath, Suspended>>,
    now: Millis,
    /// Points at which a replica could have crashed so far.
    pub points: usize,
    trace: Trace,
}

impl<'a> Simulation<'a> {
    /// A new run, stored, its start dispatched.
    pub fn new(plan: &'a Plan, seed: u64, faults: Faults) -> Self {
        let (mut state, effects) = super::start(plan);
        let mut store = Store::default();
        assert!(store.commit(&mut state, None, &effects).is_ok());
        let replicas = (0..=faults.more_replicas).map(|_| Replica::default()).collect();
        let (failing, waits, trace) = (None, Some(BTreeMap::new()), Trace::default());
        let (random, now, points) = (Random(seed | 1), 1, 0);
        let mut new = Self { plan, faults, random, failing, store, replicas, hints: vec![], waits, now, points, trace };
        new.dispatch(effects);
        new
    }

    /// Goes on until the run ends or pauses and nobody is at work on it.
    pub fn run(&mut self) -> Trace {
        for step in 0.. {
            assert!(step < 2 * FAULTY_STEPS, "the run does not end");
            if step == FAULTY_STEPS {
                self.faults.odds = 0;
            }
            self.now += 1;
            let works: usize = self.replicas.iter().map(|replica| replica.works.len()).sum();
            let run = self.store.load();
            let over = run.run().phase == Phase::Ended || run.run().paused;
            match self.random.below(self.hints.len() + works) {
                _ if self.hints.is_empty() && works == 0 && over => break,
                _ if self.hints.is_empty() && works == 0 => {
                    self.now += LEASE;
                    self.sweep();
                }
                _ if self.chance() => self.sweep(),
                i if i < self.hints.len() => self.claim(i),
                i => self.finish(i - self.hints.len()),
            }
        }
        let run = self.store.load();
        self.trace.status = Some(run.run().status());
        self.trace.result = run.run().result.as_ref().map(|result| self.store.text(result));
        self.trace.clone()
    }

    /// Applies an event of an operator.
    pub fn ask(&mut self, event: Event) -> Result<(), Refusal> {
        let (mut state, faults) = (self.store.load(), std::mem::take(&mut self.faults));
        loop {
            match state.step(self.plan, &event, self.now) {
                Err(Refusal::Needs(doc)) if self.store.bring(&mut state, &doc) => {}
                Err(refusal) => {
                    self.faults = faults;
                    return Err(refusal);
                }
                Ok(effects) => {
                    assert!(self.store.commit(&mut state, None, &effects).is_ok());
                    self.faults = faults;
                    self.waits = None;
                    self.dispatch(effects);
                    return Ok(());
                }
            }
        }
    }

    fn chance(&mut self) -> bool {
        self.faults.odds > 0 && self.random.below(self.faults.odds) == 0
    }

    /// Whether the replica dies here, and with it all that it holds.
    fn dies(&mut self, replica: usize) -> bool {
        self.points += 1;
        let dies = self.faults.crash_at == Some(self.points) || self.chance();
        if dies {
            self.replicas[replica] = Replica::default();
        }
        dies
    }

    fn dispatch(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::Dispatch(path) = effect else { continue };
            if self.chance() {
                self.hints.push(path.clone());
            }
            if !self.chance() {
                self.hints.push(path);
            }
        }
    }

    fn claim(&mut self, hint: usize) {
        let path = self.hints.swap_remove(hint);
        let replica = self.random.below(self.replicas.len());
        if self.replicas[replica].works.iter().any(|work| work.path == path) {
            return; // It executes the node already.
        }
        let token = ClaimToken::new(self.random.below(u32::MAX as usize) as u32);
        let owner = format!("replica {replica}").into();
        let event = Event::Claim { path, owner, token, until: self.now + LEASE };
        for effect in self.apply(replica, event, None).unwrap_or_default() {
            let Effect::Execute(work) = effect else { continue };
            self.comes_after_its_predecessors(&work);
            if let Some(waits) = &self.waits {
                assert_eq!(work.suspended.as_ref(), waits.get(&work.path), "{} goes on elsewhere", work.path);
            }
            self.replicas[replica].works.push(work);
        }
    }

    /// Whatever an edge carries, and if it is nothing, what it comes from is done before what it leads to begins.
    fn comes_after_its_predecessors(&self, work: &Work) {
        if matches!(work.task, Task::Recover { .. } | Task::Finally { .. }) {
            return;
        }
        let (path, dag) = (&work.path, super::dag_of(&self.plan.definition().dag, &work.path.scope));
        let progress = self.store.progress(&path.scope);
        let predecessors: Vec<&str> = match path.node.is_reserved() {
            // It joins the ends.
            true => dag.nodes.iter().map(|node| node.id.as_str()).collect(),
            false => {
                let leading = dag.edges.iter().filter(|edge| edge.to == path.node.as_str());
                leading.map(|edge| edge.from.as_str()).collect()
            }
        };
        for predecessor in predecessors {
            assert_eq!(progress[predecessor], Progress::Done, "{path} begins before {predecessor} is done");
        }
    }

    fn finish(&mut self, mut nth: usize) {
        let Some(replica) = self.replicas.iter().position(|replica| {
            let here = nth < replica.works.len();
            nth -= if here { 0 } else { replica.works.len() };
            here
        }) else {
            return;
        };
        let work = self.replicas[replica].works.swap_remove(nth);
        if self.chance() {
            return; // It hangs, and nobody hears of it again.
        }
        let (outcome, data) = self.outcome(&work);
        let attempts = vec![Attempt { started: self.now, ended: self.now, failure: None }];
        let report = Report { outcome, input_size: 0, attempts };
        let event = Event::Complete { path: work.path.clone(), token: work.token, report };
        if self.apply(replica, event.clone(), Some((&work, data.clone()))).is_some() && self.chance() {
            assert!(self.apply(replica, event, Some((&work, data))).is_none(), "a repeated report commits nothing");
        }
    }

    fn outcome(&mut self, work: &Work) -> (Outcome, Option<Data>) {
        let merges = matches!(work.task, Task::Merge { .. });
        if self.failing.as_ref().is_some_and(|(path, when)| *path == work.path.to_string() && *when == merges) {
            return (Outcome::Failed(Failure::reject(Code::GUEST_REJECTED, "as the test wants")), None);
        }
        if self.chance() {
            let until = self.now + self.random.below(100) as u64;
            let (operation, tries) = (self.random.below(3) as u32, self.random.below(9) as u32);
            return (
                Outcome::Suspended(Suspended { until, operation, tries, data: Some(super::payload("so far")) }),
                None,
            );
        }
        let store = &self.store;
        match work::outcome(work, &|payload| store.text(payload), &|began_by| store.set(&work.path, began_by)) {
            Outcome::Done(Payload::Inline(bytes)) if bytes.len() > INLINE => {
                let doc = format!("{DATA}{}/{}/0", work.path, work.token);
                let kept = Payload::Kept { doc: doc.clone(), size: bytes.len() as u64 };
                (Outcome::Done(kept), Some((doc, bytes.to_vec())))
            }
            outcome => (outcome, None),
        }
    }

    /// Looks for what nobody takes care of, with as many documents at hand as chance brings.
    fn sweep(&mut self) {
        let replica = self.random.below(self.replicas.len());
        let mut state = self.store.load();
        for doc in self.store.scopes() {
            if !self.chance() {
                self.store.bring(&mut state, &doc);
            }
        }
        if self.hints.is_empty() {
            self.now = self.now.max(state.next_wake().unwrap_or(0));
        }
        self.hints.extend(state.claimable(self.now));
        for (path, began_by, total) in state.branching() {
            if self.store.arrived(&path, began_by) == total as usize {
                self.apply(replica, Event::Joined { path, began_by }, None);
            }
        }
    }

    /// A replica applies an event to what it holds and commits; none if that came to nothing.
    fn apply(&mut self, replica: usize, event: Event, of: Option<(&Work, Option<Data>)>) -> Option<Vec<Effect>> {
        let at_hand = self.replicas[replica].state.take();
        let mut fresh = at_hand.is_none();
        let mut state = at_hand.unwrap_or_else(|| self.store.load());
        for doc in state.held() {
            if let (Doc::Scope(path), true) = (&doc, self.chance()) {
                state.forget_scope(path);
            }
        }
        let data = of.as_ref().and_then(|(_, data)| data.as_ref());
        loop {
            let effects = match state.step(self.plan, &event, self.now) {
                Err(Refusal::Needs(doc)) if self.store.bring(&mut state, &doc) => continue,
                // What is at hand may be old: the run was resumed, or re-run, by somebody else.
                Err(_) if !fresh => {
                    self.store.reload(&mut state);
                    fresh = true;
                    continue;
                }
                Err(refusal) => {
                    let calm = self.faults.odds + self.faults.more_replicas == 0 && self.faults.crash_at.is_none();
                    // Of a node that waits, hints may come too early, or twice.
                    assert!(!calm || self.waits.is_some() || state.run().verdict.is_some(), "{event:?}: {refusal}");
                    break;
                }
                Ok(effects) => effects,
            };
            if self.dies(replica) {
                return None;
            }
            let full = match self.store.commit(&mut state, data, &effects) {
                Ok(full) => full,
                Err(Conflict) => {
                    self.store.reload(&mut state);
                    continue;
                }
            };
            self.note(&event, of.as_ref().map(|(work, _)| *work));
            if self.dies(replica) {
                return None;
            }
            self.replicas[replica].state = Some(state);
            self.dispatch(effects.clone());
            for (path, began_by) in full {
                self.apply(replica, Event::Joined { path, began_by }, None);
            }
            return Some(effects);
        }
        self.replicas[replica].state = Some(state);
        None
    }

    fn note(&mut self, event: &Event, work: Option<&Work>) {
        let (counts, path) = match (event, work) {
            (Event::Joined { path, .. }, _) => (&mut self.trace.joins, path),
            (Event::Complete { path, report, .. }, Some(work)) => {
                if let Some(waits) = &mut self.waits {
                    waits.remove(path);
                    if let Outcome::Suspended(suspended) = &report.outcome {
                        waits.insert(path.clone(), suspended.clone());
                    }
                }
                match &report.outcome {
                    Outcome::Failed(_) | Outcome::Suspended(_) => return,
                    _ if matches!(work.task, Task::Merge { .. }) => (&mut self.trace.merges, path),
                    _ => (&mut self.trace.commits, path),
                }
            }
            _ => return,
        };
        *counts.entry(path.to_string()).or_default() += 1;
    }
}
