//! Looks at runs, as the dashboard takes them: those who look at the same run at the same time share one, and so do those who
//! look again soon. A look at a wide run costs much, so the larger it is, the longer it is good for: reading takes at most a
//! thirtieth of the time, however many look, and only the first of them waits for it.

use super::host::Host;
use super::services::Services;
use crate::Error;
use faas_flow_core::run::RunView;
use faas_flow_core::{Definition, RunId};
use faas_flow_versions::runs::{load_run, read_run_with_definition};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// A look is good for as many times what it took.
const GOOD_FOR: u32 = 30;
/// The longest time that a look is good for.
const LONGEST: Duration = Duration::from_secs(60);
/// How many runs are remembered at most.
const REMEMBERED: usize = 64;

/// A run as it was a moment ago.
#[derive(Debug)]
pub struct Look {
    /// The run.
    pub view: RunView,
    /// The definition that was stored with it, if it has one of its own.
    pub definition: Option<Arc<Definition>>,
    /// What those who look have made of it, by names that they choose, so that they make it once.
    pub made: tokio::sync::Mutex<HashMap<String, String>>,
    /// The version of the run's own document. It changes when the run is paused, resumed, stopped or run again, and when it
    /// ends: all that somebody who looks may have done.
    version: u64,
    taken: Instant,
    good_for: Duration,
}

/// How old a look is.
enum Age {
    /// It is good.
    Good,
    /// It is shown once more while the next one is taken.
    Ripe,
    /// It is not shown any more.
    Old,
}

impl Look {
    fn age(&self, version: u64) -> Age {
        let age = self.taken.elapsed();
        if self.version != version || age >= self.good_for * 2 {
            Age::Old
        } else if age >= self.good_for {
            Age::Ripe
        } else {
            Age::Good
        }
    }
}

/// The latest look at each run.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<RunId, Arc<Latest>>>);

/// The latest look at one run.
#[derive(Default)]
struct Latest {
    look: Mutex<Option<Arc<Look>>>,
    /// Whoever takes a look holds it.
    taking: Arc<tokio::sync::Mutex<()>>,
}

impl Looks {
    fn of(&self, run: &RunId) -> Arc<Latest> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= REMEMBERED && !looks.contains_key(run) {
            looks.clear();
        }
        looks.entry(run.clone()).or_default().clone()
    }
}

impl Latest {
    fn get(&self) -> Option<Arc<Look>> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a look. `None` if there is no such run.
    async fn take(
        &self,
        services: &Services,
        run: &RunId,
        version: u64,
        taking: OwnedMutexGuard<()>,
    ) -> Result<Option<Arc<Look>>, Error> {
        let begun = Instant::now();
        let Some((view, definition)) = read_run_with_definition(&*services.state, run).await? else { return Ok(None) };
        let good_for = (begun.elapsed() * GOOD_FOR).min(LONGEST);
        let look = Look { view, definition, made: Default::default(), version, taken: Instant::now(), good_for };
        let look = Arc::new(look);
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = Some(look.clone());
        drop(taking);
        Ok(Some(look))
    }
}

impl Host {
    /// A stored run, as people see it; `None` if there is no such run. Its nodes may be a moment old: at most sixty times what
    /// it takes to read them, and at most two minutes.
    pub async fn look(&self, run: &RunId) -> Result<Option<Arc<Look>>, Error> {
        self.runs.written(run).await;
        let services = &self.services;
        let Some(head) = load_run(&*services.state, run).await? else { return Ok(None) };
        let version = head.run_version();
        let latest = self.looks.of(run);
        if let Some(look) = latest.get() {
            match look.age(version) {
                Age::Good => return Ok(Some(look)),
                Age::Ripe => {
                    if let Ok(taking) = latest.taking.clone().try_lock_owned() {
                        let (services, run) = (services.clone(), run.clone());
                        // Whoever looks next sees why it failed, if it fails.
                        tokio::spawn(async move { latest.take(&services, &run, version, taking).await });
                    }
                    return Ok(Some(look));
                }
                Age::Old => {}
            }
        }
        let taking = latest.taking.clone().lock_owned().await;
        if let Some(look) = latest.get()
            && matches!(look.age(version), Age::Good)
        {
            return Ok(Some(look));
        }
        latest.take(services, run, version, taking).await
    }
}
