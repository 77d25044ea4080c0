//! Limits over all runs: how this replica gets permits, and how what waits for one waits.
//!
//! The permits are in the store, in documents that the replicas change by compare-and-swap (`faas_flow_core::limit`). A
//! *shard* is one such document, as this replica knows it. What several nodes ask of it at the same time shares a commit.
//! While less than half of a limit is used, a replica leases some permits more than it needs, and asks nobody for them.

mod enter;
mod operator;
mod parked;
mod place;
mod shard;
mod state;
mod tend;

pub(crate) use enter::At;
pub use operator::{NamedLimits, limits_set, set_limit};
pub(crate) use place::{Place, Waited};

use crate::host::Host;
use faas_flow_core::Millis;
use faas_flow_core::limit::{Figures, shard_of};
use operator::Operator;
use shard::{Shard, ShardId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use tokio::sync::Mutex as AsyncMutex;

/// The limits that this replica keeps to.
#[derive(Default)]
pub(crate) struct Limits {
    host: OnceLock<Weak<Host>>,
    operator: RwLock<Operator>,
    /// Locked while those are read that the operator has set since. When that began the last time, by the clock that only measures
    /// durations; `None` for never.
    learned: Arc<AsyncMutex<Option<Millis>>>,
    /// Those of which it has something, or waits for something.
    shards: Mutex<HashMap<ShardId, Arc<Shard>>>,
}

impl Limits {
    pub(super) fn new(configured: &NamedLimits) -> Self {
        Self { operator: RwLock::new(Operator::new(configured)), ..Self::default() }
    }

    /// Sets the replica, once it is made.
    pub(super) fn serve(&self, host: Weak<Host>) {
        // It is set here only.
        let _ = self.host.set(host);
    }

    /// What the operator says of a limit or a function with this name.
    pub(super) fn of_operator(&self, name: &str) -> Option<Figures> {
        self.operator.read().unwrap_or_else(PoisonError::into_inner).figures(name)
    }

    /// How many changes of limits by the operator this replica knows.
    fn generation(&self) -> u64 {
        self.operator.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    fn shard(&self, at: &At) -> Arc<Shard> {
        let id = (at.name.clone(), at.flow.clone(), shard_of(&at.key));
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = shards.entry(id.clone()).or_insert_with(|| {
            let host = self.host.get().cloned().unwrap_or_default();
            Arc::new(Shard::new(host, id))
        });
        // Its caller uses it before anybody can find it unused.
        shard.uses();
        shard.clone()
    }

    /// How many nodes wait here for a permit of each limit that is in use.
    pub(crate) fn waiting(&self) -> BTreeMap<String, usize> {
        let shards: Vec<_> = self.shards.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut waiting = BTreeMap::new();
        for shard in shards {
            *waiting.entry(shard.name.clone()).or_default() += shard.state().waiting();
        }
        waiting
    }

    /// Forgets a shard that is not in use.
    fn forget(&self, shard: &Shard) {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let id = shard.id();
        if shards.get(&id).is_some_and(|known| known.may_be_forgotten()) {
            shards.remove(&id);
        }
    }

    /// Gives back what this replica has leased and does not use, since it stops.
    pub(crate) async fn give_back(&self) {
        let shards: Vec<_> = self.shards.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for shard in shards {
            shard.close().await;
        }
    }
}
