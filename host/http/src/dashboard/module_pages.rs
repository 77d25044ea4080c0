//! What the paths below `flows/FLOW/modules` answer.

use super::Dashboard;
use super::access::About;
use super::form::Form;
use super::modules::{Change, Compared, Sent};
use super::page::View;
use super::pages::{FlowPath, lead};
use super::upload::Upload;
use crate::request::Asked;
use crate::surface::read_up_to;
use crate::{Error as HttpError, path_parameter};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::Response;
use faas_flow_core::{Digest, FlowName};
use faas_flow_guest::GuestError;
use faas_flow_versions::Share;
use std::sync::Arc;

/// The largest module that a dashboard passes on to a gateway, in bytes, and what the other fields of the form may have.
const LARGEST: usize = 64 << 20;
const FIELDS: usize = 16 << 10;

pub(super) async fn modules(
    State(dashboard): State<Arc<Dashboard>>,
    FlowPath(flow): FlowPath,
    view: View,
) -> Result<Response, HttpError> {
    Ok(dashboard.modules(&flow, &view).await?.answer(&view))
}

/// The difference between two versions: `?from=DIGEST&to=DIGEST`.
pub(super) async fn difference(
    State(dashboard): State<Arc<Dashboard>>,
    FlowPath(flow): FlowPath,
    Asked(compared): Asked<Compared>,
    view: View,
) -> Result<Response, HttpError> {
    Ok(dashboard.difference(&flow, compared).await?.answer(&view))
}

/// A form that changes what is in service.
pub(super) struct OfModules {
    dashboard: Arc<Dashboard>,
    flow: FlowName,
    version: String,
    form: Form,
}

impl FromRequest<Arc<Dashboard>> for OfModules {
    type Rejection = HttpError;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, HttpError> {
        let (mut parts, body) = request.into_parts();
        let FlowPath(flow) = FlowPath::from_request_parts(&mut parts, dashboard).await?;
        let version = path_parameter(&mut parts, "version").await;
        let form = Form::from_request(Request::from_parts(parts, body), dashboard).await?;
        dashboard.access.check(About::Flow(&flow), form.field("ticket"))?;
        Ok(Self { dashboard: dashboard.clone(), flow, version, form })
    }
}

impl OfModules {
    async fn change(self, change: Change, back: &str) -> Result<Response, HttpError> {
        let Self { dashboard, flow, form, .. } = self;
        let revision = form.query().number("revision")?;
        dashboard.change_service(&flow, change, revision, &form).await?;
        Ok(lead(back.to_owned()))
    }
}

pub(super) async fn activate(of: OfModules) -> Result<Response, HttpError> {
    let version = Digest::new(&of.version)?;
    // The form of the page always has a share. The button says whether it counts.
    let is_canary = of.form.field("as") != "active";
    let share = Some(of.form.field("canary")).filter(|share| is_canary && !share.is_empty());
    let canary = share.map(str::parse::<Share>).transpose()?;
    of.change(Change::Activate { version, canary }, "../../modules").await
}

pub(super) async fn promote(of: OfModules) -> Result<Response, HttpError> {
    of.change(Change::Promote, "../modules").await
}

pub(super) async fn withdraw(of: OfModules) -> Result<Response, HttpError> {
    of.change(Change::Withdraw, "../modules").await
}

pub(super) async fn roll_back(of: OfModules) -> Result<Response, HttpError> {
    of.change(Change::RollBack, "../modules").await
}

/// A form with a module.
pub(super) async fn push(
    State(dashboard): State<Arc<Dashboard>>,
    FlowPath(flow): FlowPath,
    request: Request,
) -> Result<Response, HttpError> {
    let (parts, body) = request.into_parts();
    let limit = dashboard.host.versions().module_limit().unwrap_or(LARGEST);
    let too_large = |size| HttpError::Host(GuestError::ModuleTooLarge { size, limit }.into());
    let body = read_up_to(&dashboard.host, body, limit.saturating_add(FIELDS)).await?;
    let body = body.ok_or_else(|| too_large(limit.saturating_add(FIELDS)))?;
    let upload = Upload::parse(&parts.headers, body).await?;
    let form = Form::of(&dashboard, &parts, upload.texts("module"))?;
    dashboard.access.check(About::Flow(&flow), form.field("ticket"))?;
    let bytes = upload.bytes("module");
    if bytes.len() > limit {
        return Err(too_large(bytes.len()));
    }
    let signature = Some(form.field("signature").trim().to_owned()).filter(|line| !line.is_empty());
    let sent = Sent { bytes, signature, is_again: form.field("again") == "true" };
    let digest = dashboard.push(&flow, sent, &form).await?;
    Ok(lead(format!("../modules#version:{digest}")))
}
