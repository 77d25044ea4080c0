//! The loaded documents of a run.

use super::documents::{Callback, NodeState, Phase, Progress, Run, Scope};
use super::events::{Effect, HeldClaim, Refusal, Start};
use super::signals::{EarlySignals, Signal};
use super::stored::Doc;
use super::token::ClaimToken;
use crate::plan::Plan;
use crate::{Millis, NodeId, NodePath, ScopePath, SignalName};
use std::collections::{BTreeMap, BTreeSet};

/// A loaded document.
#[derive(Debug)]
struct Held<T> {
    document: T,
    version: u64,
}

/// The loaded documents of a run, each with its version in the store: always the run's own document, and any of its scopes.
///
/// If an event needs a document that is not loaded, it is refused with [`Refusal::Needs`], one document at a time.
/// [`Doc::around`] lists beforehand what an event about a node may need.
#[derive(Debug)]
pub struct RunState {
    run: Held<Run>,
    scopes: BTreeMap<ScopePath, Held<Scope>>,
    /// Those that are known not to be stored are empty, with version 0.
    signals: BTreeMap<SignalName, Held<Signal>>,
    /// As for signals.
    early: Option<Held<EarlySignals>>,
    /// The documents that differ from what is stored.
    changed: BTreeSet<Doc>,
}

impl RunState {
    /// A new run whose start is ready, or will be when the run is to start. All its documents count as changed, since none is stored.
    pub fn start(plan: &Plan, start: Start) -> (Self, Vec<Effect>) {
        let Start { id, flow, digest, request, definition, input, callback, parent, labels, start_at, now } = start;
        let root = ScopePath::root();
        let scope = Scope::new(plan.root(), root.clone(), input, (0, 1), ClaimToken::NONE, now);
        let first = plan.root().nodes.get(plan.root().start).filter(|_| start_at.is_none());
        let ready = first.map(|node| Effect::Dispatch(root.node(&node.id)));
        let started = start_at.unwrap_or(now);
        let run = Run {
            id,
            flow,
            digest,
            started,
            start_at,
            ended: None,
            rerun: None,
            deadline: plan.definition().deadline_ms.map(|ms| started.saturating_add(ms)),
            labels,
            request,
            definition,
            phase: Phase::Flow,
            paused: false,
            verdict: None,
            result: None,
            response: None,
            failure_response: None,
            failure: None,
            hooks: Vec::new(),
            callback: callback.map(Callback::new),
            parent,
            actions: Vec::new(),
        };
        let run = Held { document: run, version: 0 };
        let changed = BTreeSet::from([Doc::Run, Doc::Scope(root.clone())]);
        let scopes = BTreeMap::from([(root, Held { document: scope, version: 0 })]);
        (Self { run, scopes, signals: BTreeMap::new(), early: None, changed }, ready.into_iter().collect())
    }

    /// A run that was loaded from the store, without its scopes.
    pub fn load(run: Run, version: u64) -> Self {
        let (scopes, signals, changed) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { run: Held { document: run, version }, scopes, signals, early: None, changed }
    }

    /// Replaces the run's own document by the stored one. The loaded scopes stay as they are.
    pub fn reload_run(&mut self, run: Run, version: u64) {
        self.run = Held { document: run, version };
        self.changed.remove(&Doc::Run);
    }

    /// Adds a stored scope, or replaces the loaded copy of it.
    pub fn load_scope(&mut self, scope: Scope, version: u64) {
        self.changed.remove(&Doc::Scope(scope.path.clone()));
        self.scopes.insert(scope.path.clone(), Held { document: scope, version });
    }

    /// Drops a loaded scope together with its changes.
    pub fn forget_scope(&mut self, path: &ScopePath) {
        self.changed.remove(&Doc::Scope(path.clone()));
        self.scopes.remove(path);
    }

    /// Adds the stored document of a signal, or replaces the loaded copy of it. One that is not stored is empty and has version 0.
    pub fn load_signal(&mut self, name: SignalName, signal: Signal, version: u64) {
        self.changed.remove(&Doc::Signal(name.clone()));
        self.signals.insert(name, Held { document: signal, version });
    }

    /// As [`RunState::load_signal`], for the number of signals that are kept.
    pub fn load_early_signals(&mut self, early: EarlySignals, version: u64) {
        self.changed.remove(&Doc::EarlySignals);
        self.early = Some(Held { document: early, version });
    }

    /// The loaded documents, including new ones that are not stored yet: the run, then the scopes in the order of their
    /// paths, then those of signals. After a conflict, load each of them again, and drop those that are not stored.
    pub fn loaded(&self) -> Vec<Doc> {
        let scopes = self.scopes.keys().cloned().map(Doc::Scope);
        let signals = self.signals.keys().cloned().map(Doc::Signal);
        let early = self.early.is_some().then_some(Doc::EarlySignals);
        std::iter::once(Doc::Run).chain(scopes).chain(signals).chain(early).collect()
    }

    /// The run's own document.
    pub fn run(&self) -> &Run {
        &self.run.document
    }

    /// The loaded scopes, in the order of their paths.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.values().map(|loaded| &loaded.document)
    }

    /// A scope, if it is loaded.
    pub fn scope(&self, path: &ScopePath) -> Option<&Scope> {
        self.scopes.get(path).map(|loaded| &loaded.document)
    }

    /// The version of the run's own document in the store; 0 if it is not stored.
    pub fn run_version(&self) -> u64 {
        self.run.version
    }

    /// How many scopes are loaded.
    pub fn scope_count(&self) -> usize {
        self.scopes.len()
    }

    /// Whether the store may have a version of this scope. If not, no other replica has ever seen it.
    pub fn is_stored(&self, path: &ScopePath) -> bool {
        self.scopes.get(path).is_none_or(|loaded| loaded.version > 0)
    }

    /// The loaded documents that differ from what is stored.
    pub fn changed(&self) -> &BTreeSet<Doc> {
        &self.changed
    }

    /// Calls `write` with each changed document, its version and its stored form.
    pub fn write_changed(&self, mut write: impl FnMut(&Doc, u64, Vec<u8>)) {
        for doc in &self.changed {
            match doc {
                Doc::Run => write(doc, self.run.version, super::encode(&self.run.document)),
                Doc::Scope(path) => {
                    if let Some(loaded) = self.scopes.get(path) {
                        write(doc, loaded.version, super::encode(&loaded.document));
                    }
                }
                Doc::Signal(name) => {
                    if let Some(loaded) = self.signals.get(name) {
                        write(doc, loaded.version, super::encode(&loaded.document));
                    }
                }
                Doc::EarlySignals => {
                    if let Some(loaded) = &self.early {
                        write(doc, loaded.version, super::encode(&loaded.document));
                    }
                }
            }
        }
    }

    /// Notes that a document was committed, and its new version.
    pub fn committed(&mut self, doc: &Doc, version: u64) {
        self.changed.remove(doc);
        match doc {
            Doc::Run => self.run.version = version,
            Doc::Scope(path) => {
                if let Some(loaded) = self.scopes.get_mut(path) {
                    loaded.version = version;
                }
            }
            Doc::Signal(name) => {
                if let Some(loaded) = self.signals.get_mut(name) {
                    loaded.version = version;
                }
            }
            Doc::EarlySignals => {
                if let Some(loaded) = &mut self.early {
                    loaded.version = version;
                }
            }
        }
    }

    /// The nodes that may be claimed at `now`, sorted: those that are ready and whose wait is over or answered, and those that are
    /// running under an expired lease.
    ///
    /// A scope only counts if it and all scopes around it are loaded, since a scope does not say by itself whether its
    /// branch was started at all or has been replaced.
    pub fn claimable(&self, now: Millis) -> Vec<NodePath> {
        let mut paths: Vec<NodePath> = self.claimable_nodes(now).map(|(path, _)| path).collect();
        paths.sort();
        paths
    }

    /// As [`RunState::claimable`], with the states of the nodes, in no order.
    pub fn claimable_nodes(&self, now: Millis) -> impl Iterator<Item = (NodePath, &NodeState)> {
        let claimable = self.may_claim(now).then(|| self.current(move |node| may_be_claimed(node, now)));
        claimable.into_iter().flatten()
    }

    /// Whether [`RunState::claimable`] has a node. This does not look at the others.
    pub fn is_claimable(&self, path: &NodePath, now: Millis) -> bool {
        self.may_claim(now) && self.node(path).is_ok_and(|node| may_be_claimed(node, now))
    }

    /// Whether nodes of the run may be claimed at all.
    fn may_claim(&self, now: Millis) -> bool {
        !self.run().paused && self.starts_later(now).is_none()
    }

    /// When the run starts, if that is after `now`. Its handlers may be called before, if somebody stops it.
    pub fn starts_later(&self, now: Millis) -> Option<Millis> {
        self.run().start_at.filter(|at| *at > now && self.run().phase == Phase::Flow)
    }

    /// When a run that nobody has begun to execute is to start; this may be in the past.
    fn not_started(&self) -> Option<Millis> {
        let at = self.run().start_at.filter(|_| self.run().phase == Phase::Flow)?;
        let root = self.scope(&ScopePath::root())?;
        root.nodes.iter().all(|node| node.token.is_none()).then_some(at)
    }

    /// The claims of all nodes that are running. The same scopes count as in [`RunState::claimable`].
    pub fn claims(&self) -> Vec<(NodePath, HeldClaim)> {
        let running = self.current(|node| node.progress == Progress::Running);
        running.map(|(path, node)| (path, node.held())).collect()
    }

    /// When the run starts, or the first suspended node may be claimed; this may be in the past. `None` if the run has started
    /// and no node is suspended, or if it is paused. The same scopes count as in [`RunState::claimable`].
    pub fn next_wake(&self) -> Option<Millis> {
        if self.run().paused {
            return None;
        }
        if let Some(start) = self.not_started() {
            return Some(start);
        }
        let suspended = self.current(|node| node.waits().is_some());
        suspended.filter_map(|(_, node)| node.waits().map(|suspended| suspended.until)).min()
    }

    /// The nodes whose branches are in flight and to be counted, each with the token of the claim that started the branches and their number.
    /// The same scopes count as in [`RunState::claimable`].
    pub fn branching(&self) -> Vec<(NodePath, ClaimToken, u32)> {
        if self.run().phase != Phase::Flow {
            return Vec::new();
        }
        let branching = self.current(|node| node.progress == Progress::Branching);
        branching
            .filter_map(|(path, node)| {
                let branches = node.branches.as_ref().filter(|branches| !branches.full)?;
                Some((path, branches.started_by, branches.total))
            })
            .collect()
    }

    /// The loaded nodes for which `wanted` holds, and that belong to the run's current phase and have not been replaced. What this
    /// costs is that of a look at each loaded node, and little more for each that is wanted.
    fn current(&self, wanted: impl Fn(&NodeState) -> bool) -> impl Iterator<Item = (NodePath, &NodeState)> {
        let phase = self.run().phase;
        let hooks = matches!(phase, Phase::Failure | Phase::Finally).then(|| self.run().hooks.iter());
        let hooks = hooks.into_iter().flatten().map(|node| (None, node));
        let scopes = (phase == Phase::Flow).then(|| self.scopes()).into_iter().flatten();
        let nodes = scopes.flat_map(|scope| scope.nodes.iter().map(move |node| (Some(scope), node)));
        let mut siblings = Siblings { state: self, last: None };
        let goes_on = |scope: &Scope, node: &NodeState| scope.caught.is_none() || node.id == NodeId::recover();
        hooks.chain(nodes).filter_map(move |(scope, node)| {
            let is_part = |scope| goes_on(scope, node) && siblings.include(scope);
            let counts = wanted(node) && scope.is_none_or(is_part);
            counts.then(|| (scope.map_or_else(ScopePath::root, |scope| scope.path.clone()).node(&node.id), node))
        })
    }

    /// When the run fails unless it has ended by then; this may be in the past. `None` if it has no deadline or its nodes are
    /// no longer executed.
    pub fn deadline_due(&self) -> Option<Millis> {
        self.run().deadline.filter(|_| self.run().phase == Phase::Flow)
    }

    /// Whether the deadline has passed and the run has not failed yet.
    pub fn is_overdue(&self, now: Millis) -> bool {
        self.deadline_due().is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn unended(&self) -> Result<(), Refusal> {
        if self.run().phase == Phase::Ended { Err(Refusal::Ended) } else { Ok(()) }
    }

    pub(super) fn in_flow(&self) -> Result<(), Refusal> {
        if self.run().phase == Phase::Flow { Ok(()) } else { Err(Refusal::Ended) }
    }

    /// A scope that is part of the run: its branch was not started by a lost claim and has not been replaced. Only the scopes
    /// around it show that, so they must be loaded too.
    pub(super) fn live(&self, path: &ScopePath) -> Result<&Scope, Refusal> {
        self.within(path, Scope::started)
    }

    /// As [`RunState::live`], and also an earlier round of a repeat.
    pub(super) fn begun(&self, path: &ScopePath) -> Result<&Scope, Refusal> {
        self.within(path, Scope::began)
    }

    /// A scope of which every scope around it says that it is part of the run.
    fn within(&self, path: &ScopePath, is_part: fn(&Scope, &Scope) -> bool) -> Result<&Scope, Refusal> {
        let loaded = |path: &ScopePath| self.scope(path).ok_or_else(|| Refusal::Needs(Doc::Scope(path.clone())));
        let scope = loaded(path)?;
        let mut child = scope;
        while let Some((parent, _)) = child.path.parent() {
            let scope = loaded(&parent.scope)?;
            if !is_part(scope, child) || !scope.goes_on_in(child) {
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
        self.going_on(path)?.node(&path.node).ok_or(Refusal::Unknown)
    }

    /// The state of a loaded node, for changing it.
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
            Some(loaded) => {
                self.changed.insert(doc);
                Ok(&mut loaded.document)
            }
            None => Err(Refusal::Needs(doc)),
        }
    }

    /// The document of a signal. Of a run that is not stored, nobody else can have written it.
    pub(super) fn signal_named(&self, name: &SignalName) -> Result<&Signal, Refusal> {
        static NONE: Signal = Signal { came: Vec::new(), waiters: Vec::new() };
        match self.signals.get(name) {
            Some(loaded) => Ok(&loaded.document),
            None if self.run.version == 0 => Ok(&NONE),
            None => Err(Refusal::Needs(Doc::Signal(name.clone()))),
        }
    }

    /// The number of signals that are kept, as [`RunState::signal_named`].
    pub(super) fn early_signals(&self) -> Result<EarlySignals, Refusal> {
        match &self.early {
            Some(loaded) => Ok(loaded.document),
            None if self.run.version == 0 => Ok(EarlySignals::default()),
            None => Err(Refusal::Needs(Doc::EarlySignals)),
        }
    }

    /// The document of a signal that [`RunState::signal_named`] has found, for changing it.
    pub(super) fn change_signal(&mut self, name: &SignalName) -> &mut Signal {
        self.changed.insert(Doc::Signal(name.clone()));
        let new = || Held { document: Signal::default(), version: 0 };
        &mut self.signals.entry(name.clone()).or_insert_with(new).document
    }

    /// The number of signals that [`RunState::early_signals`] has found, for changing it.
    pub(super) fn change_early_signals(&mut self) -> &mut EarlySignals {
        self.changed.insert(Doc::EarlySignals);
        let new = || Held { document: EarlySignals::default(), version: 0 };
        &mut self.early.get_or_insert_with(new).document
    }

    /// As [`RunState::claim_scopes_around`], and with each one that has changed the scope of the node.
    pub(super) fn claim_scopes(&mut self, path: &NodePath) {
        self.changed.extend(self.scopes.contains_key(&path.scope).then(|| Doc::Scope(path.scope.clone())));
        self.claim_scopes_around(path);
    }

    /// Makes the commit conflict with each one that has changed a scope around a node, although nothing changes there: another
    /// replica may have caught a failure, so that the node does not count.
    pub(super) fn claim_scopes_around(&mut self, path: &NodePath) {
        let around = path.scope.around().map(|(parent, _)| parent.scope);
        self.changed.extend(around.filter(|scope| self.scopes.contains_key(scope)).map(Doc::Scope));
    }

    pub(super) fn change_run(&mut self) -> &mut Run {
        self.changed.insert(Doc::Run);
        &mut self.run.document
    }

    /// Adds a new scope. If it replaces one that an earlier claim started, it keeps the attempts and the version of that one.
    pub(super) fn begin_scope(&mut self, mut scope: Scope) {
        self.changed.insert(Doc::Scope(scope.path.clone()));
        let earlier = self.scopes.get(&scope.path);
        let version = earlier.map_or(0, |loaded| loaded.version);
        if let Some(earlier) = earlier {
            scope.follow(&earlier.document);
        }
        self.scopes.insert(scope.path.clone(), Held { document: scope, version });
    }
}

/// Whether a node of a run that is not paused may be claimed.
fn may_be_claimed(node: &NodeState, now: Millis) -> bool {
    match node.progress {
        Progress::Ready => node.waits().is_none_or(|suspended| suspended.until <= now),
        Progress::Running => node.lease.as_ref().is_none_or(|lease| lease.until <= now),
        _ => false,
    }
}

/// Says which scopes are part of the run, as [`RunState::live`] does. Of the branches of one node, which come one after the other,
/// it looks only once at what is around them: a run may have a hundred thousand.
struct Siblings<'a> {
    state: &'a RunState,
    /// The node above the latest scope, as [`ScopePath::above`] names it, and the claim whose branches are part of the run.
    last: Option<((&'a str, &'a str), Option<ClaimToken>)>,
}

impl<'a> Siblings<'a> {
    fn include(&mut self, scope: &'a Scope) -> bool {
        let Some(above) = scope.path.above() else { return true };
        let started_by = match self.last {
            Some((known, started_by)) if known == above => started_by,
            _ => self.started_by(above),
        };
        self.last = Some((above, started_by));
        started_by == Some(scope.started_by)
    }

    /// The claim of a node that started its branches, if the node is part of the run and no failure was caught there.
    fn started_by(&self, (scope, node): (&str, &str)) -> Option<ClaimToken> {
        let scope = &self.state.scopes.get(scope)?.document;
        self.state.live(&scope.path).ok()?;
        let node = scope.nodes.iter().find(|one| one.id.as_str() == node)?;
        let goes_on = scope.caught.is_none() && node.caught.is_none();
        node.branches.as_ref().filter(|_| goes_on).map(|branches| branches.started_by)
    }
}

/// The phase in which a handler of the run is executed; `None` for a node of the flow.
fn hook(path: &NodePath) -> Option<Phase> {
    if !path.scope.is_root() || !path.node.is_reserved() {
        None
    } else if path.node == NodeId::failure() {
        Some(Phase::Failure)
    } else if path.node == NodeId::finally() {
        Some(Phase::Finally)
    } else {
        None
    }
}
