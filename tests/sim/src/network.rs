//! What replicas call: step functions, and the gateway's async route.

use async_trait::async_trait;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use faas_flow_core::run::Parent;
use faas_flow_core::{Code, Failure, RunId};
use faas_flow_gateway::{Function, Gateway, Unreachable};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_scenario::world::{Answer, Outside, Power, World, header, headers, no_answer};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
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
    /// The runs that called others, by those.
    parents: Mutex<HashMap<String, String>>,
    /// Runs that another one had called and wanted to stop, and nobody was there who could do so.
    unreached: Mutex<HashSet<String>>,
    /// How many calls of [`LIMITED`] are in flight.
    limited: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A function whose answer takes this long.
const SLOW: (&str, Duration) = ("slow", Duration::from_millis(700));

/// A function that takes this long, and of which so many calls may be in flight, over all runs and replicas. It takes less than a
/// lease, so that the call of a replica that was lost has ended before its permit comes back. With clocks that are apart and stores that
/// are slow, more may be in flight (LIMIT-5).
const LIMITED: (&str, Duration, usize) = ("limited", Duration::from_millis(700), 2);

/// A function that is called through the queue, and takes up to this long for what it has not done before.
pub const JOB: (&str, Duration) = ("job", Duration::from_secs(3));

/// Where runs are told how they ended.
pub const HOOK: &str = "http://hooks/done";

impl Steps {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let (asked, calls, lost, told, stopped, parents, unreached) = Default::default();
        let limited = AtomicUsize::new(0);
        Arc::new(Self { world, asked, calls, lost, told, stopped, parents, unreached, limited })
    }

    /// The run itself, or the nearest one around it, whose stop was answered. A stop is answered although a run that was
    /// called cannot be reached, after some tries.
    fn stopped_of(&self, run: &str) -> Option<String> {
        let (parents, stopped, unreached) = (lock(&self.parents), lock(&self.stopped), lock(&self.unreached));
        let mut around = Some(run);
        while let Some(run) = around {
            if stopped.contains(run) {
                return Some(run.to_owned());
            }
            if unreached.contains(run) {
                return None;
            }
            around = parents.get(run).map(String::as_str);
        }
        None
    }

    /// `busy` is answered with 503 and a wish to be left alone for seven seconds, once per key.
    fn respond(&self, name: &str, key: &str, body: Bytes) -> HttpResponse {
        let mut asked = lock(&self.asked);
        let (first, times) = asked.entry(format!("{name} {key}")).or_insert_with(|| (body.clone(), 0));
        *times += 1;
        if *first != body {
            self.world.violation(format!("{name} was asked twice with key {key} and with different bodies"));
        }
        if !body.starts_with(b"busy") && name != JOB.0 {
            *lock(&self.calls).entry(key.to_owned()).or_default() += 1;
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
        lock(&self.stopped).insert(run.to_owned());
    }

    /// Somebody runs a run again.
    pub fn may_go_on(&self, run: &str) {
        lock(&self.stopped).remove(run);
    }

    /// A call of a run begins.
    fn begin(&self, run: &str, what: &str) {
        if let Some(stopped) = self.stopped_of(run) {
            self.world.violation(format!("after a stop of {stopped} was answered, {what}"));
        }
    }

    /// A lost answer fails a node that is not tried again, which is no fault of the engine's. Those that are busy at first
    /// are tried three times: one of their answers may get lost.
    fn answer(&self, key: &str, body: &[u8]) -> Answer {
        let lost = lock(&self.lost);
        if body.starts_with(b"busy") && !lost.contains(key) { Answer::MayFail } else { Answer::Sure }
    }

    /// Somebody is told how a run ended: the same each time.
    fn tell(&self, run: &str, how: String) {
        let mut told = lock(&self.told);
        let first = told.entry(run.to_owned()).or_insert_with(|| how.clone());
        if *first != how {
            self.world.violation(format!("{run} was told to have ended with {first}, and then with {how}"));
        }
    }

    /// How often each idempotency key was called. Calls of busy functions, which are tried again, are left out.
    pub fn calls(&self) -> HashMap<String, usize> {
        lock(&self.calls).clone()
    }

    /// How a run ended, as somebody was told.
    pub fn told(&self, run: &str) -> Option<String> {
        lock(&self.told).get(run).cloned()
    }
}

#[async_trait]
impl Outside for Steps {
    fn is_function(&self, name: &str) -> bool {
        name == JOB.0
    }

    async fn call(&self, power: &Power, name: &str, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let key = header(&request, "x-faas-flow-idempotency-key").to_owned();
        let what = format!("{} calls {name} with key {key}", power.name);
        if power.is_on() {
            self.begin(header(&request, "x-faas-flow-reqid"), &what);
        }
        if name == SLOW.0 {
            tokio::time::sleep(SLOW.1).await;
        }
        if name == LIMITED.0 && power.is_on() {
            let _in_flight = InFlight::new(self);
            tokio::time::sleep(LIMITED.1).await;
        }
        let answer = self.answer(&key, &request.body);
        let call = async { self.respond(name, &key, request.body) };
        let answered = power.step_with(answer, &format!("calls {name} with key {key}"), call).await;
        answered.ok_or_else(|| {
            lock(&self.lost).insert(key);
            no_answer(&request.url)
        })
    }

    async fn request(&self, power: &Power, request: HttpRequest) -> Result<HttpResponse, Failure> {
        if request.url != HOOK {
            return Err(Failure::reject(Code::BAD_CALL, format!("nothing answers at {}", request.url)));
        }
        let (run, how) = (header(&request, "x-faas-flow-reqid"), header(&request, "x-faas-flow-status"));
        let tell = async { self.tell(run, format!("{how}: {}", String::from_utf8_lossy(&request.body))) };
        let told = power.step(&format!("tells that {run} {how}"), tell).await;
        told.map(|()| HttpResponse { status: 200, headers: Vec::new(), body: Bytes::new() })
            .ok_or_else(|| no_answer(&request.url))
    }

    fn queues(&self, power: &Power, name: &str, run: &str) {
        if name == JOB.0 && power.is_on() {
            self.begin(run, &format!("{} puts a call of {name} into the queue", power.name));
        }
    }

    fn begins(&self, parent: &Parent, child: &RunId) {
        let parent = &parent.run;
        let is_new = lock(&self.parents).insert(child.to_string(), parent.to_string()).is_none();
        if is_new && let Some(stopped) = self.stopped_of(parent.as_str()) {
            self.world.violation(format!("after a stop of {stopped} was answered, {parent} began {child}"));
        }
    }

    /// A run that could not be reached may have been stopped only after its caller had been told of the stop.
    fn reaches(&self, run: &str, reached: bool) {
        let mut unreached = lock(&self.unreached);
        if reached {
            unreached.remove(run);
        } else {
            unreached.insert(run.to_owned());
        }
    }
}

/// A call of [`LIMITED`].
struct InFlight<'a>(&'a Steps);

impl<'a> InFlight<'a> {
    fn new(steps: &'a Steps) -> Self {
        let others = steps.limited.fetch_add(1, Ordering::Relaxed);
        if others >= LIMITED.2 && steps.world.keeps_leases() {
            steps.world.violation(format!("{} calls of {} are in flight", others + 1, LIMITED.0));
        }
        Self(steps)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.limited.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The function that is called through the queue.
pub struct Job(pub Arc<Steps>);

#[async_trait]
impl Function for Job {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let steps = &self.0;
        let (parts, body) = request.into_parts();
        let key = parts.headers.get("x-faas-flow-idempotency-key").and_then(|key| key.to_str().ok());
        let key = key.unwrap_or_default().to_owned();
        if !lock(&steps.asked).contains_key(&format!("{} {key}", JOB.0)) {
            tokio::time::sleep(steps.world.time(JOB.1)).await;
        }
        steps.world.note(format_args!("the queue calls {} with key {key}", JOB.0));
        let answer = steps.respond(JOB.0, &key, body);
        let mut response = Response::builder().status(answer.status);
        *response.headers_mut().ok_or_else(nobody)? = headers(&answer.headers);
        response.body(answer.body).map_err(|_| nobody())
    }
}

fn nobody() -> Unreachable {
    Unreachable("nobody answers".to_owned())
}

/// Brings the answers of [`Job`] to flows: once, not at all, twice, and after a forged one.
pub struct Answers {
    world: Arc<World>,
    gateway: OnceLock<Weak<Gateway>>,
    /// How often the answer that was sent to an address was taken.
    taken: Mutex<HashMap<String, u32>>,
}

impl Answers {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, gateway: OnceLock::new(), taken: Mutex::default() })
    }

    pub fn connect(&self, gateway: &Arc<Gateway>) {
        // It is connected once.
        let _ = self.gateway.set(Arc::downgrade(gateway));
    }

    async fn send(&self, path: &str, headers: &HeaderMap, body: Bytes) -> Option<StatusCode> {
        let gateway = self.gateway.get().and_then(Weak::upgrade)?;
        let (name, rest) = path.split_once('/')?;
        let mut request = Request::post(format!("/{rest}")).body(body).ok()?;
        *request.headers_mut() = headers.clone();
        let answer = gateway.call(name, request).await;
        let said = String::from_utf8_lossy(answer.body()).trim().to_owned();
        self.world.note(format_args!("an answer for {} is sent: {} {said}", without_query(path), answer.status()));
        Some(answer.status())
    }

    async fn answer(&self, path: &str, headers: &HeaderMap, body: Bytes) -> Option<StatusCode> {
        let status = self.send(path, headers, body).await?;
        if status == StatusCode::ACCEPTED {
            let times = {
                let mut taken = lock(&self.taken);
                let times = taken.entry(path.to_owned()).or_default();
                *times += 1;
                *times
            };
            if times > 1 {
                self.world.violation(format!("the answer for {path} was taken {times} times"));
            }
        }
        Some(status)
    }

    /// Somebody who knows the address without its signature.
    async fn forge(&self, path: &str, headers: &HeaderMap) {
        let unsigned = path.split("&signature=").next().unwrap_or_default();
        let signature = ["", "&signature=v2%3D0000"].get(usize::from(self.world.draw(2) == 1)).copied();
        let forged = format!("{unsigned}{}", signature.unwrap_or_default());
        if let Some(status) = self.send(&forged, headers, Bytes::from_static(b"forged")).await
            && status.is_success()
        {
            self.world.violation(format!("a forged answer for {unsigned} is taken for one"));
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

#[async_trait]
impl Function for Answers {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unreachable> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let path = url.strip_prefix("http://gateway/function/").ok_or_else(nobody)?;
        let fate = if self.world.is_calm() { u64::MAX } else { self.world.draw(8) };
        match fate {
            0 => return Err(nobody()),
            1 => self.forge(path, &parts.headers).await,
            2 => {
                self.answer(path, &parts.headers, body.clone()).await;
                tokio::time::sleep(self.world.time(JOB.1)).await;
            }
            _ => {}
        }
        let status = self.answer(path, &parts.headers, body).await.ok_or_else(nobody)?;
        Response::builder().status(status).body(Bytes::new()).map_err(|_| nobody())
    }
}
