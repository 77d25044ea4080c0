//! Waiting for conditions: no test relies on how long something takes.

use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Waits until a condition holds; `what` describes it where it never does.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !holds().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    // Long enough for a flow to be built on a busy machine.
    timeout(Duration::from_secs(240), poll).await.unwrap_or_else(|_| panic!("gave up waiting: {what}"));
}
