use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::http::Response;
use crate::inputs::Inputs;
use crate::values::{Level, State};
use serde::{Serialize, de::DeserializeOwned};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The context of a run in tests. It answers what a test told it to, and remembers what the flow logged and set. A
/// clone is the same context.
///
/// ```
/// use faas_flow::{Level, testing::Fake};
///
/// let fake = Fake::new().header("x-team", "blue").value("attempts", &1)?;
/// let context = fake.context();
/// context.set("attempts", &2)?;
/// context.warn("again");
/// assert_eq!(context.header("X-Team"), ["blue"]);
/// assert_eq!(fake.get::<u32>("attempts")?, Some(2));
/// assert_eq!(fake.logs(), [(Level::Warn, "again".to_owned())]);
/// # faas_flow::Result::<()>::Ok(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a fake context does nothing until a flow gets it"]
pub struct Fake(Host);

#[derive(Debug, Clone, Default)]
struct Facts {
    request_id: String,
    flow_name: String,
    node: String,
    state: State,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    inputs: Inputs,
    /// Of the data that a closure gets.
    content_type: Option<String>,
    /// Of the values that it merges.
    content_types: Vec<String>,
    /// What the latest closure said of what it returns.
    returned: Option<String>,
    /// The status and headers that the flow has set, and how often it has set some.
    response: Option<Response>,
    responded: u64,
    labels: BTreeMap<String, String>,
    values: BTreeMap<String, Vec<u8>>,
    logs: Vec<(Level, String)>,
    phase: Phase,
}

/// Values cannot be changed while the flow is being defined.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Phase {
    Defining,
    #[default]
    Running,
}

impl Fake {
    /// The context of the request `test` to the flow `flow`, without query parameters, headers, inputs or values.
    pub fn new() -> Self {
        Self::default().with(|facts| {
            facts.request_id = "test".into();
            facts.flow_name = "flow".into();
        })
    }

    /// Adds a query parameter.
    pub fn query(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let parameter = (name.into(), value.into());
        self.with(|facts| facts.query.push(parameter))
    }

    /// Adds a header.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = (name.into(), value.into());
        self.with(|facts| facts.headers.push(header))
    }

    /// Adds an input of the current node.
    pub fn input(self, predecessor: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        let input = (predecessor.into(), data.into());
        self.with(|facts| facts.inputs.extend([input]))
    }

    /// Sets the media type of the data that the flow's closures get.
    pub fn content_type(self, media_type: impl Into<String>) -> Self {
        let media_type = media_type.into();
        self.with(|facts| facts.content_type = Some(media_type))
    }

    /// Sets the media types of the values that aggregators get, in their order. Without this call, all are
    /// `application/octet-stream`.
    pub fn content_types<T: Into<String>>(self, media_types: impl IntoIterator<Item = T>) -> Self {
        let media_types = media_types.into_iter().map(Into::into).collect();
        self.with(|facts| facts.content_types = media_types)
    }

    /// Sets a value, as JSON.
    ///
    /// # Errors
    ///
    /// If the value cannot be represented in JSON.
    pub fn value<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<Self> {
        let value = serde_json::to_vec(value)?;
        Ok(self.with(|facts| {
            facts.values.insert(key.into(), value);
        }))
    }

    /// Sets the path of the current node.
    pub fn node(self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.with(|facts| facts.node = path)
    }

    /// Sets the request id.
    pub fn request_id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|facts| facts.request_id = id)
    }

    /// Sets the state of the run.
    pub fn state(self, state: State) -> Self {
        self.with(|facts| facts.state = state)
    }

    /// The context, as the flow gets it.
    pub fn context(&self) -> Context {
        Context { host: self.0.clone() }
    }

    /// Reads a JSON value that the flow, or the test, has set.
    ///
    /// # Errors
    ///
    /// If the value is not JSON or does not fit the type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.context().get(key)
    }

    #[doc(hidden)]
    #[deprecated(since = "0.1.0", note = "use `get`")]
    #[allow(clippy::missing_errors_doc, reason = "the new name has them")]
    pub fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.get(key)
    }

    /// The lines that the flow has logged, in order.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.0.0.borrow().logs.clone()
    }

    /// The media type of what the flow's latest closure returned. The closure is one that
    /// [`Flow`](crate::testing::Flow) called.
    pub fn returned_content_type(&self) -> String {
        self.0.0.borrow().returned.clone().unwrap_or_else(|| OCTET_STREAM.into())
    }

    /// The status and headers that the flow has set with [`Context::respond`]; the body is empty. `None` if it has not.
    pub fn response(&self) -> Option<Response> {
        self.0.0.borrow().response.clone()
    }

    /// The labels that the flow has given the run with [`Context::label`], sorted by key.
    pub fn labels(&self) -> Vec<(String, String)> {
        self.0.0.borrow().labels.clone().into_iter().collect()
    }

    /// What the code of a node may change, to drop it if the node fails.
    pub(super) fn changes(&self) -> Changes {
        let Facts { values, labels, response, responded, .. } = &*self.0.0.borrow();
        Changes { values: values.clone(), labels: labels.clone(), response: response.clone(), responded: *responded }
    }

    pub(super) fn restore(&self, changes: &Changes) {
        let Changes { values, labels, response, responded } = changes.clone();
        let mut facts = self.0.0.borrow_mut();
        (facts.values, facts.labels, facts.response, facts.responded) = (values, labels, response, responded);
    }

    /// How often the flow has set status and headers.
    pub(super) fn responded(&self) -> u64 {
        self.0.0.borrow().responded
    }

    /// Drops the status and headers if the flow has set some since then.
    pub(super) fn withdraw(&self, responded: u64) {
        let mut facts = self.0.0.borrow_mut();
        if facts.responded != responded {
            facts.response = None;
        }
    }

    pub(super) fn set_response(&self, response: Option<Response>) {
        self.0.0.borrow_mut().response = response;
    }

    /// Makes this the current node, with its inputs and their media types.
    pub(super) fn enter(&self, path: &str, inputs: Inputs, content_types: Vec<String>) {
        let mut facts = self.0.0.borrow_mut();
        facts.node = path.to_owned();
        (facts.inputs, facts.content_types) = (inputs, content_types);
    }

    /// Replaces the media types of the values that are merged, and returns the former ones.
    pub(super) fn merging(&self, content_types: Vec<String>) -> Vec<String> {
        std::mem::replace(&mut self.0.0.borrow_mut().content_types, content_types)
    }

    /// Sets the media type of the data that the next closure gets.
    pub(super) fn gets(&self, content_type: &str) {
        self.0.0.borrow_mut().content_type = Some(content_type.to_owned());
    }

    pub(super) fn enter_state(&self, state: State) {
        self.0.0.borrow_mut().state = state;
    }

    /// Plays a run, and has then the facts about node and data that the test has given.
    pub(super) fn playing<T>(&self, play: impl FnOnce() -> T) -> T {
        let before = self.0.0.borrow().clone();
        let played = play();
        let mut facts = self.0.0.borrow_mut();
        let Facts { node, state, inputs, content_type, content_types, .. } = before;
        (facts.node, facts.state, facts.inputs) = (node, state, inputs);
        (facts.content_type, facts.content_types) = (content_type, content_types);
        played
    }

    /// Calls a closure of the flow.
    pub(crate) fn calling<T>(&self, call: impl FnOnce() -> T) -> T {
        self.0.0.borrow_mut().returned = None;
        let outer = CURRENT.replace(Some(self.0.clone()));
        let answer = call();
        CURRENT.set(outer);
        answer
    }

    /// Calls `define` with a context whose values cannot be changed.
    pub(crate) fn defining<T>(&self, define: impl FnOnce(&Context) -> T) -> T {
        self.0.0.borrow_mut().phase = Phase::Defining;
        let defined = define(&self.context());
        self.0.0.borrow_mut().phase = Phase::Running;
        defined
    }

    fn with(self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.0.0.borrow_mut());
        self
    }
}

/// What is dropped if a node fails.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    values: BTreeMap<String, Vec<u8>>,
    labels: BTreeMap<String, String>,
    response: Option<Response>,
    responded: u64,
}

/// What data is of which nothing is known.
pub(super) const OCTET_STREAM: &str = "application/octet-stream";

thread_local! {
    /// The context of the closure that is being called, for closures to which the author has given no context.
    static CURRENT: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The context that a [`Fake`] offers.
#[derive(Debug, Clone, Default)]
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
    pub(crate) fn content_type(&self) -> String {
        self.0.borrow().content_type.clone().unwrap_or_else(|| OCTET_STREAM.into())
    }
    pub(crate) fn content_types(&self) -> Vec<String> {
        let facts = self.0.borrow();
        let unknown = || vec![OCTET_STREAM.into(); facts.inputs.len()];
        if facts.content_types.is_empty() { unknown() } else { facts.content_types.clone() }
    }
    pub(crate) fn set_content_type(&self, media_type: &str) -> Result {
        if self.0.borrow().phase == Phase::Defining {
            return Err(Failure::reject("there is no data in `define` that could have a media type"));
        }
        if !is_media_type(media_type) {
            return Err(Failure::Reject(format!("`{}` is not a media type", media_type.escape_debug())));
        }
        self.0.borrow_mut().returned = Some(media_type.into());
        Ok(())
    }
    pub(crate) fn respond(&self, status: u16, headers: Vec<(String, String)>) -> Result {
        if self.0.borrow().phase == Phase::Defining {
            return Err(Failure::reject("there is no run in `define` that could be answered"));
        }
        if !(200..600).contains(&status) || status == 202 {
            return Err(Failure::Reject(format!("an answer cannot have the status {status}")));
        }
        let response = Response::new(status);
        let response = headers.into_iter().fold(response, |response, (name, value)| response.with_header(name, value));
        let mut facts = self.0.borrow_mut();
        facts.response = Some(response);
        facts.responded += 1;
        Ok(())
    }
    pub(crate) fn signal_url(&self, name: &str, _valid_ms: Option<u64>) -> Result<String> {
        let facts = self.0.borrow();
        if facts.phase == Phase::Defining {
            return Err(Failure::reject("there is no run in `define` to which a signal could be sent"));
        }
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_good) {
            return Err(Failure::Reject(format!("`{}` is not the name of a signal", name.escape_debug())));
        }
        let (flow, run) = (&facts.flow_name, &facts.request_id);
        Ok(format!("https://example.org/function/{flow}/flow/{run}/signal/{name}?signature=test"))
    }

    pub(crate) fn label(&self, key: &str, value: &str) -> Result {
        if self.0.borrow().phase == Phase::Defining {
            return Err(Failure::reject("there is no run in `define` that could have a label"));
        }
        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        let begins = key.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !begins || key.len() > 63 || !key.bytes().all(is_key) {
            return Err(Failure::Reject(format!("`{}` cannot be the key of a label", key.escape_debug())));
        }
        if value.len() > 128 || value.chars().any(char::is_control) {
            return Err(Failure::Reject(format!(
                "the value of the label `{key}` is too long, or has control characters"
            )));
        }
        let labels = &mut self.0.borrow_mut().labels;
        if labels.len() >= 16 && !labels.contains_key(key) {
            return Err(Failure::reject("a run has at most 16 labels"));
        }
        labels.insert(key.into(), value.into());
        Ok(())
    }
    /// Says that the current closure returns JSON.
    pub(crate) fn returns_json() {
        CURRENT.with_borrow(|current| {
            if let Some(host) = current {
                host.0.borrow_mut().returned = Some("application/json".into());
            }
        });
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

    /// Refuses what the host refuses.
    fn changeable(&self, key: &str) -> Result<&RefCell<Facts>> {
        if self.0.borrow().phase == Phase::Defining {
            return Err(Failure::Reject(format!("value `{key}` cannot be changed while the flow is being defined")));
        }
        if !(1..=256).contains(&key.len()) {
            return Err(Failure::Reject(format!("value `{key}` has a key of {} bytes, not 1 to 256", key.len())));
        }
        Ok(&self.0)
    }
}

/// Whether a text looks like a media type. The host is more exact about parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let has_names = essence.split_once('/').is_some_and(|(one, other)| is_name(one) && is_name(other));
    text.len() <= 255 && is_printable && has_names
}
