//! Applying events: what an event needs first, when it is refused, and what follows from it.

use crate::batch::{Applied, Arriving, Basis, Documents, begin_together, is_own_code};
use crate::durability::Durability;
use crate::io::{Circumstances, Delivery, Io};
use crate::load::{StoredRun, documents_for, reload};
use crate::owner::is_hook;
use crate::replay::node;
use crate::session::{Claim, Outstanding, Session, Todo};
use faas_flow_core::run::{ClaimToken, Doc, Effect, Event, Outcome, Phase, Refusal, Work};
use faas_flow_core::{Code, Failure, Millis, NodePath, Status};
use faas_flow_store::Document;

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
    /// When it was applied before, in a replay.
    at: Option<Millis>,
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

impl Applying {
    pub(crate) fn new(event: Event, documents: Documents, origin: Origin) -> Self {
        let is_current = origin == Origin::Replay;
        Self { event, documents, origin, has_begun: false, is_current, basis: Basis::Any, at: None }
    }

    /// What was applied before, to be applied again at the same moment. If it took effect at another moment, a claim that
    /// follows from it would look as if it was one of something else ([`Basis::Node`]).
    pub(crate) fn again(applied: Applied) -> Self {
        let Applied { event, documents, basis, at } = applied;
        Self { basis, at: Some(at), ..Self::new(event, documents, Origin::Replay) }
    }

    /// The same event, with what it follows from.
    pub(crate) fn with_basis(self, basis: Basis) -> Self {
        Self { basis, ..self }
    }
}

impl From<Applying> for Todo {
    fn from(applying: Applying) -> Self {
        Self::Apply(Box::new(applying))
    }
}

impl Session {
    /// Applies an event, or requests what it needs first. A refusal may be due to an outdated copy of the state, so the
    /// documents are loaded again before it is final.
    pub(crate) fn apply(&mut self, mut applying: Box<Applying>, circumstances: &Circumstances) {
        let is_replayed = applying.origin == Origin::Replay;
        let concerns_signal = concerns_signal(&applying.event);
        if !is_replayed && (is_wide(&applying.event) || concerns_signal) && !self.batch.is_empty() {
            self.todo.push_front(Todo::Apply(applying));
            return self.commit(circumstances.now);
        }
        if !std::mem::replace(&mut applying.has_begun, true)
            && let Event::Complete { path, token, .. } = &applying.event
        {
            let own_code = self.take_claim(path, *token).is_some_and(|claim| claim.own_code);
            self.batch.pressing |= !own_code;
        }
        if is_replayed && !self.stands(&applying) {
            return self.refuse(applying, Refusal::Stale);
        }
        if let Some(seen) = self.seen(&applying.event) {
            applying.basis = seen;
        }
        let at = applying.at.unwrap_or(circumstances.now);
        match self.state.step(&self.plan, &applying.event, at) {
            Ok(effects) => {
                let Applying { event, documents, basis, .. } = *applying;
                if concerns_signal {
                    self.batch.together.extend(self.state.changed().iter().cloned());
                }
                self.follow(Applied { event, documents, basis, at }, effects);
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

    /// Ends the claim that a report is about. If this replica has claimed the node once more since then, that claim stays.
    fn take_claim(&mut self, path: &NodePath, token: ClaimToken) -> Option<Claim> {
        self.running.get(path).filter(|claim| claim.token == token)?;
        self.running.remove(path)
    }

    fn refuse(&mut self, applying: Box<Applying>, refusal: Refusal) {
        if let Event::Complete { path, token, .. } = &applying.event
            && refusal == Refusal::Ended
            && !is_hook(path)
        {
            // It is no longer executed either.
            self.ready.cut_off.push((path.clone(), *token));
        }
        let at = applying.at;
        match (applying.origin, applying.event) {
            (Origin::Replay, Event::Complete { path, token, report }) => {
                let is_lost = refusal == Refusal::Stale && !self.is_reported(&path, token, &report);
                self.ready.leases.lost += usize::from(is_lost);
                self.has_refused = true;
            }
            (Origin::Replay, Event::Claim { path, .. }) => self.unclaimed.push(path),
            (Origin::Replay, Event::CallBack { until }) if self.unknown > 0 => {
                self.ready.call_back = self.state.claimed_callback(until).and_then(delivery);
            }
            (Origin::Replay, event) if is_awaited(&event) && !self.has_happened(&event, at) => {
                self.ready.refused = Some(refusal);
            }
            (Origin::Input, event) => {
                let is_report = matches!(event, Event::Complete { .. });
                self.ready.leases.lost += usize::from(is_report && refusal == Refusal::Stale);
                self.ready.refused = Some(refusal);
            }
            _ => {}
        }
    }

    /// Whether an event that is refused in a replay was committed after all, by the commit that was not answered. Otherwise
    /// somebody else was faster. It was applied at this moment before.
    fn has_happened(&self, event: &Event, applied: Option<Millis>) -> bool {
        let run = self.state.run();
        let is_so = match event.what() {
            Event::Stop => run.verdict == Some(Status::Stopped),
            Event::Rerun { .. } => run.phase == Phase::Flow && !run.paused,
            Event::SetCallback { .. } => run.callback.is_some(),
            Event::SendCallback => self.state.callback_due().is_some(),
            // The same answer may have come twice, to two replicas, but hardly in the same moment. If the node has gone on
            // since, its answer is not known any more, and nobody waits for this one.
            Event::Answer { path, to, said } => {
                let answer = node(&self.state, path).and_then(|node| node.answer.as_deref());
                answer.is_some_and(|answer| answer.to == *to && Some(answer.at) == applied && answer.said == *said)
            }
            // Pausing and resuming are refused only once the run has ended, and nothing is left of them then.
            _ => false,
        };
        is_so && self.unknown > 0
    }

    /// Takes the documents that the next event needs.
    pub(crate) fn loaded(&mut self, docs: &[Doc], documents: Vec<Option<Document>>) {
        match reload(&mut self.state, docs, documents) {
            Ok(StoredRun::Found) => {}
            Ok(StoredRun::Missing) => return self.abandon(self.gone_from_store()),
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

    pub(crate) fn gone_from_store(&self) -> Failure {
        Failure::reject(Code::RUN_UNKNOWN, format!("run {} is no longer in the store", self.state.run().id))
    }

    /// Applies an event that only needs what is loaded.
    pub(crate) fn apply_now(&mut self, event: Event, now: Millis) -> Result<(), Refusal> {
        let basis = self.seen(&event).unwrap_or(Basis::Any);
        let effects = self.state.step(&self.plan, &event, now)?;
        self.follow(Applied { event, documents: Documents::new(), basis, at: now }, effects);
        Ok(())
    }

    /// Acts on the effects of an event that was applied.
    fn follow(&mut self, applied: Applied, effects: Vec<Effect>) {
        let at = applied.at;
        self.batch.add(applied, &effects);
        for effect in effects {
            match effect {
                Effect::Dispatch(path) => self.queue.add(&self.plan, path),
                Effect::Execute(work) => self.execute(work),
                Effect::Arrive { node, started_by, key, index, result, total } => {
                    self.arrive(Arriving::new(node, started_by, &key, (index, total), &result));
                }
                Effect::Cancel => self.cancel_with_commit(),
                Effect::Withdraw(part) => self.withdraw_with_commit(part),
                Effect::CallBack { .. } => self.ready.call_back = delivery(effect),
                Effect::Returned { node, branch } => self.queue.branch_ended(&self.plan, &node, &branch),
                Effect::Ended => self.batch.ended = Some(at),
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
}

/// What is to be delivered, if this is an effect of that kind.
fn delivery(effect: Effect) -> Option<Delivery> {
    let Effect::CallBack { url, round, tries, earlier } = effect else { return None };
    Some(Delivery { url, round, tries, earlier })
}

/// Whether somebody waits to hear whether an event was refused.
fn is_awaited(event: &Event) -> bool {
    matches!(
        event.what(),
        Event::Pause
            | Event::Resume
            | Event::Stop
            | Event::Rerun { .. }
            | Event::Answer { .. }
            | Event::Signal(_)
            | Event::SetCallback { .. }
            | Event::SendCallback
    )
}

/// Whether an event changes the document of a signal. Its changes are written in one piece, which a commit of its own makes
/// possible however much has happened before.
fn concerns_signal(event: &Event) -> bool {
    match event.what() {
        Event::Signal(_) => true,
        Event::Complete { report, .. } => {
            matches!(&report.outcome, Outcome::Suspended(suspended) if suspended.signal().is_some())
        }
        _ => false,
    }
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
