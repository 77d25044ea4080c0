//! The session itself: it takes inputs, requests I/O one at a time, and returns what is ready.

use crate::apply::{Applying, Origin};
use crate::batch::{Basis, Batch, Documents};
use crate::commit::Committing;
use crate::durability::{Durability, Role};
use crate::io::{Answer, Circumstances, Input, Io, Ready, Rules};
use crate::load::{StoredRun, reload};
use crate::owner::{Check, EventsExpected};
use crate::queue::Queue;
use crate::replay::Replay;
use crate::seen::Seen;
use crate::tokens::Tokens;
use faas_flow_core::run::{ClaimToken, Doc, Effect, Event, Refusal, RunState};
use faas_flow_core::{Code, Failure, NodePath, Plan};
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
    /// The claims of other replicas.
    pub(crate) seen: Seen,
    /// Nodes whose branches have all ended, each with the claim that started the branches.
    pub(crate) joined: VecDeque<(NodePath, ClaimToken, Basis)>,
    /// Ready nodes to send to other replicas once everything is committed.
    pub(crate) outbox: Vec<NodePath>,
    /// What to do next, in this order.
    pub(crate) todo: VecDeque<Todo>,
    /// The purpose of the outstanding I/O.
    outstanding: Option<Outstanding>,
    io: Option<Io>,
    pub(crate) replay: Option<Replay>,
    /// Whether a report was refused in a replay, until the next commit.
    pub(crate) has_refused: bool,
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
    Apply(Box<Applying>),
    /// Commits what has changed, even if no event was applied.
    Commit,
    /// Ends a replay.
    Replayed,
    /// Claims what is ready, while there is room.
    Fill,
    /// Cancels work of a run that has come to its end elsewhere.
    Obey,
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
        session.leave_until_start(circumstances.now);
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
            has_refused: false,
            unclaimed: Vec::new(),
            failed: 0,
            unknown: 0,
            ready: Ready::default(),
            seen: Seen::default(),
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
                self.todo.push_back(Applying::new(event, documents, Origin::Input).into());
            }
            Input::Claim(path) if self.running.contains_key(&path) => self.ready.refused = Some(Refusal::Leased),
            Input::Claim(path) => {
                let claim = self.claim(path, circumstances);
                self.todo.push_back(Applying::new(claim, Documents::new(), Origin::Input).into());
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
            Input::CutOff(nodes) => {
                let events = nodes.into_iter().map(|(path, token)| Event::CutOff { path, token });
                let applying = |event| Todo::from(Applying::new(event, Documents::new(), Origin::Session));
                self.todo.extend(events.map(applying));
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
                Ok(StoredRun::Found) => self.begin_replay(),
                Ok(StoredRun::Missing) => self.cannot_replay(),
                Err(error) => self.unreadable(&error),
            },
            (Outstanding::Check(check), Answer::Loaded(documents)) => {
                match reload(&mut self.state, &[Doc::Run], documents) {
                    Ok(StoredRun::Found) => self.renew_and_claim(check, circumstances),
                    Ok(StoredRun::Missing) => self.leave(),
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
                self.todo.push_front(applying.with_basis(basis).into());
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
            Todo::Fill => self.fill(circumstances),
            Todo::Obey => self.obey(),
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
}
