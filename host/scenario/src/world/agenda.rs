//! When something is due. While nothing is, replicas need not look at the store, so that a week of sleep costs nothing.

use faas_flow_core::{Millis, Partition, RunId};
use faas_flow_replica::Host;
use faas_flow_store::RunEntry;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often a replica that looks at the store asks itself whether it still needs to.
const LOOKS: Duration = Duration::from_millis(500);
/// A run that is due so soon keeps replicas looking, in milliseconds.
const SOON: Millis = 1_000;
/// The longest that one timer of tokio's is used for.
const LONGEST: Duration = Duration::from_secs(300 * 24 * 3600);

/// When each run of the store is due.
pub struct Agenda {
    due: Mutex<HashMap<RunId, Millis>>,
    changes: watch::Sender<()>,
}

impl Default for Agenda {
    fn default() -> Self {
        Self { due: Mutex::default(), changes: watch::channel(()).0 }
    }
}

impl Agenda {
    fn due(&self) -> MutexGuard<'_, HashMap<RunId, Millis>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry was committed.
    pub(super) fn note(&self, entry: RunEntry) {
        match entry.due {
            Some(due) => self.due().insert(entry.run, due),
            None => self.due().remove(&entry.run),
        };
        self.changes.send_replace(());
    }

    /// A partition was deleted.
    pub(super) fn forget(&self, partition: &Partition) {
        if let Some(run) = partition.run() {
            self.due().remove(&run);
        }
    }

    /// The earliest moment at which a run is due.
    pub fn next(&self) -> Option<Millis> {
        self.due().values().min().copied()
    }

    /// Tells of each entry that is committed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether this replica has something to look after.
    fn is_busy(&self, host: &Host) -> bool {
        host.in_flight() > 0 || self.next().is_some_and(|due| due <= host.now().saturating_add(SOON))
    }

    /// Lets a replica sweep whenever there is something to look after. Never returns.
    pub(super) async fn sweep(self: Arc<Self>, host: Arc<Host>) {
        let mut changes = self.changes();
        loop {
            let idle = async {
                loop {
                    sleep(LOOKS).await;
                    if !self.is_busy(&host) {
                        return;
                    }
                }
            };
            tokio::select! {
                biased;
                () = host.clone().sweep() => {}
                () = idle => {}
            }
            while !self.is_busy(&host) {
                let wait = self.next().map_or(LONGEST, |due| Duration::from_millis(due.saturating_sub(host.now())));
                tokio::select! {
                    biased;
                    _ = changes.changed() => {}
                    () = sleep(wait.min(LONGEST)) => {}
                }
            }
        }
    }
}
