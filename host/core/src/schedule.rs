//! Schedules: at which moments runs of a flow begin by themselves, and what is stored of that.
//!
//! Everything here is pure: the time is an argument. `host/replica` stores a flow's [`Schedules`] and begins the runs that they
//! decide on.

mod entry;
mod kept;
mod spec;
mod when;

pub use entry::{ScheduleEntry, pointless};
pub use kept::{Decided, Fate, Firing, Kept, LATE, MOST_CAUGHT_UP, MOST_WAITING, Passed, Past, Schedules};
pub use spec::{BadSchedule, LONGEST_INPUT, MOST_SCHEDULES, Missed, Overlap, Schedule, ScheduleInput, Timed, run_of};
pub use when::When;
