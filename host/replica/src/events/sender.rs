//! Where events go: the messages "run R: execute path P" for work that is not done in place.

use async_trait::async_trait;
use faas_flow_core::{Failure, FlowName, NodePath, RunId};

/// Sends events to whichever replica the queue chooses.
///
/// The queue is a hint: an event may be lost, repeated, late or out of order, and the run ends all the same.
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// Sends one event.
    async fn send(&self, flow: &FlowName, run: &RunId, path: &NodePath) -> Result<(), Failure>;
}
