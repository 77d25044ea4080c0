//! Large definitions of several shapes, for benchmarks.

use super::{edge, flow, node, sub_dag};
use crate::definition::{Branch, Branches, Dag, Node, NodeKind};
use crate::{Definition, MAX_DEPTH};

fn ids(count: usize) -> Vec<Node> {
    (0..count).map(|at| node(&format!("n{at}"))).collect()
}

fn id(at: usize) -> String {
    format!("n{at}")
}

/// Each of so many nodes follows the one before.
pub fn chain(nodes: usize) -> Definition {
    flow(chain_dag(nodes))
}

fn chain_dag(nodes: usize) -> Dag {
    Dag { nodes: ids(nodes), edges: (1..nodes).map(|at| edge(&id(at - 1), &id(at))).collect(), ..Dag::default() }
}

/// All nodes but the first and the last stand beside each other.
pub fn fan(nodes: usize) -> Definition {
    let last = nodes - 1;
    let edges = (1..last).flat_map(|at| [edge(&id(0), &id(at)), edge(&id(at), &id(last))]);
    flow(Dag { nodes: ids(nodes), edges: edges.collect(), ..Dag::default() })
}

/// Layers of a hundred nodes, each of which follows two nodes of the layer before.
pub fn mesh(nodes: usize) -> Definition {
    let width = 100;
    let mut edges: Vec<_> = (1..=width).map(|at| edge(&id(0), &id(at))).collect();
    for at in width + 1..nodes {
        let (layer, place) = ((at - 1) / width, (at - 1) % width);
        let other = (layer - 1) * width + 1 + (place * 37 + 11) % width;
        edges.push(edge(&id(at - width), &id(at)));
        if other != at - width {
            edges.push(edge(&id(other), &id(at)));
        }
    }
    flow(Dag { nodes: ids(nodes), edges, ..Dag::default() })
}

/// A chain whose nodes are also joined to the node after the next ten, so that many edges pass many layers.
pub fn skips(nodes: usize) -> Definition {
    let mut skips = chain(nodes);
    skips.dag.edges.extend((11..nodes).map(|at| edge(&id(at - 11), &id(at))));
    skips
}

/// Dags in dags, as deep as they may be, with a chain in each.
pub fn nest(nodes: usize) -> Definition {
    let each = nodes / MAX_DEPTH;
    let mut dag = chain_dag(each);
    for _ in 1..MAX_DEPTH {
        let mut around = chain_dag(each);
        around.edges.push(edge(&id(each - 1), "S"));
        around.nodes.push(sub_dag("S", dag));
        dag = around;
    }
    flow(dag)
}

/// A condition with a branch for every two nodes.
pub fn branches(nodes: usize) -> Definition {
    let branch = |at| Branch { key: format!("k{at}"), dag: chain_dag(2) };
    let branches =
        Branches { handler: "h".to_owned(), dags: (0..nodes / 2).map(branch).collect(), ..Branches::default() };
    let nodes = vec![Node { id: "C".to_owned(), kind: NodeKind::Condition(branches) }];
    flow(Dag { nodes, ..Dag::default() })
}

/// A ring: its only problem is as long as it is.
pub fn ring(nodes: usize) -> Definition {
    let mut ring = chain(nodes);
    ring.dag.edges.push(edge(&id(nodes - 1), &id(0)));
    ring
}

/// Every edge comes from a misspelt node.
pub fn misspelt(nodes: usize) -> Definition {
    let mut misspelt = chain(nodes);
    for edge in &mut misspelt.dag.edges {
        edge.from.insert(1, 'm');
    }
    misspelt
}

/// All of them, with their names.
pub fn all(nodes: usize) -> Vec<(&'static str, Definition)> {
    vec![
        ("chain", chain(nodes)),
        ("fan", fan(nodes)),
        ("mesh", mesh(nodes)),
        ("skips", skips(nodes)),
        ("nest", nest(nodes)),
        ("branches", branches(nodes)),
        ("ring", ring(nodes)),
        ("misspelt", misspelt(nodes)),
    ]
}
