//! `/schedules…`: an operator's requests about the schedules of a flow. All of them need the token.

use super::error::Error;
use super::openapi::{On, Refusals};
use super::request::{Asked, FromQuery, Operator, Query, Target, WholeBody, path_parameter};
use super::surface::Surface;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use faas_flow_core::{Millis, RunId, parse_moment};
use faas_flow_replica::schedules::{Backfilled, MOST_BACKFILLED, ScheduleView};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A schedule of the flow.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SchedulePath {
    /// The schedule's name.
    #[param(pattern = "^[A-Za-z0-9_-]{1,32}$", example = "nightly")]
    schedule: String,
}

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { schedule: path_parameter(parts, "schedule").await })
    }
}

/// The schedules of a flow.
#[derive(Serialize, ToSchema)]
pub(super) struct Schedules {
    /// By name.
    schedules: Vec<ScheduleView>,
}

/// A run that a schedule has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct Triggered {
    /// Its request id.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    run: RunId,
}

/// Which moments are to have runs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// The beginning, which is included: a moment as RFC 3339 writes it, or milliseconds since the Unix epoch.
    #[param(value_type = String, pattern = "^[0-9TtZz:.+-]+$", example = "2026-01-01T00:00:00Z")]
    from: Millis,
    /// The end, which is not included. Moments in the future have no runs yet, whatever it is.
    #[param(value_type = String, pattern = "^[0-9TtZz:.+-]+$", example = "2026-01-02T00:00:00Z")]
    to: Millis,
    /// How many moments are handled at most.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 100, default = 100)]
    limit: usize,
}

impl FromQuery for Range {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let moment = |name: &'static str| {
            let given = query.first(name).unwrap_or_default();
            let read = given.parse().or_else(|_| parse_moment(given));
            read.map_err(|_| Error::BadParameter { name, rule: "a moment such as 2026-01-01T00:00:00Z" })
        };
        let (from, to) = (moment("from")?, moment("to")?);
        if from >= to {
            return Err(Error::BadParameter { name: "to", rule: "later than `from`" });
        }
        let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
        Ok(Self { from, to, limit: limit.unwrap_or(MOST_BACKFILLED) })
    }
}

/// The schedules of the flow, with their next and last moments
#[utoipa::path(
    get,
    path = "/schedules",
    operation_id = "schedules",
    security((), ("token" = [])),
    responses((status = 200, description = "The schedules, by name.", body = Schedules), Refusals, On<401>),
)]
pub(super) async fn list(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    _: Operator,
    _: WholeBody,
) -> Result<Json<Schedules>, Error> {
    Ok(Json(Schedules { schedules: surface.host.schedules(&flow.name).await? }))
}

/// Fire no moment of a schedule until it is resumed
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/pause",
    operation_id = "pause-schedule",
    params(SchedulePath),
    security((), ("token" = [])),
    responses((status = 200, description = "The schedule.", body = ScheduleView), Refusals, On<401>),
)]
pub(super) async fn pause(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    _: Operator,
    SchedulePath { schedule }: SchedulePath,
    _: WholeBody,
) -> Result<Json<ScheduleView>, Error> {
    Ok(Json(surface.host.pause_schedule(&flow.name, &schedule).await?))
}

/// Fire the moments of a paused schedule again, beginning with the next one
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/resume",
    operation_id = "resume-schedule",
    params(SchedulePath),
    security((), ("token" = [])),
    responses((status = 200, description = "The schedule.", body = ScheduleView), Refusals, On<401>),
)]
pub(super) async fn resume(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    _: Operator,
    SchedulePath { schedule }: SchedulePath,
    _: WholeBody,
) -> Result<Json<ScheduleView>, Error> {
    Ok(Json(surface.host.resume_schedule(&flow.name, &schedule).await?))
}

/// Begin a run of a schedule now
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/trigger",
    operation_id = "trigger-schedule",
    params(SchedulePath),
    security((), ("token" = [])),
    responses((status = 200, description = "The run, which has begun.", body = Triggered), Refusals, On<401>, On<429>),
)]
pub(super) async fn trigger(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    _: Operator,
    SchedulePath { schedule }: SchedulePath,
    _: WholeBody,
) -> Result<Json<Triggered>, Error> {
    Ok(Json(Triggered { run: surface.host.trigger_schedule(&flow.name, &schedule).await? }))
}

/// Begin a run for each past moment of a schedule that has none
///
/// A moment whose run is stored has one already. Ask again from `next`, until there is none.
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/backfill",
    operation_id = "backfill-schedule",
    params(SchedulePath, Range),
    security((), ("token" = [])),
    responses((status = 200, description = "What was done.", body = Backfilled), Refusals, On<401>, On<429>),
)]
pub(super) async fn backfill(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    _: Operator,
    SchedulePath { schedule }: SchedulePath,
    Asked(Range { from, to, limit }): Asked<Range>,
    _: WholeBody,
) -> Result<Json<Backfilled>, Error> {
    Ok(Json(surface.host.backfill_schedule(&flow.name, &schedule, (from, to), limit).await?))
}
