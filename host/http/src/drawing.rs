//! Drawing pictures on threads that serve no requests: that of a large flow takes most of a second.

use super::error::Error;
use faas_flow_versions as versions;

/// The picture that `draw` makes.
pub(crate) async fn drawn(draw: impl FnOnce() -> String + Send + 'static) -> Result<String, Error> {
    let drawn = tokio::task::spawn_blocking(draw).await;
    Ok(drawn.map_err(|source| versions::Error::Interrupted { task: "drawing the flow", source })?)
}
