//! A call of a function or a URL, with its handlers and its tries.

use super::asked::{Sent, Tried};
use super::attempt::{NodeAttempt, Unfinished};
use super::limited::Entry;
use super::notes::LastOperation;
use super::operations::Whose;
use super::retries::{Failed, count};
use super::trace::CallSpan;
use crate::Answers;
use crate::counters::{CallEnd, Retried};
use crate::network::{CallError, ChosenBy, IDEMPOTENCY_KEY, Quote, Retry, retry_after};
use crate::program::LastLines;
use faas_flow_core::definition::Call;
use faas_flow_core::run::{OperationKind, Side, Suspended, Try};
use faas_flow_core::{Content, Failure, MediaType, NodePath, Payload, PolicyOf, RunId, readable_header, redact};
use faas_flow_guest::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write;
use std::time::Duration;
use tokio::time::Instant;

/// A call among the operations of a node.
#[derive(Clone, Copy)]
pub(super) struct NodeCall<'a> {
    /// Its place among them.
    pub(super) index: usize,
    pub(super) kind: CallKind,
    pub(super) call: &'a Call,
}

/// What a call's target names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    /// A function, and perhaps a further path.
    Function,
    /// A URL.
    Url,
}

impl NodeAttempt<'_> {
    /// Makes a call, with the tries that its policy allows.
    pub(super) async fn call(&mut self, node_call: NodeCall<'_>, data: Content) -> Result<Content, Unfinished> {
        let NodeCall { index, call, .. } = node_call;
        let operation = count(index);
        let earlier = self.work.suspended.as_ref().filter(|s| s.operation == operation && s.data.is_some());
        let stored = earlier.and_then(|suspended| suspended.data.clone());
        let mut tries = earlier.map_or(0, |suspended| suspended.tries as usize);
        let of = call.retry.map_or(1, |retry| retry.attempts);
        self.notes.got(&data);
        let failed = loop {
            self.status = None;
            self.number = count(tries + 1);
            let asked = self.asked(operation);
            let has_asked = asked.is_some();
            let entry = if has_asked { Entry::default() } else { self.enter_call(node_call, &data).await? };
            let permits = match entry {
                Entry::Permits(permits) => permits,
                Entry::Waits { wait, until } => {
                    let data = Some(self.stored(stored, (index, tries), data).await?);
                    let (tries, wait) = (count(tries), Some(Box::new(wait)));
                    let suspended = Suspended { operation, tries, data, wait, ..Suspended::until(until) };
                    return Err(Unfinished::Suspended(suspended));
                }
            };
            let begun = asked.as_ref().and_then(|_| self.asked_at()).unwrap_or_else(|| self.live.services.now());
            let sent_at = Instant::now();
            let said = self.notes.begin(Try::begin(operation, self.number, of, begun));
            let tried = match asked {
                Some(asked) => self.resume(node_call, asked).await,
                None => self.try_call(node_call, tries, data.clone(), &said).await,
            };
            match tried {
                Ok(Tried::Waits { .. }) => permits.park(),
                _ if has_asked => self.leave_call(node_call, &data).await?,
                _ => drop(permits),
            }
            let ended = self.live.services.now();
            let earlier = if has_asked { Duration::from_millis(ended.saturating_sub(begun)) } else { Duration::ZERO };
            self.count_try(&tried, earlier.max(sent_at.elapsed()));
            let failed = match tried {
                Ok(Tried::Answered(data)) => {
                    self.notes.succeeded(ended, self.status);
                    return Ok(data);
                }
                Ok(Tried::Waits { wait, until }) => {
                    let data = Some(self.stored(stored, (index, tries), data).await?);
                    let wait = Some(Box::new(wait));
                    let suspended = Suspended { operation, tries: count(tries), data, wait, ..Suspended::until(until) };
                    return Err(Unfinished::Suspended(suspended));
                }
                Err(failed) => failed,
            };
            let Some(wait) = failed.wait(call.retry, tries) else {
                let failed = failed.last(PolicyOf::Call, call.retry, tries);
                self.notes.failed(ended, self.status, &failed.failure, None);
                break failed;
            };
            tries += 1;
            self.live.services.counters.retried(Retried::Call);
            let until = ended + wait.as_millis() as u64;
            self.notes.failed(ended, self.status, &failed.failure, Some(until));
            if self.live.waits_in_memory(wait, (&self.work.path, self.context.attempt)).await {
                self.live.store_soon(self.notes, self.work);
                self.live.wait_for_retry(wait).await;
                self.live.trace_retry(&self.work.path, self.span, ended, until);
                continue;
            }
            self.live.trace_retry(&self.work.path, self.span, ended, until);
            let data = Some(self.stored(stored, (index, tries), data).await?);
            let suspended = Suspended { operation, tries: count(tries), data, ..Suspended::until(until) };
            return Err(Unfinished::Suspended(suspended));
        };
        let recovered = self.recover(call, failed).await;
        if let Ok(data) = &recovered {
            self.keep(Whose::operation(OperationKind::Recover, index), Side::Output, data);
        }
        self.notes.settled(recovered.is_ok());
        if recovered.is_ok() {
            self.live.store_soon(self.notes, self.work);
        }
        recovered
    }

    /// Counts a try that has ended.
    fn count_try(&self, tried: &Result<Tried, Failed>, took: Duration) {
        let end = match tried {
            Ok(Tried::Answered(_)) => CallEnd::Answered,
            Ok(Tried::Waits { .. }) => return,
            Err(_) => CallEnd::Failed,
        };
        self.live.durations.node(&self.work.path).called(end, took, self.live.trace.as_ref());
    }

    /// What the flow makes of a call that has failed. Without a handler for that, the node may be attempted again as a whole.
    async fn recover(&mut self, call: &Call, failed: Failed) -> Result<Content, Unfinished> {
        match (&call.recover, &call.recover_from) {
            (Some(recover), _) => {
                self.has_called = true;
                Ok(self.instance().await?.recover(recover, &failed.failure.to_string()).await?)
            }
            (None, Some(recover)) => {
                self.has_called = true;
                self.recover_from(recover, failed).await
            }
            (None, None) => Err(Unfinished::Failed(failed)),
        }
    }

    /// What a `recover-from` handler makes of an operation that has failed.
    pub(super) async fn recover_from(&mut self, recover: &str, failed: Failed) -> Result<Content, Unfinished> {
        let LastOperation { input, response } = self.notes.take_operation();
        let (status, body) = response.map_or((None, None), |(status, body)| (Some(status), Some(body)));
        let failure = Failure { path: Some(self.work.path.clone()), ..failed.failure };
        let what = faas_flow_guest::Failed { failure, status };
        Ok(self.instance().await?.recover_from(recover, &what, input, body).await?)
    }

    /// The data of a call as a payload of the run, which an earlier wait may have stored.
    async fn stored(
        &mut self,
        stored: Option<Payload>,
        (index, tries): (usize, usize),
        data: Content,
    ) -> Result<Payload, Failure> {
        match stored {
            Some(payload) => Ok(payload),
            None => self.store(&format!("suspended/{index}/{tries}"), data).await,
        }
    }

    /// One try of a call. What its callee says meanwhile goes to `said`, if it is a program.
    async fn try_call(
        &mut self,
        node_call: NodeCall<'_>,
        tries: usize,
        data: Content,
        said: &LastLines,
    ) -> Result<Tried, Failed> {
        let call = node_call.call;
        let whose = Whose::call(node_call, self.number);
        let span = self.live.span_of_call(&self.work.path, self.wait_id(node_call), count(tries));
        let key = self.idempotency_key(node_call.index);
        let mut request = self.request(node_call, &key, data);
        request.headers.extend(self.live.trace_headers(span, &request.headers));
        if let Some(prepare) = &call.prepare {
            self.keep_with(whose.by(OperationKind::Prepare), Side::Input, || body_of(&request));
            request = self.instance().await?.prepare(prepare, request).await?;
        }
        as_they_came(&mut request.headers, &self.live.request.headers);
        self.live.may_call(self.work.token).await?;
        self.keep_with(whose, Side::Input, || body_of(&request));
        let call_span = self.live.is_traced().then(|| CallSpan::new(node_call, &request));
        // While the call is in flight, another node may use the instance.
        self.return_instance();
        let most = self.live.services.settings.call_timeout;
        // The timeout of an asynchronous call is that of its answer.
        let limit = call.timeout_ms.filter(|_| !call.asynchronous).map_or(most, Duration::from_millis);
        let sent = tokio::time::timeout(limit, self.send(node_call, request, &key, said)).await;
        let sent = sent.unwrap_or_else(|_| {
            let quote = Quote::new(self.live.services.settings.answers.quote_text(&said.text()));
            Err(CallError::TimedOut { callee: redact::place(&call.target), limit, quote }.into())
        });
        if let Some(call_span) = call_span {
            self.live.trace_call(self, span, call_span, &sent);
        }
        self.has_called = true;
        match sent? {
            Sent::Response(response) => Ok(Tried::Answered(self.take(node_call, response).await?)),
            Sent::Asked(of, to) => Ok(self.wait(node_call, of, to)),
        }
    }

    /// What the flow makes of a response.
    pub(super) async fn take(
        &mut self,
        node_call: NodeCall<'_>,
        mut response: HttpResponse,
    ) -> Result<Content, Failed> {
        let NodeCall { kind, call, .. } = node_call;
        self.has_called = true;
        self.status = Some(response.status);
        let whose = Whose::call(node_call, self.number).status(response.status);
        self.keep_with(whose, Side::Output, || Content::new(response.body.clone(), response.media_type()));
        match &call.receive {
            Some(receive) => {
                for (_, value) in &mut response.headers {
                    *value = readable_header(value).into_owned();
                }
                let data = self.instance().await?.receive(receive, response).await?;
                self.keep(whose.by(OperationKind::Receive), Side::Output, &data);
                Ok(data)
            }
            None if kind == CallKind::Function && response.status == 202 => {
                let callee = redact::place(&call.target);
                Err(Failure::from(CallError::Accepted { callee, asynchronous: call.asynchronous }).into())
            }
            None => {
                if !(200..300).contains(&response.status) {
                    self.notes
                        .was_answered(response.status, Content::new(response.body.clone(), response.media_type()));
                }
                accept(call, response, self.live.services.settings.answers)
            }
        }
    }

    /// What functions recognize a repeated call by.
    pub(super) fn idempotency_key(&self, index: usize) -> String {
        idempotency_key(&self.live.id, &self.work.path, self.work.round, index)
    }

    async fn send(
        &self,
        node_call: NodeCall<'_>,
        request: HttpRequest,
        key: &str,
        last: &LastLines,
    ) -> Result<Sent, Failure> {
        match node_call.kind {
            CallKind::Function if node_call.call.asynchronous => self.ask_function(node_call, request).await,
            CallKind::Function => self.apply(node_call, request, key, last).await,
            CallKind::Url => {
                let functions = &self.live.services.functions;
                Ok(Sent::Response(functions.request(request, ChosenBy::Flow).await?))
            }
        }
    }

    fn request(&self, NodeCall { kind, call, .. }: NodeCall<'_>, key: &str, data: Content) -> HttpRequest {
        let mut url = match kind {
            CallKind::Function => format!("http://function/{}", call.target),
            CallKind::Url => call.target.clone(),
        };
        // A fragment is not sent, and would swallow the parameters behind it.
        if let Some(at) = url.find('#').filter(|_| !call.query.is_empty()) {
            url.truncate(at);
        }
        for (name, value) in &call.query {
            let mark = if url.contains('?') { '&' } else { '?' };
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            // Writing to a string cannot fail.
            let _ = write!(url, "{mark}{name}={value}");
        }
        let Content { bytes: body, media_type } = data;
        let mut headers = call.headers.clone();
        headers.extend(content_type(&headers, &body, &media_type));
        let run = &self.live.id;
        // Every try of the call has the same key, so that a function can recognize a repetition.
        headers.push((IDEMPOTENCY_KEY.to_owned(), key.to_owned()));
        headers.push(("X-Faas-Flow-Reqid".to_owned(), run.to_string()));
        let method = call.method.as_ref().unwrap_or(&self.live.services.settings.default_method).clone();
        HttpRequest { method, url, headers, body }
    }
}

fn body_of(request: &HttpRequest) -> Content {
    Content::new(request.body.clone(), request.media_type())
}

/// Gives values that the flow passes on the bytes with which they came, if its code has seen them as other text.
fn as_they_came(headers: &mut [(String, String)], received: &[(String, String)]) {
    for (_, value) in headers.iter_mut().filter(|(_, value)| !value.is_ascii()) {
        if let Some((_, came)) = received.iter().find(|(_, came)| readable_header(came) == *value) {
            value.clone_from(came);
        }
    }
}

/// What functions recognize the call of a node by that has this place among the node's operations.
pub(super) fn idempotency_key(run: &RunId, node: &NodePath, round: u32, index: usize) -> String {
    in_round(format!("{run}/{node}/{index}"), round)
}

/// An idempotency key for what is done in one of several rounds. `RUN/n1/0` stands for the first one, `RUN/n1/0~2` for the
/// second.
pub(super) fn in_round(key: String, round: u32) -> String {
    if round == 0 { key } else { format!("{key}~{}", round.saturating_add(1)) }
}

/// The header that says what a body is, unless the flow has set one itself. A body that is empty, and of which nothing else is
/// known, has none, as is usual for requests without a body.
fn content_type(headers: &[(String, String)], body: &[u8], media_type: &MediaType) -> Option<(String, String)> {
    let is_set = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let is_nothing = body.is_empty() && media_type.is_octet_stream();
    (!is_set && !is_nothing).then(|| ("Content-Type".to_owned(), media_type.to_string()))
}

/// The body of a response, unless its status is an error.
fn accept(call: &Call, response: HttpResponse, answers: Answers) -> Result<Content, Failed> {
    let status = response.status;
    if (200..300).contains(&status) {
        let media_type = response.media_type();
        return Ok(Content::new(response.body, media_type));
    }
    let HttpResponse { body, headers, .. } = response;
    let retry = if call.retries_on(status) { Retry::Yes } else { Retry::No };
    let quote = Quote::new(answers.quote(&body));
    let failure = CallError::Status { callee: redact::place(&call.target), status, quote, retry }.into();
    let retry_after = if retry == Retry::Yes { retry_after(&headers) } else { None };
    Err(Failed { failure, retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    /// CALL-5, BACK-6.
    #[test]
    fn each_round_has_a_key_of_its_own() {
        assert_eq!([0, 1, 2].map(|round| in_round("r/n/0".to_owned(), round)), ["r/n/0", "r/n/0~2", "r/n/0~3"]);
    }

    fn answered(status: u16) -> Result<Content, Failed> {
        let call: Call = serde_json::from_value(serde_json::json!({ "target": "wc/lines?key=secret" })).unwrap();
        let headers = [("Retry-After", "7"), ("content-type", "text/plain")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        accept(&call, HttpResponse { status, headers, body: "out of paper".into() }, Answers::Quoted)
    }

    /// TYPE-3: the flow's own header wins.
    #[test]
    fn a_call_says_what_its_body_is_unless_the_flow_says_so_itself() {
        let set = [("CONTENT-TYPE".to_owned(), "text/csv".to_owned())];
        let said = |headers: &[(String, String)], body: &[u8], media_type: &MediaType| {
            content_type(headers, body, media_type).map(|(_, value)| value)
        };
        assert_eq!(said(&[], b"{}", &MediaType::JSON).as_deref(), Some("application/json"));
        assert_eq!(said(&[], b"", &MediaType::JSON).as_deref(), Some("application/json"));
        assert_eq!(said(&[], b"?", &MediaType::OCTET_STREAM).as_deref(), Some("application/octet-stream"));
        assert_eq!(said(&[], b"", &MediaType::OCTET_STREAM), None);
        assert_eq!(said(&set, b"{}", &MediaType::JSON), None);
    }

    /// CALL-1.
    #[test]
    fn a_response_is_taken_only_with_a_status_of_success() {
        let paper = Content::new("out of paper", MediaType::parse("text/plain").unwrap());
        assert_eq!((answered(200).unwrap(), answered(299).unwrap()), (paper.clone(), paper));
        for status in [199, 300, 302] {
            assert!(!answered(status).unwrap_err().failure.retry, "{status}");
        }
        let Failed { failure, retry_after } = answered(503).unwrap_err();
        assert_eq!((failure.code, failure.retry), (Code::CALL_STATUS, true));
        assert_eq!(failure.message, "`wc/lines` answered with status 503: out of paper");
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
        let Failed { failure, retry_after } = answered(404).unwrap_err();
        assert_eq!((failure.retry, retry_after), (false, None));
    }
}
