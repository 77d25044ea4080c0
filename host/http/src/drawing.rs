//! Drawing pictures on threads that serve no requests: that of a large flow takes most of a second.

use super::error::Error;
use faas_flow_versions as versions;

/// What `draw` makes: a picture, for example.
pub(crate) async fn drawn<T: Send + 'static>(draw: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let drawn = tokio::task::spawn_blocking(draw).await;
    Ok(drawn.map_err(|source| versions::Error::Interrupted { task: "drawing the flow", source })?)
}
