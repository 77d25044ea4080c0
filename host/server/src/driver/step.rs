//! Events of a run: applied at once, committed at once or a moment later, and applied again where a commit failed.
//!
//! Everybody may know of what was applied once it is committed, and nothing leaves this replica before. What only the
//! flow's own code did can be done again, and comes out the same, so it waits for [`Settings::commit_delay`] at most and is
//! committed together with what follows; so a node whose branches all begin and end before that goes on without a commit, too.
//!
//! [`Settings::commit_delay`]: crate::Settings::commit_delay

use super::commit::Arriving;
use super::live::{Inner, Live, Running, node};
use super::load::refresh;
use crate::Error;
use crate::counters::Lease;
use bytes::Bytes;
use faas_flow_core::definition::Operation;
use faas_flow_core::run::{
    CONTEXT, Doc, Effect, Event, NodeState, Outcome, Progress, Refusal, RunState, Task, Work, set_of,
};
use faas_flow_core::{BranchKey, Code, Failure, Millis, NodePath, Payload, Status};
use faas_flow_store::{Arrival, CommitError};
use std::sync::Arc;
use std::time::Duration;

/// Tries to commit before this replica leaves a run to whoever finds its leases over.
pub(super) const COMMIT_TRIES: u32 = 8;
/// Branches that may begin in a commit with other things, see [`begins_together`].
const FEW_BRANCHES: usize = 16;
/// Changed documents with arrivals, and bytes of others, that may wait to be committed together: less than a commit may hold.
const WAITING_DOCUMENTS: usize = 24;
const WAITING_BYTES: usize = 256 << 10;

/// Documents by their names, which nothing depends on but what is committed with them.
pub(super) type Documents = Vec<(String, Bytes)>;

/// What was applied since the last commit.
#[derive(Default)]
pub(super) struct Unsaved {
    /// In order.
    events: Vec<(Event, Documents)>,
    pub(super) arrivals: Vec<Arriving>,
    /// When the first was applied.
    since: Millis,
    bytes: usize,
    /// It may not wait.
    pressing: bool,
    ended: bool,
}

impl Unsaved {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds to what is committed with the first event.
    pub(super) fn add(&mut self, documents: Documents) {
        self.bytes += documents.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        if let Some((_, first)) = self.events.first_mut() {
            first.extend(documents);
        }
    }

    /// The branches that have arrived in a set.
    pub(super) fn arrived<'a>(&'a self, set: &'a str) -> impl Iterator<Item = &'a Arrival> {
        self.arrivals.iter().map(|arriving| &arriving.member).filter(move |member| member.set == set)
    }

    fn note(&mut self, event: Event, documents: Documents, effects: &[Effect], now: Millis) {
        if self.events.is_empty() {
            self.since = now;
        }
        self.bytes += documents.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let waits = |effect: &Effect| match effect {
            Effect::Execute(work) => is_own(&work.task),
            Effect::Dispatch(_) | Effect::Arrive { .. } => true,
            Effect::Cancel | Effect::Ended | Effect::CallBack { .. } => false,
        };
        self.pressing |= match &event {
            Event::Claim { .. } | Event::Joined { .. } | Event::Renew { .. } => false,
            Event::Complete { report, .. } => match &report.outcome {
                Outcome::Done(_) => false,
                Outcome::Branched(branches) => !begins_together(branches),
                Outcome::Failed(_) | Outcome::Suspended(_) => true,
            },
            _ => true,
        };
        // Other nodes ask the store for values.
        self.pressing |= documents.iter().any(|(name, _)| name.starts_with(CONTEXT));
        self.pressing |= !effects.iter().all(waits);
        self.events.push((event, documents));
    }
}

/// Whether branches may begin in a commit with other things.
fn begins_together(branches: &[(Option<BranchKey>, Payload)]) -> bool {
    let bytes: u64 = branches.iter().map(|(_, payload)| payload.size()).sum();
    branches.len() <= FEW_BRANCHES && bytes <= WAITING_BYTES as u64
}

/// Whether nothing but the flow's own code takes part: without effects, and with the same result when done again.
fn is_own(task: &Task) -> bool {
    match task {
        Task::Operations(operations) => {
            operations.list.iter().all(|operation| matches!(operation, Operation::Modify(_)))
        }
        Task::Enter | Task::Choose { .. } | Task::Split { .. } | Task::Merge { .. } => true,
        // They run once.
        Task::Recover { .. } | Task::Finally { .. } => false,
    }
}

impl Live {
    /// Applies an event and what follows from it, and adds the work that this replica claimed; answers with why it was
    /// refused, if it was. An error means that this replica has left the run.
    pub(super) async fn apply(
        self: &Arc<Self>,
        inner: &mut Inner,
        event: Event,
        documents: Documents,
        works: &mut Vec<Work>,
    ) -> Result<Option<Refusal>, Error> {
        if inner.broken {
            return Ok(Some(Refusal::Unknown));
        }
        let applied = self.try_apply(inner, event, documents, works).await;
        self.or_break_off(inner, works, applied)
    }

    async fn try_apply(
        self: &Arc<Self>,
        inner: &mut Inner,
        event: Event,
        documents: Documents,
        works: &mut Vec<Work>,
    ) -> Result<Option<Refusal>, Error> {
        if let Event::Complete { path, report, .. } = &event {
            if matches!(&report.outcome, Outcome::Branched(branches) if !begins_together(branches)) {
                self.save(inner, works).await?;
            }
            let own = inner.running.remove(path).is_some_and(|running| running.own);
            inner.unsaved.pressing |= !own;
        }
        let completes = matches!(event, Event::Complete { .. });
        let refused = self.step(inner, event, documents, works).await?.err();
        if completes && refused == Some(Refusal::Stale) {
            self.host.counters.leases(Lease::Lost, 1);
        }
        self.go_on(inner, works).await?;
        Ok(refused)
    }

    /// Commits what was applied, and lets nodes go on whose last branch arrived by that, until nothing is left or what is
    /// left may wait.
    pub(super) async fn go_on(self: &Arc<Self>, inner: &mut Inner, works: &mut Vec<Work>) -> Result<(), Error> {
        loop {
            while let Some(joined) = inner.joined.pop_front() {
                // A refusal means that somebody else saw it, too.
                let _ = self.step(inner, joined, Vec::new(), works).await?;
            }
            if self.may_wait(inner) {
                self.save_later(inner);
                return Ok(());
            }
            self.save(inner, works).await?;
            if inner.joined.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends what was waiting for a commit, or says why this failed and leaves the run.
    pub(super) fn or_break_off<T>(
        self: &Arc<Self>,
        inner: &mut Inner,
        works: &mut Vec<Work>,
        done: Result<T, Error>,
    ) -> Result<T, Error> {
        match &done {
            Ok(_) => self.send(inner),
            Err(error) => {
                tracing::error!(run = %self.id, code = %error.code(), "leaves the run to whoever finds its leases over: {error}");
                works.clear();
                self.given_up.send_replace(Some(Failure::retry(error.code(), error.to_string())));
                self.break_off(inner);
            }
        }
        done
    }

    /// Applies one event. A refusal may be due to an old copy of the state, so the store is asked before it stands.
    async fn step(
        self: &Arc<Self>,
        inner: &mut Inner,
        event: Event,
        documents: Documents,
        works: &mut Vec<Work>,
    ) -> Result<Result<(), Refusal>, Error> {
        let mut current = self.is_deferred();
        loop {
            let now = self.host.now();
            match inner.state.step(&self.plan, &event, now) {
                Ok(effects) => {
                    self.follow(inner, event, documents, effects, now, works);
                    self.fill(inner, now, works);
                    return Ok(Ok(()));
                }
                Err(Refusal::Needs(doc)) => {
                    if !self.bring(inner, &doc).await? {
                        return Ok(Err(Refusal::Unknown));
                    }
                }
                Err(_) if !current => {
                    current = true;
                    self.save(inner, works).await?;
                    self.reload(inner, around(&event)).await?;
                }
                Err(refusal) => {
                    tracing::debug!(run = %self.id, about = ?around(&event), %refusal, "ignores an event");
                    return Ok(Err(refusal));
                }
            }
        }
    }

    /// Applies one event to what is at hand, if it is not refused, and does what follows.
    pub(super) fn advance(
        &self,
        inner: &mut Inner,
        event: Event,
        now: Millis,
        works: &mut Vec<Work>,
    ) -> Result<(), Refusal> {
        let effects = inner.state.step(&self.plan, &event, now)?;
        self.follow(inner, event, Documents::new(), effects, now, works);
        Ok(())
    }

    /// Notes an event that was applied, and does what follows from it.
    pub(super) fn follow(
        &self,
        inner: &mut Inner,
        event: Event,
        documents: Documents,
        effects: Vec<Effect>,
        now: Millis,
        works: &mut Vec<Work>,
    ) {
        inner.unsaved.note(event, documents, &effects, now);
        for effect in effects {
            match effect {
                Effect::Dispatch(path) => inner.queue.add(&self.plan, path),
                Effect::Execute(work) => {
                    inner.running.insert(work.path.clone(), Running { token: work.token, own: is_own(&work.task) });
                    works.push(work);
                }
                Effect::Arrive { node, epoch, key, index, payload, total } => {
                    let arriving = Arriving::new(node, epoch, &key, index, &payload, total);
                    inner.queue.branch_ended(&self.plan, &arriving.node, &arriving.branch);
                    // Of branches that are not stored themselves, all arrive here.
                    let counts = !inner.state.is_stored(&arriving.branch);
                    let (node, set) = (arriving.node.clone(), arriving.member.set.clone());
                    inner.unsaved.arrivals.push(arriving);
                    if counts && inner.unsaved.arrived(&set).count() == total as usize {
                        inner.queue.joined(&node);
                        inner.joined.push_back(Event::Joined { path: node, epoch });
                    }
                }
                Effect::Cancel => {
                    self.cancel(inner);
                    works.clear();
                }
                Effect::CallBack { url, tries } => inner.callback = Some((url, tries)),
                Effect::Ended => inner.unsaved.ended = true,
            }
        }
    }

    /// Whether what was applied may be committed later: the flow's own code is at work, and its end will be committed too.
    pub(super) fn may_wait(&self, inner: &Inner) -> bool {
        let unsaved = &inner.unsaved;
        let small =
            unsaved.bytes <= WAITING_BYTES && inner.state.changed().len() + unsaved.arrivals.len() <= WAITING_DOCUMENTS;
        let told = self.is_deferred() || unsaved.pressing || !inner.outbox.is_empty();
        let due = || unsaved.since + self.host.settings.commit_delay.as_millis() as u64 <= self.host.now();
        small && !told && inner.running.values().any(|running| running.own) && !due()
    }

    /// Commits what waits, and executes what becomes ready by it.
    pub(super) async fn save_now(self: &Arc<Self>, inner: &mut Inner) -> Result<(), Error> {
        if inner.gone || inner.unsaved.is_empty() {
            return Ok(());
        }
        let mut works = Vec::new();
        inner.unsaved.pressing = true;
        let saved = self.go_on(inner, &mut works).await;
        let saved = self.or_break_off(inner, &mut works, saved);
        self.spawn(works);
        saved
    }

    /// Commits what was applied, if there is anything.
    pub(super) async fn save(self: &Arc<Self>, inner: &mut Inner, works: &mut Vec<Work>) -> Result<(), Error> {
        match inner.unsaved.is_empty() {
            true => Ok(()),
            false => self.save_with_entry(inner, works).await,
        }
    }

    /// Commits what was applied, and when this replica is to be replaced, until that holds. Where somebody else has
    /// changed the run, or nobody knows whether a commit happened, it is applied again to what the store says.
    pub(super) async fn save_with_entry(
        self: &Arc<Self>,
        inner: &mut Inner,
        works: &mut Vec<Work>,
    ) -> Result<(), Error> {
        if self.is_deferred() && inner.state.run().paused {
            // Whoever is told so may resume it.
            self.store_patiently(inner).await?;
        }
        let mut refused = Vec::new();
        for attempt in 1.. {
            let documents = inner.unsaved.events.iter().flat_map(|(_, documents)| documents.iter().cloned()).collect();
            let error = match self.commit(inner, documents).await {
                Ok(arrived) => {
                    let mut unsaved = std::mem::take(&mut inner.unsaved);
                    for (arrival, arrived) in std::mem::take(&mut unsaved.arrivals).into_iter().zip(arrived) {
                        let Arriving { node, epoch, .. } = &arrival;
                        let tells = |event: &Event| matches!(event, Event::Joined { path, epoch: of } if path == node && of == epoch);
                        let mut known = unsaved.events.iter().map(|(event, _)| event).chain(&inner.joined);
                        if arrived == u64::from(arrival.total) && !known.any(tells) {
                            inner.queue.joined(&arrival.node);
                            inner.joined.push_back(Event::Joined { path: arrival.node, epoch: arrival.epoch });
                        }
                    }
                    // A run that paused itself has no more to say to those who wait either.
                    let paused = !unsaved.events.is_empty() && inner.state.run().paused && inner.running.is_empty();
                    if unsaved.ended {
                        self.trace_run(inner);
                        let status = inner.state.run().status();
                        self.host.counters.run_ended(status);
                        self.host.count_ended(&self.flow, status == Status::Failed);
                    } else if paused && gave_up(&inner.state) {
                        self.host.count_ended(&self.flow, true);
                    }
                    if unsaved.ended || paused {
                        self.announce(inner).await;
                    }
                    break;
                }
                Err(error) if attempt >= COMMIT_TRIES => return Err(error.into()),
                Err(error) => error,
            };
            if let CommitError::Store(error) = &error {
                tracing::warn!(run = %self.id, code = %error.code(), attempt, "tries to commit again: {error}");
                tokio::time::sleep(backoff(attempt)).await;
            }
            // Where there is more to do now than there was, it is not to wait.
            inner.sleeps = inner.sleeps.filter(|wake| *wake <= self.host.now());
            let mut docs: Vec<Doc> = inner.state.changed().iter().cloned().collect();
            if !docs.contains(&Doc::Run) {
                docs.push(Doc::Run);
            }
            if !self.reload(inner, docs).await? {
                continue;
            }
            refused.extend(self.apply_again(inner, works).await?);
            self.fill(inner, self.host.now(), works);
        }
        if refused.is_empty() {
            return Ok(());
        }
        // Perhaps a commit that failed has happened after all.
        self.obey(inner).await;
        self.look_for_joins(inner, refused).await
    }

    /// Applies what is not committed to what was read from the store since; answers with the nodes whose end was refused.
    async fn apply_again(&self, inner: &mut Inner, works: &mut Vec<Work>) -> Result<Vec<NodePath>, Error> {
        let (unsaved, before) = (std::mem::take(&mut inner.unsaved), inner.running.clone());
        let (mut again, mut refused) = (Vec::new(), Vec::new());
        inner.unsaved.pressing = true;
        for (event, documents) in unsaved.events {
            if let Event::Complete { path, .. } = &event {
                inner.running.remove(path);
            }
            let (applied, now) = loop {
                let now = self.host.now();
                match inner.state.step(&self.plan, &event, now) {
                    Err(Refusal::Needs(doc)) if self.bring(inner, &doc).await? => {}
                    applied => break (applied, now),
                }
            };
            match (applied, event) {
                (Ok(effects), event) => self.follow(inner, event, documents, effects, now, &mut again),
                (Err(_), Event::Complete { path, .. }) => refused.push(path),
                (Err(_), _) => {}
            }
        }
        // What is under way here goes on if its claim stands.
        let state = &inner.state;
        inner.running.retain(|path, running| {
            node(state, path).is_some_and(|node| node.progress == Progress::Running && node.token == running.token)
        });
        let stands = |work: &Work| inner.running.get(&work.path).is_some_and(|running| running.token == work.token);
        works.retain(stands);
        let known = |work: &Work| before.get(&work.path).is_some_and(|running| running.token == work.token);
        works.extend(again.into_iter().filter(|work| stands(work) && !known(work)));
        Ok(refused)
    }

    /// Lets nodes go on whose last branch may have arrived in a commit of which nobody knows whether it happened.
    async fn look_for_joins(&self, inner: &mut Inner, ended: Vec<NodePath>) -> Result<(), Error> {
        for path in ended {
            let Some(scope) = inner.state.scope(&path.scope).filter(|scope| scope.siblings > 1) else { continue };
            let (epoch, total) = (scope.epoch, u64::from(scope.siblings));
            let Some((node, _)) = path.scope.parent() else { continue };
            if self.host.state.arrived(&self.id, &set_of(&node, epoch)).await? == total {
                inner.joined.push_back(Event::Joined { path: node, epoch });
            }
        }
        Ok(())
    }

    /// Brings a document to hand; false if there is none.
    async fn bring(&self, inner: &mut Inner, doc: &Doc) -> Result<bool, Error> {
        let is_there = refresh(&*self.host.state, &self.id, &mut inner.state, std::slice::from_ref(doc)).await?;
        Ok(is_there
            && match doc {
                Doc::Scope(path) => inner.state.scope(path).is_some(),
                Doc::Run => true,
            })
    }

    /// Puts what the store has in the place of what is at hand; false if it has nothing yet.
    async fn reload(&self, inner: &mut Inner, docs: Vec<Doc>) -> Result<bool, Error> {
        let mut tries = 1;
        let found = loop {
            match refresh(&*self.host.state, &self.id, &mut inner.state, &docs).await {
                Err(error) if tries < COMMIT_TRIES && may_pass(error.code()) => {
                    tokio::time::sleep(backoff(tries)).await;
                    tries += 1;
                }
                found => break found?,
            }
        };
        match found {
            true => Ok(true),
            false if self.is_late() => Ok(false),
            false => Err(Error::new(Code::RUN_UNKNOWN, format!("run {} is gone from the store", self.id))),
        }
    }
}

/// What an event is about.
fn around(event: &Event) -> Vec<Doc> {
    match event {
        Event::Claim { path, .. } | Event::Complete { path, .. } | Event::Joined { path, .. } => Doc::around(path),
        _ => vec![Doc::Run],
    }
}

/// Whether a run that paused did so by itself: a node's tries ran out, and it is tried again when somebody says so.
fn gave_up(state: &RunState) -> bool {
    let gave_up = |node: &NodeState| {
        let failure = node.attempts.last().and_then(|attempt| attempt.failure.as_ref());
        let failed = failure.is_some_and(|failure| failure.code != Code::NODE_LOST);
        node.progress == Progress::Ready && node.suspended.is_none() && failed
    };
    state.scopes().flat_map(|scope| &scope.nodes).any(gave_up)
}

/// Whether a store that fails so may answer soon.
pub(crate) fn may_pass(code: Code) -> bool {
    code.is_transient()
}

/// The wait after so many tries of a store.
pub(super) fn backoff(tries: u32) -> Duration {
    Duration::from_millis(20).saturating_mul(2u32.saturating_pow(tries)).min(Duration::from_secs(5))
}
