//! What every run of a replica works with: settings, stores, functions, the clock and the like.

use super::commit_timer::CommitTimer;
use super::data::Data;
use super::ended::HISTORIES;
use super::live::Live;
use crate::counters::Counters;
use crate::events::Events;
use crate::events::Keys;
use crate::functions::Functions;
use crate::progress::Progress;
use crate::settings::{Dispatch, Settings};
use crate::traces::Traces;
use faas_flow_core::{Millis, RunId};
use faas_flow_session::{Around, Dispatch as Offer, Room, Rules};
use faas_flow_store::StateStore;
use faas_flow_versions::{Clock, Versions};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, broadcast};

/// What runs work with.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    /// The settings that sessions follow, with this replica's name.
    pub(super) rules: Arc<Rules>,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) data: Data,
    pub(crate) functions: Functions,
    pub(super) events: Option<Arc<dyn Events>>,
    pub(super) clock: Clock,
    pub(super) keys: Option<Keys>,
    pub(super) permits: Arc<Semaphore>,
    /// Room for histories that are being written, see [`super::ended`].
    pub(super) histories: Arc<Semaphore>,
    pub(super) progress: broadcast::Sender<Progress>,
    pub(super) draining: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) versions: Arc<Versions>,
    pub(super) traces: Option<Traces>,
    pub(super) commit_timer: CommitTimer,
    /// Ended runs, the oldest first, where their number is limited.
    pub(super) ended: Mutex<VecDeque<RunId>>,
}

impl Services {
    /// Rules for the sessions of a replica of this name.
    pub(super) fn rules(settings: &Settings, owner: Arc<str>) -> Arc<Rules> {
        Arc::new(Rules {
            owner,
            lease: settings.lease.as_millis() as u64,
            commit_delay: settings.commit_delay.as_millis() as u64,
            history_ttl: settings.history_ttl.as_millis() as u64,
        })
    }

    /// Room for histories that are being written.
    pub(super) fn room_for_histories() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(HISTORIES))
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
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

    /// The world around a session at this moment.
    pub(super) fn around(&self) -> Around {
        let dispatch = self.offer();
        let is_full = dispatch != Offer::Local && self.permits.available_permits() == 0;
        let nodes = if is_full || self.is_draining() { 0 } else { self.settings.run_nodes };
        Around { now: self.now(), room: Room { nodes, dispatch } }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// When a run is forgotten that ended then.
    pub(super) fn forgotten(&self, ended: Millis) -> Millis {
        ended + self.rules.history_ttl
    }
}

/// The runs that this replica works on.
#[derive(Default)]
pub(crate) struct Runs {
    live: Mutex<BTreeMap<RunId, Arc<Live>>>,
    /// Runs that have ended and whose history is being written.
    ending: Mutex<BTreeMap<RunId, Arc<Live>>>,
}

impl Runs {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, run: &RunId) -> Option<Arc<Live>> {
        self.lock().get(run).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.lock().values().cloned().collect()
    }

    /// Works on a run no longer, unless it has been opened anew since.
    pub(super) fn remove(&self, live: &Live) {
        let mut runs = self.lock();
        if runs.get(&live.id).is_some_and(|known| std::ptr::eq(&**known, live)) {
            runs.remove(&live.id);
        }
    }

    /// The runs that have ended and whose history is being written.
    pub(super) fn ending(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Live>>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
