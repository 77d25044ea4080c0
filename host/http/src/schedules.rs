//! `/schedules…`: an operator's requests about the schedules of a flow. All of them need the token.

use super::error::Error;
use super::openapi::{On, Refusals};
use super::request::{Asked, FromQuery, Query, Target, WholeBody, path_parameter};
use super::surface::Surface;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use faas_flow_core::{FlowName, Millis, RunId, parse_moment};
use faas_flow_replica::schedules::{
    AT_ONCE, BackfillBounds, BackfillPlan, Backfilled, MOST_AT_ONCE, MOST_BACKFILLED, ScheduleChange, ScheduleView,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A schedule of the flow.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes what `OfSchedule` reads")]
struct SchedulePath {
    /// The schedule's name.
    #[param(pattern = "^[A-Za-z0-9_-]{1,32}$", example = "nightly")]
    schedule: String,
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
}

/// How much a request for a backfill does.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Bounds {
    /// How many moments are handled at most.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 100, default = 100)]
    limit: usize,
    /// The maximum number of runs of the schedule's backfills in progress at once: once it is reached, none begins.
    #[param(rename = "at-once", value_type = u32, required = false, minimum = 1, maximum = 100, default = 10)]
    at_once: usize,
}

impl FromQuery for Bounds {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let bound = |name, most: usize, unless: usize| match query.number(name)? {
            None => Ok(unless),
            Some(given) => usize::try_from(given)
                .ok()
                .filter(|given| (1..=most).contains(given))
                .ok_or(Error::BadParameter { name, rule: "a whole number from 1 to 100" }),
        };
        Ok(Self {
            limit: bound("limit", MOST_BACKFILLED, MOST_BACKFILLED)?,
            at_once: bound("at-once", MOST_AT_ONCE, AT_ONCE)?,
        })
    }
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
        Ok(Self { from, to })
    }
}

/// A request of an operator about a schedule.
pub(super) struct OfSchedule {
    surface: Arc<Surface>,
    flow: FlowName,
    schedule: String,
}

impl FromRequest<Arc<Surface>> for OfSchedule {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Arc<Surface>) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let Target(flow) = Target::from_request_parts(&mut parts, surface).await?;
        let schedule = path_parameter(&mut parts, "schedule").await;
        WholeBody::from_request(Request::from_parts(parts, body), surface).await?;
        Ok(Self { surface: surface.clone(), flow: flow.name.clone(), schedule })
    }
}

impl OfSchedule {
    async fn change(self, change: ScheduleChange) -> Result<Json<ScheduleView>, Error> {
        let Self { surface, flow, schedule } = self;
        Ok(Json(surface.host.change_schedule(&flow, &schedule, change).await?))
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
    responses((status = 200, description = "The schedule.", body = ScheduleView), Refusals, On<401>, On<409>),
)]
pub(super) async fn pause(of: OfSchedule) -> Result<Json<ScheduleView>, Error> {
    of.change(ScheduleChange::Pause).await
}

/// Fire the moments of a paused schedule again, beginning with the next one
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/resume",
    operation_id = "resume-schedule",
    params(SchedulePath),
    security((), ("token" = [])),
    responses((status = 200, description = "The schedule.", body = ScheduleView), Refusals, On<401>, On<409>),
)]
pub(super) async fn resume(of: OfSchedule) -> Result<Json<ScheduleView>, Error> {
    of.change(ScheduleChange::Resume).await
}

/// Begin a run of a schedule now
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/trigger",
    operation_id = "trigger-schedule",
    params(SchedulePath),
    security((), ("token" = [])),
    responses((status = 200, description = "The run, which has begun.", body = Triggered), Refusals, On<401>),
)]
pub(super) async fn trigger(of: OfSchedule) -> Result<Json<Triggered>, Error> {
    let OfSchedule { surface, flow, schedule } = of;
    Ok(Json(Triggered { run: surface.host.trigger_schedule(&flow, &schedule).await? }))
}

/// How many moments a backfill would handle, and the first and the last of them
#[utoipa::path(
    get,
    path = "/schedules/{schedule}/backfill",
    operation_id = "plan-backfill",
    params(SchedulePath, Range),
    security((), ("token" = [])),
    responses((status = 200, description = "What a backfill would handle.", body = BackfillPlan), Refusals, On<401>),
)]
pub(super) async fn plan_backfill(
    Asked(Range { from, to }): Asked<Range>,
    of: OfSchedule,
) -> Result<Json<BackfillPlan>, Error> {
    let OfSchedule { surface, flow, schedule } = of;
    // Up to ten thousand moments are counted.
    let count = tokio::task::spawn_blocking(move || surface.host.backfill_plan(&flow, &schedule, (from, to)));
    let plan = count.await.map_err(|_| faas_flow_replica::Error::TaskEndedEarly)??;
    Ok(Json(plan))
}

/// Begin a run for each past moment of a schedule that has none
///
/// A moment whose run is stored has one already. Ask again from `next`, until there is none.
#[utoipa::path(
    post,
    path = "/schedules/{schedule}/backfill",
    operation_id = "backfill-schedule",
    params(SchedulePath, Range, Bounds),
    security((), ("token" = [])),
    responses((status = 200, description = "What was done.", body = Backfilled), Refusals, On<401>, On<409>),
)]
pub(super) async fn backfill(
    Asked((Range { from, to }, Bounds { limit, at_once })): Asked<(Range, Bounds)>,
    of: OfSchedule,
) -> Result<Json<Backfilled>, Error> {
    let OfSchedule { surface, flow, schedule } = of;
    let bounds = BackfillBounds { limit, at_once };
    Ok(Json(surface.host.backfill_schedule(&flow, &schedule, (from, to), bounds).await?))
}
