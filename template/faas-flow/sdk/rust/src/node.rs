use crate::dag::{Shared, shared};
use crate::handler::{Modify, Prepare, Receive, Recover};
use crate::values::millis;
use crate::{Backoff, Dag, Inputs, Request, Response, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::rc::Rc;
use std::time::Duration;

/// A node that runs operations one after the other, each on the output of the one before.
#[derive(Clone)]
pub struct Node {
    pub(crate) dag: Dag,
    pub(crate) id: Rc<str>,
    pub(crate) operations: Shared<Operations>,
}

#[derive(Default)]
pub(crate) struct Operations {
    pub list: Vec<Operation>,
    pub retry: Option<Backoff>,
    pub timeout_ms: Option<u64>,
}

pub(crate) enum Operation {
    Apply(Shared<CallModel>),
    Request(Shared<CallModel>),
    Modify(Modify),
}

#[derive(Default)]
pub(crate) struct CallModel {
    pub target: String,
    pub method: Option<String>,
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub prepare: Option<Prepare>,
    pub receive: Option<Receive>,
    pub recover: Option<Recover>,
    pub retry: Option<Backoff>,
    pub retry_on: Vec<u16>,
    pub timeout_ms: Option<u64>,
}

impl Node {
    /// Calls an OpenFaaS function by its name, which may be followed by a path: `func1` or `func1/path`.
    pub fn apply(&self, function: impl Into<String>) -> Call {
        self.call(function.into(), Operation::Apply)
    }

    /// Calls a URL, `http` or `https`.
    pub fn request(&self, url: impl Into<String>) -> Call {
        self.call(url.into(), Operation::Request)
    }

    /// Runs the flow's own code.
    pub fn modify<T: Into<Vec<u8>>>(&self, modifier: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Self {
        let modifier = Rc::new(move |data| modifier(data).map(Into::into));
        self.operations.borrow_mut().list.push(Operation::Modify(modifier));
        self.clone()
    }

    /// Runs the flow's own code on JSON.
    pub fn modify_json<I: DeserializeOwned, O: Serialize>(&self, modifier: impl Fn(I) -> Result<O> + 'static) -> Self {
        self.modify(move |data| Ok(serde_json::to_vec(&modifier(serde_json::from_slice(&data)?)?)?))
    }

    /// Merges the node's inputs, by predecessor: [`Dag::aggregate_inputs`].
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Self {
        self.dag.aggregate_inputs(&*self.id, aggregator);
        self.clone()
    }

    /// How to try the whole node again, from its first operation, when an operation failed for good.
    pub fn retry(&self, policy: Backoff) -> Self {
        self.operations.borrow_mut().retry = Some(policy);
        self.clone()
    }

    /// The longest that one try of the node may take.
    pub fn timeout(&self, time: Duration) -> Self {
        self.operations.borrow_mut().timeout_ms = Some(millis(time));
        self.clone()
    }

    fn call(&self, target: String, operation: fn(Shared<CallModel>) -> Operation) -> Call {
        let model = shared(CallModel { target, ..CallModel::default() });
        self.operations.borrow_mut().list.push(operation(model.clone()));
        Call { node: self.clone(), model }
    }
}

/// One call of a function or URL: its options, and the node's next operations.
///
/// The body is the data that reached the operation; the method is `POST` unless [`Call::method`] says otherwise; the
/// output is the body of a response with a status from 200 to 299.
#[derive(Clone)]
pub struct Call {
    node: Node,
    model: Shared<CallModel>,
}

impl Call {
    /// The HTTP method.
    pub fn method(&self, name: impl Into<String>) -> Self {
        self.with(|call| call.method = Some(name.into()))
    }

    /// Adds a header; a name may be given several times.
    pub fn header(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|call| call.headers.push((name.into(), value.into())))
    }

    /// Adds a query parameter, which the host percent-encodes.
    pub fn query(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|call| call.query.push((name.into(), value.into())))
    }

    /// Sees, and may change, each request before it is sent.
    pub fn prepare(&self, prepare: impl Fn(Request) -> Result<Request> + 'static) -> Self {
        self.with(|call| call.prepare = Some(Rc::new(prepare)))
    }

    /// Turns a response of any status into data.
    ///
    /// With it no status is a failure by itself, so none is tried again: of a status that may pass, the closure returns
    /// [`Failure::Retry`](crate::Failure::Retry), and the policy of [`Call::retry`] holds. [`Call::retry_on`] has no
    /// meaning then.
    pub fn receive<T: Into<Vec<u8>>>(&self, receive: impl Fn(Response) -> Result<T> + 'static) -> Self {
        self.with(|call| call.receive = Some(Rc::new(move |response| receive(response).map(Into::into))))
    }

    /// Turns the call's failure, when its retries ran out, into data to go on with, or into another failure.
    pub fn recover<T: Into<Vec<u8>>>(&self, recover: impl Fn(String) -> Result<T> + 'static) -> Self {
        self.with(|call| call.recover = Some(Rc::new(move |failure| recover(failure).map(Into::into))))
    }

    /// How to try this call again: after connection errors, timeouts, a closure's
    /// [`Failure::Retry`](crate::Failure::Retry), and, unless [`Call::receive`] sees the responses, the statuses 408, 429
    /// and 5xx or those of [`Call::retry_on`].
    pub fn retry(&self, policy: Backoff) -> Self {
        self.with(|call| call.retry = Some(policy))
    }

    /// The statuses of a response, 100 to 599, after which the call is tried again as [`Call::retry`] says, in place of
    /// 408, 429 and 5xx.
    pub fn retry_on(&self, statuses: &[u16]) -> Self {
        self.with(|call| call.retry_on = statuses.to_vec())
    }

    /// The longest that one try of the call may take.
    pub fn timeout(&self, time: Duration) -> Self {
        self.with(|call| call.timeout_ms = Some(millis(time)))
    }

    /// The node's next operation: [`Node::apply`].
    pub fn apply(&self, function: impl Into<String>) -> Call {
        self.node.apply(function)
    }

    /// The node's next operation: [`Node::request`].
    pub fn request(&self, url: impl Into<String>) -> Call {
        self.node.request(url)
    }

    /// The node's next operation: [`Node::modify`].
    pub fn modify<T: Into<Vec<u8>>>(&self, modifier: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Node {
        self.node.modify(modifier)
    }

    /// The node's next operation: [`Node::modify_json`].
    pub fn modify_json<I: DeserializeOwned, O: Serialize>(&self, modifier: impl Fn(I) -> Result<O> + 'static) -> Node {
        self.node.modify_json(modifier)
    }

    /// Merges the node's inputs: [`Node::aggregator`].
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Node {
        self.node.aggregator(aggregator)
    }

    fn with(&self, change: impl FnOnce(&mut CallModel)) -> Self {
        change(&mut self.model.borrow_mut());
        self.clone()
    }
}
