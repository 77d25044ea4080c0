use crate::dag::{Shared, shared};
use crate::failed::Failed;
use crate::failure::Result;
use crate::handler::{RecoverFrom, SignalName};
use crate::node::{Call, Node};
use crate::values::{Wake, millis};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// Where the name of a signal comes from.
#[derive(Clone)]
pub(crate) enum SignalSource {
    Named(String),
    Handler(SignalName),
}

pub(crate) struct WaitModel {
    pub signal: SignalSource,
    pub timeout_ms: Option<u64>,
    pub recover_from: Option<RecoverFrom>,
}

impl WaitModel {
    pub fn new(signal: SignalSource) -> Shared<Self> {
        shared(Self { signal, timeout_ms: None, recover_from: None })
    }
}

/// A wait for a signal, made by [`Node::wait_for`] or [`Node::wait_for_named`]: its options, and the node's next operations.
///
/// The output is the body of the signal.
///
/// ```
/// use faas_flow::Dag;
/// use std::time::Duration;
///
/// let dag = Dag::new();
/// dag.node("approval")
///     .wait_for("approval")
///     .timeout(Duration::from_secs(2 * 24 * 3600))
///     .recover_from(|_| Ok(r#"{"decision":"reject","comment":"nobody has answered"}"#))
///     .apply("store-decision");
/// ```
#[derive(Clone)]
pub struct SignalWait {
    pub(crate) node: Node,
    pub(crate) model: Shared<WaitModel>,
}

impl SignalWait {
    /// Limits how long the node waits, in whole milliseconds, from 1 to 366 days. By default it waits as long as the run may
    /// take. If no signal comes in time, the operation fails.
    pub fn timeout(&self, time: Duration) -> Self {
        self.with(|wait| wait.timeout_ms = Some(millis(time)))
    }

    /// Sets a closure that gets the failure if no signal comes in time, with the data of the operation, and turns it into data
    /// to continue with, or into another failure.
    pub fn recover_from<T: Into<Vec<u8>>>(&self, recover: impl Fn(Failed) -> Result<T> + 'static) -> Self {
        self.with(|wait| wait.recover_from = Some(Rc::new(move |failed| recover(failed).map(Into::into))))
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

    /// Adds a wait for another signal: see [`Node::wait_for`].
    pub fn wait_for(&self, signal: impl Into<String>) -> SignalWait {
        self.node.wait_for(signal)
    }

    /// Adds a wait for a signal that a closure names: see [`Node::wait_for_named`].
    pub fn wait_for_named(&self, name: impl Fn(Vec<u8>) -> Result<String> + 'static) -> SignalWait {
        self.node.wait_for_named(name)
    }

    fn with(&self, change: impl FnOnce(&mut WaitModel)) -> Self {
        change(&mut self.model.borrow_mut());
        self.clone()
    }
}

impl fmt::Debug for SignalWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.borrow();
        let signal = match &model.signal {
            SignalSource::Named(name) => name.as_str(),
            SignalSource::Handler(_) => "(a closure names it)",
        };
        f.debug_struct("SignalWait")
            .field("signal", &signal)
            .field("timeout_ms", &model.timeout_ms)
            .finish_non_exhaustive()
    }
}
