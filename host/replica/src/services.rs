//! What all runs of a replica share: settings, stores, functions, the clock and the like.

use super::audit::Audit;
use super::commit_timer::CommitTimer;
use super::data::Data;
use super::deadlines::Deadlines;
use super::history::HISTORIES;
use super::host::Host;
use super::skew::Skew;
use crate::counters::Counters;
use crate::events::Events;
use crate::events::Keys;
use crate::functions::Functions;
use crate::ids::Ids;
use crate::limits::Limits;
use crate::progress::Watchers;
use crate::settings::{Dispatch, Settings};
use crate::traces::Traces;
use crate::writes::Writes;
use faas_flow_core::{FlowName, Millis, RunId};
use faas_flow_session::{Circumstances, Dispatch as Offer, Room, Rules};
use faas_flow_store::StateStore;
use faas_flow_versions::{Clock, Versions};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use tokio::sync::{Semaphore, watch};

/// What all runs of a replica share.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    /// The settings for sessions, with this replica's name.
    pub(crate) rules: Arc<Rules>,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) data: Data,
    pub(crate) functions: Functions,
    pub(super) events: Option<Arc<dyn Events>>,
    pub(crate) clock: Clock,
    pub(super) ids: Ids,
    pub(super) keys: Option<Keys>,
    /// One for each node that may be executed at a time.
    pub(super) permits: Arc<Semaphore>,
    /// Room for histories that are being written, see [`super::history`].
    pub(super) histories: Arc<Semaphore>,
    pub(super) watchers: Watchers,
    pub(super) draining: AtomicBool,
    /// Whether this replica has released its runs, so that nobody is to wait for anything here.
    pub(super) left: watch::Sender<bool>,
    pub(super) skew: Skew,
    pub(crate) counters: Arc<Counters>,
    /// How the latest commit, and the latest write to the data store, ended.
    pub(super) commits: Arc<Writes>,
    pub(super) puts: Arc<Writes>,
    pub(crate) versions: Arc<Versions>,
    pub(super) traces: Option<Traces>,
    /// The limits over all runs.
    pub(crate) limits: Limits,
    pub(super) commit_timer: CommitTimer,
    pub(super) deadlines: Deadlines,
    pub(super) audit: Audit,
    /// Ended runs, the oldest first; empty if their number is not limited.
    pub(super) ended: Mutex<VecDeque<RunId>>,
    /// The replica itself.
    pub(super) host: OnceLock<Weak<Host>>,
}

impl Services {
    /// The rules for the sessions of a replica with this name.
    pub(super) fn rules(settings: &Settings, owner: Arc<str>) -> Arc<Rules> {
        Arc::new(Rules {
            owner,
            lease: settings.lease.as_millis() as u64,
            commit_delay: settings.commit_delay.as_millis() as u64,
            history_ttl: settings.history_ttl.as_millis() as u64,
            history_ttl_failed: settings.history_ttl_failed.unwrap_or(settings.history_ttl).as_millis() as u64,
        })
    }

    /// Room for histories that are being written.
    pub(super) fn room_for_histories() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(HISTORIES))
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The replica itself, unless it is about to be dropped.
    pub(crate) fn host(&self) -> Option<Arc<Host>> {
        self.host.get().and_then(Weak::upgrade)
    }

    /// This replica, if it serves the flow.
    pub(crate) fn host_of(&self, flow: &FlowName) -> Option<Arc<Host>> {
        self.versions.active(flow).and_then(|_| self.host())
    }

    /// This replica, if a call of a function with this name reaches a flow that it serves itself.
    pub(crate) fn serves(&self, function: &str) -> Option<Arc<Host>> {
        let flow = FlowName::new(function).ok().filter(|_| self.functions.get(function).is_none())?;
        self.host_of(&flow)
    }

    /// Which ready nodes are offered to other replicas.
    fn offer(&self) -> Offer {
        match self.settings.dispatch {
            _ if self.events.is_none() => Offer::Local,
            Dispatch::Local => Offer::Local,
            Dispatch::Auto => Offer::Overflow,
            Dispatch::Gateway => Offer::Everything,
        }
    }

    /// What a session needs to know of the world at this moment.
    pub(super) fn circumstances(&self) -> Circumstances {
        let dispatch = self.offer();
        let is_full = dispatch != Offer::Local && self.permits.available_permits() == 0;
        let nodes = if is_full || self.is_draining() { 0 } else { self.settings.run_nodes };
        Circumstances { now: self.now(), uptime: self.clock.uptime(), room: Room { nodes, dispatch } }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
