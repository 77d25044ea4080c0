use crate::dag::Dag;
use crate::failure::Result;
use crate::handler::{Finally, Recover};
use crate::node::Node;
use crate::schedule::Schedule;
use crate::values::{Exhausted, Outcome, millis};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// The flow that `define` describes: its outermost dag, and what applies to a run as a whole.
#[derive(Default)]
pub struct Workflow {
    pub(crate) dag: Dag,
    pub(crate) on_failure: Option<Recover>,
    pub(crate) finally: Option<Finally>,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) on_exhausted: Exhausted,
    pub(crate) schedules: Vec<Schedule>,
}

impl Workflow {
    /// The outermost dag, the same one each time. Its start gets the body of the request, and its result is the run's.
    pub fn dag(&self) -> Dag {
        self.dag.clone()
    }

    /// Replaces the outermost dag.
    pub fn set_dag(&mut self, dag: &Dag) {
        self.dag = dag.clone();
    }

    /// Adds the only node of a flow that has just one, with the id `sync`. The caller of such a flow gets its result as
    /// the answer to the request.
    ///
    /// ```
    /// # use faas_flow::{Context, Result, Workflow};
    /// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    ///     workflow.sync_node().apply("resize").apply("watermark");
    ///     Ok(())
    /// }
    /// # faas_flow::testing::Flow::new(define).unwrap();
    /// ```
    pub fn sync_node(&mut self) -> Node {
        self.dag.node("sync")
    }

    /// Sets the failure handler, which is called once when the run has failed. It gets the failure's message. The run
    /// stays failed: what the handler returns replaces the message in the caller's answer.
    pub fn on_failure<T: Into<Vec<u8>>>(&mut self, recover: impl Fn(String) -> Result<T> + 'static) {
        self.on_failure = Some(Rc::new(move |failure| recover(failure).map(Into::into)));
    }

    /// Sets the finally handler, which is called once at the end of every run, however it ended, and after
    /// [`Workflow::on_failure`]. If it fails, the run's outcome does not change.
    pub fn finally(&mut self, finally: impl Fn(Outcome) -> Result + 'static) {
        self.finally = Some(Rc::new(finally));
    }

    /// Limits the time from the start of a run to its end, in whole milliseconds, at least 1. A run that takes longer
    /// fails.
    pub fn deadline(&mut self, time: Duration) {
        self.deadline_ms = Some(millis(time));
    }

    /// Sets what happens when a node has failed and its retries are exhausted.
    pub fn on_exhausted(&mut self, then: Exhausted) {
        self.on_exhausted = then;
    }

    /// Adds a schedule, which begins a run at each of its moments: exactly one, on whichever replica. See [`Schedule`] for an
    /// example.
    ///
    /// The name has 1 to 32 characters of `A-Z a-z 0-9 _ -` and is unique within the flow. `when` is a cron expression of five
    /// fields, or of six, of which the first is the second; a nickname such as `@daily`; or an interval such as `every 10m`.
    pub fn schedule(&mut self, name: impl Into<String>, when: impl Into<String>) -> Schedule {
        let schedule = Schedule::new(name.into(), when.into());
        self.schedules.push(schedule.clone());
        schedule
    }
}

impl fmt::Debug for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workflow")
            .field("dag", &self.dag)
            .field("has_on_failure", &self.on_failure.is_some())
            .field("has_finally", &self.finally.is_some())
            .field("deadline_ms", &self.deadline_ms)
            .field("on_exhausted", &self.on_exhausted)
            .field("schedules", &self.schedules)
            .finish()
    }
}
