//! Callbacks: the result of a run, or its failure, is sent to the URL that its caller gave.

use super::call::in_round;
use super::ended::Ended;
use super::live::Live;
use super::retries::Failed;
use crate::log::log_run;
use crate::network::{CallError, ChosenBy, IDEMPOTENCY_KEY, Quote, Retry, retry_after};
use bytes::Bytes;
use faas_flow_core::definition::Backoff;
use faas_flow_core::run::{Event, Run};
use faas_flow_core::{Content, Failure, MediaType, ResponseHead, Status};
use faas_flow_guest::HttpRequest;
use faas_flow_session::{Delivery, Documents, Input};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Maximum time for one try. Until then, no other replica tries.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Number of tries. The last one is about an hour and a half after the first.
const TRIES: u32 = 12;
/// The waits between tries. They double up to 20 min, and are shortened at random by up to half, so that the callbacks of many
/// runs do not arrive together.
const WAITS: Backoff = Backoff { attempts: TRIES, first_delay_ms: 4_000, factor: 2.0, max_delay_ms: 20 * 60 * 1000 };

impl Ended {
    /// The status of the answer that a caller would have got.
    fn function_status(&self) -> u16 {
        let chosen = self.response.as_ref().map(|head| head.status);
        let failed = || self.failure.as_ref().map(|failure| failure.status.unwrap_or(500));
        chosen.or_else(failed).unwrap_or(if self.status == Status::Succeeded { 200 } else { 500 })
    }

    /// Why the result, which exists, cannot be read now but may be readable later.
    fn unread(&self, run: &Run) -> Option<Failure> {
        let unread = run.result.is_some() && self.result.is_none();
        self.failure.clone().filter(|failure| unread && failure.code.is_transient())
    }
}

impl Live {
    /// Tries to call back, if that is due and no other replica tries.
    ///
    /// The future is boxed since its type contains itself: driving a run spawns it, and it drives the run.
    pub(super) fn call_back(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.try_call_back().await })
    }

    async fn try_call_back(self: &Arc<Self>) {
        let until = self.services.now() + TIMEOUT.as_millis() as u64;
        let mut session = self.lock().await;
        let claim = Input::Event(Event::CallBack { until }, Documents::new());
        let Some(Delivery { url, round, tries, earlier }) = self.drive(&mut session, claim).await.call_back else {
            return;
        };
        let ended = self.read_ended(&session).await;
        let unread = ended.unread(session.state().run());
        drop(session);
        let delivered = match unread {
            Some(unread) => Err(unread.into()),
            None => tokio::time::timeout(TIMEOUT, self.deliver(&url, round, &ended)).await.unwrap_or_else(|_| {
                let timed_out = CallError::TimedOut {
                    callee: ChosenBy::Caller.shown(&url),
                    limit: TIMEOUT,
                    quote: Quote::default(),
                };
                Err(Failure::from(timed_out).into())
            }),
        };
        let wait = delivered.as_ref().err().and_then(|failed| failed.wait(Some(WAITS), earlier as usize));
        let failure = delivered.err().map(|failed: Failed| failed.failure);
        match (&failure, wait) {
            (None, _) => self.services.counters.callback(Ok(())),
            (Some(Failure { code, message: error, .. }), Some(wait)) => {
                log_run!(warn, self, tries, %code, %error, ?wait, "callback failed; trying again");
            }
            (Some(Failure { code, message: error, .. }), None) => {
                self.services.counters.callback(Err(()));
                log_run!(warn, self, tries, %code, %error, "callback failed; giving up");
            }
        }
        let next = wait.map(|wait| self.services.now() + wait.as_millis() as u64);
        self.react(Input::Event(Event::CalledBack { tries, failure, next }, Documents::new())).await;
    }

    /// Sends the result, or the failure if there is no result.
    async fn deliver(&self, url: &str, round: u32, ended: &Ended) -> Result<(), Failed> {
        let (body, media_type) = match (&ended.result, &ended.failure) {
            (Some(Content { bytes, media_type }), _) => (bytes.clone(), media_type.to_string()),
            (None, Some(failure)) => (failure.to_string().into(), "text/plain; charset=utf-8".to_owned()),
            (None, None) => (Bytes::new(), MediaType::OCTET_STREAM.to_string()),
        };
        let mut headers = vec![
            ("Content-Type".to_owned(), media_type),
            ("X-Faas-Flow-Reqid".to_owned(), self.id.to_string()),
            ("X-Faas-Flow-Flow".to_owned(), self.flow.name.to_string()),
            ("X-Faas-Flow-Status".to_owned(), ended.status.to_string()),
            // As OpenFaaS' queue-worker says it.
            ("X-Function-Name".to_owned(), self.flow.name.to_string()),
            ("X-Function-Status".to_owned(), ended.function_status().to_string()),
            (IDEMPOTENCY_KEY.to_owned(), in_round(format!("{}/callback", self.id), round)),
        ];
        headers.extend(self.run_trace_headers());
        if let Some(failure) = &ended.failure {
            headers.push(("X-Faas-Flow-Error".to_owned(), failure.code.to_string()));
        }
        if let Some(ResponseHead { status, headers: set }) = &ended.response {
            headers.push(("X-Faas-Flow-Response-Status".to_owned(), status.to_string()));
            headers.extend(set.iter().cloned());
        }
        if let Some(keys) = &self.services.keys {
            headers.push(("X-Hub-Signature-256".to_owned(), keys.sign_callback(&body)));
        }
        let request = HttpRequest { method: "POST".to_owned(), url: url.to_owned(), headers, body };
        let answer = self.services.functions.request(request, ChosenBy::Caller).await?;
        accept(url, answer.status, &answer.headers)
    }
}

/// Whether the receiver has taken the callback.
fn accept(url: &str, status: u16, headers: &[(String, String)]) -> Result<(), Failed> {
    let retry = match status {
        200..300 => return Ok(()),
        408 | 429 => Retry::Yes,
        // The same request would fail again.
        300..500 => Retry::No,
        _ => Retry::Yes,
    };
    let failure =
        CallError::Status { callee: ChosenBy::Caller.shown(url), status, quote: Quote::default(), retry }.into();
    Err(Failed { failure, retry_after: if retry == Retry::Yes { retry_after(headers) } else { None } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_tried_again_only_if_that_may_help() {
        let headers = [("retry-after".to_owned(), "3".to_owned())];
        let answered = |status| accept("http://ann:secret@h/p?key=secret", status, &headers);
        assert!(answered(204).is_ok());
        for (status, retry) in [(302, false), (404, false), (408, true), (429, true), (500, true), (103, true)] {
            let Failed { failure, retry_after } = answered(status).unwrap_err();
            assert_eq!((failure.retry, retry_after.is_some()), (retry, retry), "{status}");
            assert_eq!(failure.message, format!("`http://***@h/…` answered with status {status}"));
        }
    }
}
