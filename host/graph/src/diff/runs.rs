//! Whether a run on the old version would still take another course on the new one.

use super::difference::{Change, Difference};
use crate::view::encoded;
use faas_flow_core::run::{Progress, RunView};
use faas_flow_core::{NodePath, ScopeStep};
use std::collections::{BTreeMap, BTreeSet};

/// The progress of a run's nodes by their paths in the definition: several for a node inside a for-each.
type Nodes = BTreeMap<String, Vec<Progress>>;

impl Difference {
    /// Whether a run on the old version has not yet done something that differs in the new one: a removed or changed node
    /// that is not done, or an added node before nodes that have not started.
    ///
    /// False for a run that has ended. True if it cannot be known yet, as for a branch that may still be chosen.
    pub fn concerns(&self, run: &RunView) -> bool {
        if run.status.is_final() {
            return false;
        }
        // Schedules begin runs, and mean nothing to those that have begun.
        if self.flow.iter().any(|detail| !detail.property.starts_with("schedules")) {
            return true;
        }
        let mut nodes = Nodes::new();
        for node in &run.nodes {
            nodes.entry(self.place(&node.path)).or_default().push(node.progress);
        }
        let begun = |progress: Progress| !matches!(progress, Progress::Waiting | Progress::Ready);
        let done = |progress: Progress| progress == Progress::Done;
        let added = self.nodes.iter().filter(|node| node.change == Change::Added);
        let added: BTreeSet<&str> = added.map(|node| node.path.as_str()).collect();
        self.next.iter().any(|path| self.is_ahead(&nodes, path, &begun))
            || self.changed_nodes().difference(&added).any(|path| self.is_ahead(&nodes, path, &done))
    }

    /// Whether a run has yet to pass a node of the old version; `past` decides this from the node's progress.
    fn is_ahead(&self, nodes: &Nodes, path: &str, past: &dyn Fn(Progress) -> bool) -> bool {
        let found = nodes.get(path).map_or(&[][..], Vec::as_slice);
        if found.iter().any(|progress| !past(*progress)) {
            return true;
        }
        let Some(parent) = parent(path) else { return found.is_empty() };
        // Outside a for-each, a node exists once in a run, so this was the only one.
        if !found.is_empty() && !self.is_repeated(parent) {
            return false;
        }
        self.is_ahead(nodes, parent, &|progress| progress == Progress::Done)
    }

    fn is_repeated(&self, path: &str) -> bool {
        self.each.contains(path) || parent(path).is_some_and(|parent| self.is_repeated(parent))
    }

    /// A run's path as one of the definition: without the keys of a for-each.
    fn place(&self, path: &NodePath) -> String {
        let mut place = String::new();
        for ScopeStep { node, key } in path.scope.steps() {
            place.push_str(node.as_str());
            if let Some(key) = key.filter(|_| !self.each.contains(&place)) {
                place.push_str(&format!("[{}]", encoded(key.as_str())));
            }
            place.push('/');
        }
        place + path.node.as_str()
    }
}

/// The path of the node whose dag holds this node.
fn parent(path: &str) -> Option<&str> {
    let (scope, _) = path.rsplit_once('/')?;
    // Brackets inside a key are percent-encoded, and a node id has none.
    Some(scope.strip_suffix(']').and_then(|scope| scope.rsplit_once('[')).map_or(scope, |(node, _)| node))
}
