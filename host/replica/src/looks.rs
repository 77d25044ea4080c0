//! Looks at runs, as the dashboard takes them: those who look at the same run at the same time share one, and so do those who
//! look again soon. A look at a wide run costs much, so the larger it is, the longer it is good for: reading takes at most a
//! tenth of the time, however many look.

use super::host::Host;
use crate::Error;
use faas_flow_core::run::RunView;
use faas_flow_core::{Definition, RunId};
use faas_flow_versions::runs::{load_run, read_run_with_definition};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A look is good for as many times what it took.
const GOOD_FOR: u32 = 10;
/// How many runs are remembered at most.
const REMEMBERED: usize = 64;

/// A run as it was a moment ago.
#[derive(Debug)]
pub struct Look {
    /// The run.
    pub view: RunView,
    /// The definition that was stored with it, if it has one of its own.
    pub definition: Option<Arc<Definition>>,
    /// The version of the run's own document. It changes when the run is paused, resumed, stopped or run again, and when it
    /// ends: all that somebody who looks may have done.
    version: u64,
    until: Instant,
}

/// The latest look at each run. Whoever takes one holds the lock of the run.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<RunId, Latest>>);

type Latest = Arc<tokio::sync::Mutex<Option<Arc<Look>>>>;

impl Looks {
    fn of(&self, run: &RunId) -> Latest {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= REMEMBERED && !looks.contains_key(run) {
            looks.clear();
        }
        looks.entry(run.clone()).or_default().clone()
    }
}

impl Host {
    /// A stored run, as people see it; `None` if there is no such run. Its nodes may be a moment old, at most ten times what it
    /// takes to read them.
    pub async fn look(&self, run: &RunId) -> Result<Option<Arc<Look>>, Error> {
        self.runs.written(run).await;
        let state = &*self.services.state;
        let Some(head) = load_run(state, run).await? else { return Ok(None) };
        let latest = self.looks.of(run);
        let mut latest = latest.lock().await;
        if let Some(look) = latest.as_ref()
            && look.version == head.run_version()
            && Instant::now() < look.until
        {
            return Ok(Some(look.clone()));
        }
        let begun = Instant::now();
        let Some((view, definition)) = read_run_with_definition(state, run).await? else { return Ok(None) };
        let took = begun.elapsed().min(Duration::from_secs(6));
        let until = Instant::now() + took * GOOD_FOR;
        let look = Arc::new(Look { view, definition, version: head.run_version(), until });
        *latest = Some(look.clone());
        Ok(Some(look))
    }
}
