//! Schedules: each replica looks at what is stored of them, and one of them fires each moment.
//!
//! What is decided is in `faas_flow_core::schedule`: this stores it, and begins the runs.

mod fire;
mod manage;
mod served;
mod stored;
mod view;

pub use manage::{AT_ONCE, BackfillBounds, BackfillPlan, Backfilled, MOST_AT_ONCE, MOST_BACKFILLED, ScheduleChange};
pub(crate) use served::Served;
pub use view::{PastView, ScheduleView};

/// The header, in lower case, with which a run learns which schedule has begun it.
pub const SCHEDULE: &str = "x-faas-flow-schedule";
/// The header, in lower case, with the moment of the schedule that the run is for, as RFC 3339 writes it.
pub const SCHEDULED_AT: &str = "x-faas-flow-scheduled-at";
