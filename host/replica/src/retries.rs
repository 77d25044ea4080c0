//! How often a node is attempted: as its retry policy says, and for as long as a store is unavailable.

use super::attempt::Attempted;
use super::drive::PATIENT_RETRIES;
use super::live::Live;
use super::notes::Notes;
use crate::Error;
use crate::counters::Retried;
use crate::log::log_node;
use faas_flow_core::definition::Backoff;
use faas_flow_core::run::{Attempt, Outcome, Report, Suspended, Task, Work};
use faas_flow_core::{Code, Failure, Millis, NodePath, PolicyOf, Spent};
use faas_flow_session::Documents;
use opentelemetry::trace::SpanId;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Why an attempt, or a try of a call, failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// How long the callee asks to wait before the next request.
    pub(super) retry_after: Option<Duration>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None }
    }
}

impl Failed {
    /// How long to wait before the next try, or `None` if there is none. `tries` have failed before this one.
    pub(super) fn wait(&self, retry: Option<Backoff>, tries: usize) -> Option<Duration> {
        let retry = retry?;
        let next = u32::try_from(tries).unwrap_or(u32::MAX).saturating_add(2);
        if !self.failure.retry || next > retry.attempts {
            return None;
        }
        let delay = Duration::from_millis(retry.delay_ms(next, fastrand::f64()));
        Some(delay.max(self.retry_after.unwrap_or_default()))
    }

    /// The same failure, after which there is no further try: if a retry policy allowed several, it has run out. `tries` have
    /// failed before this one.
    pub(super) fn last(mut self, policy: PolicyOf, retry: Option<Backoff>, tries: usize) -> Self {
        if retry.is_some() && self.failure.retry {
            self.failure.exhausted = Some(Spent { policy, tries: count(tries.saturating_add(1)) });
        }
        self
    }
}

/// The same work from its first operation, whatever an earlier attempt of it waited for.
fn from_the_first(work: &Work) -> Work {
    Work { suspended: None, answer: None, ..work.clone() }
}

/// A number of tries, as the state of a run counts them.
pub(super) fn count(tries: usize) -> u32 {
    u32::try_from(tries).unwrap_or(u32::MAX)
}

impl Live {
    /// Executes work, with the attempts that the node's policy allows.
    pub(super) async fn perform(self: &Arc<Self>, work: &Work) -> (Report, Documents) {
        let input_size = work.inputs.iter().map(|input| input.payload.size()).sum();
        let retry = match &work.task {
            Task::Operations(operations) => operations.retry,
            _ => None,
        };
        let span = self.new_span();
        let begun = self.is_traced().then(SystemTime::now);
        let notes = Arc::new(self.new_notes());
        let mut goes_on = work.suspended.as_ref().and_then(|suspended| suspended.begun);
        let mut made = 0;
        let mut tries = work.suspended.as_ref().map_or(0, |suspended| suspended.failed_attempts() as usize);
        let given = work;
        let mut work = Cow::Borrowed(work);
        let mut store_delays = PATIENT_RETRIES.delays(fastrand::f64);
        loop {
            let started = goes_on.take().unwrap_or_else(|| self.services.now());
            let attempted = self.attempt_in_time(&work, span, (count(tries).saturating_add(1), &notes)).await;
            let ended = self.services.now();
            if let Err(failed) = &attempted {
                notes.cut_off(ended, &failed.failure);
            }
            // That a store fails does not count as a failure of the node: it is attempted again, unless it is cancelled.
            if let Err(failed) = &attempted
                && !self.is_in_memory()
                && failed.failure.code.may_pass_later()
                && let Some(delay) = store_delays.next()
            {
                tokio::time::sleep(delay).await;
                goes_on = Some(started);
                continue;
            }
            let wait = attempted.as_ref().err().and_then(|failed| failed.wait(retry, tries));
            let attempted = attempted.map_err(|failed| match wait {
                Some(_) => failed,
                None => failed.last(PolicyOf::Node, retry, tries),
            });
            let Attempted { mut outcome, response, labels, failure, documents } =
                attempted.unwrap_or_else(Attempted::failed);
            let attempt = match &mut outcome {
                Outcome::Suspended(suspended) => {
                    (suspended.begun, suspended.failed) = (Some(started), count(tries));
                    None
                }
                _ => {
                    made += 1;
                    let next = wait.map(|wait| ended + wait.as_millis() as u64);
                    Some(Attempt { started, ended, failure, next })
                }
            };
            tries += 1;
            if let Some(wait) = wait {
                self.services.counters.retried(Retried::Node);
                if self.waits_in_memory(wait, (&work.path, count(tries))).await {
                    notes.attempted(attempt);
                    self.store_soon(&notes, &work);
                    self.wait_for_retry(wait).await;
                    self.trace_retry(&work.path, span, ended, ended + wait.as_millis() as u64);
                    work = Cow::Owned(from_the_first(&work));
                    continue;
                }
                let until = ended + wait.as_millis() as u64;
                self.trace_retry(&work.path, span, ended, until);
                let tries = count(tries);
                outcome = Outcome::Suspended(Suspended { tries, ..Suspended::until(until) });
            }
            let mut documents = documents;
            let evidence = match &outcome {
                Outcome::Failed(_) if self.plan.catches(&work.path) => {
                    Some(Box::new(self.evidence(&work, notes.take_operation(), &mut documents).await))
                }
                _ => None,
            };
            let (mut attempts, tries) = notes.report().await;
            attempts.extend(attempt);
            let log = self.keep_log(&work.path, &notes, &mut documents).await;
            let operations = self.keep_operations(&work.path, &notes, &mut documents).await;
            let response = response.map(Box::new);
            let report = Report { outcome, response, labels, evidence, input_size, attempts, tries, log, operations };
            self.trace_wait(given, begun, &report);
            self.trace_node(&work, span, (begun, made), &report);
            return (report, documents);
        }
    }

    /// Attempts work within the time limit of its node.
    async fn attempt_in_time(
        self: &Arc<Self>,
        work: &Work,
        span: SpanId,
        (number, notes): (u32, &Arc<Notes>),
    ) -> Result<Attempted, Failed> {
        let attempt = self.attempt(work, span, (number, notes));
        let timeout_ms = match &work.task {
            Task::Operations(operations) => operations.timeout_ms,
            _ => None,
        };
        let Some(ms) = timeout_ms else { return attempt.await };
        let attempted = tokio::time::timeout(Duration::from_millis(ms), attempt).await;
        attempted.unwrap_or_else(|_| {
            let quote = self.services.settings.answers.quote_text(&notes.said());
            let message = format!("the node took longer than its timeout of {ms} ms{quote}");
            Err(Failure::retry(Code::NODE_TIMED_OUT, message).into())
        })
    }

    /// Stores the run before a wait, unless that is short.
    pub(super) async fn store_before(self: &Arc<Self>, wait: Millis) -> Result<(), Error> {
        let is_short = Duration::from_millis(wait) <= self.services.settings.longest_sleep;
        if is_short || !self.is_in_memory() { Ok(()) } else { self.store().await }
    }

    /// Waits in memory before the next try of a node, or of a call.
    pub(super) async fn wait_for_retry(&self, wait: Duration) {
        let _waiting = self.services.counters.waits_for_retry();
        tokio::time::sleep(wait).await;
    }

    /// Whether the node stays in memory while it waits. After a longer wait, which is stored, any replica may continue it.
    pub(super) async fn waits_in_memory(self: &Arc<Self>, wait: Duration, (path, attempt): (&NodePath, u32)) -> bool {
        if wait <= self.services.settings.longest_sleep {
            return true;
        }
        if !self.is_in_memory() {
            return false;
        }
        let stored = self.store().await;
        if let Err(error) = &stored {
            log_node!(warn, self, (path, attempt), code = %error.code(), %error, "waiting in memory, since the run cannot be stored");
        }
        stored.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { attempts: 3, first_delay_ms: 100, factor: 1.0, max_delay_ms: 100 };

    fn failed(failure: Failure, retry_after: Option<Duration>) -> Failed {
        Failed { failure, retry_after }
    }

    #[test]
    fn there_are_as_many_tries_as_the_policy_allows() {
        let failed = failed(Failure::retry(Code::CALL_STATUS, "503"), None);
        let waits: Vec<bool> = (0..4).map(|tries| failed.wait(Some(BACKOFF), tries).is_some()).collect();
        assert_eq!(waits, [true, true, false, false]);
        assert_eq!(failed.wait(None, 0), None);
        assert_eq!(failed.wait(Some(BACKOFF), usize::MAX), None);
    }

    #[test]
    fn what_another_try_cannot_mend_is_not_tried_again() {
        assert_eq!(failed(Failure::reject(Code::CALL_STATUS, "404"), None).wait(Some(BACKOFF), 0), None);
    }

    /// HIST-9.
    #[test]
    fn a_policy_has_run_out_only_if_there_is_one_and_another_try_might_have_helped() {
        let spent = |failure, retry| failed(failure, None).last(PolicyOf::Call, retry, 2).failure.exhausted;
        let busy = || Failure::retry(Code::CALL_STATUS, "503");
        assert_eq!(spent(busy(), Some(BACKOFF)), Some(Spent { policy: PolicyOf::Call, tries: 3 }));
        assert_eq!(spent(busy(), None), None);
        assert_eq!(spent(Failure::reject(Code::CALL_STATUS, "404"), Some(BACKOFF)), None);
    }

    /// FAIL-7.
    #[test]
    fn the_callee_may_ask_for_a_longer_wait_but_not_for_a_shorter_one() {
        let wait = |asked| failed(Failure::retry(Code::CALL_STATUS, "503"), Some(asked)).wait(Some(BACKOFF), 0);
        assert_eq!(wait(Duration::from_secs(7)), Some(Duration::from_secs(7)));
        assert!(wait(Duration::ZERO).is_some_and(|wait| wait > Duration::ZERO));
    }
}
