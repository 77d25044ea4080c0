//! The session itself: it takes inputs, requests I/O one at a time, and returns what is ready.

use crate::batch::{Applied, Arriving, Basis, Batch, Documents, begin_together, is_own_code};
use crate::commit::{Committing, Purpose};
use crate::durability::{Durability, Role};
use crate::end::is_exhausted;
use crate::io::{Answer, Circumstances, Delivery, End, Input, Io, Ready, Rules};
use crate::load::{documents_for, reload};
use crate::owner::{Check, EventsExpected};
use crate::queue::Queue;
use crate::replay::{COMMIT_TRIES, Replay};
use crate::tokens::Tokens;
use faas_flow_core::run::{ClaimToken, Doc, Effect, Event, Outcome, Refusal, RunState, Work};
use faas_flow_core::{Code, Failure, Millis, NodePath, Plan, RunId};
use faas_flow_store::Document;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One run on one replica.
#[derive(Debug)]
pub struct Session {
    pub(crate) plan: Arc<Plan>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tokens: Tokens,
    pub(crate) state: RunState,
    pub(crate) durability: Durability,
    pub(crate) role: Role,
    /// Ready nodes that wait for their turn here.
    pub(crate) queue: Queue,
    /// What was applied and is not committed yet.
    pub(crate) batch: Batch,
    /// The claims of this replica.
    pub(crate) running: BTreeMap<NodePath, Claim>,
    /// Nodes whose branches have all ended, each with the claim that started the branches.
    joined: VecDeque<(NodePath, ClaimToken, Basis)>,
    /// Ready nodes to send to other replicas once everything is committed.
    pub(crate) outbox: Vec<NodePath>,
    /// What to do next, in this order.
    pub(crate) todo: VecDeque<Todo>,
    /// The purpose of the outstanding I/O.
    outstanding: Option<Outstanding>,
    io: Option<Io>,
    pub(crate) replay: Option<Replay>,
    /// Nodes whose report was refused in a replay, until the next commit.
    pub(crate) refused: Vec<NodePath>,
    /// Nodes whose claim was refused in a replay, until its end.
    pub(crate) unclaimed: Vec<NodePath>,
    /// How many commits in a row failed, and how many of them had no answer.
    pub(crate) failed: u32,
    pub(crate) unknown: u32,
    pub(crate) ready: Ready,
}

/// A claim of this replica.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) token: ClaimToken,
    /// Whether its work only runs the flow's own code.
    pub(crate) own_code: bool,
    /// Whether the driver has been given the work.
    pub(crate) started: bool,
}

/// Something that a session has to do.
#[derive(Debug)]
pub(crate) enum Todo {
    /// Applies an event.
    Apply(Applying),
    /// Commits what has changed, even if no event was applied.
    Commit,
    /// Ends a replay.
    Replayed,
    /// Checks what other replicas did.
    Check(EventsExpected),
    /// Ends a check whose changes are committed.
    Checked(Check),
    /// Commits a run that is only in memory.
    MakeDurable,
    /// Releases the claims of this replica.
    Release,
    /// Ends the release of this many nodes, which is committed.
    Released(usize),
}

/// An event that is to be applied.
#[derive(Debug)]
pub(crate) struct Applying {
    pub(crate) event: Event,
    documents: Documents,
    origin: Origin,
    /// Whether an earlier try to apply it had to wait for I/O.
    has_begun: bool,
    /// Whether the documents that it needs are as they are stored, so that a refusal is final.
    is_current: bool,
    /// What it was applied to before, in a replay; or what it follows from.
    pub(crate) basis: Basis,
}

/// Where an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The driver's input.
    Input,
    /// The session itself.
    Session,
    /// A replay.
    Replay,
}

/// The purpose of the outstanding I/O.
#[derive(Debug)]
pub(crate) enum Outstanding {
    /// The next event needs these documents, which are not loaded or may be out of date.
    Documents(Vec<Doc>),
    /// A replay needs these documents.
    Replay(Vec<Doc>),
    Check(Check),
    Commit(Committing),
    Values,
}

impl Applying {
    pub(crate) fn new(event: Event, documents: Documents, origin: Origin) -> Self {
        let is_current = origin == Origin::Replay;
        Self { event, documents, origin, has_begun: false, is_current, basis: Basis::Any }
    }

    /// The same event, with what it was applied to, or what it follows from.
    pub(crate) fn with_basis(self, basis: Basis) -> Self {
        Self { basis, ..self }
    }
}

impl Session {
    /// A session of a new run. `effects` are those of [`RunState::start`], and `documents` are committed with the start of
    /// the run. `seed` must be a random number, since the tokens of claims are derived from it.
    pub fn begin(
        (plan, rules, seed): (Arc<Plan>, Arc<Rules>, u64),
        (state, effects): (RunState, Vec<Effect>),
        documents: Documents,
        durability: Durability,
        circumstances: &Circumstances,
    ) -> Self {
        let mut session = Self::new((plan, rules, seed), state, durability, Role::owner(circumstances.now));
        session.batch = Batch::beginning(documents, circumstances.now);
        for effect in effects {
            if let Effect::Dispatch(path) = effect {
                session.queue.add(&session.plan, path);
            }
        }
        session.fill(circumstances);
        if durability == Durability::Delayed && !session.batch_may_wait(circumstances.now) {
            session.durability = Durability::Beginning;
        }
        session.advance(circumstances);
        session
    }

    /// A session of a run that was loaded from the store.
    pub fn open(plan: Arc<Plan>, rules: Arc<Rules>, seed: u64, state: RunState, role: Role) -> Self {
        Self::new((plan, rules, seed), state, Durability::Stored, role)
    }

    fn new(
        (plan, rules, seed): (Arc<Plan>, Arc<Rules>, u64),
        state: RunState,
        durability: Durability,
        role: Role,
    ) -> Self {
        Self {
            plan,
            rules,
            tokens: Tokens::new(seed),
            state,
            durability,
            role,
            queue: Queue::default(),
            batch: Batch::default(),
            running: BTreeMap::new(),
            joined: VecDeque::new(),
            outbox: Vec::new(),
            todo: VecDeque::new(),
            outstanding: None,
            io: None,
            replay: None,
            refused: Vec::new(),
            unclaimed: Vec::new(),
            failed: 0,
            unknown: 0,
            ready: Ready::default(),
        }
    }

    /// Takes an input. Its I/O must be performed ([`Session::io`]) before the next input.
    pub fn input(&mut self, input: Input, circumstances: &Circumstances) {
        if self.durability == Durability::Diverged {
            self.ready.refused = Some(Refusal::Unknown);
            return;
        }
        match input {
            Input::Event(event, documents) => {
                self.todo.push_back(Todo::Apply(Applying::new(event, documents, Origin::Input)));
            }
            Input::Claim(path) if self.running.contains_key(&path) => self.ready.refused = Some(Refusal::Leased),
            Input::Claim(path) => {
                let claim = self.claim(path, circumstances.now);
                self.todo.push_back(Todo::Apply(Applying::new(claim, Documents::new(), Origin::Input)));
            }
            Input::Check => self.todo.push_back(Todo::Check(EventsExpected::Yes)),
            Input::Recover => self.recover(),
            Input::Wake => {
                if self.role != Role::Left {
                    self.enqueue_claimable(EventsExpected::Yes, circumstances);
                    self.fill(circumstances);
                }
            }
            Input::CommitDue => self.press(),
            Input::Store => {
                self.press();
                self.todo.push_back(Todo::MakeDurable);
            }
            Input::Release => self.todo.push_back(Todo::Release),
        }
        self.advance(circumstances);
    }

    /// The I/O to perform next. `None` if it is time to call [`Session::ready`].
    pub fn io(&mut self) -> Option<Io> {
        self.io.take()
    }

    /// Takes the answer to the last [`Io`].
    pub fn answer(&mut self, answer: Answer, circumstances: &Circumstances) {
        let Some(outstanding) = self.outstanding.take() else { return };
        match (outstanding, answer) {
            (Outstanding::Documents(docs), Answer::Loaded(documents)) => self.loaded(&docs, documents),
            (Outstanding::Replay(docs), Answer::Loaded(documents)) => match reload(&mut self.state, &docs, documents) {
                Ok(is_stored) => self.begin_replay(is_stored),
                Err(error) => self.unreadable(&error),
            },
            (Outstanding::Check(check), Answer::Loaded(documents)) => {
                match reload(&mut self.state, &[Doc::Run], documents) {
                    Ok(true) => self.renew_and_claim(check, circumstances),
                    Ok(false) => self.leave(),
                    Err(error) => self.unreadable(&error),
                }
            }
            (Outstanding::Check(check), Answer::LoadedAll(documents)) => {
                self.loaded_all(check, documents, circumstances)
            }
            // Work continues. If the store is unavailable for so long that other replicas claim it, their claims are valid.
            (Outstanding::Check(_), Answer::NotLoaded(failure)) if failure.code.is_transient() => {}
            (Outstanding::Commit(committing), Answer::Committed(committed)) => {
                self.piece_committed(committing, &committed);
            }
            (Outstanding::Commit(committing), Answer::Conflict) => self.not_committed(&committing, None, circumstances),
            (Outstanding::Commit(committing), Answer::Unknown(failure)) => {
                self.not_committed(&committing, Some(failure), circumstances);
            }
            (Outstanding::Values, Answer::Values(Ok(documents))) => self.make_durable(documents, circumstances.now),
            (Outstanding::Values, Answer::Values(Err(failure))) => self.not_durable(failure),
            (_, Answer::NotLoaded(failure)) => self.abandon(failure),
            (_, answer) => {
                let message = format!("the store gave an answer that does not fit the request: {answer:?}");
                self.abandon(Failure::reject(Code::INTERNAL, message));
            }
        }
        self.advance(circumstances);
    }

    /// What the driver is to do, now that there is no more I/O.
    pub fn ready(&mut self) -> Ready {
        for work in &self.ready.start {
            if let Some(claim) = self.running.get_mut(&work.path) {
                claim.started = true;
            }
        }
        if self.batch.is_empty() {
            self.ready.send = std::mem::take(&mut self.outbox);
        } else {
            self.ready.commit_by = Some(self.batch.due(self.rules.commit_delay));
        }
        std::mem::take(&mut self.ready)
    }

    pub(crate) fn wait_for(&mut self, outstanding: Outstanding, io: Io) {
        self.outstanding = Some(outstanding);
        self.io = Some(io);
    }

    /// Makes the batch due for its commit.
    fn press(&mut self) {
        self.batch.pressing = !self.batch.is_empty();
    }

    /// Does everything that needs no I/O. Does nothing once the run was abandoned: a join that was counted before that must
    /// not be committed.
    fn advance(&mut self, circumstances: &Circumstances) {
        while self.outstanding.is_none() && self.durability != Durability::Diverged {
            // If this is refused, another replica has noticed it, too.
            if self.replay.is_none()
                && let Some((path, started_by, basis)) = self.joined.pop_front()
            {
                let joined = Event::Joined { path, started_by };
                let applying = Applying::new(joined, Documents::new(), Origin::Session);
                self.todo.push_front(Todo::Apply(applying.with_basis(basis)));
            }
            match self.todo.pop_front() {
                Some(todo) => self.act(todo, circumstances),
                None if self.batch.is_empty() || self.batch_may_wait(circumstances.now) => return,
                None => self.commit(circumstances.now),
            }
        }
    }

    fn act(&mut self, todo: Todo, circumstances: &Circumstances) {
        match todo {
            Todo::Apply(applying) => self.apply(applying, circumstances),
            Todo::Commit => self.commit(circumstances.now),
            Todo::Replayed => self.end_replay(circumstances),
            Todo::Check(events) => self.check(events, circumstances),
            Todo::Checked(check) => self.check_ended(check),
            Todo::MakeDurable => {
                if self.durability == Durability::Memory && self.role != Role::Left {
                    self.wait_for(Outstanding::Values, Io::Values { tries: self.unknown });
                }
            }
            Todo::Release => self.release(circumstances),
            Todo::Released(nodes) => {
                self.ready.leases.released = nodes;
                self.cancel();
                self.leave();
            }
        }
    }

    /// Applies an event, or requests what it needs first. A refusal may be due to an outdated copy of the state, so the
    /// documents are loaded again before it is final.
    fn apply(&mut self, mut applying: Applying, circumstances: &Circumstances) {
        let is_replayed = applying.origin == Origin::Replay;
        if !is_replayed && is_wide(&applying.event) && !self.batch.is_empty() {
            self.todo.push_front(Todo::Apply(applying));
            return self.commit(circumstances.now);
        }
        if !std::mem::replace(&mut applying.has_begun, true)
            && let Event::Complete { path, .. } = &applying.event
        {
            let own_code = self.running.remove(path).is_some_and(|claim| claim.own_code);
            self.batch.pressing |= !own_code;
        }
        if is_replayed && !self.stands(&applying) {
            return self.refuse(applying, Refusal::Stale);
        }
        if let Some(seen) = self.seen(&applying.event) {
            applying.basis = seen;
        }
        match self.state.step(&self.plan, &applying.event, circumstances.now) {
            Ok(effects) => {
                let Applying { event, documents, basis, .. } = applying;
                self.follow(Applied { event, documents, basis }, effects, circumstances.now);
                if !is_replayed {
                    self.fill(circumstances);
                }
            }
            Err(Refusal::Needs(doc)) => {
                let docs = vec![doc];
                self.todo.push_front(Todo::Apply(applying));
                self.wait_for(Outstanding::Documents(docs.clone()), Io::Load { docs, tries: 0 });
            }
            Err(_) if !applying.is_current && self.durability != Durability::Memory => {
                if !self.batch.is_empty() {
                    self.todo.push_front(Todo::Apply(applying));
                    return self.commit(circumstances.now);
                }
                applying.is_current = true;
                let docs = documents_for(&applying.event);
                self.todo.push_front(Todo::Apply(applying));
                self.wait_for(Outstanding::Documents(docs.clone()), Io::Load { docs, tries: 0 });
            }
            Err(refusal) => self.refuse(applying, refusal),
        }
    }

    fn refuse(&mut self, applying: Applying, refusal: Refusal) {
        match (applying.origin, applying.event) {
            (Origin::Replay, Event::Complete { path, token, report }) => {
                let is_lost = refusal == Refusal::Stale && !self.is_reported(&path, token, &report);
                self.ready.leases.lost += usize::from(is_lost);
                self.refused.push(path);
            }
            (Origin::Replay, Event::Claim { path, .. }) => self.unclaimed.push(path),
            (Origin::Input, event) => {
                let is_report = matches!(event, Event::Complete { .. });
                self.ready.leases.lost += usize::from(is_report && refusal == Refusal::Stale);
                self.ready.refused = Some(refusal);
            }
            _ => {}
        }
    }

    /// Takes the documents that the next event needs.
    fn loaded(&mut self, docs: &[Doc], documents: Vec<Option<Document>>) {
        match reload(&mut self.state, docs, documents) {
            Ok(true) => {}
            Ok(false) => return self.abandon(self.gone_from_store()),
            Err(error) => return self.unreadable(&error),
        }
        // The scope does not exist, so neither does the node.
        if let [Doc::Scope(path)] = docs
            && self.state.scope(path).is_none()
            && let Some(Todo::Apply(applying)) = self.todo.pop_front()
        {
            self.refuse(applying, Refusal::Unknown);
        }
    }

    /// Applies an event that only needs what is loaded.
    pub(crate) fn apply_now(&mut self, event: Event, now: Millis) -> Result<(), Refusal> {
        let basis = self.seen(&event).unwrap_or(Basis::Any);
        let effects = self.state.step(&self.plan, &event, now)?;
        self.follow(Applied { event, documents: Documents::new(), basis }, effects, now);
        Ok(())
    }

    /// Acts on the effects of an event that was applied.
    fn follow(&mut self, applied: Applied, effects: Vec<Effect>, now: Millis) {
        self.batch.add(applied, &effects, now);
        for effect in effects {
            match effect {
                Effect::Dispatch(path) => self.queue.add(&self.plan, path),
                Effect::Execute(work) => self.execute(work),
                Effect::Arrive { node, started_by, key, index, payload, total } => {
                    self.arrive(Arriving::new(node, started_by, &key, (index, total), &payload));
                }
                Effect::Cancel => self.cancel_with_commit(),
                Effect::CallBack { url, tries } => self.ready.call_back = Some(Delivery { url, tries }),
                Effect::Ended => self.batch.ended = true,
            }
        }
    }

    fn execute(&mut self, work: Work) {
        let claim = Claim { token: work.token, own_code: is_own_code(&work.task), started: false };
        self.running.insert(work.path.clone(), claim);
        match &mut self.replay {
            Some(replay) => replay.add(work),
            None => self.ready.start.push(work),
        }
    }

    fn arrive(&mut self, arriving: Arriving) {
        self.queue.branch_ended(&self.plan, &arriving.node, &arriving.branch);
        // If the branch is not stored, neither are its siblings, so all of them arrive in this batch.
        let counts = !self.state.is_stored(&arriving.branch);
        let (node, started_by, total) = (arriving.node.clone(), arriving.started_by, arriving.total);
        let set = arriving.member.set.clone();
        self.batch.arrivals.push(arriving);
        if counts && self.batch.arrived(&set).count() == total as usize {
            self.join(node, started_by, Basis::Arrivals(total));
        }
    }

    /// Notes that all branches of a node have ended, unless that is known already.
    fn join(&mut self, node: NodePath, started_by: ClaimToken, basis: Basis) {
        let is_same_join = |event: &Event| matches!(event, Event::Joined { path, started_by: of } if *path == node && *of == started_by);
        let to_be_applied = |todo: &Todo| matches!(todo, Todo::Apply(applying) if is_same_join(&applying.event));
        if self.batch.events.iter().any(|applied| is_same_join(&applied.event))
            || self.joined.iter().any(|(path, of, _)| *path == node && *of == started_by)
            || self.todo.iter().any(to_be_applied)
        {
            return;
        }
        self.queue.joined(&node);
        self.joined.push_back((node, started_by, basis));
    }

    /// Everything that was applied is committed. `arrived` has the size of the set of each arrival.
    pub(crate) fn committed(&mut self, arrived: Vec<u64>) {
        if matches!(self.durability, Durability::Delayed | Durability::Beginning) {
            self.durability = Durability::Stored;
        }
        (self.failed, self.unknown) = (0, 0);
        let mut batch = std::mem::take(&mut self.batch);
        let arrivals = std::mem::take(&mut batch.arrivals);
        for (arriving, arrived) in arrivals.into_iter().zip(arrived) {
            let is_joined = |applied: &Applied| matches!(&applied.event, Event::Joined { path, started_by } if *path == arriving.node && *started_by == arriving.started_by);
            if arrived == u64::from(arriving.total) && !batch.events.iter().any(is_joined) {
                self.join(arriving.node, arriving.started_by, Basis::Any);
            }
        }
        if batch.cancelled.is_some() {
            self.ready.cancel = true;
        }
        if batch.ended {
            self.end(End::Ended);
        } else if !batch.events.is_empty() && self.state.run().paused && self.running.is_empty() {
            self.end(if is_exhausted(&self.state) { End::Exhausted } else { End::Paused });
        }
        self.follow_refused();
    }

    fn not_committed(&mut self, committing: &Committing, failure: Option<Failure>, circumstances: &Circumstances) {
        if committing.purpose == Purpose::Durable {
            let conflict = || Failure::retry(Code::INTERNAL, "another replica changed the run");
            return self.not_durable(failure.unwrap_or_else(conflict));
        }
        if self.durability == Durability::Beginning {
            self.running.clear();
            return self.abandon(failure.unwrap_or_else(|| run_exists(&self.state.run().id)));
        }
        self.commit_failed(failure, circumstances);
    }

    /// Handles a failure to store a run that is in memory. If the run has paused it must be stored, so this is tried again.
    fn not_durable(&mut self, failure: Failure) {
        self.unknown += 1;
        let must = matches!(self.todo.front(), Some(Todo::Commit));
        if must && self.unknown < COMMIT_TRIES && failure.code.is_transient() {
            return self.wait_for(Outstanding::Values, Io::Values { tries: self.unknown });
        }
        self.unknown = 0;
        if must {
            return self.abandon(failure);
        }
        // The next steps would need the run to be stored.
        self.todo.clear();
        self.ready.unstored = Some(failure);
    }

    pub(crate) fn gone_from_store(&self) -> Failure {
        Failure::reject(Code::RUN_UNKNOWN, format!("run {} is no longer in the store", self.state.run().id))
    }
}

/// The failure of a request whose id belongs to another run.
pub fn run_exists(run: &RunId) -> Failure {
    Failure::reject(Code::RUN_EXISTS, format!("a run with the request id {run} exists already"))
}

/// Whether an event starts so many branches that they need a commit of their own.
fn is_wide(event: &Event) -> bool {
    match event {
        Event::Complete { report, .. } => match &report.outcome {
            Outcome::Branched(branches) => !begin_together(branches),
            _ => false,
        },
        _ => false,
    }
}
