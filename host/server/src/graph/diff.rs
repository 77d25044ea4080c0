//! Compares two versions of a flow as graphs: what came, what went, and what changed.
//!
//! Nodes are known by their paths, as in pictures: those of a run, but without the keys of a for-each. A node changed if
//! anything about it changed but the dags inside it, whose nodes have paths of their own. Properties are named by where they
//! stand in the node's JSON form, as `faas-flow graph --format definition` prints it.

mod compare;
mod picture;
mod runs;
mod text;

use faas_flow_core::Definition;
use faas_flow_core::definition::Carries;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub use text::Colours;

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the new version has it.
    Came,
    /// Only the old version had it.
    Went,
    /// Both have it, but not alike.
    Changed,
}

impl Change {
    /// The word that everything prints.
    pub const fn word(self) -> &'static str {
        match self {
            Change::Came => "came",
            Change::Went => "went",
            Change::Changed => "changed",
        }
    }

    const fn sign(self) -> char {
        match self {
            Change::Came => '+',
            Change::Went => '-',
            Change::Changed => '~',
        }
    }
}

/// A property that is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// Where it stands: `operations/list/0/apply/target`.
    pub property: String,
    /// What it was; absent if it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Value>,
    /// What it is; absent if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Value>,
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeChange {
    /// Which: `C[c1]/F/n1`.
    pub path: String,
    /// What became of it.
    pub change: Change,
    /// How it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// What became of an edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeChange {
    /// The path of the node that comes first.
    pub from: String,
    /// The path of the node that waits for it.
    pub to: String,
    /// What became of it.
    pub change: Change,
    /// What it carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Carries>,
    /// What it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Carries>,
}

/// What became of a handler.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HandlerChange {
    /// Its id.
    pub id: String,
    /// What became of it; whether its code changed cannot be told.
    pub change: Change,
}

/// How the graph of a new version differs from that of an old one.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Difference {
    /// Properties of the flow as a whole, such as its deadline or which nodes are its ends.
    pub flow: Vec<Detail>,
    /// Nodes at any depth, those of the old version where they stood and new ones where they stand.
    pub nodes: Vec<NodeChange>,
    /// Edges at any depth.
    pub edges: Vec<EdgeChange>,
    /// Handlers that the flow's code answers to.
    pub handlers: Vec<HandlerChange>,
    /// The for-each nodes of the old version, in whose paths runs have keys.
    #[serde(skip)]
    each: BTreeSet<String>,
    /// For each node that came beside old ones: the nodes of the old version that come next behind it.
    #[serde(skip)]
    next: BTreeMap<String, Vec<String>>,
}

impl Difference {
    /// Compares two definitions.
    pub fn between(old: &Definition, new: &Definition) -> Self {
        compare::definitions(old, new)
    }

    /// Whether the graphs are the same; the code may still differ.
    pub fn is_empty(&self) -> bool {
        self.flow.is_empty() && self.nodes.is_empty() && self.edges.is_empty() && self.handlers.is_empty()
    }

    /// The nodes that the change touches: those that came, went or changed, and those that an edge leads to which did.
    pub fn changed_nodes(&self) -> BTreeSet<&str> {
        let nodes = self.nodes.iter().map(|node| node.path.as_str());
        nodes.chain(self.edges.iter().map(|edge| edge.to.as_str())).collect()
    }

    /// What whoever puts the new version into service should think of, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let went = self.handlers.iter().filter(|handler| handler.change == Change::Went);
        went.map(|handler| format!("handler {} went: no run of the new version can call it", handler.id)).collect()
    }

    /// The difference in lines for people.
    pub fn text(&self, colours: Colours) -> String {
        text::render(self, colours)
    }

    /// Both graphs in one picture, with what came, went and changed marked by sign and by colour.
    pub fn svg(&self, old: &Definition, new: &Definition, name: &str) -> String {
        picture::render(self, old, new, name)
    }
}

#[cfg(test)]
mod tests;
