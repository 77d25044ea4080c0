//! Whether a run of the old version still has something before it that the new version does differently.

use super::super::view::encoded;
use super::{Change, Difference};
use faas_flow_core::run::{Progress, RunView};
use faas_flow_core::{NodePath, ScopeStep};
use std::collections::BTreeMap;

/// How far the nodes of a run are, by their paths in the definition.
type Nodes = BTreeMap<String, Vec<Progress>>;

impl Difference {
    /// Whether the change is about something that a run of the old version has not done yet: a node that went or changed
    /// and is not done, or one that came before what the run has not begun. A run that has ended is never concerned. Where
    /// it cannot be known (a branch that may still be chosen), the answer is that it is.
    pub fn concerns(&self, run: &RunView) -> bool {
        if run.status.is_final() {
            return false;
        }
        if !self.flow.is_empty() {
            return true;
        }
        let mut nodes = Nodes::new();
        for node in &run.nodes {
            nodes.entry(self.place(&node.path)).or_default().push(node.progress);
        }
        let begun = |progress: Progress| !matches!(progress, Progress::Waiting | Progress::Ready);
        let done = |progress: Progress| progress == Progress::Done;
        let came = self.nodes.iter().filter(|node| node.change == Change::Came).map(|node| node.path.as_str());
        let next = came.clone().filter_map(|path| self.next.get(path)).flatten();
        let came: Vec<&str> = came.collect();
        next.into_iter().any(|path| self.is_ahead(&nodes, path, &begun))
            || self.changed_nodes().iter().any(|path| !came.contains(path) && self.is_ahead(&nodes, path, &done))
    }

    /// Whether a node of the old version is still before a run: `past` says when it no longer is.
    fn is_ahead(&self, nodes: &Nodes, path: &str, past: &dyn Fn(Progress) -> bool) -> bool {
        let found = nodes.get(path).map_or(&[][..], Vec::as_slice);
        if found.iter().any(|progress| !past(*progress)) {
            return true;
        }
        let Some(parent) = parent(path) else { return found.is_empty() };
        // Outside a for-each there is one of each node, so it is the one that was found.
        if !found.is_empty() && !self.is_repeated(parent) {
            return false;
        }
        self.is_ahead(nodes, parent, &|progress| progress == Progress::Done)
    }

    fn is_repeated(&self, path: &str) -> bool {
        self.each.contains(path) || parent(path).is_some_and(|parent| self.is_repeated(parent))
    }

    /// A path of a run as one of the definition: without the keys of a for-each.
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

/// The node that a node stands in.
fn parent(path: &str) -> Option<&str> {
    let (scope, _) = path.rsplit_once('/')?;
    // A key has its brackets percent-encoded, and an id may have none.
    Some(scope.strip_suffix(']').and_then(|scope| scope.rsplit_once('[')).map_or(scope, |(node, _)| node))
}
