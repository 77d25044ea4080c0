//! Tests of a flow, without WebAssembly.
//!
//! [`run()`] runs a whole flow, with functions of the test in place of those that it calls. [`Flow`] calls the closures
//! one by one, by their handler ids. [`Fake`] is the context that they see.
//!
//! ```
//! use faas_flow::testing::{Fake, Flow, run_with};
//! use faas_flow::{Context, Result, Workflow};
//!
//! fn define(workflow: &mut Workflow, context: &Context) -> Result {
//!     let context = context.clone();
//!     workflow.sync_node().modify(move |_| Ok(format!("Hello, {}!", context.query("name").concat())));
//!     Ok(())
//! }
//!
//! let run = run_with(&Fake::new().query("name", "Adam"), define, "");
//! assert_eq!(run.result(), b"Hello, Adam!");
//!
//! let flow = Flow::with(&Fake::new().query("name", "Adam"), define)?;
//! assert_eq!(flow.modify("sync/0", "")?, b"Hello, Adam!");
//! # faas_flow::Result::<()>::Ok(())
//! ```

mod fake;
mod run;

pub use fake::Fake;
pub(crate) use fake::Host;
pub use run::{Answer, Call, Run, run, run_with};

use crate::context::Context;
use crate::definition::Definition;
use crate::failed::{Failed, Gathered};
use crate::failure::Result;
use crate::handler::Handlers;
use crate::http::{Request, Response};
use crate::inputs::Inputs;
use crate::record::{Recorded, record};
use crate::values::{Outcome, Wake};
use crate::workflow::Workflow;
use std::fmt;

/// A flow whose closures can be called by their handler ids. How ids are formed is described
/// [at the crate's root](crate#handler-ids).
pub struct Flow {
    definition: Definition,
    handlers: Handlers,
    fake: Fake,
}

/// Every method that calls a closure returns what the closure returns. It rejects an id that the flow does not have, or
/// whose closure is of another kind.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl Flow {
    /// Runs `define` with a context that knows nothing: see [`Fake::new`].
    ///
    /// # Errors
    ///
    /// The failure that `define` returns, or a dag that contains itself.
    pub fn new(define: impl FnOnce(&mut Workflow, &Context) -> Result) -> Result<Self> {
        Self::with(&Fake::new(), define)
    }

    /// Runs `define` with this context.
    ///
    /// # Errors
    ///
    /// As for [`Flow::new`].
    pub fn with(fake: &Fake, define: impl FnOnce(&mut Workflow, &Context) -> Result) -> Result<Self> {
        let Recorded { definition, handlers, .. } = fake.defining(|context| record(define, context))?;
        Ok(Self { definition, handlers, fake: fake.clone() })
    }

    /// The definition, in the JSON form that `faas-flow graph --format definition` prints.
    pub fn definition(&self) -> serde_json::Value {
        serde_json::to_value(&self.definition).unwrap_or_default()
    }

    /// The handler ids of all closures, sorted.
    pub fn handlers(&self) -> &[String] {
        &self.definition.handlers
    }

    /// Calls a modifier.
    pub fn modify(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.modify(id, data.into()))
    }

    #[doc(hidden)]
    #[deprecated(since = "0.1.0", note = "use `modify`")]
    pub fn call(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<u8>> {
        self.modify(id, data)
    }

    /// Calls an aggregator with named values.
    pub fn aggregate<K: Into<String>, D: Into<Vec<u8>>>(
        &self,
        id: &str,
        inputs: impl IntoIterator<Item = (K, D)>,
    ) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.aggregate(id, Inputs::from_iter(inputs)))
    }

    /// Calls the closure that chooses the branches of a condition, and returns their keys.
    pub fn condition(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<String>> {
        self.fake.calling(|| self.handlers.condition(id, data.into()))
    }

    /// Calls the closure that splits the input of a for-each, and returns the items with their keys.
    pub fn for_each(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<(String, Vec<u8>)>> {
        self.fake.calling(|| self.handlers.for_each(id, data.into()))
    }

    /// Calls the closure that says whether a repeat runs again, with the result of a round and its number, from 1.
    pub fn again(&self, id: &str, data: impl Into<Vec<u8>>, round: u32) -> Result<bool> {
        self.fake.calling(|| self.handlers.again(id, (data.into(), round)))
    }

    /// Calls the closure that names the key of a limit for the data of a call or a node.
    pub fn key(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<String> {
        self.fake.calling(|| self.handlers.key(id, data.into()))
    }

    /// Calls the forwarder of an edge.
    pub fn forward(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.forward(id, data.into()))
    }

    /// Calls the closure that prepares the request of a call.
    pub fn prepare(&self, id: &str, request: Request) -> Result<Request> {
        self.fake.calling(|| self.handlers.prepare(id, request))
    }

    /// Calls the closure that receives the response of a call.
    pub fn receive(&self, id: &str, response: Response) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.receive(id, response))
    }

    /// Calls the closure that recovers from the failure of a call, or the failure handler of the flow: `(failure)`.
    pub fn recover(&self, id: &str, failure: impl Into<String>) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.recover(id, failure.into()))
    }

    /// Calls the closure that catches the failure of a call, a node or a dag.
    pub fn recover_from(&self, id: &str, failed: Failed) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.recover_from(id, failed))
    }

    /// Calls the closure that gathers the items of a for-each.
    pub fn gather(&self, id: &str, items: impl IntoIterator<Item = Gathered>) -> Result<Vec<u8>> {
        self.fake.calling(|| self.handlers.gather(id, items.into_iter().collect()))
    }

    /// Calls the closure that names the moment until which a node sleeps.
    pub fn moment(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Wake> {
        self.fake.calling(|| self.handlers.moment(id, data.into()))
    }

    /// Calls the closure that names the signal that a node waits for.
    pub fn signal_name(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<String> {
        self.fake.calling(|| self.handlers.signal_name(id, data.into()))
    }

    /// Calls the finally handler of the flow.
    pub fn finally(&self, outcome: Outcome) -> Result {
        self.fake.calling(|| self.handlers.finally("(finally)", outcome))
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("definition", &self.definition).finish_non_exhaustive()
    }
}
