//! One call of a function or URL, with its handlers and its tries.

use super::execute::{Try, wait_before};
use bytes::Bytes;
use faas_flow_core::definition::Call;
use faas_flow_core::{Code, Failure};
use faas_flow_guest::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write;
use std::time::Duration;

impl Try<'_> {
    /// Makes the call that is the node's operation number `index`.
    pub(super) async fn call(&mut self, index: usize, call: &Call, apply: bool, data: Bytes) -> Result<Bytes, Failure> {
        let mut tries = 0;
        let failure = loop {
            let failure = match self.try_call(index, call, apply, data.clone()).await {
                Ok(data) => return Ok(data),
                Err(failure) => failure,
            };
            match wait_before(call.retry, tries, &failure) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break failure,
            }
            tries += 1;
        };
        match &call.recover {
            Some(recover) => self.instance().await?.recover(recover, &failure.to_string()).await,
            None => Err(failure),
        }
    }

    async fn try_call(&mut self, index: usize, call: &Call, apply: bool, data: Bytes) -> Result<Bytes, Failure> {
        let functions = &self.live.host.functions;
        let mut request = self.request(index, call, apply, data);
        if let Some(prepare) = &call.prepare {
            request = self.instance().await?.prepare(prepare, request).await?;
        }
        let limit = call.timeout_ms.map_or(self.live.host.settings.call_timeout, Duration::from_millis);
        let sent = async {
            match apply {
                true => functions.apply(call.target.split(['/', '?']).next().unwrap_or_default(), request).await,
                false => functions.request(request).await,
            }
        };
        let response = tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
            let message = format!("`{}` did not answer within {} ms", call.target, limit.as_millis());
            Err(Failure::retry(Code::CALL_TIMED_OUT, message))
        })?;
        match &call.receive {
            Some(receive) => self.instance().await?.receive(receive, response).await,
            None => accept(&call.target, response),
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
        // The same on every attempt, so that a function can tell a repetition (design: section 5).
        headers.push(("X-Faas-Flow-Idempotency-Key".to_owned(), format!("{run}/{}/{index}", self.work.path)));
        headers.push(("X-Faas-Flow-Reqid".to_owned(), run.to_string()));
        HttpRequest { method: call.method.clone().unwrap_or_else(|| "POST".to_owned()), url, headers, body }
    }
}

fn accept(target: &str, response: HttpResponse) -> Result<Bytes, Failure> {
    let HttpResponse { status, body, .. } = response;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let said: String = String::from_utf8_lossy(&body).trim().chars().take(200).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let message = format!("`{target}` answered with status {status}{said}");
    Err(match status {
        408 | 429 | 500..600 => Failure::retry(Code::CALL_STATUS, message),
        _ => Failure::reject(Code::CALL_STATUS, message),
    })
}
