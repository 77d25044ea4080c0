//! `/modules…`: an operator's requests about the versions of a flow. All of them need the token.

use super::error::Error;
use super::openapi::{On, Payload, Refusals};
use super::request::{
    Asked, Asker, DigestPath, FromQuery, ModuleBody, Query, Target, VersionPath, WholeBody, parse_wait,
};
use super::surface::Surface;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::Actor;
use faas_flow_core::{FlowName, Millis};
use faas_flow_versions::{
    Activation, Active, Artifact, By, Canary, CanaryRule, Changed, Collected, Expected, IfRemoved, Keep, Listed,
    Planned, Removal, RunCounts, Share, Upload, Version, Withdrawn,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Who changes something, and why.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Author {
    /// The name of the person who makes the change, for the history: at most 200 bytes.
    #[param(value_type = String, required = false, pattern = "^[ -~]{0,200}$")]
    who: String,
    /// The reason, for the history: at most 1,000 bytes.
    #[param(value_type = String, required = false, pattern = "^[ -~]{0,1000}$")]
    message: String,
}

impl FromQuery for Author {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let text = |name| query.first(name).unwrap_or_default().to_owned();
        Ok(Self { who: text("who"), message: text("message") })
    }
}

impl Author {
    /// Who it is: those who are known by their token have its name, whatever they say.
    fn by(&self, asker: Option<Actor>, now: Millis) -> Result<By, Error> {
        let Actor { who, reason, .. } = asker.unwrap_or_default();
        let (who, message) = (who.as_ref().unwrap_or(&self.who), reason.as_ref().unwrap_or(&self.message));
        Ok(By::new(who, message, now)?)
    }
}

/// Which state of the active version a change is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Revision {
    /// The revision that the change is meant for, as `GET /modules` reports it: if somebody else has changed the active
    /// version since, the change is refused.
    #[param(value_type = u64, required = false, minimum = 0)]
    revision: Option<u64>,
}

impl FromQuery for Revision {
    fn from_query(query: &Query) -> Result<Self, Error> {
        Ok(Self { revision: query.number("revision")? })
    }
}

impl Revision {
    fn expected(&self) -> Expected {
        self.revision.map_or(Expected::Any, Expected::Revision)
    }
}

/// What to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Counted {
    /// Whether to count the runs in flight that are pinned to each version.
    #[param(value_type = String, required = false, pattern = "^(true|false|)$")]
    runs: RunCounts,
}

impl FromQuery for Counted {
    fn from_query(query: &Query) -> Result<Self, Error> {
        Ok(Self { runs: if query.switch("runs")? { RunCounts::Count } else { RunCounts::Omit } })
    }
}

/// The versions of the flow, and which one is active
#[utoipa::path(
    get,
    path = "/modules",
    operation_id = "versions",
    params(Counted),
    security((), ("token" = [])),
    responses((status = 200, description = "The versions, the newest first.", body = Listed), Refusals, On<401>, On<501>),
)]
pub(super) async fn list(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    Asked(Counted { runs }): Asked<Counted>,
    _: WholeBody,
) -> Result<Json<Listed>, Error> {
    Ok(Json(surface.host.versions().list(&flow.name, runs).await.map_err(Error::of_version)?))
}

/// One version
#[utoipa::path(
    get,
    path = "/modules/{version}",
    operation_id = "version",
    params(VersionPath),
    security((), ("token" = [])),
    responses((status = 200, description = "The version.", body = Version), Refusals, On<401>, On<501>),
)]
pub(super) async fn show(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    VersionPath { version }: VersionPath,
    _: WholeBody,
) -> Result<Json<Version>, Error> {
    Ok(Json(surface.host.versions().find(&flow.name, &version).await?))
}

/// The module of a version
#[utoipa::path(
    get,
    path = "/modules/{version}/flow.wasm",
    operation_id = "module",
    params(VersionPath),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The module.", content_type = "application/wasm", body = Payload),
        Refusals, On<401>, On<501>,
    ),
)]
pub(super) async fn pull(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    VersionPath { version }: VersionPath,
    _: WholeBody,
) -> Result<Response, Error> {
    let version = surface.host.versions().find(&flow.name, &version).await?;
    let bytes = surface.host.versions().module_bytes(&flow.name, &version).await.map_err(Error::of_version)?;
    Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes).into_response())
}

/// How to store a version.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Again {
    /// Whether to accept the version even if `gc` has removed it before.
    #[param(value_type = String, required = false, pattern = "^(true|false|)$")]
    again: IfRemoved,
}

impl FromQuery for Again {
    fn from_query(query: &Query) -> Result<Self, Error> {
        Ok(Self { again: if query.switch("again")? { IfRemoved::StoreAgain } else { IfRemoved::Refuse } })
    }
}

/// A version that was sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Pushed {
    version: Version,
    /// Whether it was stored already.
    known: bool,
}

/// Store a version without activating it
#[utoipa::path(
    put,
    path = "/modules/{version}",
    operation_id = "push",
    params(DigestPath, Author, Again, ModuleBody),
    request_body(content = Payload, content_type = "application/octet-stream"),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The version was stored already.", body = Pushed),
        (status = 201, description = "The version is stored.", body = Pushed),
        Refusals, On<401>, On<403>, On<409>, On<422>, On<501>,
    ),
)]
pub(super) async fn push(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    DigestPath { version: digest }: DigestPath,
    Asked((author, Again { again: if_removed })): Asked<(Author, Again)>,
    Asker(asker): Asker,
    ModuleBody { signature, bytes }: ModuleBody,
) -> Result<(StatusCode, Json<Pushed>), Error> {
    let by = author.by(asker, surface.host.now())?;
    let pushed = surface.host.versions().push(&flow.name, Upload { digest, bytes, by, signature, if_removed }).await;
    let faas_flow_versions::Pushed { version, known } = pushed.map_err(Error::of_version)?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Pushed { version, known })))
}

/// What a version would change for the runs in flight
#[utoipa::path(
    post,
    path = "/modules/plan",
    operation_id = "plan",
    params(ModuleBody),
    request_body(content = Payload, content_type = "application/octet-stream"),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The runs in flight, by what the version would be to them.", body = Planned),
        Refusals, On<401>, On<403>, On<422>, On<501>,
    ),
)]
pub(super) async fn plan(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    ModuleBody { signature, bytes }: ModuleBody,
) -> Result<Json<Planned>, Error> {
    let artifact = Artifact::hashed(bytes, signature).await.map_err(Error::of_version)?;
    let planned = surface.host.versions().plan(&flow.name, &artifact).await;
    Ok(Json(planned.map_err(Error::of_version)?))
}

/// What to keep.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KeepQuery {
    /// How many versions that were in service before the active one to keep.
    #[param(value_type = u64, required = false, minimum = 0, maximum = 1000, default = 3)]
    keep: usize,
    /// Keep what was pushed or in service within this time; at least 5 s.
    #[param(value_type = String, required = false, pattern = "^[0-9]{1,9}(ms|s|m)?$", default = "10m")]
    recent: std::time::Duration,
    /// Remove nothing, but report what would be removed.
    #[param(rename = "dry-run", value_type = String, required = false, pattern = "^(true|false|)$")]
    dry_run: Removal,
}

impl FromQuery for KeepQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let Keep { mut predecessors, mut recent } = Keep::default();
        let dry_run = if query.switch("dry-run")? { Removal::DryRun } else { Removal::Apply };
        if let Some(keep) = query.number("keep")? {
            let few = usize::try_from(keep).ok().filter(|few| *few <= Keep::MOST);
            predecessors = few.ok_or(Error::BadParameter { name: "keep", rule: "at most 1000" })?;
        }
        if let Some(time) = query.first("recent") {
            recent = parse_wait(time)?;
        }
        Ok(Self { keep: predecessors, recent, dry_run })
    }
}

/// Remove the modules of versions that nothing needs
#[utoipa::path(
    post,
    path = "/modules/gc",
    operation_id = "gc",
    params(KeepQuery),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "What was removed, and what was kept.", body = Collected),
        Refusals, On<401>, On<409>, On<501>,
    ),
)]
pub(super) async fn collect(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    Asked(KeepQuery { keep: predecessors, recent, dry_run: removal }): Asked<KeepQuery>,
    _: WholeBody,
) -> Result<Json<Collected>, Error> {
    let collected = surface.host.versions().collect(&flow.name, Keep { predecessors, recent }, removal).await;
    Ok(Json(collected.map_err(Error::of_version)?))
}

/// What is in service after a change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct InService {
    revision: u64,
    active: Option<Activation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<Withdrawn>,
}

impl InService {
    fn answer(changed: Result<Changed, faas_flow_versions::Error>) -> Result<Json<Self>, Error> {
        let (Active { history, canary, withdrawn, .. }, revision) = changed.map_err(Error::of_version)?;
        Ok(Json(Self { revision, active: history.into_iter().next(), canary, withdrawn }))
    }
}

/// Whether a version serves only a share of the new runs, and when it is withdrawn.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CanaryQuery {
    /// Only this share of the new runs, 0.01% to 100%.
    #[param(value_type = String, required = false, pattern = "^([1-9]|[1-9][0-9]|100)(%)?$", example = "5%")]
    canary: Option<Share>,
    /// Withdraw the canary when more than this share of its last runs failed.
    #[param(rename = "max-failures", value_type = String, required = false,
        pattern = "^([1-9]|[1-9][0-9]|100)(%)?$", example = "5%", default = "5%")]
    max_failures: Share,
    /// How many of its last runs count; while fewer runs have ended, the missing ones count as successful.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 10000, default = 100)]
    over: u64,
}

impl FromQuery for CanaryQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let default = CanaryRule::default();
        let canary = query.first("canary").map(str::parse::<Share>).transpose()?;
        if canary.is_none() {
            // The other parameters mean nothing for a version that serves all runs.
            return Ok(Self { canary, max_failures: default.max_failures(), over: u64::from(default.over()) });
        }
        let max_failures = query.first("max-failures").map(str::parse::<Share>).transpose()?;
        let over = query.number("over")?;
        Ok(Self {
            canary,
            max_failures: max_failures.unwrap_or(default.max_failures()),
            over: over.unwrap_or_else(|| u64::from(default.over())),
        })
    }
}

/// Start new runs, or a share of them, on a version
#[utoipa::path(
    post,
    path = "/modules/{version}/activate",
    operation_id = "activate",
    params(VersionPath, Revision, Author, CanaryQuery),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "What is in service.", body = InService),
        Refusals, On<401>, On<409>, On<422>, On<501>,
    ),
)]
pub(super) async fn activate(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    VersionPath { version }: VersionPath,
    Asked((revision, author)): Asked<(Revision, Author)>,
    Asker(asker): Asker,
    Asked(CanaryQuery { canary, max_failures, over }): Asked<CanaryQuery>,
    _: WholeBody,
) -> Result<Json<InService>, Error> {
    let versions = surface.host.versions();
    let by = author.by(asker, surface.host.now())?;
    let digest = versions.find(&flow.name, &version).await?.digest;
    InService::answer(match canary {
        Some(share) => {
            let rule = CanaryRule::new(max_failures, over)?;
            versions.start_canary(&flow.name, (&digest, share), rule, revision.expected(), by).await
        }
        None => versions.activate(&flow.name, &digest, revision.expected(), by).await,
    })
}

/// A request of an operator to change what is in service, which names no version.
pub(super) struct OfService {
    surface: Arc<Surface>,
    flow: FlowName,
    expected: Expected,
    by: By,
}

impl FromRequest<Arc<Surface>> for OfService {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Arc<Surface>) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let Target(flow) = Target::from_request_parts(&mut parts, surface).await?;
        let Asker(asker) = Asker::from_request_parts(&mut parts, surface).await?;
        let Asked((revision, author)) = Asked::<(Revision, Author)>::from_request_parts(&mut parts, surface).await?;
        WholeBody::from_request(Request::from_parts(parts, body), surface).await?;
        let by = author.by(asker, surface.host.now())?;
        Ok(Self { surface: surface.clone(), flow: flow.name.clone(), expected: revision.expected(), by })
    }
}

/// Activate the version that was active before
#[utoipa::path(
    post,
    path = "/modules/rollback",
    operation_id = "roll-back",
    params(Revision, Author),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "What is in service.", body = InService),
        Refusals, On<401>, On<409>, On<422>, On<501>,
    ),
)]
pub(super) async fn roll_back(change: OfService) -> Result<Json<InService>, Error> {
    let OfService { surface, flow, expected, by } = change;
    InService::answer(surface.host.versions().roll_back(&flow, expected, by).await)
}

/// Activate the canary
#[utoipa::path(
    post,
    path = "/modules/promote",
    operation_id = "promote",
    params(Revision, Author),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "What is in service.", body = InService),
        Refusals, On<401>, On<409>, On<422>, On<501>,
    ),
)]
pub(super) async fn promote(change: OfService) -> Result<Json<InService>, Error> {
    let OfService { surface, flow, expected, by } = change;
    InService::answer(surface.host.versions().promote(&flow, expected, by).await)
}

/// Withdraw the canary
#[utoipa::path(
    post,
    path = "/modules/withdraw",
    operation_id = "withdraw",
    params(Revision, Author),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "What is in service.", body = InService),
        Refusals, On<401>, On<409>, On<422>, On<501>,
    ),
)]
pub(super) async fn withdraw(change: OfService) -> Result<Json<InService>, Error> {
    let OfService { surface, flow, expected, by } = change;
    InService::answer(surface.host.versions().withdraw(&flow, expected, by).await)
}
