//! `step(state, event) -> effects`.

use super::documents::{Attempt, Branches, Lease, NodeState, Phase, Progress, Run, Scope};
use super::events::{Effect, Event, Input, Outcome, Refusal, Report, Start, Task, Work};
use super::stored::Doc;
use crate::definition::Exhausted;
use crate::plan::{Plan, PlanCarries, PlanKind, PlanNode};
use crate::{BranchKey, Code, Failure, HandlerId, Millis, NodeId, NodePath, Payload, ScopePath, Status};
use std::collections::HashMap;

/// A document at hand.
#[derive(Debug)]
struct Held<T> {
    document: T,
    version: u64,
    changed: bool,
}

/// The documents of a run that are at hand, each with the version that the store gave it.
#[derive(Debug)]
pub struct RunState {
    run: Held<Run>,
    scopes: HashMap<ScopePath, Held<Scope>>,
}

impl RunState {
    /// A new run, its start ready. Its documents are all changed and not stored.
    pub fn start(plan: &Plan, start: Start) -> (Self, Vec<Effect>) {
        let Start { id, flow, digest, request, definition, input, now } = start;
        let root = ScopePath::root();
        let scope = Scope::new(plan.root(), root.clone(), input, (0, 1), 0, now);
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
        };
        let run = Held { document: run, version: 0, changed: true };
        let scopes = HashMap::from([(root, Held { document: scope, version: 0, changed: true })]);
        (Self { run, scopes }, ready.into_iter().collect())
    }

    /// A run that was stored.
    pub fn load(run: Run, version: u64) -> Self {
        Self { run: Held { document: run, version, changed: false }, scopes: HashMap::new() }
    }

    /// Brings a stored scope to hand.
    pub fn load_scope(&mut self, scope: Scope, version: u64) {
        self.scopes.insert(scope.path.clone(), Held { document: scope, version, changed: false });
    }

    /// The run's own document.
    pub fn run(&self) -> &Run {
        &self.run.document
    }

    /// The scopes at hand, in no order.
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

    /// Calls `write` with each changed document, its version and its stored form; scopes in the order of their paths, then
    /// the run.
    pub fn changed(&self, mut write: impl FnMut(Doc, u64, Vec<u8>)) {
        let mut scopes: Vec<_> = self.scopes.values().filter(|held| held.changed).collect();
        scopes.sort_by(|a, b| a.document.path.cmp(&b.document.path));
        for held in scopes {
            write(Doc::Scope(held.document.path.clone()), held.version, super::encode(&held.document));
        }
        if self.run.changed {
            write(Doc::Run, self.run.version, super::encode(&self.run.document));
        }
    }

    /// Notes that the store took a document and gave it this version.
    pub fn committed(&mut self, doc: &Doc, version: u64) {
        match doc {
            Doc::Run => (self.run.version, self.run.changed) = (version, false),
            Doc::Scope(path) => {
                if let Some(held) = self.scopes.get_mut(path) {
                    (held.version, held.changed) = (version, false);
                }
            }
        }
    }

    /// The nodes that may be claimed at `now`: ready, or running under a lease that is over.
    pub fn claimable(&self, now: Millis) -> Vec<NodePath> {
        let may = |node: &&NodeState| match node.progress {
            Progress::Ready => true,
            Progress::Running => node.lease.as_ref().is_none_or(|lease| lease.until <= now),
            _ => false,
        };
        let root = ScopePath::root();
        let mut paths: Vec<NodePath> = match self.run().phase {
            _ if self.run().paused => Vec::new(),
            Phase::Ended => Vec::new(),
            Phase::Failure | Phase::Finally => {
                self.run().hooks.iter().filter(may).map(|hook| root.node(&hook.id)).collect()
            }
            Phase::Flow => self
                .scopes()
                .flat_map(|scope| scope.nodes.iter().filter(may).map(|node| scope.path.node(&node.id)))
                .collect(),
        };
        paths.sort();
        paths
    }

    /// The nodes whose branches are under way, with the token of the claim that began them and how many there are.
    pub fn branching(&self) -> Vec<(NodePath, u32, u32)> {
        let branching = |node: &&NodeState| node.progress == Progress::Branching;
        let nodes = self.scopes().flat_map(|scope| scope.nodes.iter().filter(branching).map(move |node| (scope, node)));
        nodes
            .filter_map(|(scope, node)| {
                let branches = node.branches.as_ref()?;
                Some((scope.path.node(&node.id), branches.epoch, branches.total))
            })
            .collect()
    }

    /// Applies one event at one moment. A refusal has changed nothing.
    pub fn step(&mut self, plan: &Plan, event: Event, now: Millis) -> Result<Vec<Effect>, Refusal> {
        match event {
            Event::Claim { path, owner, until } => self.claim(plan, path, Lease { owner, until }, now),
            Event::Renew { path, token, until } => {
                let node = self.running(&path, token)?;
                if let Some(lease) = &mut node.lease {
                    lease.until = lease.until.max(until);
                }
                self.touch(&path);
                Ok(Vec::new())
            }
            Event::Complete { path, token, report } => self.complete(plan, path, token, report, now),
            Event::Joined { path, epoch } => self.joined(plan, path, epoch, now),
            Event::Deadline => {
                self.in_flow()?;
                let message = "the run took longer than its deadline: raise it, or find what was slow in its history";
                Ok(self.fail(plan, Failure::reject(Code::DEADLINE_PASSED, message), now))
            }
            Event::Pause => {
                self.unended()?;
                self.run.document.paused = true;
                self.run.changed = true;
                Ok(Vec::new())
            }
            Event::Resume => {
                self.unended()?;
                self.run.document.paused = false;
                self.run.changed = true;
                Ok(self.claimable(now).into_iter().map(Effect::Dispatch).collect())
            }
            Event::Stop => {
                self.in_flow()?;
                let failure = Failure::reject(Code::RUN_STOPPED, "somebody stopped the run");
                Ok(self.end(plan, Status::Stopped, Some(failure), now))
            }
        }
    }

    fn unended(&self) -> Result<(), Refusal> {
        if self.run().phase == Phase::Ended { Err(Refusal::Ended) } else { Ok(()) }
    }

    fn in_flow(&self) -> Result<(), Refusal> {
        if self.run().phase == Phase::Flow { Ok(()) } else { Err(Refusal::Ended) }
    }

    fn held(&mut self, path: &ScopePath) -> Result<&mut Held<Scope>, Refusal> {
        self.scopes.get_mut(path).ok_or_else(|| Refusal::Needs(Doc::Scope(path.clone())))
    }

    /// The state of a node of the flow, or of one of the run's handlers, in the phase that it belongs to.
    fn node(&mut self, path: &NodePath) -> Result<&mut NodeState, Refusal> {
        let phase = self.run().phase;
        if path.scope.is_root() && path.node.is_reserved() && path.node != NodeId::end() {
            let due = if path.node == NodeId::failure() { Phase::Failure } else { Phase::Finally };
            if phase != due {
                return Err(Refusal::Ended);
            }
            return self.run.document.hooks.iter_mut().find(|hook| hook.id == path.node).ok_or(Refusal::Unknown);
        }
        self.in_flow()?;
        let scope = &mut self.held(&path.scope)?.document;
        scope.nodes.iter_mut().find(|node| node.id == path.node).ok_or(Refusal::Unknown)
    }

    fn running(&mut self, path: &NodePath, token: u32) -> Result<&mut NodeState, Refusal> {
        let node = self.node(path)?;
        if node.progress == Progress::Running && node.token == token { Ok(node) } else { Err(Refusal::Stale) }
    }

    /// Marks the document that a node's state is in as changed.
    fn touch(&mut self, path: &NodePath) {
        if self.run().phase != Phase::Flow {
            self.run.changed = true;
        } else if let Some(held) = self.scopes.get_mut(&path.scope) {
            held.changed = true;
        }
    }

    fn claim(&mut self, plan: &Plan, path: NodePath, lease: Lease, now: Millis) -> Result<Vec<Effect>, Refusal> {
        self.unended()?;
        if self.run().paused {
            return Err(Refusal::Paused);
        }
        let node = self.node(&path)?;
        let lost = match (node.progress, &node.lease) {
            (Progress::Ready, _) => None,
            (Progress::Running, Some(lease)) if lease.until > now => return Err(Refusal::Leased),
            (Progress::Running, lease) => Some(lease.as_ref().map_or(String::new(), |lease| lease.owner.clone())),
            _ => return Err(Refusal::Stale),
        };
        if let Some(owner) = lost {
            let failure = Failure::retry(Code::NODE_LOST, format!("replica {owner} did not report in time"));
            node.attempts.push(Attempt { started: node.since, ended: now, failure: Some(failure) });
        }
        node.progress = Progress::Running;
        node.since = now;
        node.started.get_or_insert(now);
        node.token += 1;
        node.lease = Some(lease);
        let (token, branches) = (node.token, node.branches.clone());
        self.touch(&path);
        let work = self.work(plan, path, token, branches)?;
        Ok(vec![Effect::Execute(work)])
    }

    fn work(&self, plan: &Plan, path: NodePath, token: u32, branches: Option<Branches>) -> Result<Work, Refusal> {
        let mut work = Work { path, token, inputs: Vec::new(), aggregator: None, task: Task::Enter };
        if self.run().phase != Phase::Flow {
            work.task = self.hook(plan).ok_or(Refusal::Unknown)?;
            return Ok(work);
        }
        let dag = plan.dag(&work.path.scope).ok_or(Refusal::Unknown)?;
        let node = dag.node(&work.path.node).ok_or(Refusal::Unknown)?;
        if let (Some(branches), Some(handler)) = (branches, node.branches().and_then(|b| b.aggregator.clone())) {
            work.task = Task::Merge { handler, only: branches.only, epoch: branches.epoch };
            return Ok(work);
        }
        let scope = self.scope(&work.path.scope).ok_or(Refusal::Unknown)?;
        work.inputs = inputs(node, scope);
        work.aggregator = node.aggregator.clone();
        work.task = match &node.kind {
            PlanKind::Operations(operations) => Task::Operations(operations.clone()),
            PlanKind::SubDag(_) => Task::Enter,
            PlanKind::Condition(branches) => Task::Choose {
                handler: branches.handler.clone(),
                keys: branches.dags.iter().filter_map(|(key, _)| key.clone()).collect(),
                carries_nothing: branches.carries_nothing,
            },
            PlanKind::ForEach(branches) => {
                Task::Split { handler: branches.handler.clone(), carries_nothing: branches.carries_nothing }
            }
        };
        Ok(work)
    }

    fn hook(&self, plan: &Plan) -> Option<Task> {
        let run = self.run();
        let handler = |id: &Option<String>| id.as_ref().and_then(|id| HandlerId::new(id).ok());
        match run.phase {
            Phase::Failure => {
                Some(Task::Recover { handler: handler(&plan.definition().on_failure)?, failure: run.failure.clone()? })
            }
            _ => Some(Task::Finally { handler: handler(&plan.definition().finally)?, verdict: run.verdict? }),
        }
    }

    fn complete(
        &mut self,
        plan: &Plan,
        path: NodePath,
        token: u32,
        report: Report,
        now: Millis,
    ) -> Result<Vec<Effect>, Refusal> {
        self.running(&path, token)?;
        // What the end of a scope needs must be at hand before anything changes.
        if let Some(need) = self.parent_needed(plan, &path, &report.outcome) {
            return Err(need);
        }
        let hook = self.run().phase != Phase::Flow;
        let pauses = plan.definition().on_exhausted == Exhausted::Pause;
        let node = self.running(&path, token)?;
        node.attempts.extend(report.attempts);
        if node.branches.is_none() {
            node.input_size = report.input_size;
        }
        node.lease = None;
        node.since = now;
        node.progress = match &report.outcome {
            Outcome::Done(_) => Progress::Done,
            Outcome::Branched(_) => Progress::Branching,
            Outcome::Failed(failure) if failure.retry && pauses && !hook => Progress::Ready,
            Outcome::Failed(_) => Progress::Failed,
        };
        let ready = node.progress == Progress::Ready;
        self.touch(&path);
        match report.outcome {
            outcome if hook => Ok(self.hook_completed(plan, outcome, now)),
            Outcome::Done(output) => self.done(plan, &path, output, now),
            Outcome::Branched(branches) => self.branch(plan, &path, token, branches, now),
            Outcome::Failed(_) if ready => {
                self.run.document.paused = true;
                self.run.changed = true;
                Ok(Vec::new())
            }
            Outcome::Failed(failure) => Ok(self.fail(plan, Failure { path: Some(path), ..failure }, now)),
        }
    }

    /// The document, not at hand, that is needed if this node ends its scope as an only branch.
    fn parent_needed(&self, plan: &Plan, path: &NodePath, outcome: &Outcome) -> Option<Refusal> {
        let ends =
            matches!(outcome, Outcome::Done(_)) || matches!(outcome, Outcome::Branched(items) if items.is_empty());
        if !ends || self.run().phase != Phase::Flow {
            return None;
        }
        self.parent_of_end(plan, path)
    }

    fn parent_of_end(&self, plan: &Plan, path: &NodePath) -> Option<Refusal> {
        let mut path = path.clone();
        loop {
            let dag = plan.dag(&path.scope)?;
            if dag.position(&path.node) != Some(dag.end) || self.scope(&path.scope).is_none_or(|s| s.siblings != 1) {
                return None;
            }
            let (parent, _) = path.scope.parent()?;
            if self.scope(&parent.scope).is_none() {
                return Some(Refusal::Needs(Doc::Scope(parent.scope)));
            }
            path = parent;
        }
    }

    /// A node has its output: its successors may be ready, its scope may have ended.
    fn done(&mut self, plan: &Plan, path: &NodePath, output: Payload, now: Millis) -> Result<Vec<Effect>, Refusal> {
        let dag = plan.dag(&path.scope).ok_or(Refusal::Unknown)?;
        let at = dag.position(&path.node).ok_or(Refusal::Unknown)?;
        let held = self.held(&path.scope)?;
        held.changed = true;
        let scope = &mut held.document;
        if let Some(node) = scope.nodes.get_mut(at) {
            (node.progress, node.since) = (Progress::Done, now);
            node.output = Some(output.clone());
        }
        if at == dag.end {
            return self.scope_ended(plan, path.scope.clone(), output, now);
        }
        let done = |scope: &Scope, i: usize| scope.nodes.get(i).is_some_and(|node| node.progress == Progress::Done);
        let mut effects = Vec::new();
        for successor in dag.nodes.get(at).into_iter().flat_map(|node| &node.successors) {
            let Some(planned) = dag.nodes.get(*successor) else { continue };
            if !planned.inputs.iter().all(|input| done(scope, input.from)) {
                continue;
            }
            if let Some(node) = scope.nodes.get_mut(*successor).filter(|node| node.progress == Progress::Waiting) {
                (node.progress, node.since) = (Progress::Ready, now);
                effects.push(Effect::Dispatch(path.scope.node(&node.id)));
            }
        }
        Ok(effects)
    }

    fn scope_ended(
        &mut self,
        plan: &Plan,
        scope: ScopePath,
        result: Payload,
        now: Millis,
    ) -> Result<Vec<Effect>, Refusal> {
        let Some((parent, key)) = scope.parent() else {
            self.run.document.result = Some(result);
            return Ok(self.end(plan, Status::Succeeded, None, now));
        };
        let ended = self.held(&scope)?;
        let (epoch, index, total) = (ended.document.epoch, ended.document.index, ended.document.siblings);
        let nothing = plan
            .dag(&parent.scope)
            .and_then(|dag| dag.node(&parent.node)?.branches())
            .is_some_and(|branches| branches.carries_nothing);
        let payload = if nothing { Payload::empty() } else { result };
        match key {
            Some(key) if total > 1 => Ok(vec![Effect::Arrive { node: parent, epoch, key, index, payload, total }]),
            key => {
                let held = self.held(&parent.scope)?;
                let node = held.document.nodes.iter_mut().find(|node| node.id == parent.node);
                if let Some(branches) = node.and_then(|node| node.branches.as_mut()).filter(|b| b.epoch == epoch) {
                    branches.only = Some((key.map_or_else(String::new, |key| key.to_string()), payload));
                }
                self.joined(plan, parent, epoch, now)
            }
        }
    }

    fn branch(
        &mut self,
        plan: &Plan,
        path: &NodePath,
        epoch: u32,
        items: Vec<(Option<BranchKey>, Payload)>,
        now: Millis,
    ) -> Result<Vec<Effect>, Refusal> {
        let node = plan.dag(&path.scope).and_then(|dag| dag.node(&path.node)).ok_or(Refusal::Unknown)?;
        if items.is_empty() {
            return self.done(plan, path, Payload::empty(), now);
        }
        let total = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let mut effects = Vec::with_capacity(items.len());
        for (index, (key, input)) in (0..).zip(items) {
            let Some(dag) = node.branch(key.as_ref()) else { return Err(Refusal::Unknown) };
            let scope = path.scope.branch(&path.node, key.as_ref());
            let version = self.scopes.get(&scope).map_or(0, |held| held.version);
            let document = Scope::new(dag, scope.clone(), input, (index, total), epoch, now);
            if let Some(start) = dag.nodes.get(dag.start) {
                effects.push(Effect::Dispatch(scope.node(&start.id)));
            }
            self.scopes.insert(scope, Held { document, version, changed: true });
        }
        let held = self.held(&path.scope)?;
        if let Some(state) = held.document.nodes.iter_mut().find(|node| node.id == path.node) {
            state.branches = Some(Branches { total, epoch, only: None });
        }
        Ok(effects)
    }

    fn joined(&mut self, plan: &Plan, path: NodePath, epoch: u32, now: Millis) -> Result<Vec<Effect>, Refusal> {
        let planned = plan.dag(&path.scope).and_then(|dag| dag.node(&path.node)).ok_or(Refusal::Unknown)?;
        let node = self.node(&path)?;
        let Some(branches) = node.branches.as_ref().filter(|branches| branches.epoch == epoch) else {
            return Err(Refusal::Stale);
        };
        if node.progress != Progress::Branching {
            return Err(Refusal::Stale);
        }
        let output = match (&planned.kind, &branches.only) {
            (PlanKind::ForEach(_), _) | (_, None) => Payload::empty(),
            (_, Some((_, payload))) => payload.clone(),
        };
        if planned.branches().is_none_or(|branches| branches.aggregator.is_none()) {
            if let Some(need) = self.parent_of_end(plan, &path) {
                return Err(need);
            }
            return self.done(plan, &path, output, now);
        }
        (node.progress, node.since) = (Progress::Ready, now);
        self.touch(&path);
        Ok(vec![Effect::Dispatch(path)])
    }

    fn fail(&mut self, plan: &Plan, failure: Failure, now: Millis) -> Vec<Effect> {
        self.end(plan, Status::Failed, Some(failure), now)
    }

    /// The flow has a verdict: what is left are the run's handlers.
    fn end(&mut self, plan: &Plan, verdict: Status, failure: Option<Failure>, now: Millis) -> Vec<Effect> {
        let cancels = verdict != Status::Succeeded;
        let run = &mut self.run.document;
        run.verdict = Some(verdict);
        run.failure = failure;
        run.paused = false;
        self.run.changed = true;
        let mut effects: Vec<Effect> = cancels.then_some(Effect::Cancel).into_iter().collect();
        let phase = if verdict == Status::Failed { Phase::Failure } else { Phase::Finally };
        effects.push(self.enter(plan, phase, now));
        effects
    }

    /// Goes on with the first phase from `phase` on that there is something to do in.
    fn enter(&mut self, plan: &Plan, phase: Phase, now: Millis) -> Effect {
        let definition = plan.definition();
        let phases = [
            (Phase::Failure, &definition.on_failure, NodeId::failure()),
            (Phase::Finally, &definition.finally, NodeId::finally()),
        ];
        let run = &mut self.run.document;
        for (due, handler, id) in phases {
            if handler.is_some() && (phase == due || phase == Phase::Failure) {
                run.phase = due;
                let path = ScopePath::root().node(&id);
                run.hooks.push(NodeState { progress: Progress::Ready, since: now, ..NodeState::new(id) });
                return Effect::Dispatch(path);
            }
        }
        run.phase = Phase::Ended;
        run.ended = Some(now);
        Effect::Ended
    }

    fn hook_completed(&mut self, plan: &Plan, outcome: Outcome, now: Millis) -> Vec<Effect> {
        self.run.changed = true;
        let run = &mut self.run.document;
        if run.phase == Phase::Finally {
            // How the run ended is settled: a finally handler that fails shows in its history.
            run.phase = Phase::Ended;
            run.ended = Some(now);
            return vec![Effect::Ended];
        }
        match outcome {
            Outcome::Done(answer) => run.result = Some(answer),
            Outcome::Failed(failure) => {
                if let Some(first) = &mut run.failure {
                    first.message = failure.message;
                }
            }
            Outcome::Branched(_) => {}
        }
        vec![self.enter(plan, Phase::Finally, now)]
    }
}

fn inputs(node: &PlanNode, scope: &Scope) -> Vec<Input> {
    if node.inputs.is_empty() {
        return vec![Input { from: String::new(), payload: scope.input.clone(), forwarder: None }];
    }
    let edges = node.inputs.iter().filter_map(|edge| {
        let forwarder = match &edge.carries {
            PlanCarries::Nothing => return None,
            PlanCarries::Output => None,
            PlanCarries::Forwarded(handler) => Some(handler.clone()),
        };
        let from = scope.nodes.get(edge.from)?;
        let payload = from.output.clone().unwrap_or_else(Payload::empty);
        Some(Input { from: from.id.to_string(), payload, forwarder })
    });
    edges.collect()
}
