//! One live instance of a flow.

use crate::bindings::faas_flow::flow::types;
use crate::error::GuestError;
use crate::exports::{Answered, Export, Exports, Named, Recovering, failed};
use crate::guests::Host;
use crate::module::Loaded;
use crate::place::{place, place_of_author};
use crate::room::Place;
use crate::state::{HostFailed, State};
use crate::wasi::Stopped;
use crate::{CallContext, Failed, HandlerCall, HttpRequest, HttpResponse, Module, Outcome, Purpose, count};
use bytes::Bytes;
use faas_flow_core::definition::HandlerKind;
use faas_flow_core::{Code, Content, Failure, Labels, MediaType, ResponseHead, ShownDuration, SignalName, Wake};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use wasmtime::component::{self, ComponentNamedList, Lift, Lower};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

/// One live instance of a flow, which serves the calls of one run, one at a time.
///
/// Its memory survives from call to call. After a crash, or when the future of a call was dropped before it was ready, the
/// instance is no longer [usable](Instance::usable).
pub struct Instance {
    pub(crate) store: Store<State>,
    component: component::Instance,
    usable: bool,
    /// It also keeps the engine's ticker running.
    module: Module,
    /// Dropped after the store, which returns its slots to the pool.
    place: Place,
}

impl Instance {
    pub(crate) async fn new(loaded: &Loaded, state: State, module: Module) -> Result<Self, GuestError> {
        let Host { engine, limits, room, .. } = &*loaded.host;
        let mut place = room.take().ok_or_else(|| pool_full(&format_args!("the limit is {}", limits.instances)))?;
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(limits.output_bytes);
        store.set_epoch_deadline(1);
        let timeout = limits.call_timeout;
        store.epoch_deadline_callback(move |mut store| {
            let now = Instant::now();
            let over = now >= *store.data_mut().until.get_or_insert(now + timeout);
            // With tokio's own way to yield, a worker looks for what has arrived on the network before it comes back to this call.
            let turn = || UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()));
            Ok(if over { UpdateDeadline::Interrupt } else { turn() })
        });
        let instantiated = loaded.pre.instantiate_async(&mut store).await;
        store.data_mut().end_lines();
        store.data_mut().usage.start();
        place.note_memory(store.data().usage.memory());
        match instantiated {
            Ok(component) => Ok(Self { store, component, usable: true, module, place }),
            Err(error) => Err(match trap_or_limit(&error, store.data()) {
                Some(failure) => failure.into(),
                None if is_of_system(&error) => GuestError::Engine { reason: error.root_cause().to_string() },
                None => GuestError::Call(bad_value(&error, store.data(), "its beginning")),
            }),
        }
    }

    /// Sets what `context` answers in the following calls. `values` are the context values that earlier calls of the node
    /// have set (or deleted: `None`), one entry per key; they replace the instance's own changes so far.
    pub fn enter(&mut self, call: Arc<CallContext>, values: Vec<(String, Option<Bytes>)>) {
        self.store.data_mut().enter(call, values);
    }

    /// Takes the context values that the flow's code has set (or deleted: `None`), including those passed to
    /// [`enter`](Self::enter): the latest for each key.
    pub fn take_changes(&mut self) -> Vec<(String, Option<Bytes>)> {
        std::mem::take(&mut self.store.data_mut().changes)
    }

    /// Takes the status and headers that the flow's code has set for the answer of the run since [`enter`](Self::enter).
    pub fn take_response(&mut self) -> Option<ResponseHead> {
        self.store.data_mut().response.take()
    }

    /// Takes the labels that the flow's code has given the run since [`enter`](Self::enter).
    pub fn take_labels(&mut self) -> Labels {
        std::mem::take(&mut self.store.data_mut().labels)
    }

    /// Whether the instance can serve another call.
    pub fn usable(&self) -> bool {
        self.usable
    }

    /// Whether the instance's memory has grown by more than a quarter of the limit since its first call. It still serves calls, but a
    /// fresh one should serve the next: WebAssembly's memory never shrinks, and the code, or the runtime of its language, may leak
    /// some in each call.
    pub fn has_grown_much(&self) -> bool {
        self.store.data().usage.has_grown_much()
    }

    /// Calls a `modify` handler: data in, data out.
    pub async fn modify(&mut self, handler: &str, data: Content) -> Result<Content, Failure> {
        self.given(data.media_type);
        let data =
            self.handle(handler, HandlerKind::Modify, |functions| functions.modify, (handler, &*data.bytes)).await?;
        self.returned(data)
    }

    /// Calls an `aggregate` handler: several named values in, one out.
    pub async fn aggregate(&mut self, handler: &str, inputs: Vec<(String, Content)>) -> Result<Content, Failure> {
        self.given(MediaType::OCTET_STREAM);
        let merged = &mut self.store.data_mut().said.merged;
        merged.reserve(inputs.len());
        let mut values: Vec<(String, Vec<u8>)> = Vec::with_capacity(inputs.len());
        for (name, Content { bytes, media_type }) in inputs {
            merged.push(media_type);
            values.push((name, bytes.into()));
        }
        let data =
            self.handle(handler, HandlerKind::Aggregate, |functions| functions.aggregate, (handler, &*values)).await?;
        self.returned(data)
    }

    /// Calls a `condition` handler, which returns the keys of the branches to run.
    pub async fn condition(&mut self, handler: &str, data: &Content) -> Result<Vec<String>, Failure> {
        self.given(data.media_type.clone());
        self.handle(handler, HandlerKind::Condition, |functions| functions.condition, (handler, &*data.bytes)).await
    }

    /// Calls a `for-each` handler, which returns the items to run a branch for, by key. All are of the media type that the
    /// handler says.
    pub async fn for_each(&mut self, handler: &str, data: Content) -> Result<Vec<(String, Content)>, Failure> {
        self.given(data.media_type);
        let items: Named =
            self.handle(handler, HandlerKind::ForEach, |functions| functions.for_each, (handler, &*data.bytes)).await?;
        let media_type = std::mem::take(&mut self.store.data_mut().said.returned);
        let item = |(key, data)| Ok((key, Content::new(output(data)?, media_type.clone())));
        items.into_iter().map(item).collect()
    }

    /// Calls a `forward` handler, which returns what an edge carries instead of the data.
    pub async fn forward(&mut self, handler: &str, data: Content) -> Result<Content, Failure> {
        self.given(data.media_type);
        let data =
            self.handle(handler, HandlerKind::Forward, |functions| functions.forward, (handler, &*data.bytes)).await?;
        self.returned(data)
    }

    /// Calls a `prepare` handler, which returns the request to send.
    pub async fn prepare(&mut self, handler: &str, request: HttpRequest) -> Result<HttpRequest, Failure> {
        self.given(request.media_type());
        let HttpRequest { method, url, headers, body } = request;
        let request = types::HttpRequest { method, url, headers, body: body.into() };
        let types::HttpRequest { method, url, headers, body } =
            self.handle(handler, HandlerKind::Prepare, |functions| functions.prepare, (handler, &request)).await?;
        Ok(HttpRequest { method, url, headers, body: output(body)? })
    }

    /// Calls a `receive` handler, which turns a response into data.
    pub async fn receive(&mut self, handler: &str, response: HttpResponse) -> Result<Content, Failure> {
        self.given(response.media_type());
        let HttpResponse { status, headers, body } = response;
        let response = types::HttpResponse { status, headers, body: body.into() };
        let data =
            self.handle(handler, HandlerKind::Receive, |functions| functions.receive, (handler, &response)).await?;
        self.returned(data)
    }

    /// Calls a `recover` handler, which returns the data to continue with after a failure.
    pub async fn recover(&mut self, handler: &str, error: &str) -> Result<Content, Failure> {
        self.given(MediaType::OCTET_STREAM);
        let data = self.handle(handler, HandlerKind::Recover, |functions| functions.recover, (handler, error)).await?;
        self.returned(data)
    }

    /// Calls a `recover-from` handler, which returns the data to continue with after a failure. `input` is the data of what
    /// failed, and `body` that of the response, if there is one.
    pub async fn recover_from(
        &mut self,
        handler: &str,
        what: &Failed,
        input: Content,
        body: Option<Content>,
    ) -> Result<Content, Failure> {
        self.given(input.media_type);
        let (what, body) = (failed(what), body.as_ref().map(|body| &*body.bytes));
        let arguments: Recovering<'_> = (handler, &what, &input.bytes, body);
        let data = self
            .handle_if_any(handler, HandlerKind::RecoverFrom, |functions| functions.recover_from, arguments)
            .await?;
        self.returned(data)
    }

    /// Calls a `gather` handler: the results and the failures of items in, one value out.
    pub async fn gather(
        &mut self,
        handler: &str,
        items: Vec<(String, Result<Content, Failed>)>,
    ) -> Result<Content, Failure> {
        self.given(MediaType::OCTET_STREAM);
        let merged = &mut self.store.data_mut().said.merged;
        merged.reserve(items.len());
        let mut gathered: Vec<types::Gathered> = Vec::with_capacity(items.len());
        for (key, ended) in items {
            let (ended, media_type) = match ended {
                Ok(Content { bytes, media_type }) => (Ok(bytes.into()), media_type),
                Err(what) => (Err(failed(&what)), MediaType::OCTET_STREAM),
            };
            merged.push(media_type);
            gathered.push(types::Gathered { key, ended });
        }
        let arguments = (handler, &*gathered);
        let data = self.handle_if_any(handler, HandlerKind::Gather, |functions| functions.gather, arguments).await?;
        self.returned(data)
    }

    /// Calls a `moment` handler, which says until when a node sleeps with this data.
    pub async fn moment(&mut self, handler: &str, data: &Content) -> Result<Wake, Failure> {
        self.given(data.media_type.clone());
        let arguments = (handler, &*data.bytes);
        Ok(match self.handle_if_any(handler, HandlerKind::Moment, |functions| functions.moment, arguments).await? {
            types::Wake::After(ms) => Wake::After(ms),
            types::Wake::At(moment) => Wake::At(moment),
        })
    }

    /// Calls a `signal-name` handler, which names the signal that a node waits for with this data.
    pub async fn signal_name(&mut self, handler: &str, data: &Content) -> Result<SignalName, Failure> {
        self.given(data.media_type.clone());
        let arguments = (handler, &*data.bytes);
        let which = |functions: &Exports| functions.signal_name;
        let name: String = self.handle_if_any(handler, HandlerKind::SignalName, which, arguments).await?;
        SignalName::new(name).map_err(|malformed| Failure::reject(Code::BAD_SIGNAL_NAME, malformed.to_string()))
    }

    /// Calls a `finally` handler at the end of the run.
    pub async fn finally(&mut self, handler: &str, outcome: Outcome) -> Result<(), Failure> {
        self.given(MediaType::OCTET_STREAM);
        self.store.data_mut().said.is_answered = true;
        let outcome = match outcome {
            Outcome::Success => types::Outcome::Success,
            Outcome::Failure => types::Outcome::Failure,
        };
        self.handle(handler, HandlerKind::Finally, |functions| functions.finally, (handler, outcome)).await
    }

    /// Calls an `again` handler, which says whether a dag runs again on the result of this round.
    pub async fn again(&mut self, handler: &str, data: &Content, round: u32) -> Result<bool, Failure> {
        self.given(data.media_type.clone());
        let arguments = (handler, &*data.bytes, round);
        self.handle_if_any(handler, HandlerKind::Again, |functions| functions.again, arguments).await
    }

    /// Calls a `key` handler, which names the key of a limit for this data.
    pub async fn key(&mut self, handler: &str, data: &Content) -> Result<String, Failure> {
        self.given(data.media_type.clone());
        let arguments = (handler, &*data.bytes);
        self.handle_if_any(handler, HandlerKind::Key, |functions| functions.key, arguments).await
    }

    /// Notes the media type of what the next handler gets.
    fn given(&mut self, given: MediaType) {
        let said = &mut self.store.data_mut().said;
        (said.given, said.returned) = (given, MediaType::OCTET_STREAM);
        (said.reject_status, said.is_answered) = (None, false);
        said.merged.clear();
    }

    /// What a handler returned, as the media type that it said.
    fn returned(&mut self, data: Vec<u8>) -> Result<Content, Failure> {
        let media_type = std::mem::take(&mut self.store.data_mut().said.returned);
        Ok(Content::new(output(data)?, media_type))
    }

    /// Calls a function of the module.
    pub(crate) async fn call<P, R>(&mut self, which: fn(&Exports) -> Export, arguments: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = which(self.module.functions());
        self.call_export(function, arguments).await
    }

    async fn call_export<P, R>(&mut self, function: Export, arguments: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        if let Some(set_clock) = self.module.functions().set_clock {
            let time = self.store.data().time_of_call();
            let set_clock = set_clock.of::<(u64,), ()>(&self.component, &mut self.store)?;
            set_clock.call_async(&mut self.store, (time,)).await?;
        }
        let function = function.of::<P, R>(&self.component, &mut self.store)?;
        let answer = function.call_async(&mut self.store, arguments).await;
        self.store.data_mut().end_lines();
        answer
    }

    /// Calls a handler.
    async fn handle<P, T>(
        &mut self,
        handler: &str,
        kind: HandlerKind,
        which: fn(&Exports) -> Export,
        arguments: P,
    ) -> Result<T, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
    {
        let function = which(self.module.functions());
        self.handle_with(handler, kind, function, arguments).await
    }

    /// Calls a handler of a kind that a module need not have.
    async fn handle_if_any<P, T>(
        &mut self,
        handler: &str,
        kind: HandlerKind,
        which: fn(&Exports) -> Option<Export>,
        arguments: P,
    ) -> Result<T, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
    {
        let Some(function) = which(self.module.functions()) else {
            let message = format!("the module exports no handlers of the kind `{kind}`: build it with them");
            return Err(Failure::reject(Code::BAD_HANDLER_ANSWER, message));
        };
        self.handle_with(handler, kind, function, arguments).await
    }

    async fn handle_with<P, T>(
        &mut self,
        handler: &str,
        kind: HandlerKind,
        function: Export,
        arguments: P,
    ) -> Result<T, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + 'static,
    {
        self.begin(handler)?;
        let observer = self.store.data().call.observer.clone();
        let observed = observer.map(|observer| (observer, SystemTime::now()));
        let began = Instant::now();
        let answer = self.call_export::<P, Answered<T>>(function, arguments).await;
        let state = self.store.data();
        state.run.handled(began.elapsed());
        self.place.note_memory(state.usage.memory());
        let answer = self.end(answer.map(|(answer,)| answer), handler);
        if let Some((observer, start)) = observed {
            let failure = answer.as_ref().err().map(|failure| failure.code);
            observer.called(HandlerCall { kind, handler, start, failure });
        }
        answer
    }

    /// Marks the start of a call of this handler. The instance stays unusable until the call ends.
    pub(crate) fn begin(&mut self, handler: &str) -> Result<(), Failure> {
        if !self.usable {
            return Err(Failure::retry(
                Code::GUEST_TRAPPED,
                "the instance crashed in an earlier call; the next try gets a new one",
            ));
        }
        self.usable = false;
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.until = None;
        state.usage.begin();
        state.system.begin(handler);
        state.panicked = None;
        Ok(())
    }

    fn end<T>(&mut self, answer: wasmtime::Result<Result<T, types::Failure>>, handler: &str) -> Result<T, Failure> {
        let answer = answer.map_err(|error| failure(&error, self.store.data(), &format!("handler `{handler}`")))?;
        self.usable = true;
        answer.map_err(|refusal| match refusal {
            types::Failure::Retry(reason) => Failure::retry(Code::GUEST_RETRIES, reason),
            types::Failure::Reject(reason) => {
                let status = self.store.data_mut().said.reject_status.take();
                Failure { status, ..Failure::reject(Code::GUEST_REJECTED, reason) }
            }
        })
    }
}

/// Data that the flow's code yielded, which is counted from now on.
fn output(data: Vec<u8>) -> Result<Bytes, Failure> {
    Ok(count(Purpose::Code, data)?)
}

/// Turns wasmtime's error in a call into a failure of the run. `called` is what was called.
pub(crate) fn failure(error: &wasmtime::Error, state: &State, called: &str) -> Failure {
    trap_or_limit(error, state).unwrap_or_else(|| bad_value(error, state, called))
}

/// The failure if the code hit a limit or trapped, or if the host could not give it what it asked for.
fn trap_or_limit(error: &wasmtime::Error, state: &State) -> Option<Failure> {
    if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        return Some(pool_full(full));
    }
    if let Some(short) = state.usage.short {
        return Some(short.into());
    }
    if let Some(HostFailed(failure)) = error.downcast_ref::<HostFailed>() {
        return Some(failure.clone());
    }
    let limits = &state.limits;
    let last_words = state.system.last_words();
    let (code, what) = match (error.downcast_ref::<Trap>(), error.downcast_ref::<Stopped>()) {
        (Some(Trap::StackOverflow), _) => (
            Code::GUEST_OUT_OF_STACK,
            format!(
                "the flow's code exceeded its stack of {} bytes{}; does it recurse without end?",
                limits.stack_bytes,
                place(error)
            ),
        ),
        (Some(Trap::Interrupt), _) => (
            Code::GUEST_OUT_OF_TIME,
            format!(
                "the flow's code exceeded its time limit of {} (guest_timeout){}; does it loop?",
                ShownDuration(limits.call_timeout),
                place(error)
            ),
        ),
        _ if state.usage.denied => (
            Code::GUEST_OUT_OF_MEMORY,
            format!(
                "the flow's code exceeded its memory limit of {} bytes (guest_memory){}",
                limits.memory_bytes,
                place(error)
            ),
        ),
        (_, Some(stopped)) => {
            (Code::GUEST_TRAPPED, format!("the flow's code crashed: {stopped}{}", place_of_author(error)))
        }
        (Some(trap), _) => {
            let what = match (&state.panicked, trap) {
                (Some(panic), _) => format!("the flow's code crashed: {panic}{}", place(error)),
                // What it has written says more than that it gave up.
                (None, Trap::UnreachableCodeReached) if last_words.is_some() => {
                    format!("the flow's code crashed{}", place_of_author(error))
                }
                (None, trap) => format!("the flow's code crashed: {trap}{}", place(error)),
            };
            (Code::GUEST_TRAPPED, what)
        }
        (None, None) => return None,
    };
    let last_words = last_words.map(|words| format!("; it wrote to stderr:\n{words}"));
    Some(Failure::reject(code, what + &last_words.unwrap_or_default()))
}

/// Whether the system has refused something, such as memory.
fn is_of_system(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.is::<std::io::Error>() || cause.is::<rustix::io::Errno>())
}

fn pool_full(reason: &dyn std::fmt::Display) -> Failure {
    Failure::retry(Code::GUEST_POOL_FULL, format!("too many flow instances run at once: {reason}"))
}

/// Wasmtime's message when a call passes more data than `limits.output_bytes`. Wasmtime has no error type for it, so a test
/// with hostile modules checks that the message is still the same.
const TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";

/// The failure if the code did not trap but passed a value that is too large or violates the contract: bytes outside its
/// memory, text that is not UTF-8, a handle that it was never given.
fn bad_value(error: &wasmtime::Error, state: &State, called: &str) -> Failure {
    let reason = error.root_cause().to_string();
    // What the code returned is read when none of its functions runs any more.
    let place = Some(place(error)).filter(|place| !place.is_empty()).unwrap_or_else(|| format!(" in {called}"));
    if reason.ends_with(TOO_MUCH) {
        let reason = format!(
            "the flow's code returned too much data, more than {} bytes (guest_output){place}; pass it on in parts",
            state.limits.output_bytes
        );
        return Failure::reject(Code::OUTPUT_TOO_LARGE, reason);
    }
    let reason = format!("the flow's code passed an invalid value: {reason}{place}");
    Failure::reject(Code::BAD_HANDLER_ANSWER, reason)
}
