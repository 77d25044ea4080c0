use crate::handler::{Finally, Recover};
use crate::values::millis;
use crate::{Dag, Exhausted, Node, Outcome, Result};
use std::rc::Rc;
use std::time::Duration;

/// The flow under construction.
#[derive(Default)]
pub struct Workflow {
    pub(crate) dag: Dag,
    pub(crate) on_failure: Option<Recover>,
    pub(crate) finally: Option<Finally>,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) on_exhausted: Exhausted,
}

impl Workflow {
    /// Its outermost dag.
    pub fn dag(&self) -> Dag {
        self.dag.clone()
    }

    /// Makes another dag the outermost.
    pub fn set_dag(&mut self, dag: &Dag) {
        self.dag = dag.clone();
    }

    /// The node of a flow that has only one: `sync`. Such a flow answers with its result.
    pub fn sync_node(&mut self) -> Node {
        self.dag.node("sync")
    }

    /// Sees the failure of the run, once. The run has failed all the same: what this returns is the caller's answer in
    /// place of the failure's text.
    pub fn on_failure<T: Into<Vec<u8>>>(&mut self, recover: impl Fn(String) -> Result<T> + 'static) {
        self.on_failure = Some(Rc::new(move |failure| recover(failure).map(Into::into)));
    }

    /// Runs once, however the run ends, after [`Workflow::on_failure`].
    pub fn finally(&mut self, finally: impl Fn(Outcome) -> Result + 'static) {
        self.finally = Some(Rc::new(finally));
    }

    /// The longest that a run may take from its start. Then it fails.
    pub fn deadline(&mut self, time: Duration) {
        self.deadline_ms = Some(millis(time));
    }

    /// What happens when the retries of a node run out.
    pub fn on_exhausted(&mut self, then: Exhausted) {
        self.on_exhausted = then;
    }
}
