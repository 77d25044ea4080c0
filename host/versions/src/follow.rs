//! Follows the active pointers in the store, so that a change that one replica made holds on all of them.

use super::active::Active;
use super::canary::Canary;
use super::error::Error;
use super::flow::Flow;
use super::registry::Versions;
use super::swaps::count;
use super::version::Origin;
use faas_flow_core::FlowName;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

impl Versions {
    /// Follows the active pointers of all flows that are served here, each in a task of its own, and withdraws canaries that
    /// fail too often. Never returns; the tasks end when the future is dropped.
    pub async fn follow(self: Arc<Self>) {
        let mut followed = HashSet::new();
        let mut followers = JoinSet::new();
        let mut ticks = ticks(self.timing.poll);
        loop {
            ticks.tick().await;
            for flow in self.all_active() {
                if followed.insert(flow.name.clone()) {
                    followers.spawn(Follower::new(self.clone(), flow.name.clone()).follow());
                }
            }
        }
    }

    /// Serves what the active pointer says now. Logs it if the canary cannot be loaded.
    pub(super) async fn serve_stored(&self, flow: &FlowName) -> Result<(), Error> {
        let ((active, revision), _) = self.stored(flow).active().await?;
        if let Some(error) = self.serve(flow, &active, revision).await? {
            self.warn(flow, &error);
        }
        Ok(())
    }

    /// Serves what the active pointer says at this revision, once its versions are loaded. A canary that cannot be loaded
    /// gets no runs here; the answer is why.
    pub(super) async fn serve(&self, flow: &FlowName, pointer: &Active, revision: u64) -> Result<Option<Error>, Error> {
        let Some(now) = pointer.now() else { return Ok(None) };
        let image = (now.origin == Origin::Image).then(|| self.table.read(flow, |service| service.image.clone()));
        let active = match image.flatten() {
            Some(image) => image,
            None => self.load(flow, &now.digest).await?,
        };
        let (canary, error) = match &pointer.canary {
            None => (None, None),
            Some(canary) => match self.load_canary(flow, canary).await {
                Ok(loaded) => (Some(loaded), None),
                Err(error) => (None, Some(error)),
            },
        };
        if self.table.change(flow, |service| service.follow(revision, &active, canary)) == Some(true) {
            count(&self.swaps.done);
            tracing::info!(%flow, version = active.digest().short(), revision, "put version into service");
        }
        Ok(error)
    }

    async fn load_canary(&self, flow: &FlowName, canary: &Canary) -> Result<(Canary, Arc<Flow>), Error> {
        let loaded = self.load(flow, &canary.digest).await;
        let loaded = loaded.map_err(|error| Error::CanaryUnavailable(Box::new(error)))?;
        Ok((canary.clone(), loaded))
    }

    fn warn(&self, flow: &FlowName, error: &Error) {
        count(&self.swaps.failed);
        let serving = self.active(flow).map(|flow| flow.digest().short().to_owned()).unwrap_or_default();
        tracing::warn!(%flow, code = %error.code(), %error, serving, "failed to follow the active version");
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The outcome of reading the active pointer.
enum Looked {
    /// What it says is served here.
    Followed,
    /// Nothing was loaded, since loading what it says failed a moment ago.
    Skipped,
    /// Something that it says at this revision cannot be loaded.
    Failed(u64, Error),
}

/// Follows the active pointer of one flow.
struct Follower {
    versions: Arc<Versions>,
    flow: FlowName,
    /// The revision that could not be loaded, and when that was tried last.
    failed: Option<(u64, Instant)>,
    /// When it was last logged that the store does not answer.
    warned: Option<Instant>,
    /// When it was last announced which module this replica came with.
    announced: Instant,
}

impl Follower {
    fn new(versions: Arc<Versions>, flow: FlowName) -> Self {
        Self { versions, flow, failed: None, warned: None, announced: Instant::now() }
    }

    async fn follow(mut self) {
        let mut ticks = ticks(self.versions.timing.poll);
        loop {
            ticks.tick().await;
            match self.look_and_announce().await {
                Ok(Looked::Followed) => {
                    self.failed = None;
                    self.warned = None;
                }
                Ok(Looked::Skipped) => {}
                Ok(Looked::Failed(revision, error)) => {
                    self.failed = Some((revision, Instant::now()));
                    self.versions.warn(&self.flow, &error);
                }
                Err(error) if self.warned.is_none_or(|at| self.may_retry(at)) => {
                    self.warned = Some(Instant::now());
                    self.versions.warn(&self.flow, &error);
                }
                Err(_) => {}
            }
        }
    }

    fn may_retry(&self, last: Instant) -> bool {
        last.elapsed() >= self.versions.timing.retry
    }

    async fn look_and_announce(&mut self) -> Result<Looked, Error> {
        let looked = self.look().await?;
        if self.announced.elapsed() >= self.versions.timing.announce {
            self.announced = Instant::now();
            self.versions.announce_image(&self.flow).await?;
        }
        Ok(looked)
    }

    /// Looks once, serves what the store says, and judges the canary.
    async fn look(&self) -> Result<Looked, Error> {
        let (versions, flow) = (&self.versions, &self.flow);
        let ((active, revision), tally) = versions.stored(flow).active().await?;
        let follows = versions.table.read(flow, |service| service.follows(revision, active.canary.as_ref()));
        let looked = if follows == Some(true) { Looked::Followed } else { self.catch_up(&active, revision).await? };
        if versions.withdraw_bad_canary(flow, (&active, revision), tally).await? {
            let ((active, revision), _) = versions.stored(flow).active().await?;
            versions.serve(flow, &active, revision).await?;
        }
        Ok(looked)
    }

    async fn catch_up(&self, active: &Active, revision: u64) -> Result<Looked, Error> {
        if self.failed.is_some_and(|(failed, at)| failed == revision && !self.may_retry(at)) {
            return Ok(Looked::Skipped);
        }
        match self.versions.serve(&self.flow, active, revision).await {
            Ok(None) => Ok(Looked::Followed),
            Ok(Some(error)) => Ok(Looked::Failed(revision, error)),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => Ok(Looked::Failed(revision, error)),
        }
    }
}
