//! The host's state of one instance, and its answers to `context`.

use crate::bindings::faas_flow::flow::{context, types};
use crate::builder::Arena;
use crate::wasi::System;
use crate::{CallContext, ContextError, Level, Limits, Memory, Purpose, Reservation, RunContext, Short};
use bytes::Bytes;
use faas_flow_core::text::bounded;
use faas_flow_core::{Code, Failure, Labels, MediaType, ResponseHead, Status, reject_status};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::{ResourceLimiter, Result};

pub(crate) struct State {
    pub(crate) run: Arc<dyn RunContext>,
    pub(crate) call: Arc<CallContext>,
    /// The context values that the node has set (or deleted: `None`) so far, one entry per key.
    pub(crate) changes: Vec<(String, Option<Bytes>)>,
    changed_bytes: usize,
    output_bytes: usize,
    /// The limits, for the messages of those who exceed them.
    pub(crate) limits: Limits,
    /// What the code has said when it panicked in the current call, if it did.
    pub(crate) panicked: Option<String>,
    /// The status and headers that the node has set for the answer of the run, if it has.
    pub(crate) response: Option<ResponseHead>,
    /// The labels that the node has given the run.
    pub(crate) labels: Labels,
    /// What the current handler got, and what it says of what it returns.
    pub(crate) said: Said,
    pub(crate) arena: Arena,
    /// Whether the current call is `define`.
    pub(crate) defining: bool,
    /// Whether `define` has used `context`.
    pub(crate) read_context: bool,
    /// The deadline of the current call. It is set at the first tick of the engine's epoch, which most calls never reach.
    pub(crate) until: Option<Instant>,
    pub(crate) usage: Usage,
    /// What it has of WASI.
    pub(crate) system: System,
}

impl State {
    pub(crate) fn new(run: Arc<dyn RunContext>, call: Arc<CallContext>, limits: &Limits) -> Self {
        Self {
            run,
            call,
            changes: Vec::new(),
            changed_bytes: 0,
            output_bytes: limits.output_bytes,
            limits: limits.clone(),
            panicked: None,
            response: None,
            labels: Labels::new(),
            said: Said::default(),
            arena: Arena::new(limits.nodes),
            defining: false,
            read_context: false,
            until: None,
            usage: Usage::new(limits),
            system: System::default(),
        }
    }

    pub(crate) fn enter(&mut self, call: Arc<CallContext>, values: Vec<(String, Option<Bytes>)>) {
        self.changes = values;
        let size = |(key, value): &(String, Option<Bytes>)| key.len() + value.as_ref().map_or(0, Bytes::len);
        self.changed_bytes = self.changes.iter().map(size).sum();
        self.call = call;
        self.response = None;
        self.labels = Labels::new();
    }

    fn read(&mut self) {
        self.read_context |= self.defining;
    }

    fn change(&mut self, key: String, value: Option<Vec<u8>>) -> Result<(), String> {
        self.read();
        if self.defining {
            return Err("a flow cannot change its context in `define`".into());
        }
        if !(1..=256).contains(&key.len()) {
            return Err(format!("a context key must have 1 to 256 bytes, but this one has {}", key.len()));
        }
        self.changed_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        if self.changed_bytes > self.output_bytes {
            return Err(format!("a node may set context values of at most {} bytes altogether", self.output_bytes));
        }
        let value = value.map(Bytes::from);
        match self.changes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.changes.push((key, value)),
        }
        Ok(())
    }
}

/// What is known of the data of a handler, and what the handler says of its answer.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The media type of its data.
    pub(crate) given: MediaType,
    /// Those of the values that it merges, in their order.
    pub(crate) merged: Vec<MediaType>,
    /// What the handler says of what it returns.
    pub(crate) returned: MediaType,
    /// The status for the caller if the handler rejects.
    pub(crate) reject_status: Option<u16>,
    /// Whether the answer of the run is settled: the handler is the finally handler.
    pub(crate) is_answered: bool,
}

/// A failure of the host, with which the call of a handler ends.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub(crate) struct HostFailed(pub(crate) Failure);

/// What the flow's code gets to know. If the host is at fault, the code gets no say in it: the call ends.
fn told<T>(answer: Result<T, ContextError>) -> Result<Result<T, String>> {
    match answer {
        Ok(found) => Ok(Ok(found)),
        Err(ContextError::Refused(text)) => Ok(Err(text)),
        Err(ContextError::Host(failure)) => Err(HostFailed(failure).into()),
    }
}

impl types::Host for State {}

impl context::Host for State {
    fn request_id(&mut self) -> Result<String> {
        self.read();
        Ok(self.run.request_id().to_owned())
    }

    fn flow_name(&mut self) -> Result<String> {
        self.read();
        Ok(self.run.flow_name().to_owned())
    }

    fn node(&mut self) -> Result<String> {
        self.read();
        Ok(self.call.node.clone())
    }

    fn state(&mut self) -> Result<context::RunState> {
        self.read();
        Ok(match self.call.state {
            Status::Running => context::RunState::Running,
            Status::Paused => context::RunState::Paused,
            Status::Stopped => context::RunState::Stopped,
            Status::Succeeded => context::RunState::Succeeded,
            Status::Failed => context::RunState::Failed,
        })
    }

    fn query(&mut self, name: String) -> Result<Vec<String>> {
        self.read();
        Ok(self.run.query(&name))
    }

    fn header(&mut self, name: String) -> Result<Vec<String>> {
        self.read();
        Ok(self.run.header(&name))
    }

    fn inputs(&mut self) -> Result<types::Named> {
        self.read();
        Ok(self.call.inputs.iter().map(|(name, data)| (name.clone(), data.bytes.to_vec())).collect())
    }

    fn content_type(&mut self) -> Result<String> {
        self.read();
        Ok(self.said.given.to_string())
    }

    fn content_types(&mut self) -> Result<Vec<String>> {
        self.read();
        Ok(match &*self.said.merged {
            [] => self.call.inputs.iter().map(|(_, data)| data.media_type.to_string()).collect(),
            merged => merged.iter().map(MediaType::to_string).collect(),
        })
    }

    fn set_content_type(&mut self, media_type: String) -> Result<Result<(), String>> {
        self.read();
        if self.defining {
            return Ok(Err("there is no data in `define` that could have a media type".into()));
        }
        Ok(match MediaType::parse(&media_type) {
            Ok(media_type) => {
                self.said.returned = media_type;
                Ok(())
            }
            Err(error) => Err(format!("{}: {error}", error.code())),
        })
    }

    fn respond(&mut self, status: u16, headers: Vec<(String, String)>) -> Result<Result<(), String>> {
        self.read();
        if self.defining {
            return Ok(Err("there is no run in `define` that could be answered".into()));
        }
        if self.said.is_answered {
            return Ok(Err("the answer of the run is settled when its finally handler is called".into()));
        }
        Ok(match ResponseHead::new(status, headers) {
            Ok(head) => {
                self.response = Some(head);
                Ok(())
            }
            Err(error) => Err(format!("{}: {error}", error.code())),
        })
    }

    fn label(&mut self, key: String, value: String) -> Result<Result<(), String>> {
        self.read();
        if self.defining {
            return Ok(Err("there is no run in `define` that could have a label".into()));
        }
        // Those that the run has count, too.
        let mut all = self.call.labels.clone();
        let added = self.labels.iter().try_for_each(|(key, value)| all.insert(key, value));
        let added = added.and_then(|()| all.insert(&key, &value)).and_then(|()| self.labels.insert(&key, &value));
        Ok(added.map_err(|error| format!("{}: {error}", Code::BAD_LABEL)))
    }

    fn set_reject_status(&mut self, status: u16) -> Result<Result<(), String>> {
        self.read();
        if self.defining {
            return Ok(Err("there is no run in `define` that could be answered".into()));
        }
        Ok(match reject_status(status) {
            Ok(status) => {
                self.said.reject_status = Some(status);
                Ok(())
            }
            Err(error) => Err(format!("{}: {error}", error.code())),
        })
    }

    async fn get(&mut self, key: String) -> Result<Result<Option<Vec<u8>>, String>> {
        self.read();
        if let Some((_, changed)) = self.changes.iter().find(|(known, _)| *known == key) {
            return Ok(Ok(changed.as_ref().map(|value| value.to_vec())));
        }
        told(self.run.get(&key).await.map(|found| found.map(Vec::from)))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<Result<(), String>> {
        Ok(self.change(key, Some(value)))
    }

    fn delete(&mut self, key: String) -> Result<Result<(), String>> {
        Ok(self.change(key, None))
    }

    fn signal_url(&mut self, name: String, valid_ms: Option<u64>) -> Result<Result<String, String>> {
        self.read();
        if self.defining {
            return Ok(Err("there is no run in `define` to which a signal could be sent".into()));
        }
        told(self.run.signal_url(&self.call, &name, valid_ms))
    }

    fn log(&mut self, level: context::Level, message: String) -> Result<()> {
        let level = match level {
            context::Level::Trace => Level::Trace,
            context::Level::Debug => Level::Debug,
            context::Level::Info => Level::Info,
            context::Level::Warn => Level::Warn,
            context::Level::Error => Level::Error,
        };
        let message = bounded(message);
        // The SDK logs a panic before the code traps.
        if matches!(level, Level::Error) && message.starts_with("panicked at ") {
            self.panicked = Some(message.to_string().replacen(":\n", ": ", 1));
        }
        self.run.log(&self.call, level, &message);
        Ok(())
    }
}

/// Limits an instance's memory and tables, and records whether it asked for more.
pub(crate) struct Usage {
    /// The size of all linear memories together, in bytes.
    memory: usize,
    /// What it was when the instance was ready for its first call.
    at_start: usize,
    /// The largest such size.
    limit: usize,
    /// The largest number of elements in a table.
    elements: usize,
    /// Whether the current call was denied memory or table elements.
    pub(crate) denied: bool,
    /// What the process lacked, if that was the reason.
    pub(crate) short: Option<Short>,
    /// The memory, counted for the whole process.
    reserved: Reservation,
}

impl Usage {
    fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            at_start: 0,
            limit: limits.memory_bytes,
            elements: limits.table_elements,
            denied: false,
            short: None,
            reserved: Memory::of_process().reservation(Purpose::Code),
        }
    }

    /// Marks that the instance is ready for its first call.
    pub(crate) fn start(&mut self) {
        self.at_start = self.memory;
    }

    /// Whether the memory has grown by more than a quarter of the limit since the first call.
    pub(crate) fn has_grown_much(&self) -> bool {
        self.memory - self.at_start > self.limit / 4
    }

    /// The size of all linear memories together, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Forgets what the last call was denied.
    pub(crate) fn begin(&mut self) {
        self.denied = false;
        self.short = None;
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let wanted = self.memory.saturating_add(more);
        let may = wanted <= self.limit && maximum.is_none_or(|maximum| desired <= maximum);
        if may {
            self.short = self.reserved.grow(more).err();
        }
        let allowed = may && self.short.is_none();
        if allowed {
            self.memory = wanted;
        } else {
            self.denied = true;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let allowed = desired <= self.elements && maximum.is_none_or(|maximum| desired <= maximum);
        self.denied |= !allowed;
        Ok(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::context::Host as _;
    use super::*;
    use crate::NoContext;

    fn state() -> State {
        State::new(Arc::new(NoContext::new("test")), Arc::default(), &Limits::default())
    }

    fn refused(answer: Result<Result<(), String>>, why: &str) {
        let error = answer.unwrap().unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    /// ANSWER-5.
    #[test]
    fn what_cannot_be_an_answer_is_refused_and_changes_nothing() {
        let mut state = state();
        let location = vec![("Location".to_owned(), "/a".to_owned())];
        state.respond(201, location.clone()).unwrap().unwrap();
        refused(state.respond(99, Vec::new()), "FF0231: the status of an answer is from 200 to 599");
        refused(state.respond(202, Vec::new()), "FF0231");
        refused(state.respond(200, vec![("a".to_owned(), "b\r\nc: d".to_owned())]), "FF0231");
        refused(state.respond(200, vec![("Content-Length".to_owned(), "0".to_owned())]), "`content-length`");
        refused(state.respond(200, vec![("a".to_owned(), String::new()); 100_000]), "100000");
        let kept = state.response.take();
        assert_eq!(kept, ResponseHead::new(201, location).ok());
        refused(state.set_reject_status(500), "FF0231: the status of a reject is from 400 to 499");
        state.set_reject_status(404).unwrap().unwrap();
        assert_eq!(state.said.reject_status, Some(404));
    }

    /// LABEL-4, LABEL-5.
    #[test]
    fn what_cannot_be_a_label_is_refused_and_changes_nothing() {
        let mut state = state();
        let mut label = |key: &str, value: &str| state.label(key.to_owned(), value.to_owned());
        label("order", "41").unwrap().unwrap();
        label("order", "42").unwrap().unwrap();
        refused(label("", "1"), "FF0243");
        refused(label("a", &"v".repeat(1 << 20)), "FF0243");
        for number in 1..16 {
            label(&format!("k{number}"), "").unwrap().unwrap();
        }
        refused(label("one-more", "1"), "FF0243: a run has at most 16 labels");
        assert_eq!((state.labels.len(), state.labels.get("order")), (16, Some("42")));
        state.defining = true;
        refused(state.label("order".to_owned(), "1".to_owned()), "`define`");
    }

    /// ANSWER-3.
    #[test]
    fn there_is_nothing_to_answer_in_define_and_nothing_left_to_answer_at_the_end() {
        let mut defines = state();
        defines.defining = true;
        refused(defines.respond(200, Vec::new()), "`define`");
        refused(defines.set_reject_status(404), "`define`");
        let mut ends = state();
        ends.said.is_answered = true;
        refused(ends.respond(200, Vec::new()), "finally");
    }
}
