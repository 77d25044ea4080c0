//! A schedule as people see it.

use faas_flow_core::schedule::{Kept, Timed};
use faas_flow_core::{Code, Millis, RunId};
use serde::Serialize;

/// How many of the next moments are shown.
const NEXT: usize = 5;

/// A schedule as people see it. Moments are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ScheduleView {
    /// Its name, unique within the flow.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,32}$", example = "nightly")]
    pub name: String,
    /// The cron expression or interval.
    #[schema(example = "0 30 2 * * *")]
    pub when: String,
    /// The time zone of the cron expression; UTC without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Berlin")]
    pub time_zone: Option<String>,
    /// What happens with moments at which no replica was running: `skip`, `one` or `all`.
    pub missed: &'static str,
    /// What happens at a moment at which the run before has not ended: `allow`, `skip`, `queue` or `replace`.
    pub overlap: &'static str,
    /// Whether it is paused.
    pub paused: bool,
    /// Its next five moments, whether it is paused or not.
    pub next: Vec<Millis>,
    /// Moments that wait for the end of the run before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Millis>,
    /// The latest run that it has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub latest: Option<RunId>,
    /// What became of the last ten moments, the newest first.
    pub past: Vec<PastView>,
}

/// What became of a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PastView {
    /// The moment, in milliseconds since the Unix epoch; of several that were missed together, the first.
    pub moment: Millis,
    /// `started`, `skipped`, `missed` or `failed`.
    pub fate: &'static str,
    /// The run, if one was to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub run: Option<RunId>,
    /// The code of the error, if the run could not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^FF[0-9]{4}$")]
    pub code: Option<Code>,
}

impl ScheduleView {
    /// A schedule with what is stored of it, if anything is.
    pub(super) fn new(timed: &Timed, kept: Option<&Kept>, now: Millis) -> Self {
        let spec = &timed.spec;
        let kept = kept.cloned().unwrap_or_default();
        let past = kept.past.into_iter().map(|past| PastView {
            moment: past.moment,
            fate: past.fate.as_str(),
            run: past.run,
            code: past.code,
        });
        Self {
            name: spec.name.clone(),
            when: spec.when.clone(),
            time_zone: spec.time_zone.clone(),
            missed: spec.missed.as_str(),
            overlap: spec.overlap.as_str(),
            paused: kept.paused,
            next: timed.when.following(now).take(NEXT).collect(),
            waiting: kept.waiting,
            latest: kept.latest,
            past: past.collect(),
        }
    }
}
