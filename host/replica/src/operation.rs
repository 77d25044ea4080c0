//! One call of a function or URL, with its handlers and its tries.

use super::execute::{Try, wait_before};
use super::trace::Asked;
use crate::Answers;
use crate::network::{place, retry_after};
use bytes::Bytes;
use faas_flow_core::definition::Call;
use faas_flow_core::run::Suspended;
use faas_flow_core::{Code, Failure};
use faas_flow_guest::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

impl Try<'_> {
    /// Makes the call that is the node's operation number `index`.
    pub(super) async fn call(&mut self, index: usize, call: &Call, apply: bool, data: Bytes) -> Result<Bytes, Failure> {
        let operation = u32::try_from(index).unwrap_or(u32::MAX);
        let earlier = self.work.suspended.as_ref().filter(|s| s.operation == operation && s.data.is_some());
        let mut tries = earlier.map_or(0, |suspended| suspended.tries as usize);
        let failure = loop {
            let (failure, after) = match self.try_call(index, call, apply, data.clone()).await {
                Ok(data) => return Ok(data),
                Err(failed) => failed,
            };
            let Some(wait) = wait_before(call.retry, tries, &failure) else {
                // The node may be tried again as a whole.
                self.after = after;
                break failure;
            };
            let wait = wait.max(after.unwrap_or_default());
            tries += 1;
            if self.live.waits_here(wait).await {
                tokio::time::sleep(wait).await;
                continue;
            }
            let until = self.live.services.now() + wait.as_millis() as u64;
            let data = Some(self.keep(&format!("suspended/{index}/{tries}"), data).await?);
            let tries = u32::try_from(tries).unwrap_or(u32::MAX);
            self.suspended = Some((Suspended { until, operation, tries, data }, failure.clone()));
            return Err(failure);
        };
        match &call.recover {
            Some(recover) => {
                self.after = None;
                self.instance().await?.recover(recover, &failure.to_string()).await
            }
            None => Err(failure),
        }
    }

    /// One try; a failure comes with the time that the callee wants to be left alone.
    async fn try_call(
        &mut self,
        index: usize,
        call: &Call,
        apply: bool,
        data: Bytes,
    ) -> Result<Bytes, (Failure, Option<Duration>)> {
        let plain = |failure: Failure| (failure, None);
        let functions = &self.live.services.functions;
        let span = self.live.new_span();
        let mut request = self.request(index, call, apply, data);
        request.headers.extend(self.live.traceparent(span));
        if let Some(prepare) = &call.prepare {
            request = self.instance().await.map_err(plain)?.prepare(prepare, request).await.map_err(plain)?;
        }
        let (begun, asked) = (SystemTime::now(), Asked::new(index, call, apply, &request));
        self.rest();
        let limit = call.timeout_ms.map_or(self.live.services.settings.call_timeout, Duration::from_millis);
        let sent = async {
            match apply {
                true => functions.apply(call.target.split(['/', '?']).next().unwrap_or_default(), request).await,
                false => functions.request(request).await,
            }
        };
        let response = tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
            let message = format!("`{}` did not answer within {} ms", place(&call.target), limit.as_millis());
            Err(Failure::retry(Code::CALL_TIMED_OUT, message))
        });
        self.live.trace_call(self, span, begun, &asked, &response);
        let response = response.map_err(plain)?;
        match &call.receive {
            Some(receive) => self.instance().await.map_err(plain)?.receive(receive, response).await.map_err(plain),
            None => accept(call, response, self.live.services.settings.answers),
        }
    }

    fn request(&self, index: usize, call: &Call, apply: bool, body: Bytes) -> HttpRequest {
        let mut url = if apply { format!("http://function/{}", call.target) } else { call.target.clone() };
        for (name, value) in &call.query {
            let mark = if url.contains('?') { '&' } else { '?' };
            let (name, value) =
                (utf8_percent_encode(name, NON_ALPHANUMERIC), utf8_percent_encode(value, NON_ALPHANUMERIC));
            // Writing to a string cannot fail.
            let _ = write!(url, "{mark}{name}={value}");
        }
        let mut headers = call.headers.clone();
        let run = &self.live.id;
        // The same on every attempt, so that a function can tell a repetition (CALL-5, docs/concepts.md#calls).
        headers.push(("X-Faas-Flow-Idempotency-Key".to_owned(), format!("{run}/{}/{index}", self.work.path)));
        headers.push(("X-Faas-Flow-Reqid".to_owned(), run.to_string()));
        let method = call.method.as_ref().unwrap_or(&self.live.services.settings.default_method).clone();
        HttpRequest { method, url, headers, body }
    }
}

fn accept(call: &Call, response: HttpResponse, answers: Answers) -> Result<Bytes, (Failure, Option<Duration>)> {
    let HttpResponse { status, body, headers } = response;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let said = answers.quote(&body);
    let message = format!("`{}` answered with status {status}{said}", place(&call.target));
    if !call.retries_on(status) {
        return Err((Failure::reject(Code::CALL_STATUS, message), None));
    }
    Err((Failure::retry(Code::CALL_STATUS, message), retry_after(&headers)))
}
