//! What a flow's code sees of its run.

use super::drive::STORE_RETRIES;
use super::live::Live;
use super::signals::signal_url;
use crate::Error;
use crate::counters::FlowDurations;
use crate::events::Keys;
use bytes::Bytes;
use faas_flow_core::run::Request;
use faas_flow_core::{Failure, FlowName, Millis, RunId, readable_header};
use faas_flow_guest::{CallContext, ContextError, FlowLog, Level, RunContext};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

/// The context of a run, as its code sees it.
pub(super) struct Context {
    id: RunId,
    flow: FlowName,
    /// When the run began; 0 before.
    clock: Millis,
    request: Arc<Request>,
    log: Arc<FlowLog>,
    /// Where the times of its handlers go; none before it has begun.
    durations: Option<Arc<FlowDurations>>,
    values: Values,
}

/// Where the values of a run are.
enum Values {
    /// There are none, since the run has not begun: `define` is asked first.
    NotBegun,
    /// With the run. The reference is weak, because the run owns the idle instances that own this context.
    Of(Weak<Live>),
}

impl Context {
    /// The context of a run that this replica works on.
    pub(super) fn of(live: &Arc<Live>) -> Self {
        Self {
            id: live.id.clone(),
            flow: live.flow.name.clone(),
            clock: live.clock,
            request: live.request.clone(),
            log: live.log.clone(),
            durations: Some(live.durations.clone()),
            values: Values::Of(Arc::downgrade(live)),
        }
    }

    /// The context of a run that has not begun yet.
    pub(super) fn before(id: RunId, flow: FlowName, request: Request, log: FlowLog) -> Self {
        let (request, log) = (Arc::new(request), Arc::new(log));
        Self { id, flow, clock: 0, request, log, durations: None, values: Values::NotBegun }
    }
}

#[async_trait::async_trait]
impl RunContext for Context {
    fn request_id(&self) -> &str {
        self.id.as_str()
    }

    fn flow_name(&self) -> &str {
        self.flow.as_str()
    }

    fn clock(&self) -> Millis {
        self.clock
    }

    fn secret(&self) -> Vec<u8> {
        let Values::Of(live) = &self.values else { return Vec::new() };
        let live = live.upgrade();
        let keys = live.as_ref().and_then(|live| live.services.keys.as_ref());
        keys.map(Keys::random).unwrap_or_default().to_vec()
    }

    fn query(&self, name: &str) -> Vec<String> {
        matching(&self.request.query, |given| given == name)
    }

    fn header(&self, name: &str) -> Vec<String> {
        let values = matching(&self.request.headers, |given| given.eq_ignore_ascii_case(name));
        values.into_iter().map(|value| readable_header(&value).into_owned()).collect()
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ContextError> {
        let Values::Of(live) = &self.values else { return Ok(None) };
        let Some(live) = live.upgrade() else { return Err("the run has ended".into()) };
        if live.is_in_memory() {
            let values = live.values.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(values.get(key).cloned().flatten());
        }
        let mut delays = STORE_RETRIES.delays(fastrand::f64);
        let value = loop {
            match live.services.data.value(&*live.services.state, &live.id, key).await {
                Err(error)
                    if error.code().is_transient()
                        && let Some(delay) = delays.next() =>
                {
                    tokio::time::sleep(delay).await;
                }
                value => break value,
            }
        };
        value.map_err(|error| ContextError::Host(unread(error)))
    }

    fn signal_url(&self, call: &CallContext, name: &str, valid_ms: Option<u64>) -> Result<String, ContextError> {
        match &self.values {
            Values::NotBegun => Err("the run has not begun".into()),
            Values::Of(live) => {
                let live = live.upgrade().ok_or("the run has ended")?;
                signal_url(&live, (&call.node, call.round), name, valid_ms)
            }
        }
    }

    fn log(&self, call: &CallContext, level: Level, message: &str) {
        self.log.write((self.request_id(), self.flow_name()), call, level, message);
        if let (Some(log), Values::Of(live)) = (&call.log, &self.values)
            && let Some(live) = live.upgrade()
        {
            log.add(live.services.now(), call.attempt, level, message);
        }
    }

    fn handled(&self, took: Duration) {
        if let Some(durations) = &self.durations {
            durations.handled(took);
        }
    }
}

/// The failure of a node whose code asked for a value that could not be read.
fn unread(error: Error) -> Failure {
    match error {
        Error::Failed(failure) => failure,
        error if error.code().may_pass_later() => Failure::retry(error.code(), error.to_string()),
        error => Failure::reject(error.code(), error.to_string()),
    }
}

/// The values whose name matches, in order.
fn matching(given: &[(String, String)], matches: impl Fn(&str) -> bool) -> Vec<String> {
    given.iter().filter(|(name, _)| matches(name)).map(|(_, value)| value.clone()).collect()
}
