//! One replica: its session, the I/O that it waits for, and what it executes.

use faas_flow_core::run::{RunState, Work};
use faas_flow_core::{Failure, Partition, RunId};
use faas_flow_session::{
    Answer, Circumstances, Dispatch, Documents, Durability, Input, Io, Ready, Role, Room, Rules, Session,
};
use faas_flow_store::{Change, CommitError, StateStore, StoreError};
use futures_executor::block_on;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A lease, in the time of the simulation.
pub const LEASE: u64 = 30;
/// How long what the flow's own code did may wait.
pub const COMMIT_DELAY: u64 = 4;

/// What became of I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// It had no effect, and no answer.
    Lost,
    /// It had its effect, and its answer was lost.
    AnswerLost,
}

/// A replica that works on the run, or does not.
#[derive(Default)]
pub struct Replica {
    pub session: Option<Session>,
    /// What the session waits for; while it does, inputs wait, as behind a lock.
    pub io: Option<Io>,
    pub inputs: VecDeque<Input>,
    /// What it executes.
    pub works: Vec<Work>,
    /// When what waits to be committed is due.
    pub commit_by: Option<u64>,
    /// Bytes of documents that it wrote.
    pub cached: BTreeMap<String, bytes::Bytes>,
    /// The history of a run that ended in memory, which is to be written.
    pub history: Option<Change>,
}

pub fn rules(replica: usize) -> Arc<Rules> {
    let owner = format!("replica {replica}").into();
    Arc::new(Rules {
        owner,
        lease: LEASE,
        commit_delay: COMMIT_DELAY,
        history_ttl: 1_000_000,
        history_ttl_failed: 2_000_000,
    })
}

pub fn circumstances(now: u64, (nodes, dispatch): (usize, Dispatch)) -> Circumstances {
    Circumstances { now, uptime: now, room: Room { nodes, dispatch } }
}

impl Replica {
    /// Takes an input at once, or once its I/O is done.
    pub fn input(&mut self, input: Input, circumstances: &Circumstances) {
        self.inputs.push_back(input);
        self.go_on(circumstances);
    }

    /// Takes inputs until the session waits for I/O.
    pub fn go_on(&mut self, circumstances: &Circumstances) {
        let Some(session) = &mut self.session else { return self.inputs.clear() };
        if self.io.is_none()
            && let Some(input) = self.inputs.pop_front()
        {
            session.input(input, circumstances);
            self.io = session.io();
        }
    }

    /// Whether its session has something to act on.
    pub fn is_ready(&self) -> bool {
        self.session.is_some() && self.io.is_none()
    }

    /// Acts on what its session says; answers with what its driver has to do beyond this replica.
    pub fn act(&mut self, circumstances: &Circumstances) -> Ready {
        let Some(session) = &mut self.session else { return Ready::default() };
        let mut ready = session.ready();
        if ready.cancel {
            self.works.clear();
        }
        self.works.retain(|work| !ready.withdrawn_claims.contains(&work.token));
        self.works.append(&mut ready.start);
        self.commit_by = ready.commit_by;
        session.leave_if_done();
        let is_unstored = session.durability() == Durability::Memory;
        let history = (ready.end.is_some() && is_unstored).then(|| session.history(circumstances.now));
        if session.has_left() {
            *self = Self { history, ..Self::default() };
        } else {
            self.go_on(circumstances);
        }
        ready
    }

    /// Performs the I/O that its session waits for.
    pub fn perform(&mut self, store: &dyn StateStore, fate: Fate, circumstances: &Circumstances) {
        let (Some(session), Some(io)) = (&mut self.session, self.io.take()) else { return };
        let run = session.state().run().id.clone();
        session.answer(perform(&run, io, store, fate), circumstances);
        self.io = session.io();
    }

    /// Opens the run to help with one of its nodes, or to own it.
    pub fn open(&mut self, number: usize, seed: u64, plan: &Arc<faas_flow_core::Plan>, state: RunState, role: Role) {
        self.session = Some(Session::open(plan.clone(), rules(number), seed, state, role));
    }
}

/// Performs I/O over a store.
pub fn perform(run: &RunId, io: Io, store: &dyn StateStore, fate: Fate) -> Answer {
    let away = || StoreError::Unavailable { place: "simulated".to_owned(), reason: "no answer".to_owned() };
    let failure = |error: StoreError| Failure::retry(error.code(), error.to_string());
    match io {
        Io::Load { docs, .. } => {
            let names: Vec<String> = docs.iter().map(|doc| doc.name()).collect();
            Answer::Loaded(block_on(store.read(&Partition::of_run(run), &names)).unwrap())
        }
        Io::LoadRun => Answer::Loaded(block_on(store.read(&Partition::of_run(run), &["run".to_owned()])).unwrap()),
        Io::LoadAll => Answer::LoadedAll(block_on(store.read_all(&Partition::of_run(run))).unwrap()),
        Io::Values { .. } => Answer::Values(Ok(Documents::new())),
        Io::Commit { .. } if fate == Fate::Lost => Answer::Unknown(failure(away())),
        Io::Commit { change, .. } => match block_on(store.commit(&Partition::of_run(run), change)) {
            _ if fate == Fate::AnswerLost => Answer::Unknown(failure(away())),
            Ok(committed) => Answer::Committed(committed),
            Err(CommitError::Conflict) => Answer::Conflict,
            Err(CommitError::Store(error)) => Answer::Unknown(failure(error)),
        },
    }
}
