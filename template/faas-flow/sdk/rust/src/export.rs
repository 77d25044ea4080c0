//! The component's side of the contract: replays a recorded definition into the host's builder, and passes the host's
//! calls on to the flow's closures.
//!
//! An instance serves one run, so the closures recorded at its first call serve the later ones too: the context that
//! they captured is that of the same run.

use crate::backoff::Backoff;
use crate::context::Context;
use crate::definition as plain;
use crate::failed::{Failed, FailureKind, Gathered};
use crate::failure::{Failure, Result};
use crate::handler::Handlers;
use crate::http::{Request, Response};
use crate::inputs::Inputs;
use crate::record::{Recorded, record};
use crate::values::{Exhausted, Level, Missed, Outcome, Overlap, State, Wake};
use crate::workflow::Workflow;
use bindings::exports::faas_flow::flow::{
    definition, gathering, handlers, limiting, recovery, repeating, signalling, timing,
};
use bindings::faas_flow::flow::{builder, context, types};
use std::cell::OnceCell;

#[allow(
    missing_docs,
    missing_debug_implementations,
    unsafe_code,
    clippy::all,
    clippy::missing_errors_doc,
    reason = "generated code"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "full-flow",
        pub_export_macro: true,
        export_macro_name: "export_bindings",
        default_bindings_module: "faas_flow::export::bindings",
    });
}

/// The author's function, as a type.
pub trait Define {
    /// Describes the flow.
    ///
    /// # Errors
    ///
    /// Those of the author's function.
    fn define(workflow: &mut Workflow, context: &Context) -> Result;
}

fn flow<T: Define>() -> Result<Recorded> {
    std::panic::set_hook(Box::new(|panic| context::log(context::Level::Error, &panic.to_string())));
    record(T::define, &Context { host: Host })
}

thread_local! {
    /// Leaked on purpose: the host drops an instance as a whole, so freeing its parts would only cost time.
    static RECORDED: OnceCell<&'static Recorded> = const { OnceCell::new() };
}

fn closures<T: Define>() -> Result<&'static Handlers, types::Failure> {
    if let Some(recorded) = RECORDED.with(|cell| cell.get().copied()) {
        return Ok(&recorded.handlers);
    }
    let recorded: &Recorded = Box::leak(Box::new(flow::<T>()?));
    Ok(&RECORDED.with(|cell| *cell.get_or_init(|| recorded)).handlers)
}

impl<T: Define> definition::Guest for T {
    fn define(workflow: builder::Workflow) -> Result<(), String> {
        let Recorded { definition, .. } = flow::<T>().map_err(|failure| failure.to_string())?;
        workflow.handlers(&definition.handlers);
        if let Some(id) = &definition.on_failure {
            workflow.on_failure(id);
        }
        if let Some(id) = &definition.finally {
            workflow.finally(id);
        }
        if let Some(ms) = definition.deadline_ms {
            workflow.deadline(ms);
        }
        if definition.on_exhausted == Exhausted::Pause {
            workflow.on_exhausted(types::Exhausted::Pause);
        }
        replay_schedules(&workflow, &definition.schedules);
        replay_dag(&workflow.dag(), &definition.dag);
        Ok(())
    }
}

fn replay_schedules(workflow: &builder::Workflow, schedules: &[plain::Schedule]) {
    for schedule in schedules {
        let host = workflow.schedule(&schedule.name, &schedule.when);
        if let Some(zone) = &schedule.time_zone {
            host.time_zone(zone);
        }
        host.missed(match schedule.missed {
            Missed::Skip => types::Missed::Skip,
            Missed::One => types::Missed::One,
            Missed::All => types::Missed::All,
        });
        host.overlap(match schedule.overlap {
            Overlap::Skip => types::Overlap::Skip,
            Overlap::Allow => types::Overlap::Allow,
            Overlap::Queue => types::Overlap::Queue,
            Overlap::Replace => types::Overlap::Replace,
        });
        if let Some(input) = &schedule.input {
            host.input(&input.body, &input.media_type);
        }
    }
}

fn replay_dag(host: &builder::Dag, dag: &plain::Dag) {
    for node in &dag.nodes {
        replay_node(host, node);
    }
    for edge in &dag.edges {
        let carries = match &edge.carries {
            plain::Carries::Output => types::Carries::Output,
            plain::Carries::Nothing => types::Carries::Nothing,
            plain::Carries::Forwarded(id) => types::Carries::Forwarded(id.clone()),
        };
        host.edge(&edge.from, &edge.to, &carries);
    }
    for inputs in &dag.aggregate_inputs {
        host.aggregate_inputs(&inputs.node, &inputs.aggregator);
    }
    if let Some(id) = &dag.aggregate_ends {
        host.aggregate_ends(id);
    }
    for node in &dag.recover_nodes {
        host.recover_node(&node.node, &node.recover);
    }
    if let Some(id) = &dag.recover {
        host.recover(id);
    }
}

fn replay_node(host: &builder::Dag, node: &plain::Node) {
    match &node.kind {
        plain::NodeKind::Operations(operations) => replay_operations(&host.node(&node.id), operations),
        plain::NodeKind::SubDag(dag) => replay_dag(&host.sub_dag(&node.id), dag),
        plain::NodeKind::Condition(branches) => {
            let host = host.condition(&node.id, &branches.handler);
            for branch in &branches.dags {
                replay_dag(&host.branch(&branch.key), &branch.dag);
            }
            replay_branches(&host, branches);
        }
        plain::NodeKind::ForEach(branches) => {
            let host = host.for_each(&node.id, &branches.handler);
            for branch in &branches.dags {
                replay_dag(&host.each(), &branch.dag);
            }
            replay_branches(&host, branches);
        }
        plain::NodeKind::Repeat(repeat) => {
            let host = host.repeat(&node.id, &repeat.handler, repeat.most);
            replay_dag(&host.dag(), &repeat.dag);
            if repeat.wait_ms > 0 {
                host.wait(repeat.wait_ms);
            }
        }
    }
}

fn replay_operations(host: &builder::Node, operations: &plain::Operations) {
    for operation in &operations.list {
        match operation {
            plain::Operation::Apply(call) => replay_call(&host.apply(&call.target), call),
            plain::Operation::Request(call) => replay_call(&host.request(&call.target), call),
            plain::Operation::Modify(id) => host.modify(id),
            plain::Operation::Sleep(ms) => host.sleep(*ms),
            plain::Operation::SleepUntil(id) => host.sleep_until(id),
            plain::Operation::WaitFor(wait) => {
                let host = match &wait.signal {
                    plain::SignalSource::Named(name) => host.wait_for(name),
                    plain::SignalSource::Handler(id) => host.wait_for_named(id),
                };
                if let Some(ms) = wait.timeout_ms {
                    host.timeout(ms);
                }
                if let Some(id) = &wait.recover_from {
                    host.recover_from(id);
                }
            }
        }
    }
    if let Some(policy) = operations.retry {
        host.retry(policy.into());
    }
    if let Some(ms) = operations.timeout_ms {
        host.timeout(ms);
    }
    if let Some(limit) = &operations.limit {
        replay_limit(&host.limit(&limit.name), limit);
    }
}

fn replay_limit(host: &builder::Limit, limit: &plain::Limit) {
    if let Some(count) = limit.concurrent {
        host.concurrent(count);
    }
    if let Some(rate) = limit.per_second {
        host.per_second(rate);
    }
    if let Some(id) = &limit.key {
        host.key(id);
    }
}

fn replay_call(host: &builder::Call, call: &plain::Call) {
    if let Some(name) = &call.method {
        host.method(name);
    }
    for (name, value) in &call.headers {
        host.header(name, value);
    }
    for (name, value) in &call.query {
        host.query(name, value);
    }
    if let Some(id) = &call.prepare {
        host.prepare(id);
    }
    if let Some(id) = &call.receive {
        host.receive(id);
    }
    if let Some(id) = &call.recover {
        host.recover(id);
    }
    if let Some(id) = &call.recover_from {
        host.recover_from(id);
    }
    if let Some(policy) = call.retry {
        host.retry(policy.into());
    }
    if !call.retry_on.is_empty() {
        host.retry_on(&call.retry_on);
    }
    if let Some(ms) = call.timeout_ms {
        host.timeout(ms);
    }
    if call.asynchronous {
        host.asynchronous();
    }
    if let Some(limit) = &call.limit {
        replay_limit(&host.limit(&limit.name), limit);
    }
}

fn replay_branches(host: &builder::Branches, branches: &plain::Branches) {
    if let Some(id) = &branches.aggregator {
        host.aggregate(id);
    }
    if branches.carries_nothing {
        host.carries_nothing();
    }
    if let Some(count) = branches.max_parallel {
        host.max_parallel(count);
    }
    match branches.tolerate {
        Some(plain::Tolerate::Items(items)) => host.tolerate(items),
        Some(plain::Tolerate::Share(share)) => host.tolerate_share(share),
        None => {}
    }
    if let Some(id) = &branches.gather {
        host.gather(id);
    }
}

impl<T: Define> handlers::Guest for T {
    fn modify(id: String, data: Vec<u8>) -> Result<Vec<u8>, types::Failure> {
        Ok(closures::<T>()?.modify(&id, data)?)
    }
    fn aggregate(id: String, inputs: types::Named) -> Result<Vec<u8>, types::Failure> {
        Ok(closures::<T>()?.aggregate(&id, Inputs::from(inputs))?)
    }
    fn condition(id: String, data: Vec<u8>) -> Result<Vec<String>, types::Failure> {
        Ok(closures::<T>()?.condition(&id, data)?)
    }
    fn for_each(id: String, data: Vec<u8>) -> Result<types::Named, types::Failure> {
        Ok(closures::<T>()?.for_each(&id, data)?)
    }
    fn forward(id: String, data: Vec<u8>) -> Result<Vec<u8>, types::Failure> {
        Ok(closures::<T>()?.forward(&id, data)?)
    }
    fn prepare(id: String, request: types::HttpRequest) -> Result<types::HttpRequest, types::Failure> {
        let types::HttpRequest { method, url, headers, body } = request;
        let Request { method, url, headers, body } =
            closures::<T>()?.prepare(&id, Request { method, url, headers, body })?;
        Ok(types::HttpRequest { method, url, headers, body })
    }
    fn receive(id: String, response: types::HttpResponse) -> Result<Vec<u8>, types::Failure> {
        let types::HttpResponse { status, headers, body } = response;
        Ok(closures::<T>()?.receive(&id, Response { status, headers, body })?)
    }
    fn recover(id: String, error: String) -> Result<Vec<u8>, types::Failure> {
        Ok(closures::<T>()?.recover(&id, error)?)
    }
    fn finally(id: String, outcome: types::Outcome) -> Result<(), types::Failure> {
        let outcome = match outcome {
            types::Outcome::Success => Outcome::Success,
            types::Outcome::Failure => Outcome::Failure,
        };
        Ok(closures::<T>()?.finally(&id, outcome)?)
    }
}

impl<T: Define> recovery::Guest for T {
    fn recover_from(
        id: String,
        what: types::Failed,
        input: Vec<u8>,
        body: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, types::Failure> {
        Ok(closures::<T>()?.recover_from(&id, Failed { input, body, ..what.into() })?)
    }
}

impl<T: Define> gathering::Guest for T {
    fn gather(id: String, items: Vec<types::Gathered>) -> Result<Vec<u8>, types::Failure> {
        let gathered = |types::Gathered { key, ended }| Gathered { key, ended: ended.map_err(Failed::from) };
        Ok(closures::<T>()?.gather(&id, items.into_iter().map(gathered).collect())?)
    }
}

impl From<types::Failed> for Failed {
    fn from(what: types::Failed) -> Self {
        let types::Failed { code, kind, status, message, path, tries } = what;
        let kind = match kind {
            types::FailureKind::Rejected => FailureKind::Rejected,
            types::FailureKind::Answered => FailureKind::Answered,
            types::FailureKind::Unreachable => FailureKind::Unreachable,
            types::FailureKind::TimedOut => FailureKind::TimedOut,
            types::FailureKind::Crashed => FailureKind::Crashed,
            types::FailureKind::Child => FailureKind::Child,
            types::FailureKind::Other => FailureKind::Other,
        };
        Self { code, kind, status, message, path, tries, input: Vec::new(), body: None }
    }
}

impl<T: Define> timing::Guest for T {
    fn moment(id: String, data: Vec<u8>) -> Result<types::Wake, types::Failure> {
        Ok(match closures::<T>()?.moment(&id, data)? {
            Wake::After(ms) => types::Wake::After(ms),
            Wake::At(moment) => types::Wake::At(moment),
        })
    }
}

impl<T: Define> repeating::Guest for T {
    fn again(id: String, data: Vec<u8>, round: u32) -> Result<bool, types::Failure> {
        Ok(closures::<T>()?.again(&id, (data, round))?)
    }
}

impl<T: Define> signalling::Guest for T {
    fn signal_name(id: String, data: Vec<u8>) -> Result<String, types::Failure> {
        Ok(closures::<T>()?.signal_name(&id, data)?)
    }
}

impl<T: Define> limiting::Guest for T {
    fn key(id: String, data: Vec<u8>) -> Result<String, types::Failure> {
        Ok(closures::<T>()?.key(&id, data)?)
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry(message) => Self::Retry(message),
            Failure::Reject(message) => Self::Reject(message),
            Failure::RejectWithStatus { status, message } => Self::Reject(match context::set_reject_status(status) {
                Ok(()) => message,
                Err(error) => format!("{message} ({error})"),
            }),
        }
    }
}

impl From<Backoff> for types::Backoff {
    fn from(policy: Backoff) -> Self {
        let Backoff { attempts, first_delay_ms, factor, max_delay_ms } = policy;
        Self { attempts, first_delay_ms, factor, max_delay_ms }
    }
}

/// The context that the host offers.
#[derive(Clone, Copy)]
pub(crate) struct Host;

impl Host {
    pub(crate) fn request_id(self) -> String {
        context::request_id()
    }
    pub(crate) fn flow_name(self) -> String {
        context::flow_name()
    }
    pub(crate) fn node(self) -> String {
        context::node()
    }
    pub(crate) fn state(self) -> State {
        match context::state() {
            context::RunState::Running => State::Running,
            context::RunState::Paused => State::Paused,
            context::RunState::Stopped => State::Stopped,
            context::RunState::Succeeded => State::Succeeded,
            context::RunState::Failed => State::Failed,
        }
    }
    pub(crate) fn query(self, name: &str) -> Vec<String> {
        context::query(name)
    }
    pub(crate) fn header(self, name: &str) -> Vec<String> {
        context::header(name)
    }
    pub(crate) fn inputs(self) -> Inputs {
        context::inputs().into()
    }
    pub(crate) fn content_type(self) -> String {
        context::content_type()
    }
    pub(crate) fn content_types(self) -> Vec<String> {
        context::content_types()
    }
    pub(crate) fn set_content_type(self, media_type: &str) -> Result {
        context::set_content_type(media_type).map_err(Failure::Reject)
    }
    pub(crate) fn respond(self, status: u16, headers: Vec<(String, String)>) -> Result {
        context::respond(status, &headers).map_err(Failure::Reject)
    }
    pub(crate) fn label(self, key: &str, value: &str) -> Result {
        context::label(key, value).map_err(Failure::Reject)
    }
    /// Says that the current closure returns JSON. The host knows this media type, so it does not refuse it.
    pub(crate) fn returns_json() {
        let _ = context::set_content_type("application/json");
    }
    // Reading fails when the store cannot be reached, which may pass. Changing fails when the host refuses the key or
    // the value, which does not.
    pub(crate) fn signal_url(self, name: &str, valid_ms: Option<u64>) -> Result<String> {
        context::signal_url(name, valid_ms).map_err(Failure::Reject)
    }
    pub(crate) fn get(self, key: &str) -> Result<Option<Vec<u8>>> {
        context::get(key).map_err(Failure::Retry)
    }
    pub(crate) fn set(self, key: &str, value: Vec<u8>) -> Result {
        context::set(key, &value).map_err(Failure::Reject)
    }
    pub(crate) fn delete(self, key: &str) -> Result {
        context::delete(key).map_err(Failure::Reject)
    }
    pub(crate) fn log(self, level: Level, message: &str) {
        let level = match level {
            Level::Trace => context::Level::Trace,
            Level::Debug => context::Level::Debug,
            Level::Info => context::Level::Info,
            Level::Warn => context::Level::Warn,
            Level::Error => context::Level::Error,
        };
        context::log(level, message);
    }
}
