//! Follows the active pointer, so that what one replica was told holds on all of them.

use super::active::{Active, Origin};
use crate::{Error, Host};
use faas_flow_core::FlowName;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a replica looks: with the loading, it follows within a second.
const LOOK: Duration = Duration::from_millis(250);
/// How often it tries a version that it could not load, and says so.
const AGAIN: Duration = Duration::from_secs(5);

impl Host {
    /// Looks after the versions of all flows. Ends only with the host.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failed: HashMap<FlowName, Instant> = HashMap::new();
        loop {
            ticks.tick().await;
            for flow in self.flows() {
                if failed.get(&flow.name).is_some_and(|at| at.elapsed() < AGAIN) {
                    continue;
                }
                match self.look(&flow.name).await {
                    Ok(()) => drop(failed.remove(&flow.name)),
                    Err(error) => {
                        failed.insert(flow.name.clone(), Instant::now());
                        let serves = flow.module.digest().short();
                        let (name, code) = (&flow.name, error.code());
                        tracing::warn!(flow = %name, %code, serves, "cannot follow the active version: {error}");
                    }
                }
            }
        }
    }

    /// Looks once, and serves what the store says.
    pub(super) async fn look(&self, flow: &FlowName) -> Result<(), Error> {
        let (active, tally) = self.stored(flow).active().await?;
        if self.serve(flow, |service| service.revision) != Some(Some(active.1)) {
            self.take(flow, &active.0, active.1).await?;
        }
        if self.judge(flow, &active, tally).await? {
            let ((active, revision), _) = self.stored(flow).active().await?;
            self.take(flow, &active, revision).await?;
        }
        Ok(())
    }

    /// Serves what this state of the pointer says, once all of it is loaded.
    pub(super) async fn take(&self, flow: &FlowName, active: &Active, revision: u64) -> Result<(), Error> {
        let Some(now) = active.now() else { return Ok(()) };
        let own = (now.origin == Origin::Image).then(|| self.serve(flow, |service| service.image.clone())).flatten();
        let serves = match own {
            Some(own) => own,
            None => self.version(flow, &now.digest).await?,
        };
        let canary = match &active.canary {
            Some(canary) => Some((canary.clone(), self.version(flow, &canary.digest).await?)),
            None => None,
        };
        let changed = self.serve(flow, |service| {
            // A look that began before a change must not undo it.
            if service.revision.is_some_and(|known| known >= revision) {
                return false;
            }
            service.follow(revision, serves.clone(), canary);
            true
        });
        if changed == Some(true) {
            tracing::info!(%flow, version = serves.module.digest().short(), revision, "in service");
        }
        Ok(())
    }
}
