//! A start whose other side is away: it is tried again until that is back.

use crate::driver::may_pass;
use crate::flows::Brought;
use crate::http::Starting;
use crate::{Error, Flow, Host};
use faas_flow_core::ShownDuration;
use faas_flow_core::definition::Backoff;
use faas_flow_store::{DataStore, StateStore, open_data, open_state};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const BACKOFF: Backoff = Backoff { attempts: u32::MAX, first_delay_ms: 100, factor: 2.0, max_delay_ms: 5000 };

/// Who does not do what is needed, and why.
type Hindrance = (&'static str, Error);

/// Opens both stores. What is wrong with one for good is told even where the other one is only away.
pub(super) async fn stores(
    starting: &Starting,
    state: &str,
    data: &str,
) -> Result<(Arc<dyn StateStore>, Arc<dyn DataStore>), Error> {
    until_done(starting, async || {
        let state = async { open_state(state).await.map_err(|error| ("the state store", error.into())) };
        let data = async { open_data(data).await.map_err(|error| ("the data store", error.into())) };
        tokio::try_join!(state, data)
    })
    .await
}

/// Puts the flow that the function came with into service.
pub(super) async fn bring(starting: &Starting, host: &Arc<Host>, flow: (Flow, Brought)) -> Result<(), Error> {
    let bring = async || super::common::bring(host, vec![flow.clone()]).await;
    until_done(starting, async || bring().await.map_err(|error| ("the stores", error))).await
}

/// Does it, again and again where what hinders it may pass by itself. A line is for each that is waited for, and one for
/// the end; callers read what it is at the moment.
async fn until_done<T>(starting: &Starting, work: impl AsyncFn() -> Result<T, Hindrance>) -> Result<T, Error> {
    let (mut begun, mut told, mut attempt) = (None, "", 1);
    loop {
        let (what, error) = match work().await {
            Err((what, error)) if may_pass(error.code()) => (what, error),
            Err((_, error)) => return Err(error),
            Ok(done) => {
                if let Some(begun) = begun {
                    let waited = Duration::from_secs(Instant::now().duration_since(begun).as_secs());
                    eprintln!("waited {} for {told}, and goes on", ShownDuration(waited));
                }
                return Ok(done);
            }
        };
        begun.get_or_insert_with(Instant::now);
        if told != what {
            eprintln!("waits for {what}: error {}: {error}", error.code());
            told = what;
        }
        starting.waits(what, &error);
        attempt += 1;
        sleep(Duration::from_millis(BACKOFF.delay_ms(attempt, fastrand::f64()))).await;
    }
}
