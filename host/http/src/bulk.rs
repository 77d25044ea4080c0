//! One action for many runs: those that a filter finds.

use super::error::Error;
use super::filter::RunFilter;
use super::openapi::{On, Refusals};
use super::request::{Asked, Asker, FromQuery, Query, Target, WholeBody};
use super::surface::Surface;
use axum::Json;
use axum::extract::State;
use faas_flow_core::run::Actor;
use faas_flow_core::{Code, FlowName, RunId, Status};
use faas_flow_replica::Host;
use faas_flow_store::{Cursor, RunEntry, RunPage, RunQuery};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// How many runs one request changes at most, and how many of them at the same time.
const AT_MOST: usize = 100;
const AT_ONCE: usize = 8;
/// After this time a request changes no more of them, so that no gateway cuts it off: to stop a run may take seconds.
const LONG: Duration = Duration::from_secs(10);
/// How many runs are counted at most where the store has no number.
const COUNTED: usize = 100_000;
/// How many runs are read at a time to count them.
const PAGE: usize = 1000;

/// What to do with runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// Pause those that are running.
    Pause,
    /// Resume those that are paused.
    Resume,
    /// Stop those that have not ended.
    Stop,
    /// Run what failed or was cut off again, of those that failed or were stopped.
    Rerun,
    /// Delete those that have ended, with everything that is stored of them.
    Delete,
}

impl BulkAction {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Pause, Self::Resume, Self::Stop, Self::Rerun, Self::Delete];

    /// Its name in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Rerun => "rerun",
            Self::Delete => "delete",
        }
    }

    /// What has been done to a run then.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Stop => "stopped",
            Self::Rerun => "run again",
            Self::Delete => "deleted",
        }
    }

    /// The action with a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// The states of the runs to which it is done.
    const fn states(self) -> &'static [Status] {
        match self {
            Self::Pause => &[Status::Running],
            Self::Resume => &[Status::Paused],
            Self::Stop => &[Status::Running, Status::Paused],
            Self::Rerun => &[Status::Failed, Status::Stopped],
            Self::Delete => &[Status::Succeeded, Status::Failed, Status::Stopped],
        }
    }

    /// Whether it is done to runs in this state; `None` stands for any.
    pub(crate) fn is_possible(self, status: Option<Status>) -> bool {
        status.is_none_or(|status| {
            self.states().contains(&status) || (self == Self::Rerun && status == Status::Succeeded)
        })
    }

    async fn perform(self, host: &Arc<Host>, run: &RunId, by: Option<&Actor>) -> Result<(), faas_flow_replica::Error> {
        match self {
            Self::Pause => host.pause(run, by).await,
            Self::Resume => host.resume(run, by).await,
            Self::Stop => host.stop(run, by).await.map(drop),
            Self::Rerun => host.rerun(run, None, None, by).await,
            Self::Delete => host.delete(run).await,
        }
    }
}

/// What to do with the runs that are found.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// `pause` those that are running, `resume` those that are paused, `stop` those that have not ended, `rerun` those that failed or were
    /// stopped (what failed or was cut off), or `delete` those that have ended.
    #[param(value_type = String, pattern = "^(pause|resume|stop|rerun|delete)$")]
    pub action: BulkAction,
    /// Only count the runs.
    #[param(rename = "dry-run", value_type = String, required = false, pattern = "^(true|false|)$")]
    pub dry_run: bool,
    /// Needed if there is no other condition: change all runs of the flow.
    #[param(value_type = String, required = false, pattern = "^(true|false|)$")]
    pub all: bool,
    /// The `next` of the previous answer.
    #[param(value_type = String, required = false)]
    pub after: Option<BulkPlace>,
}

impl FromQuery for BulkQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let bad = |name, rule| Error::BadParameter { name, rule };
        let action = query.first("action").and_then(BulkAction::parse);
        let after = query.first("after").filter(|after| !after.is_empty());
        let after = after.map(|after| BulkPlace::parse(after).ok_or(bad("after", "the `next` of an answer")));
        Ok(Self {
            action: action.ok_or(bad("action", "pause, resume, stop, rerun or delete"))?,
            dry_run: query.switch("dry-run")?,
            all: query.switch("all")?,
            after: after.transpose()?,
        })
    }
}

/// How far an action has come: all runs with an earlier state in its order are done, and of this state those before a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkPlace {
    state: Status,
    after: Option<Cursor>,
}

impl BulkPlace {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (state, after) = text.split_once('.')?;
        let after = if after.is_empty() { None } else { Some(Cursor::parse(after)?) };
        Some(Self { state: Status::parse(state)?, after })
    }
}

impl fmt::Display for BulkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.state)?;
        self.after.as_ref().map_or(Ok(()), |after| after.fmt(f))
    }
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct BulkDone {
    /// How many runs would be changed; only for a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<u64>,
    /// Whether these are all of them; only for a dry run. Otherwise there are more, which were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// The runs that were changed.
    #[schema(value_type = Vec<String>)]
    pub changed: Vec<RunId>,
    /// Those that were not, and why.
    pub failed: Vec<BulkFailure>,
    /// What to give as `after` to continue; missing if all are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Why a run was not changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BulkFailure {
    /// The run.
    #[schema(value_type = String)]
    pub request_id: RunId,
    /// The code of the error.
    #[schema(value_type = String, pattern = "^FF[0-9]{4}$")]
    pub code: Code,
    /// What is wrong.
    pub message: String,
}

/// An action for the runs that a filter finds.
pub(crate) struct Bulk {
    pub(crate) action: BulkAction,
    pub(crate) filter: RunFilter,
    pub(crate) flow: Option<FlowName>,
}

impl Bulk {
    /// The states of the runs that are to be changed, in order.
    fn states(&self) -> Result<Vec<Status>, Error> {
        let states = self.action.states();
        match self.filter.status {
            None => Ok(states.to_vec()),
            // Runs that have succeeded run again only if somebody asks for these.
            Some(state) if self.action.is_possible(Some(state)) => Ok(vec![state]),
            Some(_) => Err(Error::BadParameter { name: "status", rule: "a state in which the action is possible" }),
        }
    }

    fn query(&self, host: &Host, state: Status, (after, limit): (Option<Cursor>, usize)) -> RunQuery {
        let filter = RunFilter { status: Some(state), ..self.filter.clone() };
        filter.query(self.flow.as_ref(), host.now(), (after, limit))
    }

    /// How many runs would be changed, and whether these are all.
    pub(crate) async fn count(&self, host: &Host) -> Result<BulkDone, Error> {
        let states = self.states()?;
        let (mut matching, mut complete) = (0, true);
        if (RunFilter { status: None, ..self.filter.clone() }) == RunFilter::default() {
            let counts = host.counts(self.flow.as_ref()).await?;
            matching = states.iter().map(|state| counts.of(*state)).sum();
            complete = counts.complete;
        } else {
            for state in states {
                let mut query = self.query(host, state, (None, PAGE));
                let mut read = 0;
                loop {
                    let page = host.list(&query).await?;
                    matching += page.runs.len() as u64;
                    read += PAGE;
                    query.after = page.next;
                    if query.after.is_none() {
                        break;
                    }
                    if read >= COUNTED {
                        complete = false;
                        break;
                    }
                }
            }
        }
        Ok(BulkDone { matching: Some(matching), complete: Some(complete), ..BulkDone::default() })
    }

    /// Changes the next runs, at most [`AT_MOST`] of them.
    pub(crate) async fn perform(
        &self,
        host: &Arc<Host>,
        place: Option<BulkPlace>,
        by: Option<&Actor>,
    ) -> Result<BulkDone, Error> {
        let states = self.states()?;
        let reached = place.as_ref().map(|place| place.state);
        let mut places = states.iter().skip_while(|state| reached.is_some_and(|reached| reached != **state));
        let Some(state) = places.next() else {
            return Err(Error::BadParameter { name: "after", rule: "the `next` of an answer to the same action" });
        };
        let after = place.and_then(|place| place.after);
        let RunPage { runs, next: mut behind } = host.list(&self.query(host, *state, (after, AT_MOST))).await?;
        let mut done = BulkDone::default();
        let began = Instant::now();
        let mut rest = runs.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(AT_ONCE.min(rest.len()));
            let outcomes = join_all(now.iter().map(|entry| self.action.perform(host, &entry.run, by))).await;
            for (RunEntry { run, .. }, outcome) in now.iter().zip(outcomes) {
                match outcome {
                    Ok(()) => done.changed.push(run.clone()),
                    Err(error) => {
                        let (code, message) = (error.code(), error.to_string());
                        done.failed.push(BulkFailure { request_id: run.clone(), code, message });
                    }
                }
            }
            rest = later;
            if !rest.is_empty() && began.elapsed() >= LONG {
                // The next request goes on behind those that are done.
                behind = now.last().map(Cursor::behind);
                break;
            }
        }
        let next = match behind {
            Some(after) => Some(BulkPlace { state: *state, after: Some(after) }),
            None => places.next().map(|state| BulkPlace { state: *state, after: None }),
        };
        done.next = next.map(|next| next.to_string());
        Ok(done)
    }
}

/// Pause, resume, stop, run again or delete the runs that match
///
/// One request changes at most 100 runs. Ask again with `after` until there is no `next`. A run that begins meanwhile may be left out. With `dry-run`, runs are only counted.
#[utoipa::path(
    post,
    path = "/flow",
    operation_id = "change-runs",
    params(RunFilter, BulkQuery),
    security((), ("token" = [])),
    responses((status = 200, description = "What was done.", body = BulkDone), Refusals, On<401>),
)]
pub(super) async fn change(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    Asked((filter, bulk)): Asked<(RunFilter, BulkQuery)>,
    Asker(by): Asker,
    _: WholeBody,
) -> Result<Json<BulkDone>, Error> {
    let BulkQuery { action, dry_run, all, after } = bulk;
    if !dry_run && !all && filter == RunFilter::default() {
        return Err(Error::BadParameter {
            name: "all",
            rule: "true to change all runs of the flow, without any condition",
        });
    }
    let bulk = Bulk { action, filter, flow: Some(flow.name.clone()) };
    let host = &surface.host;
    let done = if dry_run { bulk.count(host).await? } else { bulk.perform(host, after, by.as_ref()).await? };
    Ok(Json(done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        let run = RunId::new("r1").unwrap();
        for after in [None, Some(Cursor { started: 5, run })] {
            let place = BulkPlace { state: Status::Paused, after };
            assert_eq!(BulkPlace::parse(&place.to_string()), Some(place));
        }
        for bad in ["", "paused", "happy.", "paused.x", ".5.r"] {
            assert_eq!(BulkPlace::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_action_is_for_runs_in_some_states() {
        let states = |action, status| {
            let filter = RunFilter { status, ..RunFilter::default() };
            Bulk { action, filter, flow: None }.states().map_err(|error| error.code())
        };
        assert_eq!(states(BulkAction::Stop, None), Ok(vec![Status::Running, Status::Paused]));
        assert_eq!(states(BulkAction::Stop, Some(Status::Paused)), Ok(vec![Status::Paused]));
        assert_eq!(states(BulkAction::Rerun, Some(Status::Succeeded)), Ok(vec![Status::Succeeded]));
        assert_eq!(states(BulkAction::Delete, Some(Status::Running)), Err(Code::BAD_REQUEST));
        assert!(!states(BulkAction::Rerun, None).unwrap().contains(&Status::Succeeded));
    }
}
