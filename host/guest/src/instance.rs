//! One live instance of a flow.

use crate::bindings::faas_flow::flow::types;
use crate::bindings::{Flow, FlowPre};
use crate::error::GuestError;
use crate::state::State;
use crate::{CallContext, HttpRequest, HttpResponse, Limits, Module, Outcome, RunContext};
use bytes::Bytes;
use faas_flow_core::{Code, Failure};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap, UpdateDeadline, WasmBacktrace};

/// One live instance of a flow, which serves the calls of one run, one after the other.
///
/// What a call leaves in its memory is still there at the next. After a crash, or when the future of a call was dropped
/// before it was done, the instance is no longer [usable](Instance::usable).
pub struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) flow: Flow,
    timeout: Duration,
    usable: bool,
    /// Keeps the clock of the engine going.
    _module: Module,
}

/// Calls a handler: nothing may come between `begin` and `end` but the call itself.
macro_rules! call {
    ($self:ident.$function:ident($handler:ident; $argument:expr)) => {{
        $self.begin()?;
        let handler = $handler.to_owned();
        let answer = $self.flow.faas_flow_flow_handlers().$function(&mut $self.store, &handler, $argument).await;
        $self.end(answer)
    }};
}

impl Instance {
    pub(crate) async fn new(
        engine: &Engine,
        limits: &Limits,
        pre: &FlowPre<State>,
        run: Arc<dyn RunContext>,
        module: Module,
    ) -> Result<Self, GuestError> {
        let mut store = Store::new(engine, State::new(run, limits));
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(limits.output_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            let over = Instant::now() >= store.data().until;
            Ok(if over { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        match pre.instantiate_async(&mut store).await {
            Ok(flow) => Ok(Self { store, flow, timeout: limits.call_timeout, usable: true, _module: module }),
            Err(error) => Err(failure(&error, store.data()).into()),
        }
    }

    /// Says what `context` answers from now on, and forgets the changes so far.
    pub fn enter(&mut self, call: CallContext) {
        self.store.data_mut().enter(call);
    }

    /// The values that the flow's code has set (or deleted: none) since `enter`: the last of each key.
    pub fn take_changes(&mut self) -> Vec<(String, Option<Bytes>)> {
        std::mem::take(&mut self.store.data_mut().changes)
    }

    /// Whether another call makes sense.
    pub fn usable(&self) -> bool {
        self.usable
    }

    /// Data in, data out.
    pub async fn modify(&mut self, handler: &str, data: Bytes) -> Result<Bytes, Failure> {
        call!(self.call_modify(handler; &data)).map(Bytes::from)
    }

    /// Several values in, one out.
    pub async fn aggregate(&mut self, handler: &str, inputs: Vec<(String, Bytes)>) -> Result<Bytes, Failure> {
        let inputs: Vec<(String, Vec<u8>)> = inputs.into_iter().map(|(name, data)| (name, data.into())).collect();
        call!(self.call_aggregate(handler; &inputs)).map(Bytes::from)
    }

    /// The keys of the branches to run.
    pub async fn condition(&mut self, handler: &str, data: Bytes) -> Result<Vec<String>, Failure> {
        call!(self.call_condition(handler; &data))
    }

    /// The items to run a branch for, by key.
    pub async fn for_each(&mut self, handler: &str, data: Bytes) -> Result<Vec<(String, Bytes)>, Failure> {
        let items = call!(self.call_for_each(handler; &data))?;
        Ok(items.into_iter().map(|(key, data)| (key, data.into())).collect())
    }

    /// What an edge carries instead of the data.
    pub async fn forward(&mut self, handler: &str, data: Bytes) -> Result<Bytes, Failure> {
        call!(self.call_forward(handler; &data)).map(Bytes::from)
    }

    /// The request to send instead.
    pub async fn prepare(&mut self, handler: &str, request: HttpRequest) -> Result<HttpRequest, Failure> {
        let HttpRequest { method, url, headers, body } = request;
        let request = types::HttpRequest { method, url, headers, body: body.into() };
        let types::HttpRequest { method, url, headers, body } = call!(self.call_prepare(handler; &request))?;
        Ok(HttpRequest { method, url, headers, body: body.into() })
    }

    /// The data that a response stands for.
    pub async fn receive(&mut self, handler: &str, response: HttpResponse) -> Result<Bytes, Failure> {
        let HttpResponse { status, headers, body } = response;
        let response = types::HttpResponse { status, headers, body: body.into() };
        call!(self.call_receive(handler; &response)).map(Bytes::from)
    }

    /// The data to go on with after a failure.
    pub async fn recover(&mut self, handler: &str, error: &str) -> Result<Bytes, Failure> {
        call!(self.call_recover(handler; error)).map(Bytes::from)
    }

    /// Cleans up after the run.
    pub async fn finally(&mut self, handler: &str, outcome: Outcome) -> Result<(), Failure> {
        let outcome = match outcome {
            Outcome::Success => types::Outcome::Success,
            Outcome::Failure => types::Outcome::Failure,
        };
        call!(self.call_finally(handler; outcome))
    }

    /// A call is about to start. Should it never end, the instance stays unusable.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        if !self.usable {
            return Err(Failure::retry(
                Code::GUEST_TRAPPED,
                "the instance crashed in an earlier call; the next try has a new one",
            ));
        }
        self.usable = false;
        self.store.set_epoch_deadline(1);
        let until = Instant::now() + self.timeout;
        let state = self.store.data_mut();
        state.until = until;
        state.usage.denied = false;
        Ok(())
    }

    fn end<T>(&mut self, answer: wasmtime::Result<Result<T, types::Failure>>) -> Result<T, Failure> {
        let answer = answer.map_err(|error| failure(&error, self.store.data()))?;
        self.usable = true;
        answer.map_err(|refusal| match refusal {
            types::Failure::Retry(reason) => Failure::retry(Code::GUEST_RETRIES, reason),
            types::Failure::Reject(reason) => Failure::reject(Code::GUEST_REJECTED, reason),
        })
    }
}

/// What wasmtime's error means for the run.
pub(crate) fn failure(error: &wasmtime::Error, state: &State) -> Failure {
    if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return Failure::retry(Code::GUEST_POOL_FULL, format!("too many flow instances run at once: {full}"));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            let reason = format!("the flow's code nested its calls too deeply{}; does it recurse?", place(error));
            Failure::reject(Code::GUEST_OUT_OF_STACK, reason)
        }
        Some(Trap::Interrupt) => {
            let reason = format!("the flow's code ran for too long{}; does it loop?", place(error));
            Failure::reject(Code::GUEST_OUT_OF_TIME, reason)
        }
        _ if state.usage.denied => {
            let reason = format!("the flow's code wanted more memory than it may have{}", place(error));
            Failure::reject(Code::GUEST_OUT_OF_MEMORY, reason)
        }
        Some(trap) => Failure::reject(Code::GUEST_TRAPPED, format!("the flow's code crashed: {trap}{}", place(error))),
        None => untyped(error),
    }
}

/// Errors that wasmtime tells apart by their text only; `tests/hostile.rs` notices when it changes.
fn untyped(error: &wasmtime::Error) -> Failure {
    let reason = error.root_cause().to_string();
    match reason.contains("fuel") || reason.contains("out of bounds of memory") {
        true => Failure::reject(
            Code::OUTPUT_TOO_LARGE,
            format!("the flow's code returned more than it may: {reason}; hand large data on in parts"),
        ),
        false => Failure::reject(Code::GUEST_TRAPPED, format!("the flow's code crashed: {reason}{}", place(error))),
    }
}

/// The innermost functions that have names.
fn place(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let names: Vec<&str> = backtrace.frames().iter().filter_map(|frame| frame.func_name()).take(5).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(", called by ")) }
}
