//! The documents of a run that are at hand.

use super::documents::{Callback, NodeState, Phase, Progress, Run, Scope};
use super::events::{Effect, Refusal, Start};
use super::stored::Doc;
use super::token::ClaimToken;
use crate::plan::Plan;
use crate::{Millis, NodeId, NodePath, ScopePath};
use std::collections::{BTreeMap, BTreeSet};

/// A document at hand.
#[derive(Debug)]
struct Held<T> {
    document: T,
    version: u64,
}

/// The documents of a run that are at hand, each with the version that the store gave it: its own one always, and as many
/// of its scopes as were brought. What an event needs besides, [`Refusal::Needs`] says, one document at a time;
/// [`Doc::around`] says it beforehand.
#[derive(Debug)]
pub struct RunState {
    run: Held<Run>,
    scopes: BTreeMap<ScopePath, Held<Scope>>,
    /// Those at hand that are not as they are stored.
    changed: BTreeSet<Doc>,
}

impl RunState {
    /// A new run, its start ready. Its documents are all changed and not stored.
    pub fn start(plan: &Plan, start: Start) -> (Self, Vec<Effect>) {
        let Start { id, flow, digest, request, definition, input, callback, now } = start;
        let root = ScopePath::root();
        let scope = Scope::new(plan.root(), root.clone(), input, (0, 1), ClaimToken::NONE, now);
        let ready = plan.root().nodes.get(plan.root().start).map(|node| Effect::Dispatch(root.node(&node.id)));
        let run = Run {
            id,
            flow,
            digest,
            started: now,
            ended: None,
            deadline: plan.definition().deadline_ms.map(|ms| now.saturating_add(ms)),
            request,
            definition,
            phase: Phase::Flow,
            paused: false,
            verdict: None,
            result: None,
            failure: None,
            hooks: Vec::new(),
            callback: callback.map(Callback::new),
        };
        let run = Held { document: run, version: 0 };
        let changed = BTreeSet::from([Doc::Run, Doc::Scope(root.clone())]);
        let scopes = BTreeMap::from([(root, Held { document: scope, version: 0 })]);
        (Self { run, scopes, changed }, ready.into_iter().collect())
    }

    /// A run that was stored.
    pub fn load(run: Run, version: u64) -> Self {
        Self { run: Held { document: run, version }, scopes: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// Puts what is stored in the place of the run's own document; the scopes at hand stay as they are.
    pub fn reload_run(&mut self, run: Run, version: u64) {
        self.run = Held { document: run, version };
        self.changed.remove(&Doc::Run);
    }

    /// Brings a stored scope to hand, in the place of one that was there.
    pub fn load_scope(&mut self, scope: Scope, version: u64) {
        self.changed.remove(&Doc::Scope(scope.path.clone()));
        self.scopes.insert(scope.path.clone(), Held { document: scope, version });
    }

    /// Drops a scope from hand, with what was changed in it.
    pub fn forget_scope(&mut self, path: &ScopePath) {
        self.changed.remove(&Doc::Scope(path.clone()));
        self.scopes.remove(path);
    }

    /// The documents at hand, new ones that are not stored yet among them: the run, then the scopes in the order of their
    /// paths. After a conflict, bring each of them again, and forget those that are not stored.
    pub fn held(&self) -> Vec<Doc> {
        std::iter::once(Doc::Run).chain(self.scopes.keys().cloned().map(Doc::Scope)).collect()
    }

    /// The run's own document.
    pub fn run(&self) -> &Run {
        &self.run.document
    }

    /// The scopes at hand, in the order of their paths.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.values().map(|held| &held.document)
    }

    /// A scope, if it is at hand.
    pub fn scope(&self, path: &ScopePath) -> Option<&Scope> {
        self.scopes.get(path).map(|held| &held.document)
    }

    /// The version of the run's own document in the store; 0 if it is not there.
    pub fn run_version(&self) -> u64 {
        self.run.version
    }

    /// Whether the store has a version of this scope, as far as is known: without, nobody else has ever seen it.
    pub fn is_stored(&self, path: &ScopePath) -> bool {
        self.scopes.get(path).is_none_or(|held| held.version > 0)
    }

    /// The documents at hand that are not as they are stored.
    pub fn changed(&self) -> &BTreeSet<Doc> {
        &self.changed
    }

    /// Calls `write` with each changed document, its version and its stored form.
    pub fn write_changed(&self, mut write: impl FnMut(&Doc, u64, Vec<u8>)) {
        for doc in &self.changed {
            match doc {
                Doc::Run => write(doc, self.run.version, super::encode(&self.run.document)),
                Doc::Scope(path) => {
                    if let Some(held) = self.scopes.get(path) {
                        write(doc, held.version, super::encode(&held.document));
                    }
                }
            }
        }
    }

    /// Notes that the store took a document and gave it this version.
    pub fn committed(&mut self, doc: &Doc, version: u64) {
        self.changed.remove(doc);
        match doc {
            Doc::Run => self.run.version = version,
            Doc::Scope(path) => {
                if let Some(held) = self.scopes.get_mut(path) {
                    held.version = version;
                }
            }
        }
    }

    /// The nodes that may be claimed at `now`: ready and not suspended beyond it, or running under a lease that is over.
    ///
    /// Of the scopes at hand only, and of those only where the scopes around them are at hand too: a scope tells by itself
    /// neither that it was begun at all nor that others were begun in its place.
    pub fn claimable(&self, now: Millis) -> Vec<NodePath> {
        let may = |node: &NodeState| match node.progress {
            Progress::Ready => node.suspended.as_ref().is_none_or(|suspended| suspended.until <= now),
            Progress::Running => node.lease.as_ref().is_none_or(|lease| lease.until <= now),
            _ => false,
        };
        let mut paths: Vec<NodePath> = match self.run().paused {
            true => Vec::new(),
            false => self.current().filter(|(_, node)| may(node)).map(|(scope, node)| scope.node(&node.id)).collect(),
        };
        paths.sort();
        paths
    }

    /// When the first of the suspended nodes may be claimed that are at hand as [`RunState::claimable`] says; none if the
    /// run is paused. It may be past.
    pub fn next_wake(&self) -> Option<Millis> {
        if self.run().paused {
            return None;
        }
        let ready = self.current().filter(|(_, node)| node.progress == Progress::Ready);
        ready.filter_map(|(_, node)| node.suspended.as_ref().map(|suspended| suspended.until)).min()
    }

    /// The nodes whose branches are under way, with the token of the claim that began them and how many there are; at hand
    /// as [`RunState::claimable`] says.
    pub fn branching(&self) -> Vec<(NodePath, ClaimToken, u32)> {
        if self.run().phase != Phase::Flow {
            return Vec::new();
        }
        let branching = self.current().filter(|(_, node)| node.progress == Progress::Branching);
        branching
            .filter_map(|(scope, node)| {
                let branches = node.branches.as_ref()?;
                Some((scope.node(&node.id), branches.began_by, branches.total))
            })
            .collect()
    }

    /// The nodes that the run's phase is about, as far as they are at hand and were not replaced.
    fn current(&self) -> impl Iterator<Item = (ScopePath, &NodeState)> {
        let phase = self.run().phase;
        let hooks = self.run().hooks.iter().filter(move |_| matches!(phase, Phase::Failure | Phase::Finally));
        let scopes = self.scopes().filter(move |scope| phase == Phase::Flow && self.live(&scope.path).is_ok());
        let nodes = scopes.flat_map(|scope| scope.nodes.iter().map(|node| (scope.path.clone(), node)));
        hooks.map(|hook| (ScopePath::root(), hook)).chain(nodes)
    }

    pub(super) fn unended(&self) -> Result<(), Refusal> {
        if self.run().phase == Phase::Ended { Err(Refusal::Ended) } else { Ok(()) }
    }

    pub(super) fn in_flow(&self) -> Result<(), Refusal> {
        if self.run().phase == Phase::Flow { Ok(()) } else { Err(Refusal::Ended) }
    }

    /// A scope that is part of the run: not one of branches that a lost claim began, nor of branches in whose place others
    /// have begun. Only the scopes around it can tell.
    pub(super) fn live(&self, path: &ScopePath) -> Result<&Scope, Refusal> {
        let at_hand = |path: &ScopePath| self.scope(path).ok_or_else(|| Refusal::Needs(Doc::Scope(path.clone())));
        let scope = at_hand(path)?;
        let mut child = scope;
        while let Some((parent, _)) = child.path.parent() {
            let scope = at_hand(&parent.scope)?;
            if !scope.began(child) {
                return Err(Refusal::Stale);
            }
            child = scope;
        }
        Ok(scope)
    }

    /// The state of a node of the flow, or of one of the run's handlers, in the phase that it belongs to.
    pub(super) fn node(&self, path: &NodePath) -> Result<&NodeState, Refusal> {
        if let Some(due) = hook(path) {
            if self.run().phase != due {
                return Err(Refusal::Ended);
            }
            return self.run().hooks.iter().find(|hook| hook.id == path.node).ok_or(Refusal::Unknown);
        }
        self.in_flow()?;
        self.live(&path.scope)?.node(&path.node).ok_or(Refusal::Unknown)
    }

    /// The same to be changed, of a node that is at hand.
    pub(super) fn change(&mut self, path: &NodePath) -> Result<&mut NodeState, Refusal> {
        let nodes = match hook(path) {
            Some(_) => &mut self.change_run().hooks,
            None => &mut self.change_scope(&path.scope)?.nodes,
        };
        nodes.iter_mut().find(|node| node.id == path.node).ok_or(Refusal::Unknown)
    }

    pub(super) fn change_scope(&mut self, path: &ScopePath) -> Result<&mut Scope, Refusal> {
        let doc = Doc::Scope(path.clone());
        match self.scopes.get_mut(path) {
            Some(held) => {
                self.changed.insert(doc);
                Ok(&mut held.document)
            }
            None => Err(Refusal::Needs(doc)),
        }
    }

    pub(super) fn change_run(&mut self) -> &mut Run {
        self.changed.insert(Doc::Run);
        &mut self.run.document
    }

    /// Puts a new scope in its place; one of an earlier claim that was there goes on counting.
    pub(super) fn begin_scope(&mut self, mut scope: Scope) {
        self.changed.insert(Doc::Scope(scope.path.clone()));
        let earlier = self.scopes.get(&scope.path);
        let version = earlier.map_or(0, |held| held.version);
        if let Some(earlier) = earlier {
            scope.follow(&earlier.document);
        }
        self.scopes.insert(scope.path.clone(), Held { document: scope, version });
    }
}

/// The phase that one of the run's handlers belongs to.
fn hook(path: &NodePath) -> Option<Phase> {
    match path.scope.is_root() && path.node.is_reserved() {
        true if path.node == NodeId::failure() => Some(Phase::Failure),
        true if path.node == NodeId::finally() => Some(Phase::Finally),
        _ => None,
    }
}
