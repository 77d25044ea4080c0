//! Waiting for the end of a run, wherever that is.

use super::ended::Ended;
use super::host::Host;
use super::live::Live;
use crate::Error;
use faas_flow_core::{RunId, Status};
use faas_flow_versions::runs::load_run;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The time before the first look into the store for a run that is here, but that another replica may have ended, and between the
/// first two for another run. It doubles with each look.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest time between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

impl Host {
    /// Waits for the end of a run, on whichever replica it ends, or for its pause. `None` if it has done neither in time.
    pub async fn wait(self: &Arc<Self>, run: &RunId, at_most: Duration) -> Result<Option<Arc<Ended>>, Error> {
        let live = self.runs.get(run);
        self.wait_for(live.as_ref(), run, at_most).await
    }

    /// Waits for the end of a run. If it ends on this replica, that is known at once; otherwise the store has it. When this
    /// replica leaves, waiting ends too.
    pub(super) async fn wait_for(
        self: &Arc<Self>,
        live: Option<&Arc<Live>>,
        run: &RunId,
        at_most: Duration,
    ) -> Result<Option<Arc<Ended>>, Error> {
        let mut until = Instant::now() + at_most;
        let ended_here = async {
            match live {
                Some(live) => live.end().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(ended_here);
        // A run that is not here may have ended long ago.
        let mut pause = if live.is_some() { FIRST_LOOK } else { Duration::ZERO };
        loop {
            tokio::select! {
                biased;
                ended = &mut ended_here => return Ok(ended),
                () = tokio::time::sleep_until(until.min(Instant::now() + pause)) => {}
                () = self.left(), if until > Instant::now() => until = Instant::now(),
            }
            // A caller that has waited for so long, or will be answered that the run continues, must find it in the store.
            let stored = match live {
                Some(live) => {
                    let patience = until.saturating_duration_since(Instant::now()) + LONGEST_LOOK;
                    tokio::time::timeout(patience, live.store()).await.unwrap_or_else(|_| Err(live.not_stored()))
                }
                None => Ok(()),
            };
            if stored.is_ok() {
                // A run that has ended here in the meantime has its answer, even if the store is unavailable.
                tokio::select! {
                    biased;
                    ended = &mut ended_here => return Ok(ended),
                    ended = self.stored_end(run) => if let Some(ended) = ended? { return Ok(Some(ended)) },
                }
            }
            if Instant::now() >= until {
                return stored.map(|()| None);
            }
            pause = (pause * 2).clamp(FIRST_LOOK, LONGEST_LOOK);
        }
    }

    /// How a stored run ended, if it did, or that it paused.
    async fn stored_end(&self, run: &RunId) -> Result<Option<Arc<Ended>>, Error> {
        let is_over = |status: Status| status.is_final() || status == Status::Paused;
        let entry = self.services.state.entry(run).await?;
        if !entry.is_some_and(|entry| is_over(entry.status)) {
            return Ok(None);
        }
        let Some(state) = load_run(&*self.services.state, run).await? else { return Ok(None) };
        if !is_over(state.run().status()) {
            return Ok(None);
        }
        let result = match &state.run().result {
            Some(payload) => Some(self.services.data.fetch_patiently(&*self.services.state, run, payload).await),
            None => None,
        };
        Ok(Some(Arc::new(Ended::of(state.run(), result))))
    }
}
