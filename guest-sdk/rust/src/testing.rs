//! Runs a flow's closures natively, against a fake context, one by one and by their ids.
//!
//! ```
//! use faas_flow::{Context, Result, Workflow, testing::{Fake, Flow}};
//!
//! fn define(workflow: &mut Workflow, context: &Context) -> Result {
//!     let context = context.clone();
//!     workflow.sync_node().modify(move |_| Ok(context.query("name").concat()));
//!     Ok(())
//! }
//!
//! let flow = Flow::with(&Fake::new().query("name", "Adam"), define)?;
//! assert_eq!(flow.call("sync/0", "")?, b"Adam");
//! # faas_flow::Result::<()>::Ok(())
//! ```

use crate::definition::Definition;
use crate::handler::Handlers;
use crate::record::{Recorded, record};
use crate::{Context, Failure, Inputs, Level, Outcome, Request, Response, Result, State, Workflow};
use serde::{Serialize, de::DeserializeOwned};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A run's context for tests: says what it was told to, and remembers what the flow did. Clones are the same context.
#[derive(Clone, Default)]
pub struct Fake(Host);

#[derive(Default)]
struct Facts {
    request_id: String,
    flow_name: String,
    node: String,
    state: State,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    inputs: Inputs,
    values: BTreeMap<String, Vec<u8>>,
    logs: Vec<(Level, String)>,
    defining: bool,
}

impl Fake {
    /// The context of the request `test` of the flow `flow`, without query, headers, inputs or values.
    pub fn new() -> Self {
        Self::default().with(|facts| {
            facts.request_id = "test".into();
            facts.flow_name = "flow".into();
        })
    }

    /// Adds a query parameter.
    pub fn query(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|facts| facts.query.push((name.into(), value.into())))
    }

    /// Adds a header.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|facts| facts.headers.push((name.into(), value.into())))
    }

    /// Adds an input of the current node.
    pub fn input(self, predecessor: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.with(|facts| facts.inputs.0.push((predecessor.into(), data.into())))
    }

    /// Keeps a value, as JSON.
    pub fn value<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<Self> {
        let value = serde_json::to_vec(value)?;
        Ok(self.with(|facts| drop(facts.values.insert(key.into(), value))))
    }

    /// Sets the path of the current node.
    pub fn node(self, path: impl Into<String>) -> Self {
        self.with(|facts| facts.node = path.into())
    }

    /// Sets the request id.
    pub fn request_id(self, id: impl Into<String>) -> Self {
        self.with(|facts| facts.request_id = id.into())
    }

    /// Sets the state of the run.
    pub fn state(self, state: State) -> Self {
        self.with(|facts| facts.state = state)
    }

    /// The context as the flow sees it.
    pub fn context(&self) -> Context {
        Context { host: self.0.clone() }
    }

    /// A value that the flow, or the test, keeps.
    pub fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.context().get(key)
    }

    /// What the flow logged.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.0.0.borrow().logs.clone()
    }

    fn with(self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.0.0.borrow_mut());
        self
    }
}

/// A flow whose closures can be called by their ids.
pub struct Flow {
    definition: Definition,
    handlers: Handlers,
}

impl Flow {
    /// Describes the flow with an empty context.
    pub fn new(define: fn(&mut Workflow, &Context) -> Result) -> Result<Self> {
        Self::with(&Fake::new(), define)
    }

    /// Describes the flow with a context.
    pub fn with(fake: &Fake, define: fn(&mut Workflow, &Context) -> Result) -> Result<Self> {
        fake.0.0.borrow_mut().defining = true;
        let recorded = record(define, &fake.context());
        fake.0.0.borrow_mut().defining = false;
        let Recorded { definition, handlers, .. } = recorded?;
        Ok(Self { definition, handlers })
    }

    /// The definition in the JSON form that the host shows: `faas-flow graph --format definition`.
    pub fn definition(&self) -> serde_json::Value {
        serde_json::to_value(&self.definition).unwrap_or_default()
    }

    /// The ids of all closures, sorted.
    pub fn handlers(&self) -> &[String] {
        &self.definition.handlers
    }

    /// Runs a modifier.
    pub fn call(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<u8>> {
        self.handlers.modify(id, data.into())
    }

    /// Runs an aggregator on named values.
    pub fn aggregate<K: Into<String>, D: Into<Vec<u8>>>(
        &self,
        id: &str,
        inputs: impl IntoIterator<Item = (K, D)>,
    ) -> Result<Vec<u8>> {
        self.handlers.aggregate(id, Inputs(inputs.into_iter().map(|(name, data)| (name.into(), data.into())).collect()))
    }

    /// Runs what chooses the branches of a condition.
    pub fn condition(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<String>> {
        self.handlers.condition(id, data.into())
    }

    /// Runs what splits the input of a for-each.
    pub fn for_each(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<(String, Vec<u8>)>> {
        self.handlers.for_each(id, data.into())
    }

    /// Runs a forwarder.
    pub fn forward(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<Vec<u8>> {
        self.handlers.forward(id, data.into())
    }

    /// Runs a request handler.
    pub fn prepare(&self, id: &str, request: Request) -> Result<Request> {
        self.handlers.prepare(id, request)
    }

    /// Runs a response handler.
    pub fn receive(&self, id: &str, response: Response) -> Result<Vec<u8>> {
        self.handlers.receive(id, response)
    }

    /// Runs a failure handler.
    pub fn recover(&self, id: &str, failure: impl Into<String>) -> Result<Vec<u8>> {
        self.handlers.recover(id, failure.into())
    }

    /// Runs the flow's finally handler.
    pub fn finally(&self, outcome: Outcome) -> Result {
        self.handlers.finally("(finally)", outcome)
    }
}

/// The context that a [`Fake`] offers.
#[derive(Clone, Default)]
pub(crate) struct Host(Rc<RefCell<Facts>>);

impl Host {
    pub(crate) fn request_id(&self) -> String {
        self.0.borrow().request_id.clone()
    }
    pub(crate) fn flow_name(&self) -> String {
        self.0.borrow().flow_name.clone()
    }
    pub(crate) fn node(&self) -> String {
        self.0.borrow().node.clone()
    }
    pub(crate) fn state(&self) -> State {
        self.0.borrow().state
    }
    pub(crate) fn query(&self, name: &str) -> Vec<String> {
        self.0.borrow().query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let facts = self.0.borrow();
        let same = facts.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.clone()).collect()
    }
    pub(crate) fn inputs(&self) -> Inputs {
        self.0.borrow().inputs.clone()
    }
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().values.get(key).cloned())
    }
    pub(crate) fn set(&self, key: &str, value: Vec<u8>) -> Result {
        self.changeable(key)?.borrow_mut().values.insert(key.into(), value);
        Ok(())
    }
    pub(crate) fn delete(&self, key: &str) -> Result {
        self.changeable(key)?.borrow_mut().values.remove(key);
        Ok(())
    }
    pub(crate) fn log(&self, level: Level, message: &str) {
        self.0.borrow_mut().logs.push((level, message.into()));
    }

    /// What the host refuses, this refuses.
    fn changeable(&self, key: &str) -> Result<&RefCell<Facts>> {
        if self.0.borrow().defining {
            return Err(Failure::Reject(format!("value `{key}` cannot be changed while the flow is being defined")));
        }
        if !(1..=256).contains(&key.len()) {
            return Err(Failure::Reject(format!("value `{key}` has a key of {} bytes, not 1 to 256", key.len())));
        }
        Ok(&self.0)
    }
}
