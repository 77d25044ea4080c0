use crate::dag::{Shared, shared};
use crate::definition as plain;
use crate::values::{Missed, Overlap};
use std::fmt;

/// A schedule, which begins runs of the flow. Made by [`Workflow::schedule`](crate::Workflow::schedule).
///
/// The request of a run that it has begun has two headers: `X-Faas-Flow-Schedule` with the schedule's name, and
/// `X-Faas-Flow-Scheduled-At` with the moment that the run is for, such as `2026-12-01T01:30:00Z`. A run that begins late, or
/// that is begun later for a moment of the past, finds its own moment there.
///
/// ```
/// use faas_flow::{Context, Missed, Overlap, Result, Workflow};
///
/// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///     workflow.sync_node().apply("import");
///     let nightly = workflow.schedule("nightly", "0 30 2 * * *");
///     nightly.time_zone("Europe/Berlin").missed(Missed::One).overlap(Overlap::Skip);
///     workflow.schedule("poll", "every 10m");
///     Ok(())
/// }
/// # faas_flow::testing::Flow::new(define).unwrap();
/// ```
#[derive(Clone)]
pub struct Schedule {
    pub(crate) model: Shared<plain::Schedule>,
}

impl Schedule {
    pub(crate) fn new(name: String, when: String) -> Self {
        Self { model: shared(plain::Schedule { name, when, ..plain::Schedule::default() }) }
    }

    /// Sets the time zone of a cron expression, by its name in the IANA database: `Europe/Berlin`. By default it is UTC. An
    /// interval has no time zone.
    pub fn time_zone(&self, name: impl Into<String>) -> Self {
        self.model.borrow_mut().time_zone = Some(name.into());
        self.clone()
    }

    /// Sets what happens with moments at which no replica was running.
    pub fn missed(&self, then: Missed) -> Self {
        self.model.borrow_mut().missed = then;
        self.clone()
    }

    /// Sets what happens at a moment at which the previous run has not ended.
    pub fn overlap(&self, then: Overlap) -> Self {
        self.model.borrow_mut().overlap = then;
        self.clone()
    }

    /// Sets the body of the request of each run, at most 64 KiB, and its media type, such as `application/json`. An empty media
    /// type is `application/octet-stream`. By default the body is empty.
    pub fn input(&self, body: impl Into<Vec<u8>>, media_type: impl Into<String>) -> Self {
        let input = plain::ScheduleInput { body: body.into(), media_type: media_type.into() };
        self.model.borrow_mut().input = Some(input);
        self.clone()
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.borrow();
        f.debug_struct("Schedule").field("name", &model.name).field("when", &model.when).finish_non_exhaustive()
    }
}
