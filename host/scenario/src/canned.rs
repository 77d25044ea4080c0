//! The functions of a scenario, and the record of their calls.

use crate::scenario::{Answer, Answers, Scenario};
use crate::world::{Answer as May, GATEWAY, Outside, Power, World, header, headers, no_answer};
use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use faas_flow_core::run::Parent;
use faas_flow_core::{Code, Failure, RunId};
use faas_flow_gateway::{Function as Queued, Gateway, Unreachable};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_replica::{ChosenBy, Function, Functions, Network, Settings};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const KEY: &str = "x-faas-flow-idempotency-key";
/// Under which a program is known to what runs it.
const PROGRAM: &str = "program";

/// A call, as its function met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When, since the beginning of the scenario.
    pub at: Duration,
    /// The function or URL, by the name that the scenario or else the flow has for it.
    pub function: String,
    /// The idempotency key. In place of the id of a run that was called there is the key of its call.
    pub key: String,
    /// The body.
    pub body: Bytes,
    /// What came back; none if the call was cut off before.
    pub answer: Option<Reply>,
}

/// What came back of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Answered {
        /// Its status.
        status: u16,
        /// Its body.
        body: Bytes,
    },
    /// The call could not be made, for this reason.
    Failed(String),
}

/// What the functions answered in another run of the same scenario, by the keys of the calls: the first time, the second time.
pub(crate) type Known = HashMap<String, Vec<Answer>>;

#[derive(Default)]
struct Record {
    calls: Vec<Call>,
    /// Of each function, which answers are used up.
    used: HashMap<String, Vec<bool>>,
    /// What was answered to each key.
    answered: Known,
    /// How many answers have arrived, by key.
    arrived: HashMap<String, usize>,
    /// The key of each try of a call, whatever became of it.
    tried: Vec<String>,
    /// The calls of which an answer, or the call itself, got lost.
    lost: Vec<String>,
    /// Functions that are called and that the scenario does not have.
    missing: Vec<(String, String)>,
    /// Runs that were called, by their ids, with the keys of their calls.
    called: HashMap<String, String>,
}

/// The functions of a scenario.
pub(crate) struct Canned {
    world: Arc<World>,
    scenario: Arc<Scenario>,
    /// The flow that is tested.
    flow: String,
    settings: Settings,
    /// What they are to answer, if it is known.
    known: Option<Arc<Known>>,
    began: Instant,
    gateway: OnceLock<Weak<Gateway>>,
    record: Mutex<Record>,
}

impl Canned {
    pub(crate) fn new(
        world: Arc<World>,
        scenario: Arc<Scenario>,
        (flow, settings): (String, Settings),
        known: Option<Arc<Known>>,
    ) -> Arc<Self> {
        let (began, gateway, record) = (Instant::now(), OnceLock::new(), Mutex::default());
        Arc::new(Self { world, scenario, flow, settings, known, began, gateway, record })
    }

    /// Makes the functions known to the gateway, which calls them for the queue.
    pub(crate) fn connect(self: &Arc<Self>, gateway: &Arc<Gateway>) {
        // It is connected once.
        let _ = self.gateway.set(Arc::downgrade(gateway));
        for (name, answers) in &self.scenario.functions {
            if !matches!(answers, Answers::Flow(_)) && !name.contains("://") {
                gateway.set(name.clone(), Arc::new(ByQueue { canned: self.clone(), name: name.clone() }));
            }
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.record().calls.clone()
    }

    pub(crate) fn answered(&self) -> Known {
        self.record().answered.clone()
    }

    pub(crate) fn tried(&self) -> Vec<String> {
        self.record().tried.clone()
    }

    pub(crate) fn lost(&self) -> Vec<String> {
        self.record().lost.clone()
    }

    /// The functions that the scenario lacks, each with the key of a call.
    pub(crate) fn missing(&self) -> Vec<(String, String)> {
        self.record().missing.clone()
    }

    /// A key without the ids of runs that were called, which follow from the moment at which they began.
    pub(crate) fn without_ids(&self, key: &str) -> String {
        let (run, rest) = key.split_once('/').unwrap_or((key, ""));
        match self.record().called.get(run) {
            Some(call) => format!("{call}/{rest}"),
            None => rest.to_owned(),
        }
    }

    /// The answer to a call, as far as the scenario gives it: that of the other run to the same call, or else the next one that
    /// is not used up.
    fn choose(&self, function: &str, list: &[Answer], key: &str, body: &[u8]) -> Option<Answer> {
        let mut record = self.record();
        if let Some(answers) = self.known.as_ref().and_then(|known| known.get(key)) {
            let times = record.arrived.get(key).copied().unwrap_or_default();
            return answers.get(times).or(answers.last()).cloned();
        }
        let used = record.used.entry(function.to_owned()).or_insert_with(|| vec![false; list.len()]);
        let mut fitting = list.iter().zip(used).filter(|(answer, _)| answer.only.fits(body)).peekable();
        while let Some((answer, used)) = fitting.next() {
            let is_last = fitting.peek().is_none();
            if !*used || is_last {
                *used = true;
                return Some(answer.clone());
            }
        }
        None
    }

    /// What a function answers, and when.
    async fn answer(&self, function: &str, key: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let body = request.body.clone();
        let number = {
            let mut record = self.record();
            let first = record.calls.iter().find(|call| call.key == key && call.function == function);
            if let Some(first) = first
                && unsigned(&first.body) != unsigned(&body)
            {
                self.world.violation(format!("{function} was called twice with key {key}, and with different bodies"));
            }
            let at = self.began.elapsed();
            let call =
                Call { at, function: function.to_owned(), key: key.to_owned(), body: body.clone(), answer: None };
            record.calls.push(call);
            record.calls.len() - 1
        };
        let known = self.known.as_ref().is_some_and(|known| known.contains_key(key));
        let answer = match self.scenario.functions.get(function) {
            Some(Answers::Given(list)) => self.choose(function, list, key, &body),
            Some(_) if known => self.choose(function, &[], key, &body),
            Some(Answers::Echo) => Some(echo(&request)),
            Some(Answers::Program(program)) => Some(self.run(program, function, request).await),
            Some(Answers::Flow(_)) | None => None,
        };
        let Some(answer) = answer else {
            let body: Bytes = format!("the scenario does not say what {function} answers").into();
            let mut record = self.record();
            record.missing.push((function.to_owned(), key.to_owned()));
            if let Some(call) = record.calls.get_mut(number) {
                call.answer = Some(Reply::Answered { status: 404, body: body.clone() });
            }
            return Ok(HttpResponse { status: 404, headers: Vec::new(), body });
        };
        self.record().answered.entry(key.to_owned()).or_default().push(answer.clone());
        if !answer.delay.is_zero() {
            sleep(answer.delay).await;
        }
        let reply = match &answer.error {
            Some(error) => Reply::Failed(error.clone()),
            None => Reply::Answered { status: answer.status, body: answer.body.clone() },
        };
        if let Some(call) = self.record().calls.get_mut(number) {
            call.answer = Some(reply);
        }
        match answer.error {
            Some(error) => {
                Err(Failure::retry(Code::CALL_UNREACHABLE, format!("`{function}` cannot be reached: {error}")))
            }
            None => Ok(HttpResponse { status: answer.status, headers: answer.headers, body: answer.body }),
        }
    }

    /// Runs a program on a thread of its own. While it runs, no virtual time passes.
    async fn run(&self, program: &Function, function: &str, mut request: HttpRequest) -> Answer {
        let below = request.url.strip_prefix(GATEWAY).and_then(|url| url.strip_prefix("/function/"));
        let tail = below.and_then(|below| below.strip_prefix(function)).unwrap_or_default();
        request.url = format!("http://function/{PROGRAM}{tail}");
        let known = [(PROGRAM.to_owned(), program.clone())];
        let functions = Functions::new(known, None, &self.settings, Arc::new(Nobody));
        let ran = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Failure::reject(Code::INTERNAL, error.to_string()))?;
            runtime.block_on(functions.apply(PROGRAM, request))
        });
        match ran.await {
            Ok(Ok(HttpResponse { status, headers, body })) => Answer { status, headers, body, ..Answer::default() },
            Ok(Err(failure)) => Answer { error: Some(failure.message), ..Answer::default() },
            Err(error) => Answer { error: Some(error.to_string()), ..Answer::default() },
        }
    }

    /// A step of a replica: a call with all that may go wrong.
    async fn step(&self, power: &Power, function: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let key = self.without_ids(header(&request, KEY));
        let url = request.url.clone();
        let may = if self.world.loses_answers() { May::MayFail } else { May::Sure };
        if power.is_on() {
            self.record().tried.push(key.clone());
        }
        let call = self.answer(function, &key, request);
        let Some(answered) = power.step_with(may, &format!("calls {function} for {key}"), call).await else {
            self.record().lost.push(key);
            return Err(no_answer(&url));
        };
        *self.record().arrived.entry(key).or_default() += 1;
        answered
    }

    /// The name that the scenario has for a URL: itself without its query, or the longest of which it is an extension.
    fn name_of(&self, url: &str) -> String {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let known = self.scenario.functions.keys().filter(|known| {
            known.contains("://")
                && url.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        known.max_by_key(|known| known.len()).map_or_else(|| url.to_owned(), String::clone)
    }
}

/// The body of a call without the queries of addresses of signals, which follow from the moment at which they are made.
pub(crate) fn unsigned(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut parts = text.split("/signal/");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_query = |c: char| c.is_ascii_alphanumeric() || "?=&%-_.~".contains(c);
        let end = part.find(|c| !is_query(c)).unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        whole.push_str("/signal/");
        whole.push_str(address.split('?').next().unwrap_or_default());
        whole.push_str(rest);
    }
    whole
}

fn echo(request: &HttpRequest) -> Answer {
    let headers = vec![("content-type".to_owned(), request.media_type().to_string())];
    Answer { status: 200, headers, body: request.body.clone(), ..Answer::default() }
}

#[async_trait]
impl Outside for Canned {
    fn is_function(&self, name: &str) -> bool {
        name != self.flow && !matches!(self.scenario.functions.get(name), Some(Answers::Flow(_)))
    }

    async fn call(&self, power: &Power, name: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        self.step(power, name, request).await
    }

    async fn request(&self, power: &Power, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let name = self.name_of(&request.url);
        self.step(power, &name, request).await
    }

    fn begins(&self, parent: &Parent, child: &RunId) {
        let key = self.without_ids(&format!("{}/{}/{}", parent.run, parent.node, parent.to.operation));
        self.record().called.insert(child.to_string(), key);
    }
}

/// A function that is called through the queue.
struct ByQueue {
    canned: Arc<Canned>,
    name: String,
}

fn nobody() -> Unreachable {
    Unreachable("nothing answers".to_owned())
}

#[async_trait]
impl Queued for ByQueue {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let (parts, body) = request.into_parts();
        let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let sent: Vec<_> = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let rest = parts.uri.path_and_query().map_or("", |rest| rest.as_str());
        let url = format!("{GATEWAY}/function/{}{rest}", self.name);
        let request = HttpRequest { method: parts.method.to_string(), url, headers: sent, body };
        let key = self.canned.without_ids(header(&request, KEY));
        self.canned.world.note(format_args!("the queue calls {} for {key}", self.name));
        let answer = self.canned.answer(&self.name, &key, request).await.map_err(|_| nobody())?;
        let mut response = Response::builder().status(answer.status);
        *response.headers_mut().ok_or_else(nobody)? = headers(&answer.headers);
        response.body(answer.body).map_err(|_| nobody())
    }
}

/// Brings the answers of functions that were called through the queue to their flows.
pub(crate) struct Callbacks(pub(crate) OnceLock<Weak<Gateway>>);

#[async_trait]
impl Queued for Callbacks {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let gateway = self.0.get().and_then(Weak::upgrade).ok_or_else(nobody)?;
        let (mut parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let below = url.strip_prefix(GATEWAY).and_then(|url| url.strip_prefix("/function/")).ok_or_else(nobody)?;
        let (name, rest) = below.split_once('/').ok_or_else(nobody)?;
        parts.uri = format!("/{rest}").parse().map_err(|_| nobody())?;
        Ok(gateway.call(name, Request::from_parts(parts, body)).await)
    }
}

/// The network of a program, which has none.
struct Nobody;

#[async_trait]
impl Network for Nobody {
    async fn send(&self, request: HttpRequest, _: ChosenBy) -> Result<HttpResponse, Failure> {
        Err(Failure::reject(Code::CALL_UNREACHABLE, format!("nothing answers at {}", request.url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_signals_are_compared_without_their_signatures() {
        let body =
            br#"{"text":"see http://gateway/function/f/flow/r/signal/ok?once=1&expires=2&signature=v2%3Dab, or not"}"#;
        let expected = r#"{"text":"see http://gateway/function/f/flow/r/signal/ok, or not"}"#;
        assert_eq!(unsigned(body), expected);
        assert_eq!(unsigned(b"nothing"), "nothing");
    }
}
