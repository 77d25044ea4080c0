//! What replicas call: step functions, and the gateway's async route.

use crate::power::Power;
use crate::world::{Answer, EventFault, World};
use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use faas_flow_core::{Code, Failure};
use faas_flow_gateway::Gateway;
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_replica::{ChosenBy, Network};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Step functions: `name(body)`, and a memory of what they were asked; and the receivers of callbacks.
pub struct Steps {
    world: Arc<World>,
    asked: Mutex<HashMap<String, (Bytes, u32)>>,
    /// How often each key was called, without those that are called again because they were busy.
    calls: Mutex<HashMap<String, usize>>,
    /// Calls, by their keys, of which an answer got lost.
    lost: Mutex<HashSet<String>>,
    /// How runs ended, as they were told.
    told: Mutex<HashMap<String, String>>,
    /// Runs that somebody has stopped, and was answered.
    stopped: Mutex<HashSet<String>>,
}

/// A function whose answer takes this long.
const SLOW: (&str, Duration) = ("slow", Duration::from_millis(700));

/// Where runs are told how they ended.
pub const HOOK: &str = "http://hooks/done";

impl Steps {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let (asked, calls, lost, told, stopped) = Default::default();
        Arc::new(Self { world, asked, calls, lost, told, stopped })
    }

    /// `busy` is answered with 503 and a wish to be left alone for seven seconds, once per key.
    fn call(&self, name: &str, key: &str, body: Bytes) -> HttpResponse {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, times) = asked.entry(format!("{name} {key}")).or_insert_with(|| (body.clone(), 0));
        *times += 1;
        if *first != body {
            self.world.violation(format!("{name} was asked twice with key {key} and with different bodies"));
        }
        if !body.starts_with(b"busy") {
            *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(key.to_owned()).or_default() += 1;
        }
        if body.starts_with(b"busy") && *times == 1 {
            let headers = vec![("retry-after".to_owned(), "7".to_owned())];
            return HttpResponse { status: 503, headers, body: Bytes::new() };
        }
        let body = match name {
            // The functions of `flights`, whose answers are numbers.
            "delays" => format!("{0},{0},{0},1", body.len()).into(),
            "busiest" => "SFO,1".into(),
            _ => [name.as_bytes(), b"(", &body, b")"].concat().into(),
        };
        HttpResponse { status: 200, headers: Vec::new(), body }
    }

    /// A stop of this run was answered: from now on, none of its calls may begin.
    pub fn stopped(&self, run: &str) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).insert(run.to_owned());
    }

    /// Somebody runs a run again.
    pub fn may_go_on(&self, run: &str) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
    }

    /// A call of a run begins.
    fn begin(&self, run: &str, what: &str) {
        if self.stopped.lock().unwrap_or_else(PoisonError::into_inner).contains(run) {
            self.world.violation(format!("after a stop of {run} was answered, {what}"));
        }
    }

    /// A lost answer fails a node that is not tried again, which is no fault of the engine's. Those that are busy at first
    /// are tried three times: one of their answers may get lost.
    fn answer(&self, key: &str, body: &[u8]) -> Answer {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if body.starts_with(b"busy") && !lost.contains(key) { Answer::MayFail } else { Answer::Sure }
    }

    /// Somebody is told how a run ended: the same each time.
    fn tell(&self, run: &str, how: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let first = told.entry(run.to_owned()).or_insert_with(|| how.clone());
        if *first != how {
            self.world.violation(format!("{run} was told to have ended with {first}, and then with {how}"));
        }
    }

    /// How often each idempotency key was called. Calls of busy functions, which are tried again, are left out.
    pub fn calls(&self) -> HashMap<String, usize> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How a run ended, as somebody was told.
    pub fn told(&self, run: &str) -> Option<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }
}

/// The network, as one replica reaches it.
pub struct Wires {
    pub power: Arc<Power>,
    pub steps: Arc<Steps>,
    pub gateway: Arc<Gateway>,
}

#[async_trait]
impl Network for Wires {
    async fn send(&self, request: HttpRequest, _: ChosenBy) -> Result<HttpResponse, Failure> {
        let HttpRequest { url, headers, body, .. } = request;
        let header = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let lost = || Failure::retry(Code::CALL_UNREACHABLE, format!("no answer from {url}"));
        if let Some(name) = url.strip_prefix("http://gateway/function/") {
            let key = header("x-faas-flow-idempotency-key").map(|(_, key)| key.clone()).unwrap_or_default();
            let run = header("x-faas-flow-reqid").map(|(_, run)| run.as_str()).unwrap_or_default();
            self.power.world.know(run);
            let what = format!("{} calls {name} with key {key}", self.power.name);
            if self.power.is_on() {
                self.steps.begin(run, &what);
            }
            if name == SLOW.0 {
                tokio::time::sleep(SLOW.1).await;
            }
            let answer = self.steps.answer(&key, &body);
            let call = async { self.steps.call(name, &key, body) };
            let answered = self.power.step_with(answer, &format!("calls {name} with key {key}"), call).await;
            return answered.ok_or_else(|| {
                self.steps.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                lost()
            });
        }
        if url == HOOK {
            let header = |name| header(name).map(|(_, value)| value.clone()).unwrap_or_default();
            let (run, how) = (header("x-faas-flow-reqid"), header("x-faas-flow-status"));
            let tell = async { self.steps.tell(&run, format!("{how}: {}", String::from_utf8_lossy(&body))) };
            let told = self.power.step(&format!("tells that {run} {how}"), tell).await;
            return told
                .map(|()| HttpResponse { status: 200, headers: Vec::new(), body: Bytes::new() })
                .ok_or_else(lost);
        }
        let Some((name, rest)) =
            url.strip_prefix("http://gateway/async-function/").and_then(|tail| tail.split_once('/'))
        else {
            return Err(Failure::reject(Code::BAD_CALL, format!("nobody is at {url}")));
        };
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
                map.append(name, value);
            }
        }
        let rest = format!("/{rest}");
        let times = || match self.power.world.next_event_fault() {
            Some(EventFault::Lost) => 0,
            Some(EventFault::Repeated) => 2,
            None => 1,
        };
        let accept = async {
            for _ in 0..times() {
                self.gateway.enqueue(name, &rest, map.clone(), body.clone()).await?;
            }
            Ok::<_, faas_flow_gateway::Error>(())
        };
        let sent = self.power.step(&format!("sends {rest}"), accept).await;
        let status = match sent {
            None => return Err(lost()),
            Some(Ok(_)) => 202,
            Some(Err(_)) => 500,
        };
        Ok(HttpResponse { status, headers: Vec::new(), body: Bytes::new() })
    }
}
