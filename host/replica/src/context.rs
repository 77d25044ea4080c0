//! What a flow's code sees of its run.

use super::drive::STORE_RETRIES;
use super::live::Live;
use bytes::Bytes;
use faas_flow_core::run::Request;
use faas_flow_core::{FlowName, RunId};
use faas_flow_guest::{FlowLog, Level, RunContext};
use std::sync::{Arc, PoisonError, Weak};

/// What handlers see of their run. It does not hold the run, which holds it through its idle instances.
pub(super) struct Context {
    id: RunId,
    flow: FlowName,
    request: Arc<Request>,
    log: Arc<FlowLog>,
    live: Weak<Live>,
}

impl Context {
    pub(super) fn of(live: &Arc<Live>) -> Self {
        Self {
            id: live.id.clone(),
            flow: live.flow.name.clone(),
            request: live.request.clone(),
            log: live.log.clone(),
            live: Arc::downgrade(live),
        }
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

    fn query(&self, name: &str) -> Vec<String> {
        values(&self.request.query, |given| given == name)
    }

    fn header(&self, name: &str) -> Vec<String> {
        values(&self.request.headers, |given| given.eq_ignore_ascii_case(name))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, String> {
        let Some(live) = self.live.upgrade() else { return Err("the run has ended".to_owned()) };
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
        value.map_err(|error| format!("{}: {error}", error.code()))
    }

    fn log(&self, node: &str, level: Level, message: &str) {
        self.log.write((self.request_id(), self.flow_name(), node), level, message);
    }
}

/// What `define` sees of a run that has not begun yet.
pub(super) struct UnbegunContext {
    pub(super) id: RunId,
    pub(super) flow: FlowName,
    pub(super) request: Request,
    pub(super) log: FlowLog,
}

#[async_trait::async_trait]
impl RunContext for UnbegunContext {
    fn request_id(&self) -> &str {
        self.id.as_str()
    }

    fn flow_name(&self) -> &str {
        self.flow.as_str()
    }

    fn query(&self, name: &str) -> Vec<String> {
        values(&self.request.query, |given| given == name)
    }

    fn header(&self, name: &str) -> Vec<String> {
        values(&self.request.headers, |given| given.eq_ignore_ascii_case(name))
    }

    async fn get(&self, _key: &str) -> Result<Option<Bytes>, String> {
        Ok(None)
    }

    fn log(&self, node: &str, level: Level, message: &str) {
        self.log.write((self.request_id(), self.flow_name(), node), level, message);
    }
}

/// The values whose name matches, in order.
fn values(given: &[(String, String)], matches: impl Fn(&str) -> bool) -> Vec<String> {
    given.iter().filter(|(name, _)| matches(name)).map(|(_, value)| value.clone()).collect()
}
