//! New requests to a flow.

use super::access::{Head, need_of};
use super::answer::{self, Accept};
use super::ask::{Ask, ByQuery, Control};
use super::audit::Attempt;
use super::browser::{Controls, Visit};
use super::drawing::drawn;
use super::error::{Error, OtherRun};
use super::guards::{HubSignatures, Read, SignatureHeaders};
use super::headers::{REQUEST_ID, STATE, header, insert, only};
use super::location;
use super::openapi::{OfTheFlow, On, Payload, Refusals};
use super::repeated::{Callbacks, difference};
use super::request::{Query, RequestContext, Target, Wait};
use super::surface::Surface;
use super::unchanged::Known;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_flow_core::run::{Request as Kept, Run};
use faas_flow_core::{
    BadLabel, Code, Content, Digest, FlowName, Labels, MediaType, Millis, RunId, Status, header_text, moment, start_at,
};
use faas_flow_graph::{Format, render};
use faas_flow_replica::{
    BODY_DIGEST, Begun, Calling, Ended, PARENT, Submission, WAITS, Waits, keeps_header, wait_text,
};
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

/// Who gets the result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// The caller, if it waits for the result, or if the flow has a single node.
    Caller,
    /// Nobody: the call is asynchronous, and answered as soon as the run has begun.
    Nobody,
}

/// How long a caller that came through OpenFaaS' queue waits for its result, unless it says how long: shorter than the time
/// after which a queue-worker delivers a call again (docs/openfaas.md#callbacks-of-the-queue-worker).
const WAIT_OF_QUEUE: Duration = Duration::from_secs(20);

/// The headers of new requests.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct NewRun {
    /// The caller's own request id.
    #[param(rename = "X-Faas-Flow-Reqid", value_type = String, required = false,
        pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    id: Option<RunId>,
    /// Where to POST the result or the failure. The host must be allowed; an empty value means nowhere.
    #[param(rename = "X-Faas-Flow-Callback-Url", value_type = String, required = false,
        pattern = "^(https?://[!-~]+)?$")]
    callback: Option<String>,
    /// OpenFaaS' own: where its queue-worker POSTs the answer. If the run takes longer than the queue-worker waits, the result is
    /// POSTed there as to `X-Faas-Flow-Callback-Url`, which comes first.
    #[param(rename = "X-Callback-Url", value_type = String, required = false)]
    queued: Option<String>,
    /// Labels of the run, by which lists find it: `order=42`, several separated by commas. The header may be repeated.
    #[param(rename = "X-Faas-Flow-Label", value_type = String, required = false, example = "order=42,customer=7")]
    labels: Labels,
    /// When the run starts: after a delay (`90s`, `2h`, `1h30m`), or at a moment in the form of RFC 3339, at most 366
    /// days ahead. The answer is 202 unless the caller waits for longer than that.
    #[param(rename = "X-Faas-Flow-Start-At", value_type = String, required = false, example = "2h")]
    start_at: Option<Millis>,
}

impl NewRun {
    const CALLBACK: HeaderName = HeaderName::from_static("x-faas-flow-callback-url");
    const QUEUED: HeaderName = HeaderName::from_static("x-callback-url");
    const START_AT: HeaderName = HeaderName::from_static("x-faas-flow-start-at");

    fn of(headers: &HeaderMap, surface: &Surface, delivery: Delivery) -> Result<Self, Error> {
        let id = only(headers, REQUEST_ID)?.map(RunId::new).transpose()?;
        let callback = surface.guards.callback(only(headers, Self::CALLBACK)?.as_deref())?;
        let now = surface.host.now();
        let start_at = only(headers, Self::START_AT)?.map(|text| start_at(&text, now)).transpose()?;
        let start_at = start_at.filter(|at| *at > now);
        let queued = only(headers, Self::QUEUED)?.filter(|url| !url.is_empty());
        let (callback, queued) = match (callback, delivery) {
            (Some(callback), _) => (Some(callback), None),
            (None, Delivery::Caller) => (None, queued),
            // No queue-worker has taken the call that would post its answer.
            (None, Delivery::Nobody) => (surface.guards.callback(queued.as_deref())?, None),
        };
        let labels = labels_of(headers)?;
        Ok(Self { id, callback, queued, labels, start_at })
    }
}

/// The labels that a request gives its run.
pub(super) fn labels_of(headers: &HeaderMap) -> Result<Labels, BadLabel> {
    let mut labels = Labels::new();
    for given in headers.get_all(HeaderName::from_static("x-faas-flow-label")) {
        labels.add_all(str::from_utf8(given.as_bytes()).map_err(|_| BadLabel::NotText)?)?;
    }
    Ok(labels)
}

/// Start a run, or ask by query as in the original
///
/// A flow of a single node answers with its result, any other flow with 202; with `X-Faas-Flow-Wait`, it answers with the
/// result if there is one in time. The same request id with the same request is the same run.
#[utoipa::path(
    method(post, get),
    path = "/",
    operation_id = "invoke",
    params(NewRun, Wait, HubSignatures, SignatureHeaders, ByQuery<'_>),
    request_body(content = Payload, content_type = "application/octet-stream", description = "The input of the run."),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The result, or what a query parameter asked for.",
            headers(("X-Faas-Flow-Reqid" = String, description = "The run's request id.")),
            content((Payload = "application/octet-stream"), (String = "text/plain"), (serde_json::Value = "application/json"))),
        On<202>, Refusals, On<401>, On<409>, On<422>, On<502>, OfTheFlow,
    ),
)]
pub(super) async fn call(
    State(surface): State<Arc<Surface>>,
    target: Target,
    query: Query,
    context: RequestContext,
    request: Request,
) -> Result<Response, Error> {
    surface.call(target, query, context, request, Delivery::Caller).await
}

/// Like [`call`], for a caller that does not wait for the run.
pub(super) async fn call_async(
    State(surface): State<Arc<Surface>>,
    target: Target,
    query: Query,
    context: RequestContext,
    request: Request,
) -> Result<Response, Error> {
    surface.call(target, query, context, request, Delivery::Nobody).await
}

/// Answers HEAD: as GET where that only reads. Where GET would begin a run, nothing begins.
pub(super) async fn head(
    State(surface): State<Arc<Surface>>,
    target: Target,
    query: Query,
    context: RequestContext,
    request: Request,
) -> Result<Response, Error> {
    match ByQuery::of(&query).ask()? {
        Ask::Invoke => Ok(StatusCode::OK.into_response()),
        Ask::Control(..) => Ok(surface.controls_only(request.method())),
        Ask::Definition | Ask::State(_) => surface.call(target, query, context, request, Delivery::Caller).await,
    }
}

impl Surface {
    async fn call(
        &self,
        Target(flow): Target,
        query: Query,
        context: RequestContext,
        request: Request,
        delivery: Delivery,
    ) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        let ask = ByQuery::of(&query).ask()?;
        let mut attempt = None;
        match &ask {
            Ask::Invoke => Visit::may_begin(&parts.extensions)?,
            Ask::Control(control, run) => {
                Controls::admit(&self.guards, &parts)?;
                attempt = self.admit_control(*control, run, (&flow.name, &parts)).await?;
            }
            Ask::State(run) => {
                self.guards.admit_read(&parts.headers, Read::State, (&flow.name, run), self.host.now())?;
            }
            Ask::Definition => {}
        }
        if let Ask::Control(_, run) | Ask::State(run) = &ask {
            context.concerns(run);
        }
        let body = self.read_call(&flow, body).await?;
        match ask {
            Ask::Invoke => self.invoke(&flow.name, query, &parts, body, &context, delivery).await,
            Ask::Definition => {
                let json = drawn(move || render(&flow.definition, flow.name.as_str(), Format::Json)).await?;
                Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
            }
            Ask::Control(control, run) => {
                let by = attempt.as_ref().map(|attempt: &Attempt| attempt.actor.clone());
                let done = self.control(&flow.name, control, &run, by.as_ref()).await;
                if let Some(attempt) = attempt {
                    attempt.ended(&self.host, done.as_ref().err().map(Error::code)).await;
                }
                done
            }
            Ask::State(run) => {
                let known = Known::of(&parts.method, &parts.headers);
                self.state(&flow.name, &run, Accept::of(&parts.headers), &known).await
            }
        }
    }

    /// Admits an operator, and records one who does not have the right.
    async fn admit_control(
        &self,
        control: Control,
        run: &RunId,
        (flow, parts): (&FlowName, &Parts),
    ) -> Result<Option<Attempt>, Error> {
        let action = control.operation();
        let actor = self.guards.actor(Head::from(parts))?;
        let attempt = actor.map(|actor| {
            let (flow, run) = (Some(flow.clone()), Some(run.clone()));
            Attempt { action: action.to_owned(), actor, flow, run, target: String::new() }
        });
        match (self.guards.admit(&parts.headers, need_of(action)), attempt) {
            (Ok(()), attempt) => Ok(attempt),
            (Err(error), None) => Err(error),
            (Err(error), Some(attempt)) => {
                attempt.ended(&self.host, Some(error.code())).await;
                Err(error)
            }
        }
    }

    async fn invoke(
        &self,
        flow: &FlowName,
        Query(query): Query,
        Parts { uri, headers, .. }: &Parts,
        body: Bytes,
        context: &RequestContext,
        delivery: Delivery,
    ) -> Result<Response, Error> {
        if let Some(calling) = header(headers, HeaderName::from_static(PARENT)) {
            let calling = Calling::decode(&calling, self.guards.keys.as_ref(), &body)?;
            return self.begin_child(flow, (Query(query), body), (uri, headers), calling, context).await;
        }
        self.guards.authenticate(headers, &body)?;
        let NewRun { id, callback, queued, labels, start_at } = NewRun::of(headers, self, delivery)?;
        let wait = Wait::of(headers)?;
        let wait = Wait { wait: wait.wait.or(queued.as_ref().map(|_| WAIT_OF_QUEUE)) };
        let asked = self.wait_of(&wait, context);
        let patience = Patience { surface: self, context, delivery, asked, start_at, may_go_on: queued.is_some() };
        let mut kept = kept_headers(headers, &self.host.settings().keep_headers);
        kept.extend(id.as_ref().map(|_| (BODY_DIGEST.to_owned(), Digest::of(&body).to_string())));
        let body = Content::new(body, MediaType::of_message(&kept));
        let request = Kept { query, headers: kept };
        // What a request that repeats an earlier one is compared by.
        let chosen = id.clone().map(|id| (id, request.clone()));
        let submission = Submission { id, body, request, callback: callback.clone(), labels, start_at, parent: None };
        let (run, ended) = match (self.host.submit(flow, submission, patience.waits()).await, chosen) {
            (Ok(run), ..) => {
                context.concerns(&run.id);
                let ended = match patience.wait(run.answers()) {
                    Some(wait) => run.end(wait).await?,
                    None => None,
                };
                (run.id, ended)
            }
            (Err(error), Some((id, request))) if error.code() == Code::RUN_EXISTS => {
                let callbacks = Callbacks { asked: callback.as_deref(), later: queued.as_deref() };
                let run = self.begun_as(&id, flow, &request, &callbacks).await?;
                context.concerns(&id);
                let patience = Patience { start_at: run.start_at, ..patience };
                let ended = match patience.wait(self.host.answers(&run).await?) {
                    Some(wait) => self.host.wait(&id, wait).await?,
                    None => None,
                };
                (id, ended)
            }
            (Err(error), ..) => return Err(error.into()),
        };
        let (ended, callback) = match queued.filter(|_| ended.as_ref().is_none_or(|ended| !ended.status.is_final())) {
            Some(url) => self.call_back_later(&run, ended, &url).await?,
            None => (ended, callback),
        };
        let mut response = answer_to(&run, ended.as_deref());
        if response.status() == StatusCode::ACCEPTED {
            insert(response.headers_mut(), LOCATION, &location::of_result(uri.path(), headers, flow, &run));
        }
        if let Some(callback) = callback {
            insert(response.headers_mut(), NewRun::CALLBACK, &callback);
        }
        if let Some(start_at) = start_at {
            insert(response.headers_mut(), NewRun::START_AT, &moment(start_at));
        }
        Ok(response)
    }

    /// Has a run that goes on without its caller sent to where OpenFaaS' queue-worker sends its answers. Answers with how it has
    /// ended or paused, if it has, and with the address of the callback.
    async fn call_back_later(
        &self,
        run: &RunId,
        paused: Option<Arc<Ended>>,
        url: &str,
    ) -> Result<(Option<Arc<Ended>>, Option<String>), Error> {
        let url = match self.guards.callback(Some(url)) {
            Ok(url) => url,
            Err(error) => {
                tracing::warn!(%run, code = %error.code(), %error, "the result is not sent to X-Callback-Url");
                None
            }
        };
        let Some(url) = url else { return Ok((paused, None)) };
        match self.host.set_callback(run, url.clone()).await {
            Ok(()) => Ok((paused, Some(url))),
            // It has ended in the meantime.
            Err(error) if error.code() == Code::RUN_STATE => Ok((self.host.wait(run, Duration::ZERO).await?, None)),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins the run that a node of another run calls. That node is told its end, so nobody waits for it here.
    async fn begin_child(
        &self,
        flow: &FlowName,
        (Query(query), body): (Query, Bytes),
        (uri, headers): (&Uri, &HeaderMap),
        calling: Calling,
        context: &RequestContext,
    ) -> Result<Response, Error> {
        if self.guards.keys.is_none() {
            self.guards.authenticate(headers, &body)?;
        }
        let run = calling.child.clone();
        context.concerns(&run);
        let kept = kept_headers(headers, &self.host.settings().keep_headers);
        let body = Content::new(body, MediaType::of_message(&kept));
        let to = match self.host.begin_child(flow, calling, (body, Kept { query, headers: kept })).await? {
            Begun::Running(to) => to,
            Begun::Ended(ended) => return Ok(answer::ended(&run, &ended)),
        };
        let mut response = answer_to(&run, None);
        insert(response.headers_mut(), LOCATION, &location::of_result(uri.path(), headers, flow, &run));
        insert(response.headers_mut(), HeaderName::from_static(WAITS), &wait_text(to));
        Ok(response)
    }

    /// How long the caller waits, if it asked to.
    pub(super) fn wait_of(&self, Wait { wait }: &Wait, context: &RequestContext) -> Option<Duration> {
        wait.map(|wait| context.in_time(wait.min(self.host.settings().max_wait)))
    }

    /// The run that has this id, if it was begun by the same request.
    async fn begun_as(
        &self,
        id: &RunId,
        flow: &FlowName,
        request: &Kept,
        callbacks: &Callbacks<'_>,
    ) -> Result<Run, Error> {
        let taken = |by| Error::RequestIdTaken { id: id.clone(), by };
        let run = self.host.begun(id).await?.ok_or_else(|| taken(OtherRun::Starting))?;
        match difference(&run, flow, request, callbacks) {
            None => Ok(run),
            Some(by) => Err(taken(by)),
        }
    }
}

/// How long a caller waits for the result of its new run.
struct Patience<'a> {
    surface: &'a Surface,
    context: &'a RequestContext,
    delivery: Delivery,
    /// What it asked for.
    asked: Option<Duration>,
    /// When the run starts, if that is not at once.
    start_at: Option<Millis>,
    /// Whether the run may get a callback while it goes on, so that it must be stored.
    may_go_on: bool,
}

impl Patience<'_> {
    /// What the host has to know of it before it knows the flow's definition.
    fn waits(&self) -> Waits {
        match self.delivery {
            Delivery::Nobody => Waits::No,
            Delivery::Caller if self.may_go_on => Waits::No,
            Delivery::Caller if self.asked.or(self.surface.host.settings().default_wait).is_some() => Waits::Yes,
            Delivery::Caller => Waits::ForOneNode,
        }
    }

    /// How long to wait for a run, whose flow is of a single node if it `answers`: such a flow answers with its result,
    /// as in the original, and any other one continues on its own.
    fn wait(&self, answers: bool) -> Option<Duration> {
        let settings = self.surface.host.settings();
        let now = self.surface.host.now();
        if let Some(start_at) = self.start_at.filter(|at| *at > now) {
            // A run that starts later is waited for only if its caller asks for that, and waits long enough for the start.
            return self.asked.filter(|wait| Duration::from_millis(start_at - now) <= *wait);
        }
        match self.delivery {
            Delivery::Nobody => None,
            Delivery::Caller if self.asked.is_some() => self.asked,
            Delivery::Caller if answers => Some(settings.max_wait),
            Delivery::Caller => settings.default_wait.map(|wait| self.context.in_time(wait)),
        }
    }
}

fn answer_to(run: &RunId, ended: Option<&Ended>) -> Response {
    let mut response = match ended {
        Some(ended) => answer::ended(run, ended),
        None => (StatusCode::ACCEPTED, [(STATE, Status::Running.as_str())]).into_response(),
    };
    insert(response.headers_mut(), REQUEST_ID, run.as_str());
    response
}

/// The headers that a run keeps: all but the host's own and, unless they are among `credentials`, those that let their owner
/// in somewhere.
pub(super) fn kept_headers(headers: &HeaderMap, credentials: &[&'static str]) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| keeps_header(name.as_str(), credentials));
    kept.map(|(name, value)| (name.to_string(), header_text(value.as_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_credentials_a_run_keeps_those_that_the_operator_names() {
        let names = ["authorization", "cookie", "x-hub-signature-256", "x-faas-flow-signature", BODY_DIGEST, "x-team"];
        let headers = names.map(|name| (HeaderName::from_static(name), "v".parse().unwrap())).into_iter().collect();
        let kept = |credentials: &[&'static str]| {
            kept_headers(&headers, credentials).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(kept(&[]), ["x-team"]);
        assert_eq!(kept(&["cookie", "x-hub-signature-256"]), ["cookie", "x-hub-signature-256", "x-team"]);
        assert_eq!(kept(&["x-faas-flow-signature", BODY_DIGEST]), ["x-team"]);
    }
}
