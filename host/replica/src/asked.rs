//! Calls whose answer comes later: what is asked, how long the node waits, and how it continues.

use super::attempt::NodeAttempt;
use super::call::NodeCall;
use super::host::Host;
use super::live::Live;
use super::retries::Failed;
use crate::answers::{Reply, target};
use crate::child::{Begun, CalledRun, Calling, Child, PARENT, child_id, kept, names, read, response};
use crate::events::{SIGNATURE, TIME};
use crate::functions::Queued;
use crate::log::log_node;
use crate::network::{CallError, Retry};
use crate::program::LastLines;
use crate::services::Services;
use crate::submit::keeps_header;
use bytes::Bytes;
use faas_flow_core::run::{Answer, Awaited, Said, Wait, WaitId};
use faas_flow_core::{Code, Content, Failure, FlowName, Millis, RetryPolicy, RunId, redact, split_target};
use faas_flow_guest::{HttpRequest, HttpResponse};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;

/// When a node looks for the end of a run that it has not heard of, after it has looked so often before.
const LOOKS: RetryPolicy = RetryPolicy::exponential(Duration::from_secs(10), Duration::from_secs(300));

/// What came of sending a request.
pub(super) enum Sent {
    /// A response.
    Response(HttpResponse),
    /// The answer comes later, from there. It answers this wait, or else one under the present claim.
    Asked(Awaited, Option<WaitId>),
}

/// What came of a try of a call.
pub(super) enum Tried {
    /// Data.
    Answered(Content),
    /// The node waits for the answer. It continues at `until` at the latest.
    Waits { wait: Wait, until: Millis },
}

/// What an operation has asked before.
pub(super) enum Asked<'a> {
    /// This is the answer.
    Answered(&'a Answer),
    /// There is no answer yet.
    Open(&'a Wait),
}

impl<'a> NodeAttempt<'a> {
    /// What this operation asked under an earlier claim, unless an attempt has dealt with it.
    pub(super) fn asked(&self, operation: u32) -> Option<Asked<'a>> {
        let work = self.work;
        if self.resumed.load(Ordering::Relaxed) {
            return None;
        }
        let wait = work.suspended.as_ref().and_then(|suspended| suspended.wait.as_deref());
        if wait.is_some_and(|wait| matches!(wait.of, Awaited::Limit { .. })) {
            // It waited for a permit, and has asked nobody.
            return None;
        }
        if let Some(answer) = work.answer.as_deref().filter(|answer| answer.to.operation == operation) {
            return Some(Asked::Answered(answer));
        }
        let suspended = work.suspended.as_ref().filter(|suspended| suspended.operation == operation);
        suspended.and_then(|suspended| suspended.wait.as_deref()).map(Asked::Open)
    }
}

impl NodeAttempt<'_> {
    /// When the question was asked for which the node was suspended.
    pub(super) fn asked_at(&self) -> Option<Millis> {
        let suspended = self.work.suspended.as_ref()?;
        suspended.wait.as_deref().map(|wait| wait.since)
    }

    /// Continues with the answer to what was asked, or looks for it, or gives it up.
    pub(super) async fn resume(&mut self, node_call: NodeCall<'_>, asked: Asked<'_>) -> Result<Tried, Failed> {
        let wait = match asked {
            Asked::Answered(answer) => return self.answered(node_call, &answer.said).await,
            Asked::Open(wait) => wait,
        };
        let now = self.live.services.now();
        if wait.limit.is_some_and(|limit| limit <= now) {
            return Err(self.give_up(node_call, wait));
        }
        match &wait.of {
            // Somebody else's clock was ahead.
            Awaited::Function { .. } | Awaited::Signal { .. } | Awaited::Limit { .. } => {
                Ok(Tried::Waits { until: wait.limit.unwrap_or(now), wait: wait.clone() })
            }
            Awaited::Run { flow, run } => match self.look(flow, run).await? {
                Child::Running(_) => {
                    let wait = Wait { looks: wait.looks.saturating_add(1), ..wait.clone() };
                    Ok(Tried::Waits { until: next_look(&wait, now), wait })
                }
                Child::Ended(ended) => {
                    self.resumed.store(true, Ordering::Relaxed);
                    Ok(Tried::Answered(self.take(node_call, ended?).await?))
                }
            },
        }
    }

    async fn answered(&mut self, node_call: NodeCall<'_>, said: &Said) -> Result<Tried, Failed> {
        let (status, headers, body) = match said {
            Said::Response { status, headers, body } => (*status, headers.clone(), body),
            Said::Failed(failure) => {
                self.resumed.store(true, Ordering::Relaxed);
                return Err(failure.clone().into());
            }
            // The engine hands none out.
            Said::Permit => return Err(Failure::retry(Code::INTERNAL, "a permit answers no call").into()),
        };
        let body = self.live.fetch(body).await?.bytes;
        self.resumed.store(true, Ordering::Relaxed);
        let response = HttpResponse { status, headers, body };
        let (function, _) = split_target(&node_call.call.target);
        let response = match self.told_run(node_call, &response) {
            None => response,
            Some(run) => match read(function, &run, response, self.live.services.settings.answers) {
                Ok(Child::Ended(ended)) => ended?,
                Ok(Child::Running(_)) => {
                    let callee = redact::place(function);
                    return Err(Failure::from(CallError::Accepted { callee, asynchronous: true }).into());
                }
                Err(response) => response,
            },
        };
        Ok(Tried::Answered(self.take(node_call, response).await?))
    }

    /// The run whose end is the answer: the one that the node waited for. If the replica was lost that was about to wait, it
    /// is the one that the answer names, provided that this call begins it.
    fn told_run(&self, node_call: NodeCall<'_>, response: &HttpResponse) -> Option<RunId> {
        let wait = self.work.suspended.as_ref().and_then(|suspended| suspended.wait.as_deref());
        match wait.map(|wait| &wait.of) {
            Some(Awaited::Run { run, .. }) => return Some(run.clone()),
            Some(Awaited::Function { .. } | Awaited::Signal { .. } | Awaited::Limit { .. }) => return None,
            None if node_call.call.asynchronous => return None,
            None => {}
        }
        let (function, _) = split_target(&node_call.call.target);
        let key = self.idempotency_key(node_call.index);
        let mut begun = (0..=self.work.called).map(|number| child_id(self.live.started, function, &key, number));
        begun.find(|run| names(response, run))
    }

    /// The failure of a call whose answer did not come in time. A run that it began is stopped.
    fn give_up(&self, NodeCall { call, .. }: NodeCall<'_>, wait: &Wait) -> Failed {
        self.resumed.store(true, Ordering::Relaxed);
        let mut retry = Retry::Yes;
        if let Awaited::Run { flow, run } = &wait.of {
            let called = self.called(flow, run, wait.id);
            self.live.spawn_stop(called);
            // Another try would be the same run.
            retry = Retry::No;
        }
        let limit = Duration::from_millis(wait.limit.unwrap_or_default().saturating_sub(wait.since));
        Failure::from(CallError::NoAnswer { callee: redact::place(&call.target), limit, retry }).into()
    }

    /// How a run is doing that the node waits for.
    async fn look(&self, flow: &str, run: &RunId) -> Result<Child, Failure> {
        let services = &self.live.services;
        let gone = || CallError::ChildGone { callee: redact::place(flow), run: run.to_string() };
        let response = match services.serves(flow) {
            Some(host) => match boxed(host.child_ended(run)).await {
                Ok(None) => return Ok(Child::Running(None)),
                Ok(Some(response)) => response,
                Err(error) if error.code() == Code::RUN_UNKNOWN => return Err(gone().into()),
                Err(error) => return Err(Failure::retry(error.code(), error.to_string())),
            },
            None => match services.ask_for_result(flow, run).await? {
                Some(response) => response,
                None => return Ok(Child::Running(None)),
            },
        };
        match read(flow, run, response, services.settings.answers) {
            Ok(child) => Ok(child),
            Err(response) if response.status == 404 => Err(gone().into()),
            // It cannot be told at this moment.
            Err(_) => Ok(Child::Running(None)),
        }
    }

    /// The wait for the answer to a call under this claim.
    pub(super) fn wait_id(&self, NodeCall { index, .. }: NodeCall<'_>) -> WaitId {
        WaitId { claim: self.work.token, operation: super::retries::count(index) }
    }

    /// Waits for what a call has asked just now.
    pub(super) fn wait(&self, node_call: NodeCall<'_>, of: Awaited, to: Option<WaitId>) -> Tried {
        let since = self.live.services.now();
        let given = node_call.call.timeout_ms;
        let limit = match of {
            Awaited::Function { .. } => {
                let limit = self.answer_limit(node_call).as_millis() as u64;
                Some(since.saturating_add(limit))
            }
            Awaited::Run { .. } | Awaited::Signal { .. } | Awaited::Limit { .. } => {
                given.map(|ms| since.saturating_add(ms))
            }
        };
        let wait = Wait { id: to.unwrap_or_else(|| self.wait_id(node_call)), of, since, limit, looks: 0 };
        Tried::Waits { until: next_look(&wait, since), wait }
    }

    /// Calls a function. If it is a flow, it begins a run, whose end is the answer.
    ///
    /// A run that this node has called before, and that did not succeed, is not the answer: the node is executed again
    /// since somebody wants another one.
    pub(super) async fn apply(
        &self,
        node_call: NodeCall<'_>,
        request: HttpRequest,
        key: &str,
        last: &LastLines,
    ) -> Result<Sent, Failure> {
        let (function, tail) = split_target(&node_call.call.target);
        let services = &self.live.services;
        let here = services.serves(function).filter(|_| tail.trim_matches('/').is_empty());
        if here.is_none() && !services.functions.may_be_flow(function) {
            return Ok(Sent::Response(services.functions.apply_hearing(function, request, last).await?));
        }
        let child = |number| child_id(self.live.started, function, key, number);
        for number in 0..self.work.called {
            if let Begins::Sent(sent) = self.begin(here.as_ref(), node_call, &child(number), request.clone()).await? {
                return Ok(sent);
            }
        }
        match self.begin(here.as_ref(), node_call, &child(self.work.called), request).await? {
            Begins::Sent(sent) => Ok(sent),
            Begins::Failed(failure) => Err(failure),
        }
    }

    /// Begins the run of a call, on this replica if it serves the flow itself.
    async fn begin(
        &self,
        here: Option<&Arc<Host>>,
        node_call: NodeCall<'_>,
        child: &RunId,
        request: HttpRequest,
    ) -> Result<Begins, Failure> {
        match here {
            Some(host) => self.begin_here(host, node_call, child, request).await,
            None => self.begin_there(node_call, child, request).await,
        }
    }

    /// Begins the run of a call on this replica, which serves the flow itself.
    async fn begin_here(
        &self,
        host: &Arc<Host>,
        node_call: NodeCall<'_>,
        child: &RunId,
        request: HttpRequest,
    ) -> Result<Begins, Failure> {
        let (function, _) = split_target(&node_call.call.target);
        self.live.be_stored().await?;
        let flow = FlowName::new(function);
        let flow = flow.map_err(|error| Failure::reject(Code::BAD_FLOW_NAME, error.to_string()))?;
        let calling = self.calling(node_call, child);
        let guard = self.beginning(self.called(function, child, calling.parent.to));
        let begun = boxed(host.begin_child(
            &flow,
            calling,
            kept(request, |name| keeps_header(name, &self.live.services.settings.keep_headers)),
        ))
        .await;
        guard.done();
        match begun.map_err(|error| begin_failed(&error))? {
            Begun::Running(to) => Ok(Begins::Sent(Sent::Asked(run(function, child), Some(to)))),
            Begun::Ended(ended) => self.begun(function, child, response(child, &ended)).await,
        }
    }

    /// Calls a function on another host, which begins the run if it is a flow.
    async fn begin_there(
        &self,
        node_call: NodeCall<'_>,
        child: &RunId,
        mut request: HttpRequest,
    ) -> Result<Begins, Failure> {
        let (function, _) = split_target(&node_call.call.target);
        let services = &self.live.services;
        let calling = self.calling(node_call, child);
        // If the node is cancelled before there is an answer, the run may have begun.
        let guard = self.beginning(self.called(function, child, calling.parent.to));
        request.headers.push((PARENT.to_owned(), calling.encode(services.keys.as_ref(), &request.body)));
        let response = services.functions.apply(function, request).await;
        guard.done();
        self.begun(function, child, response?).await
    }

    /// What a response says of the run that a call begins.
    async fn begun(&self, function: &str, child: &RunId, response: HttpResponse) -> Result<Begins, Failure> {
        Ok(match read(function, child, response, self.live.services.settings.answers) {
            Ok(Child::Running(to)) => {
                self.live.be_stored().await?;
                Begins::Sent(Sent::Asked(run(function, child), to))
            }
            Ok(Child::Ended(Ok(response))) | Err(response) => Begins::Sent(Sent::Response(response)),
            Ok(Child::Ended(Err(failure))) => Begins::Failed(failure),
        })
    }

    fn beginning(&self, called: CalledRun) -> Beginning {
        Beginning { live: self.live.clone(), called: Some(called) }
    }

    fn calling(&self, node_call: NodeCall<'_>, child: &RunId) -> Calling {
        let parent = self.live.as_parent(self.work.path.clone(), self.wait_id(node_call));
        Calling { parent, child: child.clone() }
    }

    fn called(&self, flow: &str, run: &RunId, to: WaitId) -> CalledRun {
        CalledRun { flow: flow.to_owned(), run: run.clone(), node: self.work.path.clone(), to }
    }

    /// Calls a function through the queue, which sends the answer to the node.
    pub(super) async fn ask_function(&self, node_call: NodeCall<'_>, request: HttpRequest) -> Result<Sent, Failure> {
        let (name, _) = split_target(&node_call.call.target);
        let live = self.live;
        self.live.be_stored().await?;
        let (node, to) = (self.work.path.clone(), self.wait_id(node_call));
        let answer_to = target(live.services.keys.as_ref(), &live.id, &node, to);
        let of = Awaited::Function { name: name.to_owned() };
        match live.services.functions.enqueue(name, (&live.flow.name, &answer_to), request).await? {
            Queued::Accepted => Ok(Sent::Asked(of, None)),
            Queued::NoQueue(request) => {
                // There is no queue here: this process calls the function, and gives the answer to the run itself.
                let (live, name) = (live.clone(), name.to_owned());
                let limit = self.answer_limit(node_call);
                let attempt = self.context.attempt;
                let calls = boxed(async move {
                    let called = live.services.functions.apply(&name, request);
                    let Ok(called) = tokio::time::timeout(limit, called).await else { return };
                    let reply = called.map_or_else(Reply::Failed, Reply::Response);
                    let Some(host) = live.services.host() else { return };
                    if let Err(error) = host.answer(&live.flow.name, &live.id, &node, to, reply).await {
                        log_node!(warn, live, (node, attempt), code = %error.code(), %error, "answer not accepted");
                    }
                });
                tokio::spawn(calls);
                Ok(Sent::Asked(of, None))
            }
        }
    }

    /// How long the answer to an asynchronous call may take.
    fn answer_limit(&self, NodeCall { call, .. }: NodeCall<'_>) -> Duration {
        call.timeout_ms.map_or(self.live.services.settings.answer_timeout, Duration::from_millis)
    }
}

/// What came of a call that may begin a run.
enum Begins {
    Sent(Sent),
    /// The run has ended without a result.
    Failed(Failure),
}

/// Stops a run that is beginning if the node that calls it is cancelled meanwhile.
struct Beginning {
    live: Arc<Live>,
    called: Option<CalledRun>,
}

impl Beginning {
    fn done(mut self) {
        self.called = None;
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if let (Some(called), Ok(runtime)) = (self.called.take(), Handle::try_current()) {
            let executing = self.live.claims.execute();
            let stop = self.live.clone().stop_if_abandoned(called);
            runtime.spawn(async move {
                stop.await;
                drop(executing);
            });
        }
    }
}

fn run(flow: &str, run: &RunId) -> Awaited {
    Awaited::Run { flow: flow.to_owned(), run: run.clone() }
}

/// A future whose type would contain itself otherwise.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

/// When a node that waits continues by itself: at the limit of its wait, or before that to look for the end of a run.
fn next_look(wait: &Wait, now: Millis) -> Millis {
    let limit = wait.limit.unwrap_or(Millis::MAX);
    match wait.of {
        Awaited::Function { .. } | Awaited::Signal { .. } | Awaited::Limit { .. } => limit,
        Awaited::Run { .. } => {
            let delay = LOOKS.delay_after(wait.looks.saturating_add(1), fastrand::f64());
            let delay = delay.map_or(300_000, |delay| delay.as_millis() as u64);
            limit.min(now.saturating_add(delay))
        }
    }
}

/// The failure of a call whose run could not begin. What an operator must change is not tried again.
fn begin_failed(error: &crate::Error) -> Failure {
    let may_pass = matches!(
        error.code(),
        Code::OVERLOADED | Code::STOPPING | Code::GUEST_POOL_FULL | Code::OUT_OF_MEMORY | Code::MODULE_MISSING
    ) || error.code().is_transient();
    if may_pass {
        Failure::retry(error.code(), error.to_string())
    } else {
        Failure::reject(error.code(), error.to_string())
    }
}

impl Services {
    /// What the flow says of a run that is elsewhere, with its result if it has ended; `None` if it cannot be reached, so
    /// that it is asked again at the next look.
    pub(crate) async fn ask_for_result(&self, flow: &str, run: &RunId) -> Result<Option<HttpResponse>, Failure> {
        let path = format!("flow/{run}/result");
        let name = flow.split_once('.').map_or(flow, |(name, _)| name);
        let mut headers = Vec::new();
        if let Some(keys) = &self.keys {
            let time = self.now();
            headers.push((SIGNATURE.to_owned(), keys.sign_read(&format!("/function/{name}/{path}"), time)));
            headers.push((TIME.to_owned(), time.to_string()));
        }
        let url = format!("http://function/{flow}/{path}");
        let request = HttpRequest { method: "GET".to_owned(), url, headers, body: Bytes::new() };
        let limit = self.settings.call_timeout;
        match tokio::time::timeout(limit, self.functions.apply(flow, request)).await {
            Ok(Err(failure)) if failure.retry => Ok(None),
            Ok(response) => response.map(Some),
            Err(_) => Ok(None),
        }
    }
}
