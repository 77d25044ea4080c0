//! Calls the flow's own code, and lets virtual time pass.

use super::World;
use super::call::Call;
use super::failing::{Failing, Level, Step};
use crate::definition::Definition;
use crate::failed::FailureKind;
use crate::failure::{Failure, Result};
use crate::handler::Handlers;
use crate::inputs::Inputs;
use crate::testing::fake::{Changes, Fake, OCTET_STREAM};
use std::collections::BTreeMap;

/// Data and its media type.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) data: Vec<u8>,
    pub(super) media_type: String,
    /// Whether it is the body of the request, which nobody has changed on the way.
    pub(super) is_request: bool,
}

impl Value {
    pub(super) fn new(data: Vec<u8>, media_type: impl Into<String>) -> Self {
        Self { data, media_type: media_type.into(), is_request: false }
    }

    pub(super) fn nothing() -> Self {
        Self::new(Vec::new(), OCTET_STREAM)
    }
}

pub(super) type Named = (String, Value);

/// One attempt of a node, as far as it is not that of its branches. Times are in milliseconds.
pub(super) struct Own {
    pub(super) path: String,
    before: Changes,
    /// What the present operation has got.
    pub(super) input: Vec<u8>,
    /// The time limit of the attempt, and its end.
    limit: Option<u64>,
    pub(super) until: Option<u64>,
    /// Whether it has got the body of the request.
    pub(super) of_request: bool,
    /// Whether it has seen what a call answered.
    pub(super) has_called: bool,
}

/// Executes the nodes of one run, one after the other.
pub(super) struct Engine<'r, 'a> {
    pub(super) handlers: &'r Handlers,
    pub(super) fake: &'r Fake,
    pub(super) world: World<'a>,
    /// The virtual time of what is being executed, counted from the beginning of the run.
    pub(super) now: u64,
    deadline: Option<u64>,
    pub(super) own: Own,
    /// The signals that nodes have taken, by path and operation. They keep them in further attempts.
    pub(super) taken: BTreeMap<(String, usize), Vec<u8>>,
    pub(super) calls: Vec<Call>,
    pub(super) ran: Vec<String>,
}

impl<'r, 'a> Engine<'r, 'a> {
    pub(super) fn new(definition: &Definition, handlers: &'r Handlers, fake: &'r Fake, world: World<'a>) -> Self {
        let own = Own {
            path: String::new(),
            before: fake.changes(),
            input: Vec::new(),
            limit: None,
            until: None,
            of_request: false,
            has_called: false,
        };
        let (deadline, taken) = (definition.deadline_ms, BTreeMap::new());
        Self { handlers, fake, world, now: 0, deadline, own, taken, calls: Vec::new(), ran: Vec::new() }
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.deadline.is_some()
    }

    /// Executes the flow's own code, or operations, and drops what they have set if they fail.
    pub(super) fn attempt<T>(
        &mut self,
        path: &str,
        limit: Option<u64>,
        run: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        self.own = Own {
            path: path.to_owned(),
            before: self.fake.changes(),
            input: Vec::new(),
            limit,
            until: None,
            of_request: false,
            has_called: false,
        };
        self.fake.enter(path, Inputs::new(), Vec::new());
        self.commit();
        let step = run(self);
        if step.is_err() {
            self.fake.restore(&self.own.before);
        }
        step
    }

    /// Keeps what the attempt has set by now, and restarts its time limit.
    pub(super) fn commit(&mut self) {
        self.own.before = self.fake.changes();
        self.own.until = self.own.limit.map(|limit| self.now.saturating_add(limit));
    }

    /// Calls a closure that returns data.
    pub(super) fn data(&mut self, of: &Value, call: impl FnOnce(&Handlers) -> Result<Vec<u8>>) -> Step<Value> {
        let data = self.plain(of, call)?;
        Ok(Value::new(data, self.fake.returned_content_type()))
    }

    /// Calls a closure with this data.
    pub(super) fn plain<T>(&mut self, of: &Value, call: impl FnOnce(&Handlers) -> Result<T>) -> Step<T> {
        self.fake.gets(&of.media_type);
        let failure = match self.fake.calling(|| call(self.handlers)) {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let retry = matches!(failure, Failure::Retry(_));
        let code = if retry { "FF0013" } else { "FF0012" };
        let mut failing =
            Failing::new(code, FailureKind::Rejected, &self.own.path, failure.message()).with_input(&of.data);
        failing.retry = retry;
        failing.answer = match failure {
            Failure::RejectWithStatus { status, .. } => Some(status),
            Failure::Reject(_) if self.own.of_request && !self.own.has_called => Some(422),
            _ => None,
        };
        Err(failing)
    }

    pub(super) fn aggregate(&mut self, id: &str, inputs: Vec<Named>) -> Step<Value> {
        let types = inputs.iter().map(|(_, value)| value.media_type.clone()).collect();
        let of_node = self.fake.merging(types);
        let inputs = inputs.into_iter().map(|(name, value)| (name, value.data)).collect();
        let merged = self.data(&Value::nothing(), |handlers| handlers.aggregate(id, inputs));
        self.fake.merging(of_node);
        merged
    }

    pub(super) fn recover_from(&mut self, id: &str, failing: &Failing) -> Step<Value> {
        self.data(&Value::nothing(), |handlers| handlers.recover_from(id, failing.failed.clone()))
    }

    /// Lets time pass while a node is being executed.
    pub(super) fn pass(&mut self, ms: u64) -> Step<()> {
        let end = self.now.saturating_add(ms);
        let limit = self.own.until.filter(|until| end > *until);
        let end = limit.unwrap_or(end);
        if let Some(deadline) = self.deadline.filter(|deadline| end > *deadline) {
            self.now = deadline;
            let message = "the run took longer than its deadline: raise the deadline, or look in the history of the run for what was slow";
            return Err(Failing::new("FF0210", FailureKind::Other, "", message).at(Level::Run));
        }
        self.now = end;
        if limit.is_none() {
            return Ok(());
        }
        let message = format!("the node took longer than its timeout of {} ms", self.own.limit.unwrap_or_default());
        let failing = Failing::new("FF0209", FailureKind::TimedOut, &self.own.path, message);
        Err(failing.retryable().at(Level::Node).with_input(&self.own.input))
    }

    /// Lets time pass while nothing is held: what the node has set is committed, and its time limit does not count.
    pub(super) fn suspend(&mut self, ms: u64) -> Step<()> {
        self.own.until = None;
        self.pass(ms)?;
        self.commit();
        Ok(())
    }
}
