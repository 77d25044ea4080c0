//! How events are sent: the messages "run R: execute path P" by which replicas offer ready nodes to each other.

use super::Event;
use async_trait::async_trait;
use faas_flow_core::{Failure, FlowName};

/// Sends events to the replica that a queue chooses.
///
/// Events are hints: they may be lost, repeated, late or out of order, and runs still end.
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// Sends one event, with headers by which gateways and queues make it part of the run's trace.
    async fn send(&self, flow: &FlowName, event: Event, trace: Vec<(String, String)>) -> Result<(), Failure>;
}
