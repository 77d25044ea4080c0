use crate::backoff::Backoff;
use crate::dag::{Dag, Shared, shared};
use crate::failed::Failed;
use crate::failure::Result;
use crate::handler::{Modify, Moment, Prepare, Receive, Recover, RecoverFrom};
use crate::http::{Request, Response};
use crate::inputs::Inputs;
use crate::limit::Limit;
use crate::signal::{SignalSource, SignalWait, WaitModel};
use crate::values::{Wake, millis};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::export::Host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::Host;

/// A node that runs operations one after the other, each on the output of the one before. Made by [`Dag::node`].
///
/// ```
/// use faas_flow::{Backoff, Dag};
/// use std::time::Duration;
///
/// let dag = Dag::new();
/// let node = dag.node("thumbnail");
/// node.apply("resize").query("width", "80").modify(|image| Ok([b"thumbnail:", image.as_slice()].concat()));
/// node.retry(Backoff::attempts(3)).timeout(Duration::from_secs(30));
/// ```
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
    pub limit: Option<Limit>,
}

pub(crate) enum Operation {
    Apply(Shared<CallModel>),
    Request(Shared<CallModel>),
    Modify(Modify),
    Sleep(u64),
    SleepUntil(Moment),
    WaitFor(Shared<WaitModel>),
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
    pub recover_from: Option<RecoverFrom>,
    pub retry: Option<Backoff>,
    pub retry_on: Vec<u16>,
    pub timeout_ms: Option<u64>,
    pub asynchronous: bool,
    pub limit: Option<Limit>,
}

impl Node {
    /// Adds a call of an OpenFaaS function. The name may be followed by a path: `func1` or `func1/path`.
    ///
    /// If the function is a flow, the call begins a run of it, and waits for the end of that run without holding
    /// anything: its result is the response, and its failure that of the call. The same call, repeated, is the same
    /// run. It is stopped if this run ends without it. At most 16 runs may be nested in this way.
    ///
    /// For a function that takes longer than a request may, see [`Call::asynchronous`].
    pub fn apply(&self, function: impl Into<String>) -> Call {
        self.call(function.into(), Operation::Apply)
    }

    /// Adds a request to a URL, `http` or `https`.
    pub fn request(&self, url: impl Into<String>) -> Call {
        self.call(url.into(), Operation::Request)
    }

    /// Adds a call of the flow's own code.
    pub fn modify<T: Into<Vec<u8>>>(&self, modifier: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Self {
        let modifier = Rc::new(move |data| modifier(data).map(Into::into));
        self.operations.borrow_mut().list.push(Operation::Modify(modifier));
        self.clone()
    }

    /// Adds a call of the flow's own code that reads and writes JSON. Data that is not JSON of the closure's type is
    /// rejected, and what the closure returns has the media type `application/json`.
    ///
    /// ```
    /// use faas_flow::{Context, Result, Workflow, testing::Flow};
    ///
    /// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    ///     workflow.dag().node("sum").modify_json(|numbers: Vec<u32>| Ok(numbers.iter().sum::<u32>()));
    ///     Ok(())
    /// }
    ///
    /// assert_eq!(Flow::new(define)?.modify("sum/0", "[1, 2, 3]")?, b"6");
    /// # faas_flow::Result::<()>::Ok(())
    /// ```
    pub fn modify_json<I: DeserializeOwned, O: Serialize>(&self, modifier: impl Fn(I) -> Result<O> + 'static) -> Self {
        self.modify(move |data| {
            let json = serde_json::to_vec(&modifier(serde_json::from_slice(&data)?)?)?;
            Host::returns_json();
            Ok(json)
        })
    }

    /// Adds a sleep: the data is passed on unchanged after this time, in whole milliseconds, at most 366 days.
    ///
    /// A node that sleeps is stored, and nothing is held for it. Its [`Node::timeout`] does not count the sleep; the
    /// deadline of the run does.
    ///
    /// ```
    /// use faas_flow::Dag;
    /// use std::time::Duration;
    ///
    /// let dag = Dag::new();
    /// dag.node("reminder").sleep(Duration::from_secs(2 * 24 * 3600)).apply("send-mail");
    /// ```
    pub fn sleep(&self, time: Duration) -> Self {
        self.operations.borrow_mut().list.push(Operation::Sleep(millis(time)));
        self.clone()
    }

    /// Adds a sleep until a moment that a closure names for the data: one that it finds there, or a time from now. The
    /// flow's code itself has no clock. A moment in the past does not sleep. One that is malformed, or more than 366 days
    /// away, fails the node.
    ///
    /// ```
    /// use faas_flow::{Dag, Wake};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     // 2026-12-24T18:00:00+01:00
    ///     delivered: String,
    /// }
    ///
    /// let dag = Dag::new();
    /// let node = dag.node("ask-for-a-review");
    /// node.sleep_until(|order| Ok(Wake::at(serde_json::from_slice::<Order>(&order)?.delivered))).apply("send-mail");
    /// ```
    pub fn sleep_until(&self, moment: impl Fn(Vec<u8>) -> Result<Wake> + 'static) -> Self {
        self.operations.borrow_mut().list.push(Operation::SleepUntil(Rc::new(moment)));
        self.clone()
    }

    /// Adds a wait for a signal: a named message that is sent to the run, with `POST /flow/ID/signal/NAME`,
    /// `faas-flow signal`, or an address from [`Context::signal_url`](crate::Context::signal_url). The body of the signal is the
    /// output.
    ///
    /// Each signal is received by one node: the one that has waited for it the longest. One that is sent before a node waits
    /// for it is kept until one does. Nothing is held while the node waits. Its [`Node::timeout`] does not count the wait; the
    /// deadline of the run does. If the node is tried again, it keeps the signal that it has.
    ///
    /// The name has 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
    ///
    /// ```
    /// use faas_flow::Dag;
    ///
    /// Dag::new().node("ship").wait_for("paid").apply("ship-order");
    /// ```
    pub fn wait_for(&self, signal: impl Into<String>) -> SignalWait {
        self.wait(SignalSource::Named(signal.into()))
    }

    /// Adds a wait as [`Node::wait_for`] does, for the signal that a closure names for the data: so each item of a for-each can
    /// wait for a signal of its own. A malformed name fails the node.
    ///
    /// ```
    /// use faas_flow::Dag;
    ///
    /// Dag::new().node("signature").wait_for_named(|person| Ok(format!("signed-by-{}", String::from_utf8(person)?)));
    /// ```
    pub fn wait_for_named(&self, name: impl Fn(Vec<u8>) -> Result<String> + 'static) -> SignalWait {
        self.wait(SignalSource::Handler(Rc::new(name)))
    }

    fn wait(&self, signal: SignalSource) -> SignalWait {
        let model = WaitModel::new(signal);
        self.operations.borrow_mut().list.push(Operation::WaitFor(model.clone()));
        SignalWait { node: self.clone(), model }
    }

    /// Merges the node's inputs, named by predecessor, before its first operation. The same as
    /// [`Dag::input_aggregator`].
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Self {
        self.dag.input_aggregator(&*self.id, aggregator);
        self.clone()
    }

    /// Catches the failure of the node when its retries are exhausted. What the closure returns is the node's output. If it
    /// fails, so does the node. The same as [`Dag::recover_node`].
    pub fn recover_from<T: Into<Vec<u8>>>(&self, recover: impl Fn(Failed) -> Result<T> + 'static) -> Self {
        self.dag.recover_node(&*self.id, recover);
        self.clone()
    }

    /// Sets the retry policy of the node. When an operation has failed and its own retries are exhausted, the node is
    /// tried again from its first operation. By default it is tried once.
    pub fn retry(&self, policy: Backoff) -> Self {
        self.operations.borrow_mut().retry = Some(policy);
        self.clone()
    }

    /// Limits the time that one try of the whole node may take, in whole milliseconds, at least 1.
    pub fn timeout(&self, time: Duration) -> Self {
        self.operations.borrow_mut().timeout_ms = Some(millis(time));
        self.clone()
    }

    /// Lets the node begin only with a permit of a limit over all runs. Each attempt holds one permit, from its first operation
    /// to its end, with all sleeps and answers that come later.
    pub fn limit(&self, limit: Limit) -> Self {
        self.operations.borrow_mut().limit = Some(limit);
        self.clone()
    }

    fn call(&self, target: String, operation: fn(Shared<CallModel>) -> Operation) -> Call {
        let model = shared(CallModel { target, ..CallModel::default() });
        self.operations.borrow_mut().list.push(operation(model.clone()));
        Call { node: self.clone(), model }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = self.operations.borrow().list.len();
        f.debug_struct("Node").field("id", &self.id).field("operations", &operations).finish_non_exhaustive()
    }
}

/// A call of a function or URL, made by [`Node::apply`] or [`Node::request`]: its options, and the node's next
/// operations.
///
/// The body of the request is the data that reached the operation. The method is `POST` unless [`Call::method`] says
/// otherwise. The output is the body of the response, provided that its status is from 200 to 299.
///
/// ```
/// use faas_flow::{Backoff, Dag};
/// use std::time::Duration;
///
/// let dag = Dag::new();
/// dag.node("quote")
///     .apply("exchange-rates")
///     .header("accept", "application/json")
///     .retry(Backoff::attempts(3))
///     .timeout(Duration::from_secs(2))
///     .recover(|_| Ok("{}"))
///     .modify(|rates| Ok(rates));
/// ```
#[derive(Clone)]
pub struct Call {
    node: Node,
    model: Shared<CallModel>,
}

impl Call {
    /// Sets the HTTP method.
    pub fn method(&self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.with(|call| call.method = Some(name))
    }

    /// Adds a header. The same name may be added several times.
    pub fn header(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = (name.into(), value.into());
        self.with(|call| call.headers.push(header))
    }

    /// Adds a query parameter. The host percent-encodes name and value.
    pub fn query(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let parameter = (name.into(), value.into());
        self.with(|call| call.query.push(parameter))
    }

    /// Sets a closure that sees each request before it is sent, and may change it. It runs before every try.
    pub fn prepare(&self, prepare: impl Fn(Request) -> Result<Request> + 'static) -> Self {
        self.with(|call| call.prepare = Some(Rc::new(prepare)))
    }

    /// Sets a closure that turns the response, whatever its status, into data.
    ///
    /// With it no status is a failure by itself, so none is retried. To retry, the closure returns
    /// [`Failure::Retry`](crate::Failure::Retry), and the policy of [`Call::retry`] applies. [`Call::retry_on`] has no
    /// effect.
    pub fn receive<T: Into<Vec<u8>>>(&self, receive: impl Fn(Response) -> Result<T> + 'static) -> Self {
        self.with(|call| call.receive = Some(Rc::new(move |response| receive(response).map(Into::into))))
    }

    /// Sets a closure that gets the message of the call's failure when its retries are exhausted, and turns it into
    /// data to continue with, or into another failure.
    pub fn recover<T: Into<Vec<u8>>>(&self, recover: impl Fn(String) -> Result<T> + 'static) -> Self {
        self.with(|call| call.recover = Some(Rc::new(move |failure| recover(failure).map(Into::into))))
    }

    /// Sets a closure that gets the call's failure when its retries are exhausted, with the data of the operation and the
    /// body of the response, and turns it into data to continue with, or into another failure. It has no effect beside
    /// [`Call::recover`].
    pub fn recover_from<T: Into<Vec<u8>>>(&self, recover: impl Fn(Failed) -> Result<T> + 'static) -> Self {
        self.with(|call| call.recover_from = Some(Rc::new(move |failed| recover(failed).map(Into::into))))
    }

    /// Sets the retry policy of this call. By default it is tried once.
    ///
    /// The call is tried again after connection errors, timeouts, and a closure's
    /// [`Failure::Retry`](crate::Failure::Retry). Unless [`Call::receive`] handles the responses, it is also tried
    /// again after the statuses 408, 429 and 5xx, or after those of [`Call::retry_on`] instead.
    pub fn retry(&self, policy: Backoff) -> Self {
        self.with(|call| call.retry = Some(policy))
    }

    /// Sets the response statuses, from 100 to 599, after which [`Call::retry`] tries again. They replace the default
    /// of 408, 429 and 5xx. An empty list keeps the default.
    pub fn retry_on(&self, statuses: &[u16]) -> Self {
        self.with(|call| call.retry_on = statuses.to_vec())
    }

    /// Limits the time that one try of this call may take, in whole milliseconds, at least 1.
    pub fn timeout(&self, time: Duration) -> Self {
        self.with(|call| call.timeout_ms = Some(millis(time)))
    }

    /// Calls the function through the queue of OpenFaaS, and waits for its answer without holding anything: the function
    /// may take hours, and the node continues when the answer comes. Only for functions, and for `POST`.
    ///
    /// All other settings of this call keep their meaning: the answer, whatever its status, is the response, and
    /// [`Call::timeout`] limits the time from the call to the answer.
    ///
    /// ```
    /// use faas_flow::Dag;
    /// use std::time::Duration;
    ///
    /// Dag::new().node("train").apply("train-model").asynchronous().timeout(Duration::from_secs(6 * 3600));
    /// ```
    pub fn asynchronous(&self) -> Self {
        self.with(|call| call.asynchronous = true)
    }

    /// Lets each try of this call begin only with a permit of a limit over all runs. A call of a flow and an asynchronous call
    /// hold their permit until the answer comes.
    ///
    /// ```
    /// use faas_flow::{Dag, Limit};
    ///
    /// Dag::new().node("charge").apply("payment").limit(Limit::new("payments").per_second(10.0).concurrent(5));
    /// ```
    pub fn limit(&self, limit: Limit) -> Self {
        self.with(|call| call.limit = Some(limit))
    }

    /// Adds the node's next operation: see [`Node::apply`].
    pub fn apply(&self, function: impl Into<String>) -> Call {
        self.node.apply(function)
    }

    /// Adds the node's next operation: see [`Node::request`].
    pub fn request(&self, url: impl Into<String>) -> Call {
        self.node.request(url)
    }

    /// Adds the node's next operation: see [`Node::modify`].
    pub fn modify<T: Into<Vec<u8>>>(&self, modifier: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Node {
        self.node.modify(modifier)
    }

    /// Adds the node's next operation: see [`Node::modify_json`].
    pub fn modify_json<I: DeserializeOwned, O: Serialize>(&self, modifier: impl Fn(I) -> Result<O> + 'static) -> Node {
        self.node.modify_json(modifier)
    }

    /// Adds a sleep: see [`Node::sleep`].
    pub fn sleep(&self, time: Duration) -> Node {
        self.node.sleep(time)
    }

    /// Adds a sleep: see [`Node::sleep_until`].
    pub fn sleep_until(&self, moment: impl Fn(Vec<u8>) -> Result<Wake> + 'static) -> Node {
        self.node.sleep_until(moment)
    }

    /// Adds a wait for a signal: see [`Node::wait_for`].
    pub fn wait_for(&self, signal: impl Into<String>) -> SignalWait {
        self.node.wait_for(signal)
    }

    /// Adds a wait for a signal that a closure names: see [`Node::wait_for_named`].
    pub fn wait_for_named(&self, name: impl Fn(Vec<u8>) -> Result<String> + 'static) -> SignalWait {
        self.node.wait_for_named(name)
    }

    /// Merges the inputs of the node: see [`Node::aggregator`].
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Node {
        self.node.aggregator(aggregator)
    }

    fn with(&self, change: impl FnOnce(&mut CallModel)) -> Self {
        change(&mut self.model.borrow_mut());
        self.clone()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.model.borrow().target;
        f.debug_struct("Call").field("node", &self.node.id).field("target", target).finish_non_exhaustive()
    }
}
