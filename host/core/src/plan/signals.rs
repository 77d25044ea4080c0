//! Which signals a flow may wait for.

use crate::definition::{Dag, NodeKind, Operation, SignalSource};
use crate::{Definition, SignalName};
use std::collections::BTreeSet;

/// The signals that a flow may wait for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PlanSignals {
    /// Those that its definition names.
    names: BTreeSet<SignalName>,
    /// Whether its code names others.
    others: bool,
}

impl PlanSignals {
    pub(super) fn new(definition: &Definition) -> Self {
        let mut signals = Self::default();
        signals.add(&definition.dag);
        signals
    }

    /// Whether a node of the flow may wait for this signal. If the flow's code names signals, it may for any.
    pub fn include(&self, name: &SignalName) -> bool {
        self.others || self.names.contains(name)
    }

    /// The signals that the definition names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &SignalName> {
        self.names.iter()
    }

    /// Whether the flow waits for no signal at all.
    pub fn is_empty(&self) -> bool {
        !self.others && self.names.is_empty()
    }

    fn add(&mut self, dag: &Dag) {
        for node in &dag.nodes {
            match &node.kind {
                NodeKind::Operations(operations) => operations.list.iter().for_each(|one| self.operation(one)),
                NodeKind::SubDag(dag) => self.add(dag),
                NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                    branches.dags.iter().for_each(|branch| self.add(&branch.dag));
                }
                NodeKind::Repeat(repeat) => self.add(&repeat.dag),
            }
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let Operation::WaitFor(wait) = operation else { return };
        match &wait.signal {
            SignalSource::Handler(_) => self.others = true,
            SignalSource::Named(name) => self.names.extend(SignalName::new(name)),
        }
    }
}
