//! Compares two versions of a flow as graphs: which nodes, edges and handlers were added, removed or changed.
//!
//! Nodes are identified by their paths, as in pictures: those of a run, but without the keys of a for-each. A node has changed
//! if any of its properties has, except for the dags inside it, whose nodes have paths of their own. Properties are named by
//! their place in the node's JSON form, as `faas-flow graph --format definition` prints it.

mod compare;
pub(crate) mod difference;
mod picture;
mod runs;
pub(crate) mod text;

#[cfg(test)]
mod tests;
