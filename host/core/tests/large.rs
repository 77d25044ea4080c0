//! Large definitions, and definitions that are made to be hard to check: what is told of them is short, and it is what a check
//! without shortcuts finds.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use faas_flow_core::definition::*;
use faas_flow_core::testing::{Random, condition, edge, flow, node, sub_dag};
use faas_flow_core::*;
use std::collections::HashMap;

fn problems(definition: Definition) -> Vec<Problem> {
    Plan::new(definition).err().unwrap_or_default()
}

fn size(problems: &[Problem]) -> usize {
    problems.iter().map(|problem| problem.path.len() + problem.message.len()).sum()
}

/// A chain in which each node names a handler that the flow does not have.
fn chain_of_wrong(count: usize) -> Definition {
    let wrong = |at: usize| {
        let list = vec![Operation::Modify(format!("handler-{at}"))];
        Node { id: format!("n{at}"), kind: NodeKind::Operations(Operations { list, ..Operations::default() }) }
    };
    let edges = (1..count).map(|at| edge(&format!("n{}", at - 1), &format!("n{at}"))).collect();
    flow(Dag { nodes: (0..count).map(wrong).collect(), edges, ..Dag::default() })
}

#[test]
fn the_first_fifty_problems_are_told_and_the_rest_is_counted() {
    let told = problems(chain_of_wrong(100));
    assert_eq!(told.len(), 51);
    assert!(told[..50].iter().all(|problem| problem.code == Code::UNKNOWN_HANDLER), "{told:?}");
    assert_eq!(told[49].path, "n49/0");
    assert_eq!((told[50].code, told[50].path.as_str()), (Code::MORE_PROBLEMS, ""));
    assert!(told[50].message.contains("50 more problems"), "{}", told[50].message);
}

#[test]
fn fifty_problems_are_all_told() {
    let told = problems(chain_of_wrong(50));
    assert_eq!(told.len(), 50);
    assert!(told.iter().all(|problem| problem.code == Code::UNKNOWN_HANDLER));
}

#[test]
fn the_first_fifty_warnings_are_told_and_the_rest_is_counted() {
    // Each node but the first two has two inputs, which nothing merges.
    let nodes: Vec<Node> = (0..100).map(|at| node(&format!("n{at}"))).collect();
    let one = |from: usize, to: usize| edge(&format!("n{from}"), &format!("n{to}"));
    let mut edges = vec![one(0, 1)];
    edges.extend((2..100).flat_map(|at| [one(at - 1, at), one(at - 2, at)]));
    let plan = Plan::new(flow(Dag { nodes, edges, ..Dag::default() })).unwrap();
    let warnings = plan.warnings();
    assert_eq!(warnings.len(), 51);
    assert_eq!(warnings[0].path, "n2");
    assert_eq!(warnings[50].to_string(), "there are 48 more warnings");
}

#[test]
fn very_long_names_do_not_make_very_long_messages() {
    let long = "x".repeat(1 << 20);
    let mut dag = Dag { nodes: (0..60).map(|_| node("a b")).collect(), ..Dag::default() };
    for _ in 0..3 {
        dag = Dag { nodes: vec![sub_dag(&long, dag)], ..Dag::default() };
    }
    dag.edges.push(edge(&long, &format!("{long}x")));
    dag.aggregate_ends = Some(long.clone());
    dag.nodes.push(condition(&long, &[&long, &long]));
    let told = problems(flow(dag));
    assert_eq!(told.len(), 51);
    assert!(size(&told) < 51 * (5 << 10), "{} bytes", size(&told));
    assert!(told[0].path.ends_with('…'));
}

#[test]
fn messages_name_the_first_of_very_many_nodes() {
    let nodes: Vec<Node> = (0..1000).map(|at| node(&format!("n{at}"))).collect();
    let starts = problems(flow(Dag { nodes: nodes.clone(), ..Dag::default() }));
    assert_eq!(starts[0].code, Code::SEVERAL_STARTS);
    assert!(starts[0].message.contains("n19, … (1000 in all)"), "{}", starts[0].message);
    assert!(!starts[0].message.contains("n20,"));
    let edges = (0..1000).map(|at| edge(&format!("n{at}"), &format!("n{}", (at + 1) % 1000))).collect();
    let cycle = problems(flow(Dag { nodes, edges, ..Dag::default() }));
    assert_eq!(cycle[0].code, Code::CYCLE);
    assert!(cycle[0].message.contains("→ … (1001 in all)"), "{}", cycle[0].message);
}

#[test]
fn similar_names_are_suggested_but_not_looked_for_without_end() {
    let nodes: Vec<Node> = (0..12_000).map(|at| node(&format!("node-with-a-long-name-{at:05}"))).collect();
    let wrong = |at: usize| edge(&format!("node-with-a-lung-name-{at:05}"), "node-with-a-long-name-00000");
    let few = Dag { nodes: nodes[..100].to_vec(), edges: (1..100).map(wrong).collect(), ..Dag::default() };
    let told = problems(flow(few));
    assert!(told[..50].iter().all(|problem| problem.message.contains("did you mean `node-with-a-long-name-")));
    let many = Dag { nodes, edges: (0..12_000).map(wrong).collect(), ..Dag::default() };
    let told = problems(flow(many));
    assert_eq!(told.len(), 51);
    let hints = told.iter().filter(|problem| problem.message.contains("did you mean")).count();
    assert!((1..50).contains(&hints), "{hints} hints");
}

#[test]
fn every_branch_of_a_wide_condition_is_found_by_its_key() {
    let keys: Vec<String> = (0..3000).map(|at| format!("k{at}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let nodes = vec![condition("C", &keys)];
    let plan = Plan::new(flow(Dag { nodes, ..Dag::default() })).unwrap();
    let node = plan.root().node(&NodeId::new("C").unwrap()).unwrap();
    let branches = node.branches().unwrap();
    for (key, dag) in &branches.dags {
        assert!(std::ptr::eq(node.branch(key.as_ref()).unwrap(), dag), "{key:?}");
    }
    assert!(node.branch(None).is_none());
    assert!(node.branch(Some(&BranchKey::new("other").unwrap())).is_none());
}

/// A dag of some nodes with any edges between them.
fn any_dag(random: &mut Random) -> Dag {
    let count = 1 + random.below(8);
    let id = |at: usize| format!("n{at}");
    let edges = (0..random.below(2 * count)).map(|_| (random.below(count), random.below(count)));
    let mut edges: Vec<(usize, usize)> = edges.collect();
    let mut seen = Vec::new();
    edges.retain(|pair| {
        !seen.contains(pair) && {
            seen.push(*pair);
            true
        }
    });
    let edges = edges.into_iter().map(|(from, to)| edge(&id(from), &id(to))).collect();
    Dag { nodes: (0..count).map(|at| node(&id(at))).collect(), edges, ..Dag::default() }
}

/// The cycle that is found by walking backwards along the first edge from a node that is part of the trouble.
fn cycle(dag: &Dag) -> Option<Vec<String>> {
    let mut left: Vec<&str> = dag.nodes.iter().map(|node| node.id.as_str()).collect();
    while let Some(free) =
        left.iter().position(|id| !dag.edges.iter().any(|e| e.to == **id && left.contains(&&*e.from)))
    {
        left.remove(free);
    }
    let mut walk = vec![*left.first()?];
    loop {
        let at = walk[walk.len() - 1];
        let before = dag.edges.iter().find(|edge| edge.to == at && left.contains(&&*edge.from)).unwrap();
        let seen = walk.iter().position(|id| *id == before.from);
        walk.push(&before.from);
        if let Some(from) = seen {
            return Some(walk[from..].iter().rev().map(|id| (*id).to_owned()).collect());
        }
    }
}

#[test]
fn cycles_starts_and_joins_are_those_that_are_found_one_by_one() {
    let mut random = Random(0x5eed);
    let mut found = HashMap::<&str, u32>::new();
    for _ in 0..2000 {
        let dag = any_dag(&mut random);
        let into = |id: &str| dag.edges.iter().filter(|edge| edge.to == id).count();
        let starts: Vec<&str> = dag.nodes.iter().map(|node| &*node.id).filter(|id| into(id) == 0).collect();
        let (kind, expected) = match cycle(&dag) {
            Some(cycle) => ("cycle", vec![format!("the edges form a cycle: {}", cycle.join(" → "))]),
            None if starts.len() > 1 => (
                "starts",
                vec![format!(
                    "a dag has exactly one start, but {} have no predecessor: add the missing edges",
                    starts.join(", ")
                )],
            ),
            None => ("valid", Vec::new()),
        };
        *found.entry(kind).or_default() += 1;
        let joins: Vec<String> =
            dag.nodes.iter().filter(|node| into(&node.id) > 1).map(|node| node.id.clone()).collect();
        match Plan::new(flow(dag.clone())) {
            Err(problems) => {
                let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
                assert_eq!(messages, expected, "{dag:?}");
            }
            Ok(plan) => {
                assert_eq!(expected, Vec::<String>::new(), "{dag:?}");
                let warned = plan.warnings().iter().filter(|warning| !warning.path.is_empty());
                assert_eq!(warned.map(|warning| warning.path.clone()).collect::<Vec<_>>(), joins, "{dag:?}");
                same_edges(&dag, plan.root());
            }
        }
    }
    assert!(found.values().all(|count| *count > 20) && found.len() == 3, "{found:?}");
}

/// Every edge of the dag joins the same nodes in its plan.
#[track_caller]
fn same_edges(dag: &Dag, plan: &PlanDag) {
    for (at, node) in dag.nodes.iter().enumerate() {
        let before: Vec<&str> = dag.edges.iter().filter(|edge| edge.to == node.id).map(|edge| &*edge.from).collect();
        let planned = &plan.nodes[at];
        assert_eq!(planned.id.as_str(), node.id);
        let inputs: Vec<&str> = planned.inputs.iter().map(|input| plan.nodes[input.from].id.as_str()).collect();
        assert_eq!(inputs, before);
    }
}
