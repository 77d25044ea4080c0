//! What the history of a node gets to know while the node is still executed: attempts and tries that have failed.

use super::live::Live;
use super::operations::NodeOperations;
use crate::program::LastLines;
use faas_flow_core::run::{Attempt, ClaimToken, Event, Try, Work};
use faas_flow_core::{Content, Failure, Millis, NodePath};
use faas_flow_guest::NodeLog;
use faas_flow_session::{Documents, Input};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When what has failed is stored, unless the node has reported by then. A call that fails again and again costs at most one
/// commit in this time, and one that recovers sooner costs none.
const STORED_AFTER: Duration = Duration::from_secs(1);

/// What has ended under one claim of a node and is not stored yet.
#[derive(Debug, Default)]
pub(super) struct Notes {
    taken: Mutex<Taken>,
    /// Held while notes are stored, so that the node does not report meanwhile: notes that come after a report are refused.
    storing: tokio::sync::Mutex<()>,
    /// What the node's code has logged, if that is kept.
    log: Option<Arc<NodeLog>>,
    /// What its operations got and yielded, if that is kept.
    operations: Option<NodeOperations>,
}

#[derive(Debug, Default)]
struct Taken {
    attempts: Vec<Attempt>,
    tries: Vec<Try>,
    /// The try that is being made, or has ended and is not settled.
    open: Option<Open>,
    /// What the present operation got, and how a failed call was answered.
    operation: LastOperation,
    /// Whether they will be stored soon.
    is_due: bool,
    /// Whether the node reports what is left.
    reports: bool,
}

/// The latest operation of a node. If it fails, the `recover-from` handler is given this.
#[derive(Debug, Default)]
pub(super) struct LastOperation {
    /// The data that it got.
    pub(super) input: Content,
    /// The body and the status of the response, if that is why it failed.
    pub(super) response: Option<(u16, Content)>,
}

#[derive(Debug)]
struct Open {
    one: Try,
    has_ended: bool,
    said: LastLines,
}

impl Notes {
    /// Notes that also keep what the node's code logs, and what its operations get and yield.
    pub(super) fn keeping(log: Option<NodeLog>, operations: Option<NodeOperations>) -> Self {
        Self { log: log.map(Arc::new), operations, ..Self::default() }
    }

    pub(super) fn log(&self) -> Option<&Arc<NodeLog>> {
        self.log.as_ref()
    }

    pub(super) fn operations(&self) -> Option<&NodeOperations> {
        self.operations.as_ref()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation, or the node itself, got this data.
    pub(super) fn got(&self, data: &Content) {
        self.taken().operation = LastOperation { input: data.clone(), response: None };
    }

    /// The present operation fails because of this response.
    pub(super) fn was_answered(&self, status: u16, body: Content) {
        self.taken().operation.response = Some((status, body));
    }

    /// What is known of the latest operation, which has failed. The response is not known any more after that: if the handler of
    /// the operation fails too, the response is not the reason.
    pub(super) fn take_operation(&self) -> LastOperation {
        let operation = &mut self.taken().operation;
        LastOperation { input: operation.input.clone(), response: operation.response.take() }
    }

    /// A try begins. It replaces one that has come to nothing, such as a question whose answer is not there yet. What its
    /// callee says meanwhile goes to the returned lines, if it is a program.
    pub(super) fn begin(&self, one: Try) -> LastLines {
        let said = LastLines::default();
        self.taken().open = Some(Open { one, has_ended: false, said: said.clone() });
        said
    }

    /// The last lines of the program that the try calls which is being made.
    pub(super) fn said(&self) -> String {
        let said = self.taken().open.as_ref().filter(|open| !open.has_ended).map(|open| open.said.clone());
        said.unwrap_or_default().text()
    }

    /// The try has succeeded. It is noted only if it repeats one that failed.
    pub(super) fn succeeded(&self, now: Millis, status: Option<u16>) {
        let mut taken = self.taken();
        if let Some(Open { one, .. }) = taken.open.take().filter(|open| open.one.number > 1) {
            taken.tries.push(Try { ended: now, status, ..one });
        }
    }

    /// The try has failed. Unless there is a next one, it is to be settled ([`Notes::settled`]).
    pub(super) fn failed(&self, now: Millis, status: Option<u16>, failure: &Failure, next: Option<Millis>) {
        let mut taken = self.taken();
        let Some(Open { one, .. }) = taken.open.take() else { return };
        let one = one.failed(now, status, failure);
        match next {
            Some(_) => taken.tries.push(Try { next, ..one }),
            None => taken.open = Some(Open { one, has_ended: true, said: LastLines::default() }),
        }
    }

    /// Whether the call has recovered from the failure of the last try is known.
    pub(super) fn settled(&self, recovered: bool) {
        let mut taken = self.taken();
        if let Some(Open { one, .. }) = taken.open.take() {
            taken.tries.push(Try { recovered, ..one });
        }
    }

    /// The attempt has failed. If that has cut off a try, the try has failed, too.
    pub(super) fn cut_off(&self, now: Millis, failure: &Failure) {
        let mut taken = self.taken();
        if let Some(Open { one, has_ended, .. }) = taken.open.take() {
            taken.tries.push(if has_ended { one } else { one.failed(now, None, failure) });
        }
    }

    /// An attempt has failed, and there will be another one.
    pub(super) fn attempted(&self, attempt: Option<Attempt>) {
        self.taken().attempts.extend(attempt);
    }

    /// What is left for the report. Nothing is stored from now on.
    pub(super) async fn report(&self) -> (Vec<Attempt>, Vec<Try>) {
        let _storing = self.storing.lock().await;
        let mut taken = self.taken();
        taken.reports = true;
        (take(&mut taken.attempts), take(&mut taken.tries))
    }

    /// Whether somebody must see to it that they are stored.
    fn become_due(&self) -> bool {
        let mut taken = self.taken();
        let has_any = !taken.attempts.is_empty() || !taken.tries.is_empty();
        has_any && !std::mem::replace(&mut taken.is_due, true)
    }

    /// What is to be stored now.
    fn due(&self) -> (Vec<Attempt>, Vec<Try>) {
        let mut taken = self.taken();
        taken.is_due = false;
        if taken.reports { Default::default() } else { (taken.attempts.clone(), taken.tries.clone()) }
    }

    fn stored(&self, attempts: usize, tries: usize) {
        let mut taken = self.taken();
        taken.attempts.drain(..attempts);
        taken.tries.drain(..tries);
    }
}

impl Live {
    /// Sees to it that what is noted is stored soon, although the node goes on.
    pub(super) fn store_soon(self: &Arc<Self>, notes: &Arc<Notes>, work: &Work) {
        if !notes.become_due() {
            return;
        }
        // A node that is cut off, and a run that is left, are not waited for.
        let (live, notes) = (Arc::downgrade(self), Arc::downgrade(notes));
        let (path, token) = (work.path.clone(), work.token);
        tokio::spawn(async move {
            tokio::time::sleep(STORED_AFTER).await;
            if let (Some(live), Some(notes)) = (live.upgrade(), notes.upgrade()) {
                live.store_notes(&notes, path, token).await;
            }
        });
    }

    async fn store_notes(self: &Arc<Self>, notes: &Notes, path: NodePath, token: ClaimToken) {
        let _storing = notes.storing.lock().await;
        let (attempts, tries) = notes.due();
        let (attempted, tried) = (attempts.len(), tries.len());
        if attempted + tried == 0 {
            return;
        }
        let event = Event::Tried { path, token, attempts, tries };
        let reaction = self.react(Input::Event(event, Documents::new())).await;
        if reaction.refused.is_none() && reaction.abandoned.is_none() {
            notes.stored(attempted, tried);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn busy() -> Failure {
        Failure::retry(Code::CALL_STATUS, "busy")
    }

    fn seen(notes: &Notes) -> Vec<(u32, Option<Code>, Option<u16>, bool)> {
        let (_, tries) = notes.due();
        let seen = |one: Try| (one.number, one.failure.map(|failure| failure.code), one.status, one.recovered);
        tries.into_iter().map(seen).collect()
    }

    /// HIST-7.
    #[test]
    fn a_call_that_succeeds_at_once_leaves_no_note_and_one_that_failed_before_does() {
        let notes = Notes::default();
        notes.begin(Try::begin(0, 1, 3, 1));
        notes.succeeded(2, Some(200));
        assert_eq!((seen(&notes), notes.become_due()), (vec![], false));
        notes.begin(Try::begin(1, 1, 3, 3));
        notes.failed(4, Some(503), &busy(), Some(9));
        notes.begin(Try::begin(1, 2, 3, 9));
        notes.succeeded(10, Some(200));
        assert_eq!(seen(&notes), [(1, Some(Code::CALL_STATUS), Some(503), false), (2, None, Some(200), false)]);
    }

    /// HIST-7.
    #[test]
    fn the_last_try_is_noted_once_it_is_known_what_became_of_it() {
        let notes = Notes::default();
        for (recovered, number) in [(true, 1), (false, 2)] {
            notes.begin(Try::begin(0, number, 1, 3));
            notes.failed(4, None, &busy(), None);
            assert_eq!(seen(&notes).len(), number as usize - 1);
            notes.settled(recovered);
            assert_eq!(seen(&notes).last(), Some(&(number, Some(Code::CALL_STATUS), None, recovered)));
        }
    }

    /// HIST-7, FAIL-8.
    #[test]
    fn a_try_that_the_timeout_of_its_node_cuts_off_has_failed() {
        let notes = Notes::default();
        let slow = Failure::retry(Code::NODE_TIMED_OUT, "slow");
        notes.begin(Try::begin(0, 1, 1, 3));
        notes.cut_off(9, &slow);
        notes.begin(Try::begin(0, 1, 1, 10));
        notes.failed(12, Some(500), &busy(), None);
        notes.cut_off(13, &slow);
        let expected = [(1, Some(Code::NODE_TIMED_OUT), None, false), (1, Some(Code::CALL_STATUS), Some(500), false)];
        assert_eq!(seen(&notes), expected);
    }

    /// FAIL-8.
    #[test]
    fn output_of_a_program_counts_while_its_call_lasts() {
        let notes = Notes::default();
        assert_eq!(notes.said(), "");
        let first = notes.begin(Try::begin(0, 1, 2, 3));
        first.add("warming up".to_owned());
        assert_eq!(notes.said(), "warming up");
        notes.failed(4, None, &busy(), Some(5));
        assert_eq!(notes.said(), "");
        let second = notes.begin(Try::begin(0, 2, 2, 5));
        assert_eq!(notes.said(), "");
        second.add("out of paper".to_owned());
        notes.failed(6, None, &busy(), None);
        assert_eq!(notes.said(), "", "what the flow makes of the failure takes no program");
    }

    /// HIST-8.
    #[tokio::test]
    async fn what_was_stored_is_not_reported_and_what_is_reported_is_not_stored() {
        let notes = Notes::default();
        let fail = |number| {
            notes.begin(Try::begin(0, number, 9, 1));
            notes.failed(2, None, &busy(), Some(3));
        };
        fail(1);
        assert!(notes.become_due() && !notes.become_due(), "one task stores them");
        let (attempts, tries) = notes.due();
        fail(2);
        notes.stored(attempts.len(), tries.len());
        let (_, left) = notes.report().await;
        assert_eq!(left.iter().map(|one| one.number).collect::<Vec<_>>(), [2]);
        fail(3);
        assert!(notes.due().1.is_empty());
    }
}
