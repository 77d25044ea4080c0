//! Checks of dags: their nodes, edges and branches.

use super::place::Place;
use super::report::{listed, shown};
use super::{Checker, LONGEST_WAIT_MS, MAX_DEPTH};
use crate::definition::{Branches, Carries, Dag, Edge, MOST_ROUNDS, Node, NodeKind, RecoverNode, Repeat, Tolerate};
use crate::{BranchKey, Code, NodeId};
use std::collections::{HashMap, HashSet};

impl<'a> Checker<'a> {
    pub(super) fn dag(&mut self, at: &Place<'_>, dag: &'a Dag, depth: usize) {
        if depth > MAX_DEPTH {
            let message = || format!("dags are nested more than {MAX_DEPTH} deep: does a sub-dag contain itself?");
            return self.problem(Code::NESTED_TOO_DEEP, at, message);
        }
        if dag.nodes.is_empty() {
            return self.problem(Code::EMPTY_DAG, at, || "the dag has no nodes: add at least one");
        }
        let mut ids = HashSet::new();
        for node in &dag.nodes {
            let at = &Place::Node(at, &node.id);
            match NodeId::new(&node.id) {
                Err(malformed) => self.malformed(at, malformed),
                Ok(id) if id.is_reserved() => self.problem(Code::BAD_NODE_ID, at, || "the id is reserved"),
                Ok(_) if !ids.insert(node.id.as_str()) => {
                    let message = || "another node of this dag has the same id: rename one";
                    self.problem(Code::DUPLICATE_NODE, at, message);
                }
                Ok(_) => {}
            }
            self.node(at, node, depth);
        }
        self.edges(at, dag, &ids);
        for inputs in &dag.aggregate_inputs {
            self.handler(&Place::Node(at, &inputs.node), Some(&inputs.aggregator));
            if !ids.contains(inputs.node.as_str()) {
                let message =
                    || format!("an aggregator is given for node `{}`, which does not exist", shown(&inputs.node));
                self.problem(Code::AGGREGATOR_WITHOUT_NODE, at, message);
            }
        }
        self.handler(at, dag.aggregate_ends.as_deref());
        for RecoverNode { node, recover } in &dag.recover_nodes {
            self.handler(&Place::Node(at, node), Some(recover));
            if !ids.contains(node.as_str()) {
                let message = || format!("a recover handler is given for node `{}`, which does not exist", shown(node));
                self.problem(Code::RECOVER_WITHOUT_NODE, at, message);
            }
        }
        self.handler(at, dag.recover.as_deref());
    }

    fn edges(&mut self, at: &Place<'_>, dag: &Dag, ids: &HashSet<&str>) {
        let mut pairs = HashSet::new();
        let mut known = Vec::with_capacity(dag.edges.len());
        for edge in &dag.edges {
            let Edge { from, to, carries } = edge;
            if let Carries::Forwarded(handler) = carries {
                self.handler(at, Some(handler));
            }
            if ids.contains(from.as_str()) && ids.contains(to.as_str()) {
                known.push(edge);
            }
            for id in [from, to] {
                if !ids.contains(id.as_str()) {
                    let hint = self.report.did_you_mean(id, ids);
                    let (from, to, id) = (shown(from), shown(to), shown(id));
                    let message = || format!("the edge {from} → {to} names node `{id}`, which does not exist{hint}");
                    self.problem(Code::EDGE_TO_NOWHERE, at, message);
                }
            }
            if !pairs.insert((from, to)) {
                let message = || format!("there are two edges {} → {}: keep one", shown(from), shown(to));
                self.problem(Code::DUPLICATE_EDGE, at, message);
            }
        }
        self.order(at, dag, &known);
    }

    /// Cycles, starts, ends and joins of a dag, by its edges between nodes that exist. An edge that leads nowhere may be meant
    /// for a node that has no predecessor without it, so as many starts are not told.
    fn order(&mut self, at: &Place<'_>, dag: &Dag, known: &[&Edge]) {
        if let Some(cycle) = cycle(dag, known) {
            let message = || format!("the edges form a cycle: {}", listed(&cycle, " → "));
            return self.problem(Code::CYCLE, at, message);
        }
        let without = |ends: fn(&Edge) -> &str| -> Vec<&str> {
            let used: HashSet<&str> = known.iter().map(|edge| ends(edge)).collect();
            dag.nodes.iter().map(|node| node.id.as_str()).filter(|id| !used.contains(id)).collect()
        };
        let starts = without(|edge| &edge.to);
        let lost = dag.edges.len() - known.len();
        if starts.len() > 1 + lost {
            let message = || {
                format!(
                    "a dag has exactly one start, but {} have no predecessor: add the missing edges",
                    listed(&starts, ", ")
                )
            };
            self.problem(Code::SEVERAL_STARTS, at, message);
        }
        if lost > 0 {
            return;
        }
        let ends = without(|edge| &edge.from);
        if ends.len() > 1 && dag.aggregate_ends.is_none() {
            let ends = listed(&ends, ", ");
            let message = || {
                format!(
                    "the dag has several ends ({ends}) and yields nothing: aggregate its ends if that is not intended"
                )
            };
            self.warn(at, message);
        }
        self.joins(at, dag);
    }

    /// Warns of nodes that get several inputs, which nothing merges.
    fn joins(&mut self, at: &Place<'_>, dag: &Dag) {
        let merged: HashSet<&str> = dag.aggregate_inputs.iter().map(|given| given.node.as_str()).collect();
        let mut inputs: HashMap<&str, usize> = HashMap::new();
        for edge in dag.edges.iter().filter(|edge| edge.carries != Carries::Nothing) {
            *inputs.entry(&edge.to).or_default() += 1;
        }
        for node in &dag.nodes {
            let id = node.id.as_str();
            let inputs = inputs.get(id).copied().unwrap_or_default();
            if inputs > 1 && !merged.contains(id) {
                let message = || {
                    format!(
                        "{inputs} edges carry data to this node, but no aggregator merges it: the node gets no data, only `context.inputs`"
                    )
                };
                self.warn(&Place::Node(at, id), message);
            }
        }
    }

    fn node(&mut self, at: &Place<'_>, node: &'a Node, depth: usize) {
        match &node.kind {
            NodeKind::Operations(operations) => self.operations(at, operations),
            NodeKind::SubDag(dag) => self.dag(at, dag, depth + 1),
            NodeKind::Condition(branches) => {
                self.branches(at, branches, "condition");
                self.choices(at, branches, depth);
            }
            NodeKind::ForEach(branches) => {
                self.branches(at, branches, "for-each");
                self.items(at, branches, depth);
            }
            NodeKind::Repeat(repeat) => self.repeat(at, repeat, depth),
        }
    }

    /// Checks what conditions and for-eaches have in common. `kind` is for the message.
    fn branches(&mut self, at: &Place<'_>, branches: &Branches, kind: &str) {
        self.handler(at, Some(&branches.handler));
        self.handler(at, branches.aggregator.as_deref());
        self.handler(at, branches.gather.as_deref());
        if branches.max_parallel == Some(0) {
            let message = || "max-parallel is 0, so no branch would ever run: set it to at least 1";
            self.problem(Code::BAD_MAX_PARALLEL, at, message);
        }
        if branches.dags.is_empty() {
            self.problem(Code::NO_BRANCHES, at, || format!("the {kind} has no dag: give it a branch"));
        }
    }

    /// Checks what a for-each says of items that fail.
    fn tolerance(&mut self, at: &Place<'_>, branches: &Branches) {
        if let Some(Tolerate::Share(share)) = branches.tolerate
            && !(0.0..=1.0).contains(&share)
        {
            let message = || format!("the share of items that may fail is {share}, but must be from 0 to 1");
            self.problem(Code::BAD_TOLERANCE, at, message);
        }
        if branches.gather.is_some() && branches.aggregator.is_some() {
            self.warn(at, || "`gather` takes the place of the aggregator, which is never called: remove one of them");
        }
    }

    fn choices(&mut self, at: &Place<'_>, branches: &'a Branches, depth: usize) {
        let mut keys = HashSet::new();
        for branch in &branches.dags {
            if let Err(malformed) = BranchKey::new(&branch.key) {
                self.malformed(at, malformed);
            }
            if !keys.insert(branch.key.as_str()) {
                let message = || format!("two branches have the key `{}`: rename one", shown(&branch.key));
                self.problem(Code::DUPLICATE_BRANCH, at, message);
            }
            self.dag(&Place::Branch(at, &branch.key), &branch.dag, depth + 1);
        }
    }

    fn items(&mut self, at: &Place<'_>, branches: &'a Branches, depth: usize) {
        for (i, branch) in branches.dags.iter().enumerate() {
            if i > 0 {
                self.problem(Code::DUPLICATE_BRANCH, at, || "a for-each has one dag, but this one has several");
            }
            self.dag(&Place::Branch(at, ""), &branch.dag, depth + 1);
        }
        self.tolerance(at, branches);
        if branches.aggregator.is_none() && branches.gather.is_none() && !branches.carries_nothing {
            self.warn(at, || {
                "the for-each has no aggregator and yields nothing: declare that it carries nothing if that is intended"
            });
        }
    }

    fn repeat(&mut self, at: &Place<'_>, repeat: &'a Repeat, depth: usize) {
        let Repeat { handler, dag, most, wait_ms } = repeat;
        self.handler(at, Some(handler));
        if !(1..=MOST_ROUNDS).contains(most) {
            let message = || format!("the repeat may have {most} rounds, but must have 1 to {MOST_ROUNDS}");
            self.problem(Code::BAD_REPEAT, at, message);
        }
        if *wait_ms > LONGEST_WAIT_MS {
            let message =
                || format!("the wait between rounds is {wait_ms} ms, but must be at most {LONGEST_WAIT_MS} ms");
            self.problem(Code::BAD_REPEAT, at, message);
        }
        self.dag(&Place::Branch(at, ""), dag, depth + 1);
    }
}

/// The ids along one cycle, its first id again at the end.
fn cycle<'a>(dag: &'a Dag, edges: &[&'a Edge]) -> Option<Vec<&'a str>> {
    let mut successors: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut missing: HashMap<&str, usize> = dag.nodes.iter().map(|node| (node.id.as_str(), 0)).collect();
    for edge in edges {
        successors.entry(&edge.from).or_default().push(&edge.to);
        *missing.entry(&edge.to).or_default() += 1;
    }
    let mut free: Vec<&str> = missing.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    while let Some(id) = free.pop() {
        missing.remove(id);
        for to in successors.get(id).into_iter().flatten() {
            if let Some(n) = missing.get_mut(to) {
                *n -= 1;
                if *n == 0 {
                    free.push(to);
                }
            }
        }
    }
    // Every node that is left has a predecessor that is left, so walking backwards must return to a node seen before.
    let mut before: HashMap<&str, &str> = HashMap::new();
    for edge in edges.iter().filter(|edge| missing.contains_key(edge.from.as_str())) {
        before.entry(&edge.to).or_insert(&edge.from);
    }
    let mut at = dag.nodes.iter().map(|node| node.id.as_str()).find(|id| missing.contains_key(id))?;
    let mut walk = vec![at];
    let mut seen = HashMap::from([(at, 0)]);
    loop {
        at = before.get(at)?;
        walk.push(at);
        if let Some(from) = seen.insert(at, walk.len() - 1) {
            let mut round = walk.split_off(from);
            round.reverse();
            return Some(round);
        }
    }
}
