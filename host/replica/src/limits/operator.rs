//! The limits that the operator has set: in the configuration, and in the store while runs go on.

use crate::Error;
use crate::services::Services;
use faas_flow_core::Partition;
use faas_flow_core::limit::Figures;
use faas_flow_core::run::{decode, encode};
use faas_flow_store::{Change, CommitError, Expect, Put, StateStore};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use tokio::task::JoinHandle;

/// The document of the limits that were set while runs go on.
const SET: &str = "set";

/// Limits by the names of limits or functions.
pub type NamedLimits = BTreeMap<String, Figures>;

/// The limits that the operator has set.
#[derive(Debug, Default)]
pub(super) struct Operator {
    configured: NamedLimits,
    /// What was set since. It replaces what is configured.
    set: NamedLimits,
}

impl Operator {
    pub(super) fn new(configured: &NamedLimits) -> Self {
        Self { configured: configured.clone(), set: BTreeMap::new() }
    }

    pub(super) fn figures(&self, name: &str) -> Option<Figures> {
        self.set.get(name).or_else(|| self.configured.get(name)).copied()
    }
}

impl Services {
    /// Learns which limits the operator has set since, if that was not done in the last third of a lease. Who waits for it should
    /// not wait for long, so that a store that is away holds up no call.
    pub(crate) fn learn_limits(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        let now = self.clock.uptime();
        let due = self.limits.learned.load(Ordering::Relaxed).saturating_add(self.rules.lease / 3);
        if now < due && due > self.rules.lease / 3 {
            return None;
        }
        self.limits.learned.store(now.max(1), Ordering::Relaxed);
        let services = self.clone();
        Some(tokio::spawn(async move {
            match limits_set(&*services.state).await {
                Ok(set) => services.limits.operator.write().unwrap_or_else(PoisonError::into_inner).set = set,
                Err(error) => tracing::warn!(code = %error.code(), %error, "limits not read"),
            }
        }))
    }
}

/// The limits that were set while runs go on.
pub async fn limits_set(store: &dyn StateStore) -> Result<NamedLimits, Error> {
    Ok(read(store).await?.1)
}

/// Sets a limit for all replicas that share the store, or, with `None`, lets hold again what is configured. Replicas
/// learn it within a third of a lease, with their next call. If the store fails, the limit may be set or not.
pub async fn set_limit(store: &dyn StateStore, name: &str, figures: Option<Figures>) -> Result<(), Error> {
    loop {
        let (version, mut set) = read(store).await?;
        match figures {
            Some(figures) => set.insert(name.to_owned(), figures),
            None => set.remove(name),
        };
        let put = Put { doc: SET.to_owned(), expect: Expect::Version(version), bytes: encode(&set).into() };
        match store.commit(&Partition::of_limits(), Change { puts: vec![put], ..Change::default() }).await {
            Ok(_) => return Ok(()),
            // Somebody else has set another one meanwhile.
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
}

/// The version of the document, and what it says. One that cannot be read, since a newer version has written it, is an error, so
/// that nobody replaces it.
async fn read(store: &dyn StateStore) -> Result<(u64, NamedLimits), Error> {
    let read = store.read(&Partition::of_limits(), &[SET.to_owned()]).await?;
    Ok(match read.into_iter().next().flatten() {
        None => (0, BTreeMap::new()),
        Some(document) => {
            let set = decode(&document.bytes).map_err(|source| Error::LimitsUnreadable { source })?;
            (document.version, set)
        }
    })
}
