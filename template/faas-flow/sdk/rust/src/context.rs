use crate::{Inputs, Level, Result, State};
use serde::{Serialize, de::DeserializeOwned};

#[cfg(target_arch = "wasm32")]
use crate::export::Host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::Host;

/// What is known about the run, and values that live as long as it. Cheap to clone into closures.
///
/// A flow whose `define` reads it (anything but logging) is asked for its definition at the start of every run, and
/// otherwise once. In `define` there is no node yet, there are no inputs, and values cannot be changed.
#[derive(Clone)]
pub struct Context {
    pub(crate) host: Host,
}

impl Context {
    /// The id of the run: the `X-Faas-Flow-Reqid` of its request.
    pub fn request_id(&self) -> String {
        self.host.request_id()
    }

    /// The name under which the flow is deployed.
    pub fn flow_name(&self) -> String {
        self.host.flow_name()
    }

    /// Where the node stands in the run: `C[c1]/F[f2]/n1`.
    pub fn node(&self) -> String {
        self.host.node()
    }

    /// The state of the run when this call of the flow began: running in a node, failed in the failure handler, and in the
    /// finally handler the state in which the run ended.
    pub fn state(&self) -> State {
        self.host.state()
    }

    /// The values of a query parameter of the request that began the run.
    pub fn query(&self, name: &str) -> Vec<String> {
        self.host.query(name)
    }

    /// The values of a header of the request that began the run, whatever the case of its name.
    pub fn header(&self, name: &str) -> Vec<String> {
        self.host.header(name)
    }

    /// The inputs of the current node, by predecessor, before any aggregator.
    pub fn inputs(&self) -> Inputs {
        self.host.inputs()
    }

    /// A value that some node of this run set as JSON, or none.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        Ok(self.get_bytes(key)?.map(|value| serde_json::from_slice(&value)).transpose()?)
    }

    /// Keeps a value as JSON for the rest of the run.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result {
        self.set_bytes(key, serde_json::to_vec(value)?)
    }

    /// The bytes of a value that some node of this run set, or none.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.host.get(key)
    }

    /// Keeps bytes for the rest of the run, together with the node's output: when the node fails, they are dropped.
    pub fn set_bytes(&self, key: &str, value: impl Into<Vec<u8>>) -> Result {
        self.host.set(key, value.into())
    }

    /// Forgets a value; it need not exist.
    pub fn del(&self, key: &str) -> Result {
        self.host.delete(key)
    }

    /// Writes a line to the host's log, together with the run and the node.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        self.host.log(level, message.as_ref());
    }

    /// Logs every step, for the author only.
    pub fn trace(&self, message: impl AsRef<str>) {
        self.log(Level::Trace, message);
    }

    /// Logs what helps to find a fault.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.log(Level::Debug, message);
    }

    /// Logs what an operator wants to know.
    pub fn info(&self, message: impl AsRef<str>) {
        self.log(Level::Info, message);
    }

    /// Logs what may become a problem.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log(Level::Warn, message);
    }

    /// Logs a problem.
    pub fn error(&self, message: impl AsRef<str>) {
        self.log(Level::Error, message);
    }
}
