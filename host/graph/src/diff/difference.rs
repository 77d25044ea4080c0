//! The difference between two versions of a flow, as data.

use faas_flow_core::definition::Carries;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// How something differs between the old version and the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the new version has it.
    Added,
    /// Only the old version has it.
    Removed,
    /// Both versions have it, with different properties.
    Changed,
}

impl Change {
    /// Every change, in the order of legends and summaries.
    pub const ALL: [Change; 3] = [Change::Added, Change::Removed, Change::Changed];

    /// The word for it in text for people.
    pub const fn word(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

/// A property whose value differs. Secrets of calls are hidden ([`redact`](faas_flow_core::redact)): if only they differ, both
/// values look the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// Its place in the JSON form of the node or flow: `operations/list/0/apply/target`.
    pub property: String,
    /// Its value in the old version; absent if the old version does not set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Value>,
    /// Its value in the new version; absent if the new version does not set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Value>,
}

/// A node that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeChange {
    /// Its path, without the keys of a for-each: `C[c1]/F/n1`.
    pub path: String,
    /// How it differs.
    pub change: Change,
    /// The properties that differ; empty unless the node changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// An edge that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeChange {
    /// The path of the node that it starts from.
    pub from: String,
    /// The path of the node that it leads to.
    pub to: String,
    /// How it differs.
    pub change: Change,
    /// What it carries in the old version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Carries>,
    /// What it carries in the new version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Carries>,
}

/// A handler that only one of the versions has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HandlerChange {
    /// Its id.
    pub id: String,
    /// Added or removed. A change of its code is not visible here.
    pub change: Change,
}

/// How the graph of a new version differs from that of an old one.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Difference {
    /// Properties of the flow as a whole, such as its deadline or which nodes are its ends.
    pub flow: Vec<Detail>,
    /// Nodes at any depth, in declared order: of each dag first those of the old version, then the added ones.
    pub nodes: Vec<NodeChange>,
    /// Edges at any depth.
    pub edges: Vec<EdgeChange>,
    /// Handlers of the flow's code.
    pub handlers: Vec<HandlerChange>,
    /// The for-each and repeat nodes of the old version: in the paths of a run, their branches have keys.
    #[serde(skip)]
    pub(super) each: BTreeSet<String>,
    /// The nodes that both versions have and that follow an added node.
    #[serde(skip)]
    pub(super) next: BTreeSet<String>,
}

impl Difference {
    /// Whether the graphs are the same; the code behind their handlers may still differ.
    pub fn is_empty(&self) -> bool {
        self.flow.is_empty() && self.nodes.is_empty() && self.edges.is_empty() && self.handlers.is_empty()
    }

    /// The paths of the nodes that the change touches: those that were added, removed or changed, and the targets of edges
    /// that were.
    pub fn changed_nodes(&self) -> BTreeSet<&str> {
        let nodes = self.nodes.iter().map(|node| node.path.as_str());
        nodes.chain(self.edges.iter().map(|edge| edge.to.as_str())).collect()
    }

    /// What to consider before activating the new version, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let removed = self.handlers.iter().filter(|handler| handler.change == Change::Removed);
        removed
            .map(|handler| format!("handler {} was removed: runs on the new version cannot call it", handler.id))
            .collect()
    }
}
