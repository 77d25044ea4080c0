//! Starts a host whose stores may be unavailable: tries again until they are back.

use super::host;
use super::output::complain;
use crate::config::Stores;
use faas_flow_core::ShownDuration;
use faas_flow_core::definition::Backoff;
use faas_flow_http::Starting;
use faas_flow_replica::{Error, Host};
use faas_flow_store::{DataStore, StateStore, open_data, open_state};
use faas_flow_versions::{Artifact, Flow};
use futures_util::TryFutureExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const BACKOFF: Backoff = Backoff { attempts: u32::MAX, first_delay_ms: 100, factor: 2.0, max_delay_ms: 5000 };

/// What is unavailable, and why.
type Obstacle = (&'static str, Error);

/// Opens both stores. A permanent error of one is returned even while the other is unavailable.
pub(super) async fn open_stores(
    starting: &Starting,
    stores: &Stores,
) -> Result<(Arc<dyn StateStore>, Arc<dyn DataStore>), Error> {
    until_done(starting, async || {
        // Boxed, since the futures of the stores are nested too deeply for the compiler otherwise.
        let state = Box::pin(open_state(&stores.state)).map_err(|error| ("the state store", error.into()));
        let data = Box::pin(open_data(&stores.data)).map_err(|error| ("the data store", error.into()));
        tokio::try_join!(state, data)
    })
    .await
}

/// Stores the flow that the function was started with, and serves its active version.
pub(super) async fn bring(starting: &Starting, host: &Arc<Host>, flow: (Flow, Artifact)) -> Result<(), Error> {
    let bring = async || host::bring(host, vec![flow.clone()]).await;
    until_done(starting, async || bring().await.map_err(|error| ("the stores", error.into()))).await
}

/// Does the work, and does it again after errors that may pass by themselves. Prints a line for each obstacle and one when
/// the work is done; meanwhile, callers are told what is unavailable.
async fn until_done<T>(starting: &Starting, work: impl AsyncFn() -> Result<T, Obstacle>) -> Result<T, Error> {
    let mut waiting_since = None;
    let mut reported = "";
    let mut attempt = 1;
    loop {
        let (what, error) = match work().await {
            Err((what, error)) if error.code().is_transient() => (what, error),
            Err((_, error)) => return Err(error),
            Ok(done) => {
                if let Some(since) = waiting_since {
                    let waited = Duration::from_secs(Instant::now().duration_since(since).as_secs());
                    eprintln!("waited {} for {reported}; continuing", ShownDuration(waited));
                }
                return Ok(done);
            }
        };
        waiting_since.get_or_insert_with(Instant::now);
        // The health check first: somebody who reads the line may call it at once.
        starting.waits(what, &error);
        if reported != what {
            complain(format_args!("waiting for {what}: error {}: {error}", error.code()));
            reported = what;
        }
        attempt += 1;
        sleep(Duration::from_millis(BACKOFF.delay_ms(attempt, fastrand::f64()))).await;
    }
}
