//! What a definition must be like to have a run.

use super::failing::stop;
use crate::definition::{Dag, Edge, NodeKind, Operation, SignalSource};
use std::collections::{BTreeMap, BTreeSet};

const ALL: &str = "`faas-flow check` reports all problems of the flow";

/// A dag, for people.
pub(super) fn dag_of(scope: &str) -> String {
    match scope {
        "" => "the flow".to_owned(),
        scope => format!("the dag of `{}`", scope.trim_end_matches('/')),
    }
}

/// The edges that lead to each node. A dag that the host would not accept has no run.
pub(super) fn incoming<'d>(dag: &'d Dag, scope: &str) -> BTreeMap<&'d str, Vec<&'d Edge>> {
    let wrong = |what: String| -> ! { stop(&format!("{} {what}; {ALL}", dag_of(scope))) };
    let mut incoming = BTreeMap::new();
    for node in &dag.nodes {
        if incoming.insert(&*node.id, Vec::new()).is_some() {
            wrong(format!("has two nodes `{}`", node.id));
        }
    }
    for edge in &dag.edges {
        if let Some(unknown) = [&edge.from, &edge.to].into_iter().find(|id| !incoming.contains_key(&***id)) {
            wrong(format!("has an edge from `{}` to `{}`, but no node `{unknown}`", edge.from, edge.to));
        }
        incoming.entry(&*edge.to).or_default().push(edge);
    }
    let is_start = |id: &&str| incoming.get(id).is_some_and(Vec::is_empty);
    let starts: Vec<&str> = dag.nodes.iter().map(|node| &*node.id).filter(is_start).collect();
    match &*starts {
        _ if dag.nodes.is_empty() => wrong("has no nodes".to_owned()),
        [] => wrong("has no start: its nodes wait for each other".to_owned()),
        [_] => incoming,
        starts => wrong(format!("has several starts, `{}`: add edges, so that there is one", starts.join("`, `"))),
    }
}

/// The nodes without outgoing edges, in the order in which they were declared.
pub(super) fn ends(dag: &Dag) -> impl Iterator<Item = &str> {
    dag.nodes.iter().map(|node| &*node.id).filter(|id| dag.edges.iter().all(|edge| edge.from != *id))
}

/// Collects the names of the signals for which a dag waits, and says whether closures choose others.
pub(super) fn awaited<'d>(dag: &'d Dag, names: &mut BTreeSet<&'d str>) -> bool {
    let mut is_open = false;
    for node in &dag.nodes {
        let inner: Vec<&Dag> = match &node.kind {
            NodeKind::Operations(operations) => {
                for operation in &operations.list {
                    let Operation::WaitFor(wait) = operation else { continue };
                    match &wait.signal {
                        SignalSource::Named(name) => {
                            names.insert(name);
                        }
                        SignalSource::Handler(_) => is_open = true,
                    }
                }
                Vec::new()
            }
            NodeKind::SubDag(dag) => vec![dag],
            NodeKind::Repeat(repeat) => vec![&repeat.dag],
            NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                branches.dags.iter().map(|branch| &branch.dag).collect()
            }
        };
        for dag in inner {
            is_open |= awaited(dag, names);
        }
    }
    is_open
}
