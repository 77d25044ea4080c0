//! The limits that the operator has set: in the configuration, and in the store while runs go on.

use crate::Error;
use crate::services::Services;
use faas_flow_core::limit::{Figures, Lines, SHARDS, document_of};
use faas_flow_core::run::{decode, encode};
use faas_flow_core::{Millis, Partition};
use faas_flow_store::{Change, CommitError, Expect, Put, StateStore};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The document of the limits that were set while runs go on.
const SET: &str = "set";

/// How old may be what a replica knows of the limits that were set when a call begins, in milliseconds.
const FRESH: Millis = 1_000;
/// How long a call waits to learn it.
const LEARNS: Duration = Duration::from_millis(200);

/// When they were last looked up, by the clock that only measures durations.
type Learned = OwnedMutexGuard<Option<Millis>>;

/// Limits by the names of limits or functions.
pub type NamedLimits = BTreeMap<String, Figures>;

/// The limits that the operator has set.
#[derive(Debug, Default)]
pub(super) struct Operator {
    configured: NamedLimits,
    /// What was set since. It replaces what is configured.
    set: NamedLimits,
    /// How often that has changed.
    pub(super) generation: u64,
}

impl Operator {
    pub(super) fn new(configured: &NamedLimits) -> Self {
        Self { configured: configured.clone(), ..Self::default() }
    }

    pub(super) fn figures(&self, name: &str) -> Option<Figures> {
        self.set.get(name).or_else(|| self.configured.get(name)).copied()
    }
}

impl Services {
    /// Learns which limits the operator has set since, if that was not looked up within the last second. Who comes while it is
    /// looked up waits for it, too. If it takes long, calls keep to the limits as they were, so that a store that is away holds
    /// up no call.
    pub(crate) async fn learn_limits(self: &Arc<Self>) {
        let learned = timeout(LEARNS, self.limits.learned.clone().lock_owned()).await;
        if let Some(looks_up) = learned.ok().and_then(|learned| self.look_up(learned)) {
            let _ = timeout(LEARNS, looks_up).await;
        }
    }

    /// The same for those who do not wait for it.
    pub(super) fn look_up_limits(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        self.look_up(self.limits.learned.clone().try_lock_owned().ok()?)
    }

    fn look_up(self: &Arc<Self>, mut learned: Learned) -> Option<JoinHandle<()>> {
        let now = self.clock.uptime();
        if learned.is_some_and(|learned| now < learned + FRESH) {
            return None;
        }
        *learned = Some(now);
        let services = self.clone();
        Some(tokio::spawn(async move {
            if let Err(error) = services.read_limits(&mut learned).await {
                tracing::warn!(code = %error.code(), %error, "limits not read");
            }
        }))
    }

    /// Learns which limits the operator has set, if this replica does not know of so many changes yet.
    pub(super) async fn learn_limits_up_to(&self, generation: u64) -> Result<(), Error> {
        if self.limits.generation() >= generation {
            return Ok(());
        }
        let mut learned = self.limits.learned.lock().await;
        // Somebody else may have learned it meanwhile.
        if self.limits.generation() >= generation {
            return Ok(());
        }
        match self.read_limits(&mut learned).await {
            // A newer release has written it. Nodes go on, with the limits as they were.
            Err(error @ Error::LimitsUnreadable { .. }) => {
                tracing::warn!(code = %error.code(), %error, "limits not read");
                Ok(())
            }
            read => read,
        }
    }

    /// Reads the limits that the operator has set. One at a time does, so that what is older replaces nothing that is newer.
    async fn read_limits(&self, learned: &mut Option<Millis>) -> Result<(), Error> {
        let now = self.clock.uptime();
        let (generation, set) = read(&*self.state).await?;
        let mut operator = self.limits.operator.write().unwrap_or_else(PoisonError::into_inner);
        (operator.generation, operator.set, *learned) = (generation, set, Some(now));
        Ok(())
    }
}

/// The limits that were set while runs go on.
pub async fn limits_set(store: &dyn StateStore) -> Result<NamedLimits, Error> {
    Ok(read(store).await?.1)
}

/// Sets a limit for all replicas that share the store, or, with `None`, lets hold again what is configured, or what flows say.
/// Once it returns, what waits already and what asks the store for a permit keeps to it; replicas that need not ask the store
/// learn it within a second. If the store fails, the limit may be set or not.
pub async fn set_limit(store: &dyn StateStore, name: &str, figures: Option<Figures>) -> Result<(), Error> {
    let generation = loop {
        let (version, mut set) = read(store).await?;
        match figures {
            Some(figures) => set.insert(name.to_owned(), figures),
            None => set.remove(name),
        };
        let put = Put { doc: SET.to_owned(), expect: Expect::Version(version), bytes: encode(&set).into() };
        match store.commit(&Partition::of_limits(), Change { puts: vec![put], ..Change::default() }).await {
            Ok(_) => break version + 1,
            // Somebody else has set another one meanwhile.
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    };
    for number in 0..SHARDS {
        tell(store, &Partition::of_limit(name), document_of(number), generation).await?;
    }
    Ok(())
}

/// Notes in a document of a limit that there is a change, so that every replica reads it before it changes the document.
async fn tell(store: &dyn StateStore, partition: &Partition, doc: String, generation: u64) -> Result<(), Error> {
    loop {
        // A document that does not exist yet needs no note: the replica that creates it looks up the limits first.
        let Some(document) = store.read(partition, std::slice::from_ref(&doc)).await?.into_iter().next().flatten()
        else {
            return Ok(());
        };
        let mut lines: Lines = decode(&document.bytes).map_err(|source| Error::LimitsUnreadable { source })?;
        if lines.generation >= generation {
            return Ok(());
        }
        lines.generation = generation;
        let (expect, bytes) = (Expect::Version(document.version), encode(&lines).into());
        let put = Put { doc: doc.clone(), expect, bytes };
        match store.commit(partition, Change { puts: vec![put], ..Change::default() }).await {
            Ok(_) => return Ok(()),
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
