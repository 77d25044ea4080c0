//! Follows the active pointer, so that what one replica was told holds on all of them.

use super::active::{Active, Origin};
use super::image::SAID;
use crate::driver::may_pass;
use crate::{Error, Host};
use faas_flow_core::FlowName;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a replica looks: with the loading, it follows within a second.
const LOOK: Duration = Duration::from_millis(250);
/// How often it tries a version that it could not load, and says what it cannot do.
const AGAIN: Duration = Duration::from_secs(5);

impl Host {
    /// Looks after the versions of all flows, each by itself. Ends only with the host.
    pub async fn follow(self: Arc<Self>) {
        let (mut followed, mut followers) = (HashSet::new(), JoinSet::new());
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for flow in self.flows() {
                if followed.insert(flow.name.clone()) {
                    followers.spawn(self.clone().follow_flow(flow.name.clone()));
                }
            }
        }
    }

    async fn follow_flow(self: Arc<Self>, flow: FlowName) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failed, mut warned, mut said): (Option<(u64, Instant)>, Option<Instant>, _) =
            (None, None, Instant::now());
        let over = |at: Option<Instant>| at.is_none_or(|at| at.elapsed() >= AGAIN);
        loop {
            ticks.tick().await;
            let mut looked = self.look_past(&flow, failed.filter(|(_, at)| !over(Some(*at))).map(|(at, _)| at)).await;
            if looked.is_ok() && said.elapsed() >= SAID {
                said = Instant::now();
                looked = self.say_what_it_came_with(&flow).await.map(|()| Looked::Followed);
            }
            match looked {
                Ok(Looked::Followed) => (failed, warned) = (None, None),
                Ok(Looked::PassedOver) => {}
                Ok(Looked::Failed(revision, error)) => {
                    failed = Some((revision, Instant::now()));
                    self.warn(&flow, &error);
                }
                Err(error) if over(warned) => {
                    warned = Some(Instant::now());
                    self.warn(&flow, &error);
                }
                Err(_) => {}
            }
        }
    }

    fn warn(&self, flow: &FlowName, error: &Error) {
        let serves = self.flow(flow).map(|flow| flow.module.digest().short().to_owned()).unwrap_or_default();
        tracing::warn!(%flow, code = %error.code(), serves, "cannot follow the active version: {error}");
    }

    /// Looks once, and serves what the store says is active.
    pub(super) async fn look(&self, flow: &FlowName) -> Result<(), Error> {
        let ((active, revision), _) = self.stored(flow).active().await?;
        if let Some(error) = self.take(flow, &active, revision).await? {
            self.warn(flow, &error);
        }
        Ok(())
    }

    /// Looks once, and serves what the store says, unless it was tried a moment ago to load what it says at this revision.
    async fn look_past(&self, flow: &FlowName, failed: Option<u64>) -> Result<Looked, Error> {
        let (active, tally) = self.stored(flow).active().await?;
        let (mut looked, revision) = (Looked::Followed, active.1);
        if self.serve(flow, |service| service.follows(revision, active.0.canary.as_ref())) != Some(true) {
            looked = match failed == Some(revision) {
                true => Looked::PassedOver,
                false => match self.take(flow, &active.0, revision).await {
                    Ok(None) => Looked::Followed,
                    Err(error) if may_pass(error.code()) => return Err(error),
                    Ok(Some(error)) | Err(error) => Looked::Failed(revision, error),
                },
            };
        }
        if self.judge(flow, &active, tally).await? {
            let ((active, revision), _) = self.stored(flow).active().await?;
            self.take(flow, &active, revision).await?;
        }
        Ok(looked)
    }

    /// Serves what this state of the pointer says, once it is loaded. A canary that cannot be loaded gets no runs here; the
    /// answer is why.
    pub(super) async fn take(&self, flow: &FlowName, active: &Active, revision: u64) -> Result<Option<Error>, Error> {
        let Some(now) = active.now() else { return Ok(None) };
        let own = (now.origin == Origin::Image).then(|| self.serve(flow, |service| service.image.clone())).flatten();
        let serves = match own {
            Some(own) => own,
            None => self.version(flow, &now.digest).await?,
        };
        let (canary, lacks) = match &active.canary {
            Some(canary) => match self.version(flow, &canary.digest).await {
                Ok(loaded) => (Some((canary.clone(), loaded)), None),
                Err(error) => {
                    let message = format!("the canary gets no runs here: {error}");
                    (None, Some(Error::new(error.code(), message)))
                }
            },
            None => (None, None),
        };
        let changed = self.serve(flow, |service| {
            // A look that began before a change must not undo it.
            let known = service.revision;
            let completes = known == Some(revision) && service.canary.is_none() && canary.is_some();
            if known.is_some_and(|known| known >= revision) && !completes {
                return false;
            }
            service.follow(revision, serves.clone(), canary);
            true
        });
        if changed == Some(true) {
            tracing::info!(%flow, version = serves.module.digest().short(), revision, "in service");
        }
        Ok(lacks)
    }
}

/// What a look at the store led to.
enum Looked {
    /// What it says is served here.
    Followed,
    /// It cannot be loaded, as was found a moment ago.
    PassedOver,
    /// Something of what it says at this revision cannot be loaded.
    Failed(u64, Error),
}
