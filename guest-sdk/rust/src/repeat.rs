use crate::dag::{Dag, Shared, shared};
use crate::handler::Again;
use std::fmt;
use std::time::Duration;

/// How many rounds there may be unless the author says otherwise.
const MOST: u32 = 100;

pub(crate) struct RepeatModel {
    pub again: Again,
    pub dag: Dag,
    pub most: u32,
    pub wait_ms: u64,
}

impl RepeatModel {
    pub fn new(again: Again) -> Shared<Self> {
        shared(Self { again, dag: Dag::new(), most: MOST, wait_ms: 0 })
    }
}

/// A dag that runs again on its own result. Made by [`Dag::repeat`].
///
/// Each time that the dag runs is a round. The first one begins with the node's input, each further one with the result of the
/// one before. The result of the last one is the node's output.
///
/// ```
/// use faas_flow::{Context, Result, Workflow};
/// use std::time::Duration;
///
/// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///     let poll = workflow.dag().repeat("poll", |status: Vec<u8>, _round| Ok(status != b"done"));
///     poll.dag().node("ask").apply("job-status");
///     poll.most(60).wait(Duration::from_secs(60));
///     Ok(())
/// }
/// # faas_flow::testing::Flow::new(define).unwrap();
/// ```
#[derive(Clone)]
pub struct Repeat {
    pub(crate) model: Shared<RepeatModel>,
}

impl Repeat {
    /// The dag that each round runs, the same one each time.
    #[must_use = "a repeat whose dag has no nodes is not valid"]
    pub fn dag(&self) -> Dag {
        self.model.borrow().dag.clone()
    }

    /// Limits how many rounds there are, from 1 to 1,000. By default there are at most 100. If the closure wants another round
    /// after the last one, the node fails.
    pub fn most(&self, rounds: u32) -> Self {
        self.model.borrow_mut().most = rounds;
        self.clone()
    }

    /// Waits between two rounds, at most 30 days. By default the next one begins at once. Nothing is held during the wait, and
    /// fractions of a millisecond are dropped.
    pub fn wait(&self, wait: Duration) -> Self {
        self.model.borrow_mut().wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.clone()
    }
}

impl fmt::Debug for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.borrow();
        f.debug_struct("Repeat").field("most", &model.most).field("wait_ms", &model.wait_ms).finish_non_exhaustive()
    }
}
