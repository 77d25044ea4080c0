//! What of a node's data is stored: its output, and what its input is made of.

use super::documents::{NodeState, Progress};
use super::engine::{inputs, planned};
use super::events::Input;
use super::state::RunState;
use crate::{NodePath, Payload, Plan, PlanKind};

impl RunState {
    /// A node that is shown, with the scopes around it loaded. A node of a branch that was replaced is not.
    pub fn shown_node(&self, path: &NodePath) -> Option<&NodeState> {
        let mut inner = self.scope(&path.scope);
        let found = inner.and_then(|scope| scope.node(&path.node));
        while let Some((above, _)) = inner.and_then(|scope| scope.path.parent()) {
            let outer = self.scope(&above.scope)?;
            if !outer.began(inner?) {
                return None;
            }
            inner = Some(outer);
        }
        let is_outermost = path.scope.parent().is_none();
        found.or_else(|| self.run().hooks.iter().find(|hook| is_outermost && hook.id == path.node))
    }

    /// The output of a node, if it has one.
    pub fn output_of(&self, path: &NodePath) -> Option<&Payload> {
        self.shown_node(path)?.output.as_ref()
    }

    /// What the input of a node is made of, as far as it is there: what an operator gave it; or else what its scope got, if it
    /// is the first node; or else the outputs of its predecessors, before any forwarder and aggregator.
    pub fn inputs_of(&self, plan: &Plan, path: &NodePath) -> Vec<Input> {
        let Some(state) = self.shown_node(path) else { return Vec::new() };
        if let Some(given) = &state.given {
            return vec![Input { from: String::new(), payload: given.clone(), forwarder: None }];
        }
        let (Ok(node), Some(scope)) = (planned(plan, path), self.scope(&path.scope)) else { return Vec::new() };
        // It gets a failure instead.
        if matches!(node.kind, PlanKind::Recover(_)) {
            return Vec::new();
        }
        let is_there = |input: &Input| {
            let from = scope.nodes.iter().find(|from| from.id.as_str() == input.from);
            from.is_none_or(|from| from.progress == Progress::Done)
        };
        inputs(node, scope).into_iter().filter(is_there).collect()
    }
}
