//! The schedules of the flows that this replica serves.

use faas_flow_core::schedule::{Schedule, ScheduleEntry, Timed};
use faas_flow_core::{Digest, FlowName, Millis};
use faas_flow_versions::Flow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The schedules of all flows that are served here, and the runs that are being begun here.
#[derive(Default)]
pub(crate) struct Served {
    flows: Mutex<HashMap<FlowName, Arc<OfFlow>>>,
    beginning: Mutex<HashSet<String>>,
}

/// The schedules of one version of a flow.
pub(crate) struct OfFlow {
    digest: Digest,
    /// Since when they are served here, by this replica's clock.
    pub as_of: Millis,
    pub timed: Vec<Timed>,
}

impl OfFlow {
    /// The schedule of this name.
    pub fn named(&self, name: &str) -> Option<&Timed> {
        self.timed.iter().find(|timed| timed.spec.name == name)
    }
}

impl Served {
    fn flows(&self) -> MutexGuard<'_, HashMap<FlowName, Arc<OfFlow>>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schedules of the version that new runs of a flow begin with, with what the configuration says over them.
    pub fn of(&self, flow: &Flow, entries: &[ScheduleEntry], now: Millis) -> Arc<OfFlow> {
        let digest = flow.module.digest();
        if let Some(known) = self.flows().get(&flow.name).filter(|known| known.digest == *digest) {
            return known.clone();
        }
        let schedules = ScheduleEntry::over(entries, &flow.name, &flow.definition.schedules);
        let timed = Schedule::all_timed(&schedules).unwrap_or_else(|problems| {
            // Each is valid by itself, so they are too many, or one of a definition that depends on the request is not.
            for problem in &problems {
                tracing::error!(flow = %flow.name, code = %problem.code(), error = %problem, "schedules not fired");
            }
            Vec::new()
        });
        let of = Arc::new(OfFlow { digest: digest.clone(), as_of: now, timed });
        self.flows().insert(flow.name.clone(), of.clone());
        of
    }

    /// Whether nobody here is beginning this run; from now on, somebody is.
    pub fn begin(&self, run: &str) -> bool {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner).insert(run.to_owned())
    }

    /// Nobody here is beginning this run any more.
    pub fn end(&self, run: &str) {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
    }
}
