//! Questions that a driver may ask a session.

use crate::durability::{Durability, Role};
use crate::replay::node;
use crate::session::Session;
use faas_flow_core::run::RunState;
use faas_flow_core::{Millis, NodePath};
use faas_flow_store::Arrival;

impl Session {
    /// The state of the run in memory, including what is not committed yet.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// When [`Event::Deadline`](faas_flow_core::run::Event::Deadline) is due; `None` if the run has no deadline, or has come
    /// to its end.
    pub fn deadline(&self) -> Option<Millis> {
        self.state.deadline_due()
    }

    /// How much of the run is stored.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether this replica owns the run.
    pub fn is_owner(&self) -> bool {
        matches!(self.role, Role::Owner(_))
    }

    /// Whether this replica has left the run and must claim nothing more.
    pub fn has_left(&self) -> bool {
        self.role == Role::Left
    }

    /// Whether this replica has nothing to do for the run.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty() && self.batch.is_empty()
    }

    /// How many nodes this replica executes.
    pub fn executing(&self) -> usize {
        self.running.len()
    }

    /// The nodes that this replica executes.
    pub fn executing_nodes(&self) -> impl Iterator<Item = &NodePath> {
        self.running.keys()
    }

    /// Whether this replica executes a node.
    pub fn executes(&self, path: &NodePath) -> bool {
        self.running.contains_key(path)
    }

    /// How many branches a node has started, if it has started any.
    pub fn branches_of(&self, path: &NodePath) -> Option<u32> {
        Some(node(&self.state, path)?.branches.as_ref()?.total)
    }

    /// The members of a set that are not committed yet.
    pub fn unsaved_arrivals<'a>(&'a self, set: &'a str) -> impl Iterator<Item = &'a Arrival> {
        self.batch.arrived(set)
    }
}
