//! The end of a run: tells those who wait, calls back, keeps the history.

use super::execute::wait_before;
use super::live::Live;
use super::services::{Runs, Services};
use crate::Step;
use crate::network::{place, retry_after};
use bytes::Bytes;
use faas_flow_core::definition::Backoff;
use faas_flow_core::run::{Event, Run};
use faas_flow_core::{Code, Failure, RunId, Status};
use faas_flow_guest::HttpRequest;
use faas_flow_session::{Delivery, Documents, Input, Session};
use faas_flow_store::Change;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long one try to call back may take, and so how long nobody else tries.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(30);
/// Tries to call back: the last one is about an hour and a half behind the first.
const CALLBACK_TRIES: u32 = 12;
/// The waits between them double up to 20 min, and are shorter by chance by up to half, so that those of many runs do not
/// come together.
const CALLBACK_WAITS: Backoff =
    Backoff { attempts: CALLBACK_TRIES, first_delay_ms: 4_000, factor: 2.0, max_delay_ms: 20 * 60 * 1000 };

/// How a run ended, or that it paused.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Succeeded, failed or stopped; or paused, until somebody resumes it.
    pub status: Status,
    /// The result, or the answer of the flow's failure handler.
    pub result: Option<Bytes>,
    /// Why it failed; or why its result, which there is, cannot be read.
    pub failure: Option<Failure>,
}

impl Ended {
    /// How a run ended, with its result if there is one that could be read. Where it could not, nobody takes it to be empty.
    pub(super) fn of(run: &Run, result: Option<Result<Bytes, Failure>>) -> Self {
        let status = run.status();
        match result {
            None => Self { status, result: None, failure: run.failure.clone() },
            Some(Ok(result)) => Self { status, result: Some(result), failure: run.failure.clone() },
            Some(Err(lost)) => Self { status, result: None, failure: Some(lost) },
        }
    }

    /// Why the result, which there is, cannot be read now.
    fn unread(&self, run: &Run) -> Option<Failure> {
        let unread = run.result.is_some() && self.result.is_none();
        self.failure.clone().filter(|failure| unread && failure.code.is_transient())
    }
}

/// Histories that are written at a time behind the answers of their runs.
pub(super) const HISTORIES: usize = 256;
/// How long an answer waits for those before it: callers that are faster than the store are slowed down, so that what is to be
/// written does not pile up in memory; while the store hangs they are not held up for longer.
const HISTORY_WAIT: Duration = Duration::from_secs(1);

/// How long somebody who asks for runs waits for histories that are being written.
const READ_WAIT: Duration = Duration::from_secs(1);

impl Services {
    async fn room_for_history(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = self.histories.clone().try_acquire_owned() {
            return Some(room);
        }
        let room = tokio::time::timeout(HISTORY_WAIT, self.histories.clone().acquire_owned());
        room.await.ok().and_then(Result::ok)
    }

    /// Waits until the histories that are being written are there.
    pub(super) async fn histories_written(&self) {
        // It is closed by nobody.
        let _ = self.histories.acquire_many(HISTORIES as u32).await;
    }
}

impl Runs {
    /// Waits until the history of a run that has just ended is written, so that whoever was answered finds the run.
    pub(super) async fn written(&self, run: &RunId) {
        let live = self.ending().get(run).cloned();
        if let Some(live) = live {
            live.written().await;
        }
    }

    /// The same for all runs that have just ended.
    pub(super) async fn all_written(&self) {
        let ending: Vec<Arc<Live>> = self.ending().values().cloned().collect();
        for live in ending {
            live.written().await;
        }
    }
}

impl Live {
    /// Waits for the end, if this replica comes to know of it.
    pub(super) async fn end(&self) -> Option<Arc<Ended>> {
        self.ended.subscribe().wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone())
    }

    async fn written(&self) {
        let mut history = self.history.subscribe();
        // While the store hangs, the answer is what it has.
        let _ = tokio::time::timeout(READ_WAIT, history.wait_for(|written| *written)).await;
    }

    /// Notifies those who wait for the end of the run, or for its pause.
    pub(super) async fn announce(self: &Arc<Self>, session: &mut Session) {
        let ended = Arc::new(self.ending(session).await);
        let status = ended.status;
        let in_memory = self.is_in_memory();
        let room = if in_memory { self.services.room_for_history().await } else { None };
        if in_memory {
            // Before anybody is answered: they may ask for the run at once.
            self.runs.ending().insert(self.id.clone(), self.clone());
        }
        // Who waits for the end shows no more once it is there.
        self.show(|| Step::Ended(status));
        self.ended.send_replace(Some(ended));
        if in_memory {
            return self.write_history(session, room);
        }
        if status.is_final() {
            if session.state().callback_due().is_some_and(|due| due <= self.services.now()) {
                tokio::spawn(self.clone().call_back());
            }
            self.services.note_ended(self.id.clone()).await;
        }
    }

    async fn ending(&self, session: &Session) -> Ended {
        let run = session.state().run();
        let result = match &run.result {
            None => None,
            Some(payload) => Some(match self.cached(payload) {
                Some(bytes) => Ok(bytes),
                None => self.services.data.fetch_patiently(&*self.services.state, &self.id, payload).await,
            }),
        };
        Ended::of(run, result)
    }

    /// Writes the history of a run that was not stored before its end, behind its answer.
    fn write_history(self: &Arc<Self>, session: &Session, room: Option<OwnedSemaphorePermit>) {
        let change: Change = session.history(self.services.now());
        // A run that paused waits for its operator, however many have ended since.
        let has_ended = session.state().run().status().is_final();
        let live = self.clone();
        tokio::spawn(async move {
            if let Err(error) = live.services.state.commit(&live.id, change).await {
                tracing::warn!(run = %live.id, code = %error.code(), %error, "history of run not written");
            }
            live.history.send_replace(true);
            live.runs.ending().remove(&live.id);
            if has_ended {
                live.services.note_ended(live.id.clone()).await;
            }
            drop(room);
        });
    }

    /// Calls back once, if it is time and nobody else does.
    ///
    /// The future is boxed since its type contains itself: driving a run spawns it, and it drives the run.
    pub(super) fn call_back(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.try_call_back().await })
    }

    async fn try_call_back(self: &Arc<Self>) {
        let until = self.services.now() + CALLBACK_TIMEOUT.as_millis() as u64;
        let mut session = self.lock().await;
        let claim = Input::Event(Event::CallBack { until }, Documents::new());
        let Some(Delivery { url, tries }) = self.drive(&mut session, claim).await.call_back else { return };
        let ended = self.ending(&session).await;
        let unread = ended.unread(session.state().run());
        drop(session);
        let posted = async {
            match unread {
                None => self.post(&url, &ended).await,
                Some(unread) => Err((unread, None)),
            }
        };
        let (failure, after) = match tokio::time::timeout(CALLBACK_TIMEOUT, posted).await {
            Ok(Ok(())) => (None, None),
            Ok(Err((failure, after))) => (Some(failure), after),
            Err(_) => {
                let message = format!("{} did not answer within {} s", place(&url), CALLBACK_TIMEOUT.as_secs());
                (Some(Failure::retry(Code::CALL_TIMED_OUT, message)), None)
            }
        };
        let wait = failure.as_ref().and_then(|failure| wait_before(Some(CALLBACK_WAITS), tries as usize - 1, failure));
        let wait = wait.map(|wait| wait.max(after.unwrap_or_default()));
        match &failure {
            None => self.services.counters.callback(Ok(())),
            Some(_) if wait.is_none() => self.services.counters.callback(Err(())),
            Some(_) => {}
        }
        if let Some(failure) = &failure {
            let (code, error) = (failure.code, &failure.message);
            match wait {
                Some(wait) => {
                    tracing::warn!(run = %self.id, tries, %code, %error, ?wait, "callback failed; trying again")
                }
                None => tracing::warn!(run = %self.id, tries, %code, %error, "callback failed; giving up"),
            }
        }
        let next = wait.map(|wait| self.services.now() + wait.as_millis() as u64);
        self.react(Input::Event(Event::CalledBack { tries, failure, next }, Documents::new())).await;
    }

    /// Sends the result, or what stands in its place, to whoever wants to be told. A failure comes with the time that they
    /// want to be left alone.
    async fn post(&self, url: &str, ended: &Ended) -> Result<(), (Failure, Option<Duration>)> {
        let text = || ended.failure.as_ref().map(|failure| failure.to_string().into()).unwrap_or_default();
        let body = ended.result.clone().unwrap_or_else(text);
        let mut headers = vec![
            ("X-Faas-Flow-Reqid".to_owned(), self.id.to_string()),
            ("X-Faas-Flow-Flow".to_owned(), self.flow.name.to_string()),
            ("X-Faas-Flow-Status".to_owned(), ended.status.to_string()),
            ("X-Faas-Flow-Idempotency-Key".to_owned(), format!("{}/callback", self.id)),
        ];
        if let Some(failure) = &ended.failure {
            headers.push(("X-Faas-Flow-Error".to_owned(), failure.code.to_string()));
        }
        if let Some(keys) = &self.services.keys {
            headers.push(("X-Hub-Signature-256".to_owned(), keys.sign_hub(&body)));
        }
        let request = HttpRequest { method: "POST".to_owned(), url: url.to_owned(), headers, body };
        let answer = self.services.functions.request(request).await.map_err(|failure| (failure, None))?;
        let said = || format!("{} answered with status {}", place(url), answer.status);
        match answer.status {
            200..300 => Ok(()),
            // What is wrong with it will be wrong with it the next time; redirects lead to where nobody allowed them to go.
            300..500 if !matches!(answer.status, 408 | 429) => Err((Failure::reject(Code::CALL_STATUS, said()), None)),
            _ => Err((Failure::retry(Code::CALL_STATUS, said()), retry_after(&answer.headers))),
        }
    }
}
