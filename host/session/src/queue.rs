//! Ready nodes that wait for their turn on this replica.

use faas_flow_core::{NodePath, Plan, ScopePath};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

/// A node that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) path: NodePath,
    /// Whether it must be executed here, since no replica that received an event has taken it.
    pub(crate) here: bool,
}

/// The nodes of one run that wait for their turn here. Each is queued once, however often it is added.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Nodes that wait for room.
    pending: VecDeque<Waiting>,
    /// All nodes that wait, for room or for a sibling to end.
    waiting: HashSet<NodePath>,
    /// For each node that limits how many of its branches may be in flight, its branches.
    limited: BTreeMap<NodePath, Branches>,
}

#[derive(Debug, Default)]
struct Branches {
    /// The branches in flight. This is a set and not a number, since after a commit without an answer the same branch may
    /// start or end twice.
    open: BTreeSet<ScopePath>,
    /// Starts of branches that wait for a sibling to end.
    held: VecDeque<NodePath>,
}

impl Queue {
    /// Adds a node. If it is the start of a branch with a limit, it may have to wait for a sibling to end.
    pub(crate) fn add(&mut self, plan: &Plan, path: NodePath) {
        if self.waiting.contains(&path) {
            return;
        }
        let Some((node, most)) = limit(plan, &path) else { return self.push(Waiting { path, here: false }) };
        let branches = self.limited.entry(node).or_default();
        if branches.open.len() < most || branches.open.contains(&path.scope) {
            branches.open.insert(path.scope.clone());
            self.push(Waiting { path, here: false });
        } else {
            self.waiting.insert(path.clone());
            branches.held.push_back(path);
        }
    }

    /// Adds a node that must be executed here. If it is the start of a branch, that one is in flight, and waits for no sibling
    /// any more.
    pub(crate) fn add_here(&mut self, path: NodePath) {
        let limited = path.scope.parent().and_then(|(node, _)| self.limited.get_mut(&node));
        if let Some(branches) = limited
            && let Some(at) = branches.held.iter().position(|held| *held == path)
        {
            branches.held.remove(at);
            branches.open.insert(path.scope.clone());
            self.waiting.remove(&path);
        }
        self.push(Waiting { path, here: true });
    }

    fn push(&mut self, waiting: Waiting) {
        if self.waiting.insert(waiting.path.clone()) {
            self.pending.push_back(waiting);
        }
    }

    /// Sets which branches with a limit are in flight, on this replica or another.
    pub(crate) fn set_open(&mut self, plan: &Plan, open: impl IntoIterator<Item = (NodePath, ScopePath)>) {
        for branches in self.limited.values_mut() {
            branches.open.clear();
        }
        let pending = self.pending.iter().filter_map(|waiting| {
            let (node, _) = limit(plan, &waiting.path)?;
            Some((node, waiting.path.scope.clone()))
        });
        for (node, branch) in open.into_iter().chain(pending) {
            self.limited.entry(node).or_default().open.insert(branch);
        }
        let nodes: Vec<NodePath> = self.limited.keys().cloned().collect();
        for node in &nodes {
            self.admit(plan, node);
        }
    }

    /// Notes that a branch has ended, so that the next one may start.
    pub(crate) fn branch_ended(&mut self, plan: &Plan, node: &NodePath, branch: &ScopePath) {
        if let Some(branches) = self.limited.get_mut(node) {
            branches.open.remove(branch);
            self.admit(plan, node);
        }
    }

    /// Lets branches start while fewer than the limit are in flight.
    fn admit(&mut self, plan: &Plan, node: &NodePath) {
        let Some(branches) = self.limited.get_mut(node) else { return };
        while let Some(next) = branches.held.pop_front() {
            let most = limit(plan, &next).map_or(usize::MAX, |(_, most)| most);
            if branches.open.len() >= most && !branches.open.contains(&next.scope) {
                return branches.held.push_front(next);
            }
            branches.open.insert(next.scope.clone());
            self.pending.push_back(Waiting { path: next, here: false });
        }
    }

    /// Notes that all branches of a node have ended.
    pub(crate) fn joined(&mut self, node: &NodePath) {
        for path in self.limited.remove(node).into_iter().flat_map(|branches| branches.held) {
            self.waiting.remove(&path);
        }
    }

    pub(crate) fn next(&mut self) -> Option<Waiting> {
        let next = self.pending.pop_front()?;
        self.waiting.remove(&next.path);
        Some(next)
    }

    pub(crate) fn put_back(&mut self, waiting: Waiting) {
        if self.waiting.insert(waiting.path.clone()) {
            self.pending.push_front(waiting);
        }
    }

    /// Whether a node waits here.
    pub(crate) fn has(&self, path: &NodePath) -> bool {
        self.waiting.contains(path)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// If this node is the start of a branch with a limit: the node that started the branch, and its limit.
pub(crate) fn limit(plan: &Plan, path: &NodePath) -> Option<(NodePath, usize)> {
    let dag = plan.dag(&path.scope)?;
    if dag.nodes.get(dag.start)?.id != path.node {
        return None;
    }
    let (parent, _) = path.scope.parent()?;
    let most = plan.dag(&parent.scope)?.node(&parent.node)?.branches()?.max_parallel?;
    Some((parent, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::{BranchKey, NodeId};
    use proptest::prelude::*;

    const BRANCHES: u8 = 6;

    /// A for-each `F` of which two branches may run at a time.
    fn plan() -> Plan {
        let node = serde_json::json!({ "id": "n", "operations": { "list": [] } });
        let branches = serde_json::json!({
            "handler": "F/for-each",
            "dags": [{ "key": "", "dag": { "nodes": [node] } }],
            "max-parallel": 2,
        });
        let flow = serde_json::json!({
            "handlers": ["F/for-each"],
            "dag": { "nodes": [{ "id": "F", "for-each": branches }] },
        });
        Plan::new(serde_json::from_value(flow).unwrap()).unwrap()
    }

    fn for_each() -> NodePath {
        ScopePath::root().node(&NodeId::new("F").unwrap())
    }

    fn branch(number: u8) -> ScopePath {
        let key = BranchKey::new(number.to_string()).unwrap();
        ScopePath::root().branch(&NodeId::new("F").unwrap(), Some(&key))
    }

    fn start(number: u8) -> NodePath {
        branch(number).node(&NodeId::new("n").unwrap())
    }

    /// EACH-4: another replica has executed the first branches, claimed as many as the limit allows, and is lost.
    #[test]
    fn a_branch_in_flight_does_not_wait_behind_siblings_that_have_ended() {
        let (plan, mut queue) = (plan(), Queue::default());
        (0..5).for_each(|number| queue.add(&plan, start(number)));
        while queue.next().is_some() {}
        queue.set_open(&plan, [3, 4].map(|number| (for_each(), branch(number))));
        assert!(queue.next().is_none());
        queue.add_here(start(3));
        queue.add_here(start(4));
        let next: Vec<_> = std::iter::from_fn(|| queue.next()).map(|waiting| waiting.path).collect();
        assert_eq!(next, [start(3), start(4)]);
    }

    #[test]
    fn what_waited_for_a_sibling_is_forgotten_once_all_branches_have_ended() {
        let (plan, mut queue) = (plan(), Queue::default());
        for number in 0..4 {
            queue.add(&plan, start(number));
        }
        let two = [queue.next(), queue.next(), queue.next()].map(|waiting| waiting.map(|waiting| waiting.path));
        assert_eq!(two, [Some(start(0)), Some(start(1)), None]);
        queue.joined(&for_each());
        assert!(queue.is_empty());
        // The node is executed again.
        queue.add(&plan, start(3));
        assert_eq!(queue.next().map(|waiting| waiting.path), Some(start(3)));
    }

    proptest! {
        /// When commits fail, with and without effect, a session adds nodes again, puts back what it took, sees the same end
        /// twice, and reads from the store again what is in flight.
        #[test]
        fn each_branch_comes_once_and_never_too_many_at_a_time(
            said in prop::collection::vec((0..6u8, 0..BRANCHES), 0..60),
        ) {
            let plan = plan();
            let (mut queue, mut taken, mut ended) = (Queue::default(), Vec::<Waiting>::new(), HashSet::new());
            let fresh = |taken: &[Waiting], ended: &HashSet<u8>| {
                let is_free = |number: &u8| !ended.contains(number) && taken.iter().all(|one| one.path != start(*number));
                (0..BRANCHES).filter(is_free).collect::<Vec<_>>()
            };
            // In the end everything is added, taken and ended.
            let rest = (0..BRANCHES).map(|_| (0, 0)).chain((0..2 * BRANCHES).flat_map(|_| [(2, 0), (4, 0)]));
            for (what, which) in said.into_iter().chain(rest) {
                match what {
                    0 => fresh(&taken, &ended).into_iter().for_each(|number| queue.add(&plan, start(number))),
                    1 => fresh(&taken, &ended).into_iter().take(1).for_each(|number| queue.add(&plan, start(number))),
                    2 => {
                        if let Some(waiting) = queue.next() {
                            prop_assert!(taken.iter().all(|one| one.path != waiting.path), "{waiting:?} came twice");
                            taken.push(waiting);
                        }
                        prop_assert!(taken.len() <= 2, "{taken:?} at a time");
                    }
                    3 => taken.pop().into_iter().for_each(|waiting| queue.put_back(waiting)),
                    4 => {
                        let done = if taken.is_empty() { None } else { Some(taken.remove(0).path.scope) };
                        ended.extend((0..BRANCHES).filter(|number| Some(branch(*number)) == done));
                        if let Some(done) = &done {
                            queue.branch_ended(&plan, &for_each(), done);
                        }
                        // And of one that ended, or never began, once more.
                        if ended.contains(&which) {
                            queue.branch_ended(&plan, &for_each(), &branch(which));
                        }
                    }
                    _ => queue.set_open(&plan, taken.iter().map(|one| (for_each(), one.path.scope.clone()))),
                }
            }
            prop_assert_eq!(ended.len(), usize::from(BRANCHES), "{:?} is left", taken);
            prop_assert!(queue.is_empty());
        }
    }
}
