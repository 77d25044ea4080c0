//! What the engine and what drives it are tested with: random definitions, the same for the same seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "for tests only")]

use crate::definition::*;
use crate::run::{Request, Start};
use crate::*;

/// A xorshift, so that an order is repeated by its seed.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`; 0 if that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// What a run of the tests begins with.
pub fn the_start() -> Start {
    Start {
        id: RunId::new("run").unwrap(),
        flow: FlowName::new("flow").unwrap(),
        digest: Digest::of(b"module"),
        request: Request::default(),
        definition: None,
        input: payload("in"),
        callback: None,
        now: 1,
    }
}

/// A payload that stands inside the state.
pub fn payload(text: &str) -> Payload {
    Payload::Inline(text.to_owned().into())
}

/// A definition out of random numbers, valid by its making.
pub fn definition(random: &mut Random, depth: usize) -> Definition {
    let mut definition = Definition { dag: dag(random, depth), ..Definition::default() };
    if random.below(2) == 0 {
        definition.on_failure = Some("h".to_owned());
    }
    if random.below(2) == 0 {
        definition.finally = Some("h".to_owned());
    }
    definition.handlers = vec!["h".to_owned(), "f".to_owned(), "a".to_owned()];
    definition
}

/// The dag that a scope is an instance of, as its author wrote it.
pub fn dag_of<'a>(root: &'a Dag, scope: &ScopePath) -> &'a Dag {
    scope.steps().fold(root, |dag, step| {
        let node = dag.nodes.iter().find(|node| node.id == step.node.as_str()).unwrap();
        match (&node.kind, &step.key) {
            (NodeKind::SubDag(dag), None) => dag,
            (NodeKind::Condition(branches), Some(key)) => {
                &branches.dags.iter().find(|branch| branch.key == key.as_str()).unwrap().dag
            }
            (NodeKind::ForEach(branches), Some(_)) => &branches.dags[0].dag,
            _ => panic!("{scope} is no branch of {}", node.id),
        }
    })
}

fn dag(random: &mut Random, depth: usize) -> Dag {
    let size = 1 + random.below(5);
    let mut dag = Dag { aggregate_ends: (random.below(2) == 0).then(|| "a".to_owned()), ..Dag::default() };
    for i in 0..size {
        let kind = match random.below(if depth > 0 { 7 } else { 4 }) {
            4 => NodeKind::SubDag(self::dag(random, depth - 1)),
            5 => NodeKind::Condition(branches(random, depth - 1, &["k1", "k 2", "k/3"])),
            6 => NodeKind::ForEach(branches(random, depth - 1, &[""])),
            n => NodeKind::Operations(Operations {
                list: vec![Operation::Modify("h".to_owned()); n],
                ..Default::default()
            }),
        };
        dag.nodes.push(Node { id: format!("n{i}"), kind });
        if i == 0 {
            continue;
        }
        let first = random.below(i);
        let more: Vec<usize> = (0..i).filter(|from| *from == first || random.below(3) == 0).collect();
        for from in more {
            let carries = match random.below(4) {
                0 => Carries::Nothing,
                1 => Carries::Forwarded("f".to_owned()),
                _ => Carries::Output,
            };
            dag.edges.push(Edge { from: format!("n{from}"), to: format!("n{i}"), carries });
        }
        if random.below(2) == 0 {
            dag.aggregate_inputs.push(AggregateInputs { node: format!("n{i}"), aggregator: "a".to_owned() });
        }
    }
    dag
}

fn branches(random: &mut Random, depth: usize, keys: &[&str]) -> Branches {
    Branches {
        handler: "h".to_owned(),
        dags: keys.iter().map(|key| Branch { key: (*key).to_owned(), dag: dag(random, depth) }).collect(),
        aggregator: (random.below(3) > 0).then(|| "a".to_owned()),
        carries_nothing: random.below(4) == 0,
        max_parallel: None,
    }
}

/// The same definition, in which some of the operations call functions.
pub fn with_calls(mut definition: Definition, random: &mut Random) -> Definition {
    put_calls(&mut definition.dag, random);
    definition
}

fn put_calls(dag: &mut Dag, random: &mut Random) {
    for node in &mut dag.nodes {
        match &mut node.kind {
            NodeKind::Operations(operations) => {
                for operation in &mut operations.list {
                    if random.below(2) == 0 {
                        *operation = Operation::Apply(Call { target: "f".to_owned(), ..Call::default() });
                    }
                }
            }
            NodeKind::SubDag(dag) => put_calls(dag, random),
            NodeKind::Condition(branches) | NodeKind::ForEach(branches) => {
                branches.dags.iter_mut().for_each(|branch| put_calls(&mut branch.dag, random));
            }
        }
    }
}
