//! What each path of the dashboard answers.

use super::Dashboard;
use super::access::About;
use super::begin::Typed;
use super::compare::With;
use super::error::Error;
use super::form::Form;
use super::node::{Asked as AskedNode, IsWhole};
use super::page::{Page, View};
use super::rows::Asked as AskedRows;
use super::run::RunPage;
use crate::payloads::{DataQuery, FromNode};
use crate::remote::{Action, Rerun, Signal};
use crate::request::Asked;
use crate::runs::known_json;
use crate::unchanged::{Known, Tag};
use crate::{Error as HttpError, PageQuery, RunFilter, RunPath, path_parameter};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_flow_core::run::Side;
use faas_flow_core::{FlowName, MediaType, NodePath, RunId, SignalName};
use faas_flow_replica::schedules::ScheduleChange;
use serde_json::Value;
use std::sync::Arc;

/// The flow in the path.
pub(super) struct FlowPath(pub FlowName);

impl<S: Send + Sync> FromRequestParts<S> for FlowPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        Ok(Self(FlowName::new(path_parameter(parts, "flow").await)?))
    }
}

pub(super) async fn flows(State(dashboard): State<Arc<Dashboard>>, view: View) -> Result<Response, HttpError> {
    Ok(dashboard.flows(view.up()).await?.answer(&view))
}

/// A flow, with the runs that match the query: `?status=failed&since=2h`.
pub(super) async fn flow(
    State(dashboard): State<Arc<Dashboard>>,
    FlowPath(flow): FlowPath,
    Asked((filter, page)): Asked<(RunFilter, PageQuery)>,
    view: View,
) -> Result<Response, HttpError> {
    Ok(dashboard.flow(&flow, filter, page, &view).await?.answer(&view))
}

/// The runs of all flows that match the query.
pub(super) async fn runs(
    State(dashboard): State<Arc<Dashboard>>,
    Asked((filter, page)): Asked<(RunFilter, PageQuery)>,
    view: View,
) -> Result<Response, HttpError> {
    Ok(dashboard.runs(filter, page, &view).await?.answer(&view))
}

/// A form about many runs, of all flows.
pub(super) async fn bulk(
    State(dashboard): State<Arc<Dashboard>>,
    view: View,
    form: Form,
) -> Result<Response, HttpError> {
    Ok(dashboard.bulk(None, &form, "../runs").await?.answer(&view))
}

/// A form about many runs of a flow.
pub(super) async fn bulk_of_flow(
    State(dashboard): State<Arc<Dashboard>>,
    FlowPath(flow): FlowPath,
    view: View,
    form: Form,
) -> Result<Response, HttpError> {
    let list = format!("../{flow}");
    Ok(dashboard.bulk(Some(flow), &form, &list).await?.answer(&view))
}

pub(super) async fn begin(
    State(dashboard): State<Arc<Dashboard>>,
    FlowPath(flow): FlowPath,
    form: Form,
) -> Result<Response, HttpError> {
    dashboard.access.check(About::Flow(&flow), form.field("ticket"))?;
    let run = dashboard.begin(&flow, Typed::of(&form)?, &form).await?;
    Ok(lead(format!("../../runs/{run}")))
}

/// A schedule of a flow in the path, with a form about it.
pub(super) struct OfSchedule {
    dashboard: Arc<Dashboard>,
    flow: FlowName,
    schedule: String,
    form: Form,
}

impl FromRequest<Arc<Dashboard>> for OfSchedule {
    type Rejection = HttpError;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, HttpError> {
        let (mut parts, body) = request.into_parts();
        let FlowPath(flow) = FlowPath::from_request_parts(&mut parts, dashboard).await?;
        let schedule = path_parameter(&mut parts, "schedule").await;
        let form = Form::from_request(Request::from_parts(parts, body), dashboard).await?;
        dashboard.access.check(About::Flow(&flow), form.field("ticket"))?;
        Ok(Self { dashboard: dashboard.clone(), flow, schedule, form })
    }
}

impl OfSchedule {
    async fn change(self, change: ScheduleChange) -> Result<Response, HttpError> {
        let Self { dashboard, flow, schedule, form } = self;
        dashboard.change_schedule(&flow, &schedule, change, &form).await?;
        Ok(lead(format!("../../../{flow}")))
    }
}

pub(super) async fn pause_schedule(of: OfSchedule) -> Result<Response, HttpError> {
    of.change(ScheduleChange::Pause).await
}

pub(super) async fn resume_schedule(of: OfSchedule) -> Result<Response, HttpError> {
    of.change(ScheduleChange::Resume).await
}

pub(super) async fn trigger_schedule(of: OfSchedule) -> Result<Response, HttpError> {
    let OfSchedule { dashboard, flow, schedule, form } = of;
    let run = dashboard.trigger_schedule(&flow, &schedule, &form).await?;
    Ok(lead(format!("../../../../runs/{run}")))
}

/// A run, with a page of its nodes: `?offset=500&limit=500`, with `failed=true` of those that have failed, and with `branches=F` of
/// the branches of a node.
pub(super) async fn run(
    State(dashboard): State<Arc<Dashboard>>,
    RunPath { id }: RunPath,
    Asked(asked): Asked<AskedRows>,
    view: View,
    known: Known,
) -> Result<Response, HttpError> {
    Ok(match dashboard.run(&id, asked, &view).await? {
        RunPage::Html(page, main) => {
            // What stands around the main part changes once: when the page is not live any more.
            let tag = Tag::of(&format!("{} {} {} {}", main.digest, page.live, view.up(), view.has_buttons()));
            known.or(&tag, || Page { main: main.text.to_string(), ..page }.answer(&view))
        }
        RunPage::Json(made) => known_json(&known, &made),
    })
}

/// A run beside another one: `?with=ID`.
pub(super) async fn compare(
    State(dashboard): State<Arc<Dashboard>>,
    RunPath { id }: RunPath,
    Asked(With(other)): Asked<With>,
    view: View,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    Ok(dashboard.compare(&id, &other, &headers).await?.answer(&view))
}

/// Which node of which run a page or a file is about.
pub(super) struct OfNode {
    dashboard: Arc<Dashboard>,
    run: RunId,
    node: NodePath,
    from: Option<String>,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<Dashboard>> for OfNode {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, HttpError> {
        let RunPath { id } = RunPath::from_request_parts(parts, dashboard).await?;
        let DataQuery { node, .. } = DataQuery::from_request_parts(parts, dashboard).await?;
        let FromNode { from } = FromNode::from_request_parts(parts, dashboard).await?;
        Ok(Self { dashboard: dashboard.clone(), run: id, node, from, headers: parts.headers.clone() })
    }
}

impl OfNode {
    async fn file(self, side: Side) -> Result<Response, HttpError> {
        let Self { dashboard, run, node, from, headers } = self;
        dashboard.file(AskedNode { run: &run, node: &node, from }, side, &headers).await
    }

    async fn image(self, side: Side) -> Result<Response, HttpError> {
        let Self { dashboard, run, node, from, headers } = self;
        dashboard.image(AskedNode { run: &run, node: &node, from }, side, &headers).await
    }
}

/// A node: `?node=F[a]/n1`. With `from=n0`, only this part of its input. Its data is read only if the caller does not have the
/// page already.
pub(super) async fn node(of: OfNode, view: View, known: Known) -> Result<Response, HttpError> {
    let OfNode { dashboard, run, node, from, headers } = of;
    let look = dashboard.look_at_node(AskedNode { run: &run, node: &node, from }, &headers).await?;
    let tag = look.tag(&view);
    if known.has(&tag) {
        return Ok(tag.unchanged());
    }
    let (page, is_whole) = dashboard.node(look).await;
    let answer = page.answer(&view);
    Ok(match is_whole {
        IsWhole::Yes => tag.on(answer),
        IsWhole::No => answer,
    })
}

pub(super) async fn input(of: OfNode) -> Result<Response, HttpError> {
    of.file(Side::Input).await
}

pub(super) async fn output(of: OfNode) -> Result<Response, HttpError> {
    of.file(Side::Output).await
}

pub(super) async fn input_image(of: OfNode) -> Result<Response, HttpError> {
    of.image(Side::Input).await
}

pub(super) async fn output_image(of: OfNode) -> Result<Response, HttpError> {
    of.image(Side::Output).await
}

pub(super) async fn pause(state: State<Arc<Dashboard>>, run: RunPath, form: Form) -> Result<Response, HttpError> {
    change(state, run, &form, Action::Pause).await
}

pub(super) async fn resume(state: State<Arc<Dashboard>>, run: RunPath, form: Form) -> Result<Response, HttpError> {
    change(state, run, &form, Action::Resume).await
}

pub(super) async fn stop(state: State<Arc<Dashboard>>, run: RunPath, form: Form) -> Result<Response, HttpError> {
    change(state, run, &form, Action::Stop).await
}

pub(super) async fn rerun(state: State<Arc<Dashboard>>, run: RunPath, form: Form) -> Result<Response, HttpError> {
    state.access.check(About::Run(&run.id), form.field("ticket"))?;
    let node = Some(form.field("node")).filter(|node| !node.is_empty()).map(NodePath::parse).transpose()?;
    change(state, run, &form, Action::Rerun(Rerun { node, input: Bytes::new(), media_type: None })).await
}

pub(super) async fn signal(state: State<Arc<Dashboard>>, run: RunPath, form: Form) -> Result<Response, HttpError> {
    state.access.check(About::Run(&run.id), form.field("ticket"))?;
    let name = SignalName::new(form.field("name"))?;
    let body = Bytes::copy_from_slice(form.field("body").as_bytes());
    // What is JSON goes as JSON, so that the flow's code finds what it expects.
    let is_json = serde_json::from_slice::<Value>(&body).is_ok();
    let media_type = MediaType::parse(if is_json { "application/json" } else { "text/plain; charset=utf-8" }).ok();
    // Who reloads the page sends the form once more, with the same ticket.
    let key = Some(form.field("once").to_owned()).filter(|once| !once.is_empty());
    change(state, run, &form, Action::Signal(Signal { name, body, media_type, key, as_json: false })).await
}

pub(super) async fn callback(state: State<Arc<Dashboard>>, run: RunPath, form: Form) -> Result<Response, HttpError> {
    change(state, run, &form, Action::Callback).await
}

async fn change(
    State(dashboard): State<Arc<Dashboard>>,
    RunPath { id }: RunPath,
    form: &Form,
    action: Action,
) -> Result<Response, HttpError> {
    dashboard.access.check(About::Run(&id), form.field("ticket"))?;
    dashboard.control(&id, action, form).await?;
    Ok(lead(format!("../{id}")))
}

pub(super) async fn none(State(dashboard): State<Arc<Dashboard>>, uri: Uri) -> HttpError {
    let path = uri.path().strip_prefix(dashboard.prefix).unwrap_or_default().to_owned();
    Error::NoPage { path }.into()
}

pub(super) async fn wrong_method(method: Method) -> HttpError {
    HttpError::WrongMethod { method }
}

/// Leads the browser to a page.
pub(super) fn lead(to: String) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}
