//! The nodes of a run in the order in which they are shown, without copies of them: a run may have very many, of which
//! somebody sees a page.

mod rows;

pub use rows::{Row, Rows, Tally, WIDE};

use super::caught::Caught;
use super::documents::{NodeState, Phase, Progress, Run, Scope};
use super::log::KeptLog;
use super::operations::KeptOperations;
use super::tries::Tries;
use super::view::{NodeView, has_failed};
use crate::definition::{Dag, NodeKind};
use crate::{BranchKey, Definition, Millis, NodeId, NodePath, ScopePath};
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

/// The scopes of a run, as far as they are known. They may be put in any order and again when they have changed; what was put
/// is shown once [`Scopes::settle`] has found its place.
#[derive(Debug, Clone)]
pub struct Scopes<S> {
    slots: Vec<Slot<S>>,
    by_path: HashMap<ScopePath, usize>,
    /// The slots that [`Scopes::settle`] has not seen.
    fresh: Vec<usize>,
    /// The branches of each slot: by the node that began them, then by their position.
    branches: HashMap<usize, Vec<usize>>,
    /// Those without a scope above them: the root, and what is put before the scope above it.
    roots: Vec<usize>,
    /// What is shown, in order, each with the moment since which it does not go on, because a failure was caught further out.
    shown: Vec<(usize, Option<Millis>)>,
}

#[derive(Debug, Clone)]
struct Slot<S> {
    scope: S,
    /// The slot of the scope above, and the position of the node there that began this one.
    above: Option<(usize, usize)>,
}

impl<S> Default for Scopes<S> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            by_path: HashMap::new(),
            fresh: Vec::new(),
            branches: HashMap::new(),
            roots: Vec::new(),
            shown: Vec::new(),
        }
    }
}

impl<S: Borrow<Scope>> Scopes<S> {
    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Adds a scope, or replaces what was known of it.
    pub fn put(&mut self, scope: S) {
        let path = &scope.borrow().path;
        if let Some(slot) = self.by_path.get(path).and_then(|at| self.slots.get_mut(*at)) {
            slot.scope = scope;
            return;
        }
        let at = self.slots.len();
        self.by_path.insert(path.clone(), at);
        self.fresh.push(at);
        self.slots.push(Slot { scope, above: None });
    }

    /// Finds the place of each scope: each before the branches of its nodes, and these in the order in which they were given, so
    /// that the tenth item comes after the second one. Branches that were replaced are left out.
    pub fn settle(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        // What has come before the scope above it may find that now.
        let lost: Vec<usize> = std::mem::take(&mut self.roots);
        for at in lost.into_iter().chain(fresh) {
            let above = self.above(at);
            if let Some(slot) = self.slots.get_mut(at) {
                slot.above = above;
            }
            match above {
                Some((above, _)) => self.branches.entry(above).or_default().push(at),
                None => self.roots.push(at),
            }
        }
        let slots = &self.slots;
        self.roots.sort_by_key(|at| slots.get(*at).map(|slot| &slot.scope.borrow().path));
        for branches in self.branches.values_mut() {
            let place = |at: &usize| {
                let slot = slots.get(*at);
                slot.map(|slot| (slot.above.map(|(_, node)| node), slot.scope.borrow().index))
            };
            // Those that were in order already take one look at each.
            branches.sort_by(|a, b| {
                let paths = || {
                    slots.get(*a).map(|a| &a.scope.borrow().path).cmp(&slots.get(*b).map(|b| &b.scope.borrow().path))
                };
                place(a).cmp(&place(b)).then_with(paths)
            });
        }
        self.shown = self.walk();
    }

    /// The scope above one, and the position of the node there that began it.
    fn above(&self, at: usize) -> Option<(usize, usize)> {
        let (node, _) = self.slots.get(at)?.scope.borrow().path.parent()?;
        let above = *self.by_path.get(&node.scope)?;
        let nodes = &self.slots.get(above)?.scope.borrow().nodes;
        // A branch of a node that is not there is not shown.
        Some((above, nodes.iter().position(|one| one.id == node.node).unwrap_or(usize::MAX)))
    }

    /// The slots from above to below, without what was replaced.
    fn walk(&self) -> Vec<(usize, Option<Millis>)> {
        let mut shown = Vec::with_capacity(self.slots.len());
        let mut next: Vec<(usize, Option<Millis>)> = self.roots.iter().rev().map(|at| (*at, None)).collect();
        while let Some((at, withdrawn)) = next.pop() {
            let Some(Slot { scope, above }) = self.slots.get(at) else { continue };
            if above.is_none_or(|above| self.began(above, scope.borrow())) {
                shown.push((at, withdrawn));
                let inside = self.branches.get(&at).into_iter().flatten().rev();
                next.extend(inside.map(|branch| (*branch, withdrawn.or_else(|| self.withdrawn(*branch)))));
            }
        }
        shown
    }

    /// Since when a branch does not go on, if a failure was caught by the node that began it or in the scope of that node.
    fn withdrawn(&self, branch: usize) -> Option<Millis> {
        let (above, node) = self.slots.get(branch)?.above?;
        let scope = self.slots.get(above)?.scope.borrow();
        let caught = scope.nodes.get(node).and_then(|node| node.caught.as_ref()).or(scope.caught.as_ref());
        caught.map(|caught| caught.at)
    }

    /// Whether the node at this place began the scope, and has not replaced it since.
    fn began(&self, (above, node): (usize, usize), scope: &Scope) -> bool {
        let node = self.slots.get(above).and_then(|slot| slot.scope.borrow().nodes.get(node));
        node.and_then(|node| node.branches.as_ref()).is_some_and(|branches| branches.have_begun(scope))
    }

    fn shown(&self) -> impl DoubleEndedIterator<Item = (usize, &Slot<S>, Option<Millis>)> {
        self.shown.iter().filter_map(|(at, withdrawn)| Some((*at, self.slots.get(*at)?, *withdrawn)))
    }

    /// How many nodes are shown of this run.
    pub fn count(&self, run: &Run) -> usize {
        self.shown().map(|(_, slot, _)| slot.scope.borrow().nodes.len()).sum::<usize>() + run.hooks.len()
    }

    /// The nodes of the run that has these scopes: scope by scope, within each in the order of the definition, and at the end the
    /// handlers of the flow.
    pub fn nodes<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = ShownNode<'a>> {
        self.nodes_from(run, 0)
    }

    /// As [`Scopes::nodes`], without the first ones: this looks at scopes, not at the nodes that are left out.
    pub fn nodes_from<'a>(&'a self, run: &'a Run, mut offset: usize) -> impl Iterator<Item = ShownNode<'a>> {
        let scopes = self.shown().flat_map(move |(_, slot, withdrawn)| {
            let scope = slot.scope.borrow();
            let left_out = offset.min(scope.nodes.len());
            offset -= left_out;
            let nodes = scope.nodes.get(left_out..).unwrap_or_default().iter();
            nodes.map(move |state| ShownNode { scope: Some(scope), state, run, withdrawn })
        });
        let left_out = offset.saturating_sub(self.count(run).saturating_sub(run.hooks.len())).min(run.hooks.len());
        let hooks = run.hooks.get(left_out..).unwrap_or_default().iter();
        let hooks = hooks.map(move |state| ShownNode { scope: None, state, run, withdrawn: None });
        scopes.chain(hooks)
    }

    /// What a picture of the definition shows of the nodes: for each node of its dags and each progress that the instances of
    /// this node have, one of these instances. The branches of a for-each are instances of the same nodes.
    pub fn progress<'a>(&'a self, run: &'a Run, definition: &'a Definition) -> Vec<NodeProgress> {
        let mut shapes = Shapes::new(definition);
        let mut shape_of: HashMap<usize, usize> = HashMap::with_capacity(self.shown.len());
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (at, slot, withdrawn) in self.shown() {
            let scope = slot.scope.borrow();
            let above = slot.above.and_then(|(above, node)| Some((*shape_of.get(&above)?, node)));
            let shape = shapes.of(above, scope);
            shape_of.insert(at, shape);
            for (position, state) in scope.nodes.iter().enumerate() {
                let node = ShownNode { scope: Some(scope), state, run, withdrawn };
                let (progress, is_caught) = (node.progress(), node.is_caught());
                if seen.insert((shape, position, progress, is_caught)) {
                    found.push(NodeProgress { path: node.path(), progress, is_caught });
                }
            }
        }
        let hooks = self.nodes_from(run, self.count(run).saturating_sub(run.hooks.len()));
        let of_hook =
            |hook: ShownNode<'_>| NodeProgress { path: hook.path(), progress: hook.progress(), is_caught: false };
        found.extend(hooks.map(of_hook));
        found
    }
}

/// The progress of a node, as a picture shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProgress {
    /// The node.
    pub path: NodePath,
    /// How far it has come.
    pub progress: Progress,
    /// Whether it has caught a failure, or its own failure was caught.
    pub is_caught: bool,
}

/// The dags of a definition, of which the scopes of a run are instances.
struct Shapes<'a> {
    /// `None` for what the definition does not have.
    dags: Vec<Option<&'a Dag>>,
    /// By the dag above, the position of the node there, and, in a condition, the key of the branch.
    inner: HashMap<(usize, usize, Option<BranchKey>), usize>,
}

impl<'a> Shapes<'a> {
    fn new(definition: &'a Definition) -> Self {
        Self { dags: vec![Some(&definition.dag)], inner: HashMap::new() }
    }

    /// The shape of a scope, of which the shape above and the node there are known.
    fn of(&mut self, above: Option<(usize, usize)>, scope: &Scope) -> usize {
        let Some((above, node)) = above else { return 0 };
        let kind = self.dags.get(above).copied().flatten().and_then(|dag| dag.nodes.get(node)).map(|node| &node.kind);
        let key = match kind {
            Some(NodeKind::SubDag(_) | NodeKind::ForEach(_) | NodeKind::Repeat(_)) => None,
            _ => scope.path.parent().and_then(|(_, key)| key),
        };
        let dags = &mut self.dags;
        let place = (above, node, key);
        if let Some(known) = self.inner.get(&place) {
            return *known;
        }
        let dag = match kind {
            Some(NodeKind::SubDag(dag)) => Some(dag),
            Some(NodeKind::Repeat(repeat)) => Some(&repeat.dag),
            Some(NodeKind::ForEach(branches)) => branches.dags.first().map(|branch| &branch.dag),
            Some(NodeKind::Condition(branches)) => {
                let key = place.2.as_ref().map(BranchKey::as_str);
                branches.dags.iter().find(|branch| Some(&*branch.key) == key).map(|branch| &branch.dag)
            }
            _ => None,
        };
        dags.push(dag);
        self.inner.insert(place, dags.len() - 1);
        dags.len() - 1
    }
}

static NONE: Tries = Tries { kept: Vec::new(), left_out: 0, repeated: 0 };

/// One node of a run, as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct ShownNode<'a> {
    /// `None` for a handler of the flow.
    scope: Option<&'a Scope>,
    pub(super) state: &'a NodeState,
    run: &'a Run,
    /// Since when its scope does not go on, because a failure was caught further out.
    withdrawn: Option<Millis>,
}

impl ShownNode<'_> {
    /// Its path.
    pub fn path(&self) -> NodePath {
        self.scope.map_or_else(ScopePath::root, |scope| scope.path.clone()).node(&self.state.id)
    }

    /// Its progress. What had begun when the run came to its end is cancelled.
    pub fn progress(&self) -> Progress {
        match (self.is_cut_off(), self.state.started) {
            (false, _) => self.state.progress,
            (true, Some(_)) => Progress::Cancelled,
            (true, None) => Progress::Waiting,
        }
    }

    /// When it was claimed for the first time since it was to be executed. What goes on in a re-run began no earlier than that.
    pub fn started(&self) -> Option<Millis> {
        let NodeState { started, progress, since, .. } = *self.state;
        let goes_on = |rerun: &Millis| self.scope.is_some() && (progress == Progress::Branching || since >= *rerun);
        started.map(|started| self.run.rerun.filter(goes_on).map_or(started, |rerun| started.max(rerun)))
    }

    /// When its progress last changed.
    pub fn since(&self) -> Option<Millis> {
        match self.progress() {
            Progress::Cancelled => self.withdrawn().or(self.run.ended),
            _ => Some(self.state.since).filter(|since| *since > 0),
        }
    }

    /// Whether it has failed, or its latest attempt has, so that it waits for another one or for somebody to resume the run.
    pub fn has_failed(&self) -> bool {
        has_failed(self.state.progress, &self.state.attempts, self.state.tries.as_deref().unwrap_or(&NONE))
    }

    /// All that is shown of it.
    pub fn view(&self) -> NodeView {
        NodeView::of(self)
    }

    /// What its code has logged, as far as that is kept.
    pub fn logs(&self) -> &[KeptLog] {
        &self.state.logs
    }

    /// What its operations got and yielded, as far as that is kept.
    pub fn operations(&self) -> &[KeptOperations] {
        &self.state.operations
    }

    /// The failure that was caught here: by the node, or by its dag, of which this is the node that does it.
    pub(super) fn caught(&self) -> Option<&Caught> {
        let of_dag =
            self.scope.filter(|_| self.state.id == NodeId::recover()).and_then(|scope| scope.caught.as_deref());
        self.state.caught.as_deref().or(of_dag)
    }

    /// Whether it has caught a failure, or its own failure was caught further out.
    fn is_caught(&self) -> bool {
        self.state.caught.is_some() || (self.state.progress == Progress::Failed && self.withdrawn().is_some())
    }

    /// Since when it does not go on, if a failure was caught in its scope or further out.
    fn withdrawn(&self) -> Option<Millis> {
        let caught = self.scope.filter(|_| self.state.id != NodeId::recover()).and_then(|scope| scope.caught.as_ref());
        self.withdrawn.or_else(|| caught.map(|caught| caught.at))
    }

    /// Whether it had not ended when nodes like this one were no longer executed.
    pub(super) fn is_cut_off(&self) -> bool {
        let has_ended = matches!(self.state.progress, Progress::Waiting | Progress::Done | Progress::Failed);
        let is_over = match self.scope {
            Some(_) => self.run.phase != Phase::Flow,
            None => self.run.phase == Phase::Ended,
        };
        (is_over || self.withdrawn().is_some()) && !has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Branch, Branches, Node, Operations};
    use crate::run::documents::{self, Request};
    use crate::run::{ClaimToken, RunView};
    use crate::{Digest, FlowName, NodeId, Payload, RunId};

    pub(super) fn id(id: &str) -> NodeId {
        NodeId::new(id).unwrap()
    }

    pub(super) fn state(name: &str, progress: Progress) -> NodeState {
        NodeState { progress, ..NodeState::new(id(name)) }
    }

    pub(super) fn branching(name: &str, total: u32, claim: u32) -> NodeState {
        let branches = documents::Branches::new(total, ClaimToken::new(claim));
        NodeState { branches: Some(branches), ..state(name, Progress::Branching) }
    }

    pub(super) fn scope(path: &str, index: u32, claim: u32, nodes: Vec<NodeState>) -> Scope {
        let path = ScopePath::parse(path).unwrap();
        Scope {
            path,
            input: Payload::empty(),
            index,
            siblings: 1,
            started_by: ClaimToken::new(claim),
            nodes,
            caught: None,
        }
    }

    pub(super) fn run() -> Run {
        Run {
            id: RunId::new("r").unwrap(),
            flow: FlowName::new("f").unwrap(),
            digest: Digest::of(b"f"),
            started: 1,
            start_at: None,
            ended: None,
            rerun: None,
            deadline: None,
            labels: crate::Labels::new(),
            request: Request::default(),
            definition: None,
            phase: Phase::Flow,
            paused: false,
            verdict: None,
            result: None,
            response: None,
            failure_response: None,
            failure: None,
            hooks: vec![state("on-end", Progress::Ready)],
            callback: None,
            parent: None,
            actions: Vec::new(),
        }
    }

    /// A for-each of twelve items, the third of which goes on in a condition, and a branch that was replaced.
    fn scopes() -> Vec<Scope> {
        let root = vec![state("a", Progress::Done), branching("F", 12, 7)];
        let item = |index: u32| match index {
            2 => scope("F[2]", 2, 7, vec![branching("C", 1, 9)]),
            _ => scope(&format!("F[{index}]"), index, 7, vec![state("C", Progress::Waiting)]),
        };
        let inner = vec![
            scope("F[2]/C[yes]", 0, 9, vec![state("x", Progress::Running)]),
            scope("F[2]/C[no]", 1, 8, vec![state("x", Progress::Failed)]),
        ];
        [scope("", 0, 0, root)].into_iter().chain((0..12).map(item)).chain(inner).collect()
    }

    fn known() -> Scopes<Scope> {
        let mut known = Scopes::default();
        for scope in scopes() {
            known.put(scope);
        }
        known.settle();
        known
    }

    fn paths(scopes: &Scopes<Scope>, offset: usize) -> Vec<String> {
        scopes.nodes_from(&run(), offset).map(|node| node.path().to_string()).collect()
    }

    #[test]
    fn nodes_are_in_order_however_their_scopes_come() {
        let mut expected = vec!["a".to_owned(), "F".to_owned()];
        expected.extend((0..12).map(|item| format!("F[{item}]/C")));
        expected.insert(5, "F[2]/C[yes]/x".to_owned());
        expected.push("on-end".to_owned());
        for step in [1, 2, 4, 7, 8, 11, 13, 14] {
            // Other orders of the fifteen scopes, with what is shown so far in between.
            let all = scopes();
            let mut known = Scopes::default();
            for at in 0..all.len() {
                known.put(all[at * step % all.len()].clone());
                known.settle();
            }
            assert_eq!(paths(&known, 0), expected, "{step}");
            assert_eq!(known.count(&run()), expected.len());
            for offset in 0..=expected.len() + 1 {
                assert_eq!(paths(&known, offset), expected[offset.min(expected.len())..], "{step} {offset}");
            }
            let view = RunView::new(&run(), &scopes());
            assert_eq!(view.nodes.iter().map(|node| node.path.to_string()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_scope_that_has_changed_is_shown_as_it_is_now() {
        let mut known = known();
        known.put(scope("F[11]", 11, 7, vec![state("C", Progress::Done)]));
        // The node has begun other branches instead.
        known.put(scope("F[2]", 2, 7, vec![branching("C", 1, 8)]));
        known.settle();
        assert_eq!(known.nodes(&run()).filter(|node| node.progress() == Progress::Done).count(), 2);
        assert_eq!(paths(&known, 5)[0], "F[2]/C[no]/x");
    }

    #[test]
    fn a_picture_gets_one_instance_of_each_node_and_progress() {
        let node = |id: &str, kind| Node { id: id.to_owned(), kind };
        let dag = |nodes| Dag { nodes, ..Dag::default() };
        let branch = |key: &str, dag| Branch { key: key.to_owned(), dag };
        let branches = |dags| Branches { dags, ..Branches::default() };
        let leaf = || dag(vec![node("x", NodeKind::Operations(Operations::default()))]);
        let inner = NodeKind::Condition(branches(vec![branch("yes", leaf()), branch("no", leaf())]));
        let items = NodeKind::ForEach(branches(vec![branch("", dag(vec![node("C", inner)]))]));
        let nodes = vec![node("a", NodeKind::Operations(Operations::default())), node("F", items)];
        let definition = Definition { dag: dag(nodes), ..Definition::default() };
        let known = known();
        let found = known.progress(&run(), &definition);
        let shown = |one: &NodeProgress| format!("{} {}", one.path, one.progress.as_str());
        let found: Vec<String> = found.iter().map(shown).collect();
        let expected =
            ["a done", "F branching", "F[0]/C waiting", "F[2]/C branching", "F[2]/C[yes]/x running", "on-end ready"];
        assert_eq!(found, expected);
    }
}
