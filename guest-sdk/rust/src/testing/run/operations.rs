//! The operations of nodes: the flow's own code, calls, sleeps and waits for signals.

use super::attempt::{Engine, Value};
use super::call::{self, Answer, Call, encoded, retry_after};
use super::engine::Gather;
use super::failing::{Failing, Level, Step, Whose, stop};
use super::moment::{of_rfc_3339, shown};
use crate::definition::{self as plain, Operation, SignalSource, WaitFor};
use crate::failed::FailureKind;
use crate::http::{Request, Response};
use crate::testing::fake::{OCTET_STREAM, is_media_type};
use crate::values::Wake;
use std::time::Duration;

/// The time limit of a try without one of its own, and of an asynchronous call, in milliseconds.
const CALL_TIMEOUT: u64 = 60_000;
const ANSWER_TIMEOUT: u64 = 24 * 3600 * 1000;
/// How long a node may be held while it waits between two tries.
const LONGEST_WAIT: u64 = 5_000;
const LONGEST_SLEEP: u64 = 366 * 24 * 3600 * 1000;

/// A call among the operations of a node.
struct CallOf<'d> {
    path: &'d str,
    index: usize,
    call: &'d plain::Call,
    is_url: bool,
}

impl Engine<'_, '_> {
    /// Attempts a node as often as its retry policy allows.
    pub(super) fn operations(&mut self, path: &str, node: &plain::Operations, gather: &Gather<'_>) -> Step<Value> {
        let mut attempts = 1;
        loop {
            let attempted = self.attempt(path, node.timeout_ms, |engine| {
                let mut value = engine.gather(gather)?;
                engine.limit(node.limit.as_ref(), &value)?;
                for (index, operation) in node.list.iter().enumerate() {
                    engine.own.input.clone_from(&value.data);
                    value = engine.operation(path, index, operation, value)?;
                }
                Ok(value)
            });
            let failing = match attempted {
                Ok(value) => return Ok(value),
                Err(failing) if failing.level == Level::Run => return Err(failing),
                Err(failing) => failing.at(Level::Node),
            };
            let Some(wait) = failing.wait(node.retry, attempts) else {
                return Err(failing.last(node.retry, Whose::Node, attempts));
            };
            self.own.until = None;
            self.pass(wait)?;
            attempts += 1;
        }
    }

    /// Asks for the key of a limit, which holds nothing up here.
    fn limit(&mut self, limit: Option<&plain::Limit>, value: &Value) -> Step<()> {
        let Some(id) = limit.and_then(|limit| limit.key.as_ref()) else { return Ok(()) };
        let key = self.plain(value, |handlers| handlers.key(id, value.data.clone()));
        key.map(drop).map_err(|failing| failing.at(Level::Node))
    }

    fn operation(&mut self, path: &str, index: usize, operation: &Operation, value: Value) -> Step<Value> {
        match operation {
            Operation::Modify(id) => self.data(&value, |handlers| handlers.modify(id, value.data.clone())),
            Operation::Sleep(ms) => self.sleep(*ms, value),
            Operation::SleepUntil(id) => self.sleep_until(path, id, value),
            Operation::WaitFor(wait) => self.wait_for(path, index, wait, &value),
            Operation::Apply(call) => self.call(&CallOf { path, index, call, is_url: false }, &value),
            Operation::Request(call) => self.call(&CallOf { path, index, call, is_url: true }, &value),
        }
    }

    fn sleep(&mut self, ms: u64, value: Value) -> Step<Value> {
        if ms > 0 {
            self.suspend(ms)?;
        }
        Ok(value)
    }

    fn sleep_until(&mut self, path: &str, id: &str, value: Value) -> Step<Value> {
        let wrong = |message: String| Failing::new("FF0232", FailureKind::Other, path, message).with_input(&value.data);
        let ms = match self.plain(&value, |handlers| handlers.moment(id, value.data.clone()))? {
            Wake::After(ms) => ms,
            Wake::At(text) => {
                let moment = of_rfc_3339(&text).ok_or_else(|| {
                    wrong(format!(
                        "`{text}` is not a moment as RFC 3339 writes it, such as `2026-12-24T18:00:00+01:00`"
                    ))
                })?;
                u64::try_from(moment - self.moment()).unwrap_or_default()
            }
        };
        if ms > LONGEST_SLEEP {
            let (asked, most) = (shown(ms), shown(LONGEST_SLEEP));
            return Err(wrong(format!("the node would sleep for {asked}, but at most {most} (366 days) are possible")));
        }
        self.sleep(ms, value)
    }

    /// The present moment, in milliseconds since 1970.
    fn moment(&self) -> i64 {
        self.world.now.saturating_add_unsigned(self.now)
    }

    fn wait_for(&mut self, path: &str, index: usize, wait: &WaitFor, value: &Value) -> Step<Value> {
        let name = self.signal_of(path, wait, value)?;
        let place = (path.to_owned(), index);
        if let Some(body) = self.taken.get(&place) {
            return Ok(Value::new(body.clone(), OCTET_STREAM));
        }
        let until = wait.timeout_ms.map(|ms| self.now.saturating_add(ms));
        let next = self.world.signals.iter().position(|sent| sent.name == name);
        let next = next.filter(|at| {
            let at = self.world.signals.get(*at).map(|sent| sent.at);
            until.is_none_or(|until| at.is_some_and(|at| at <= until))
        });
        if let Some(at) = next {
            let sent = self.world.signals.remove(at);
            self.suspend(sent.at.saturating_sub(self.now))?;
            self.taken.insert(place, sent.body.clone());
            return Ok(Value::new(sent.body, OCTET_STREAM));
        }
        if until.is_none() && !self.has_deadline() {
            stop(&format!(
                "node `{path}` waits for the signal `{name}`, without a timeout, and none comes: add .signal({name:?}, …) to the run"
            ));
        }
        self.suspend(wait.timeout_ms.unwrap_or(u64::MAX))?;
        let limit = shown(wait.timeout_ms.unwrap_or_default());
        let message = format!("no signal `{name}` came in {limit}: send it earlier, or give the wait a longer timeout");
        let failing = Failing::new("FF0270", FailureKind::TimedOut, path, message).with_input(&value.data);
        match &wait.recover_from {
            Some(id) => self.recover_from(id, &failing).map_err(|own| own.with_input(&value.data)),
            None => Err(failing),
        }
    }

    fn signal_of(&mut self, path: &str, wait: &WaitFor, value: &Value) -> Step<String> {
        let id = match &wait.signal {
            SignalSource::Named(name) => return Ok(name.clone()),
            SignalSource::Handler(id) => id,
        };
        let name = self.plain(value, |handlers| handlers.signal_name(id, value.data.clone()))?;
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if (1..=64).contains(&name.len()) && name.bytes().all(is_good) {
            return Ok(name);
        }
        let message = format!("signal name `{name}` is malformed: 1 to 64 characters out of A-Z a-z 0-9 _ . -");
        Err(Failing::new("FF0275", FailureKind::Other, path, message).with_input(&value.data))
    }

    /// Makes a call, with the tries that its policy allows.
    fn call(&mut self, of: &CallOf<'_>, value: &Value) -> Step<Value> {
        let retry = of.call.retry;
        let mut tries = 1;
        let failing = loop {
            let failing = match self.try_call(of, tries, value) {
                Err(failing) if failing.level == Level::Operation => failing.with_input(&value.data),
                ended => return ended,
            };
            match failing.wait(retry, tries) {
                Some(wait) if wait > LONGEST_WAIT => self.suspend(wait)?,
                Some(wait) => self.pass(wait)?,
                None => break failing.last(retry, Whose::Call, tries),
            }
            tries += 1;
        };
        self.own.has_called = true;
        let recovered = match (&of.call.recover, &of.call.recover_from) {
            (Some(id), _) => {
                let text = failing.text_without_path();
                self.data(&Value::nothing(), |handlers| handlers.recover(id, text))
            }
            (None, Some(id)) => self.recover_from(id, &failing),
            (None, None) => return Err(failing),
        };
        recovered.map_err(|own| own.with_input(&value.data))
    }

    /// One try of a call.
    fn try_call(&mut self, of: &CallOf<'_>, tries: u32, value: &Value) -> Step<Value> {
        let CallOf { path, call, is_url, .. } = *of;
        self.limit(call.limit.as_ref(), value)?;
        let mut request = self.request(of, value);
        if let Some(id) = &call.prepare {
            let of = Value::new(request.body.clone(), media_type(request.header("content-type")));
            request = self.plain(&of, |handlers| handlers.prepare(id, request))?;
        }
        let function = call::subject(&call.target, request.url(), is_url);
        let made = Call { request, function, node: path.to_owned(), tries, at: Duration::from_millis(self.now) };
        self.calls.push(made.clone());
        let answer = self.world.answer(&made);
        if call.asynchronous {
            self.commit();
        }
        let response = self.answered(of, answer);
        self.own.has_called = true;
        let response = response?;
        let answer = Value::new(response.body.clone(), media_type(response.header("content-type")));
        if let Some(id) = &call.receive {
            return self.data(&answer, |handlers| handlers.receive(id, response));
        }
        let target = &call.target;
        match response.status() {
            202 if !is_url => {
                let message = format!(
                    "`{target}` answered with status 202, so its result is not in the answer: have it answer when it is done, and call it with `.asynchronous()` if that takes long"
                );
                Err(Failing::new("FF0250", FailureKind::Answered, path, message))
            }
            200..=299 => Ok(answer),
            status => {
                let message = format!("`{target}` answered with status {status}{}", quoted(response.body()));
                let mut failing = Failing::new("FF0207", FailureKind::Answered, path, message);
                failing.retry = match &*call.retry_on {
                    [] => matches!(status, 408 | 429 | 500..),
                    statuses => statuses.contains(&status),
                };
                if failing.retry {
                    failing.retry_after = retry_after(&response, self.moment());
                }
                (failing.failed.status, failing.failed.body) = (Some(status), Some(response.into_body()));
                Err(failing)
            }
        }
    }

    /// The response that an answer is, once its time has passed.
    fn answered(&mut self, of: &CallOf<'_>, answer: Answer) -> Step<Response> {
        let CallOf { path, call, .. } = *of;
        let Answer { response, delay, error } = answer;
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let limit = call.timeout_ms.unwrap_or(if call.asynchronous { ANSWER_TIMEOUT } else { CALL_TIMEOUT });
        if call.asynchronous {
            self.suspend(delay.min(limit))?;
        } else {
            self.pass(delay.min(limit))?;
        }
        let target = &call.target;
        let (code, kind, message) = match error {
            _ if delay > limit && call.asynchronous => {
                ("FF0253", FailureKind::TimedOut, format!("`{target}` did not answer within {}", shown(limit)))
            }
            _ if delay > limit => {
                ("FF0206", FailureKind::TimedOut, format!("`{target}` did not answer within {limit} ms"))
            }
            Some(reason) => ("FF0208", FailureKind::Unreachable, format!("no answer from {target}: {reason}")),
            None => return Ok(response),
        };
        Err(Failing::new(code, kind, path, message).retryable())
    }

    /// What a call sends before the flow's code changes it.
    fn request(&self, of: &CallOf<'_>, value: &Value) -> Request {
        let CallOf { path, index, call, is_url } = *of;
        let mut url = if is_url { call.target.clone() } else { format!("http://function/{}", call.target) };
        if let Some(at) = url.find('#').filter(|_| !call.query.is_empty()) {
            url.truncate(at);
        }
        for (name, value) in &call.query {
            let mark = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{mark}{}={}", encoded(name), encoded(value));
        }
        let mut headers = call.headers.clone();
        let is_set = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !is_set && (!value.data.is_empty() || value.media_type != OCTET_STREAM) {
            headers.push(("Content-Type".to_owned(), value.media_type.clone()));
        }
        let id = self.fake.context().request_id();
        headers.push(("X-Faas-Flow-Idempotency-Key".to_owned(), format!("{id}/{path}/{index}")));
        headers.push(("X-Faas-Flow-Reqid".to_owned(), id));
        let method = call.method.clone().unwrap_or_else(|| "POST".to_owned());
        Request { method, url, headers, body: value.data.clone() }
    }
}

/// What a message says that its body is.
fn media_type(said: Option<&str>) -> &str {
    said.filter(|text| is_media_type(text)).unwrap_or(OCTET_STREAM)
}

/// The beginning of a body, as messages have it.
fn quoted(body: &[u8]) -> String {
    match &*String::from_utf8_lossy(body).trim().chars().take(500).collect::<String>() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
