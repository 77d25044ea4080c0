//! The regular checks by which an owner watches over its run, and how a replica recovers or releases a run.

use crate::apply::{Applying, Origin};
use crate::durability::{Durability, Role, Watch};
use crate::io::{Circumstances, End, Io, Join};
use crate::load::{answers, load_all};
use crate::queue;
use crate::session::{Outstanding, Session, Todo};
use faas_flow_core::run::{Event, NodeState, Phase, Progress, Scope};
use faas_flow_core::{Failure, Millis, NodePath, ScopePath};
use faas_flow_store::Document;
use std::collections::BTreeSet;

/// Whether events about nodes that have just become ready may be on their way to other replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventsExpected {
    Yes,
    /// The replica that would have sent them is gone.
    No,
}

/// A check that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Check {
    at: Millis,
    events: EventsExpected,
    /// Whether all documents of the run are loaded, and not only its own.
    pub(crate) whole: bool,
    renewed: usize,
}

impl Session {
    /// Makes this replica the owner of the run, which checks the whole run at once.
    pub(crate) fn recover(&mut self) {
        match self.role {
            Role::Left => return,
            Role::Owner(_) => {
                self.count_branches();
                self.set_open();
            }
            Role::Helper => self.role = Role::owner(0),
        }
        self.todo.push_back(Todo::Check(EventsExpected::No));
    }

    /// Begins to check what other replicas may have done to the run.
    pub(crate) fn check(&mut self, events: EventsExpected, circumstances: &Circumstances) {
        if self.role == Role::Left {
            return;
        }
        if self.durability == Durability::Memory {
            self.todo.push_front(Todo::Check(events));
            return self.todo.push_front(Todo::MakeDurable);
        }
        if !self.batch.is_empty() {
            // The check replaces what is in memory by what is stored.
            self.todo.push_front(Todo::Check(events));
            return self.commit(circumstances.now);
        }
        let since = |watch: Watch| circumstances.now.saturating_sub(watch.checked);
        let whole = matches!(self.role, Role::Owner(watch) if since(watch) >= self.rules.lease);
        let check = Check { at: circumstances.now, events, whole, renewed: 0 };
        let io = if whole { Io::LoadAll } else { Io::LoadRun };
        self.wait_for(Outstanding::Check(check), io);
    }

    /// Continues a check whose documents are all loaded.
    pub(crate) fn loaded_all(
        &mut self,
        check: Check,
        documents: Vec<(String, Document)>,
        circumstances: &Circumstances,
    ) {
        let answers = answers(&documents);
        match load_all(documents) {
            Ok(Some(state)) => {
                self.state = state;
                self.role = Role::Owner(Watch { checked: check.at, sleeps: None, answers });
                self.set_open();
                self.renew_and_claim(check, circumstances);
            }
            Ok(None) => self.leave(),
            Err(error) => self.abandon(Failure::reject(error.code(), error.to_string())),
        }
    }

    /// Renews the leases of this replica, and claims what no replica holds.
    pub(crate) fn renew_and_claim(&mut self, mut check: Check, circumstances: &Circumstances) {
        if self.state.is_overdue(check.at) {
            // Before anything else, since a replica leaves a run that is paused.
            self.todo.push_front(Todo::Check(check.events));
            return self.todo.push_front(Applying::new(Event::Deadline, Vec::new(), Origin::Session).into());
        }
        self.obey();
        if self.role == Role::Left {
            return;
        }
        let until = check.at + self.rules.lease;
        let running: Vec<_> = self.running.iter().map(|(path, claim)| (path.clone(), claim.token)).collect();
        for (path, token) in running {
            match self.apply_now(Event::Renew { path: path.clone(), token, until }, check.at) {
                Ok(()) => check.renewed += 1,
                // Another replica has the node, or it was taken back. Its report will be refused.
                Err(_) => drop(self.running.remove(&path)),
            }
        }
        self.enqueue_claimable(check.events, circumstances);
        self.fill(circumstances);
        let sleeps = if check.whole { self.sleep(check.at) } else { None };
        if let Role::Owner(watch) = &mut self.role {
            watch.sleeps = sleeps;
        }
        self.todo.push_front(Todo::Checked(check));
        self.todo.push_front(Todo::Commit);
    }

    /// Ends a check whose changes are committed.
    pub(crate) fn check_ended(&mut self, check: Check) {
        self.ready.leases.renewed += check.renewed;
        self.ready.renewed = Some(self.running.values().map(|claim| claim.token).collect());
        if self.role == Role::Left {
            return;
        }
        if matches!(self.role, Role::Owner(Watch { sleeps: Some(_), .. })) {
            return self.leave();
        }
        if check.whole {
            self.count_branches();
        }
    }

    /// Asks the driver to count the ended branches of nodes. The replica that committed the end of the last branch may have
    /// been lost right after that.
    fn count_branches(&mut self) {
        let branching = self.state.branching().into_iter().filter(|(_, _, total)| *total > 1);
        self.ready.count.extend(branching.map(|(node, started_by, total)| Join { node, started_by, total }));
    }

    /// Cancels work, or ends the session, if another replica has ended, stopped or paused the run.
    pub(crate) fn obey(&mut self) {
        if self.executes_in_vain() {
            let nodes = self.running.iter().filter(|(path, _)| !is_hook(path));
            self.ready.cut_off.extend(nodes.map(|(path, claim)| (path.clone(), claim.token)));
            self.cancel();
        }
        if self.state.run().phase == Phase::Ended {
            self.cancel();
            return self.end(End::EndedElsewhere);
        }
        if self.state.run().paused && self.running.is_empty() {
            self.end(End::Paused);
        }
    }

    /// Whether this replica executes nodes of a run whose nodes are no longer executed.
    pub(crate) fn executes_in_vain(&self) -> bool {
        self.state.run().phase != Phase::Flow && self.running.keys().any(|path| !is_hook(path))
    }

    /// Queues the nodes that no replica has claimed, except those that have just become ready if events about them are
    /// expected. The queue takes each node once, and what is executing here is not claimed again.
    pub(crate) fn enqueue_claimable(&mut self, events: EventsExpected, circumstances: &Circumstances) {
        let now = circumstances.now;
        self.see_claims(circumstances.uptime);
        let are_sent = events == EventsExpected::Yes && circumstances.room.dispatch != crate::io::Dispatch::Local;
        let is_fresh = |node: &NodeState| node.suspended.is_none() && node.since + self.rules.lease > now;
        let mut found: Vec<(NodePath, bool)> = Vec::new();
        for (path, node) in self.state.claimable_nodes(now) {
            // A branch is in flight once its start has been claimed. Before that, it may have to wait for a sibling to end.
            let was_claimed = !node.token.is_none();
            let waits_here = !was_claimed && self.queue.has(&path);
            let is_held = node.progress == Progress::Running && self.lost_claim(&path, circumstances.uptime).is_none();
            if !(waits_here || is_held || are_sent && is_fresh(node)) {
                found.push((path, was_claimed));
            }
        }
        found.sort_unstable();
        for (path, was_claimed) in found {
            if !was_claimed && queue::limit(&self.plan, &path).is_some() {
                self.queue.add(&self.plan, path);
            } else {
                self.queue.add_here(path);
            }
        }
    }

    /// Until when the run needs no owner, if nothing can happen before the end of a wait that is longer than a lease, unless
    /// an answer comes. The replica that takes the answer makes the run due.
    fn sleep(&self, at: Millis) -> Option<Millis> {
        let is_running = |node: &NodeState| node.progress == Progress::Running;
        let runs = self.state.scopes().flat_map(|scope| &scope.nodes).chain(&self.state.run().hooks).any(is_running);
        // What waits in the queue or is to be sent is claimable, too.
        if runs || self.state.claimable_nodes(at).next().is_some() || self.may_join() {
            return None;
        }
        let wake = self.state.next_wake().filter(|wake| *wake > at + self.rules.lease)?;
        Some(self.state.run().deadline.map_or(wake, |deadline| wake.min(deadline)))
    }

    /// Whether all branches of a node have ended whose join is not applied: the replica that committed the end of the last one
    /// may have been lost.
    fn may_join(&self) -> bool {
        let open: BTreeSet<NodePath> = self
            .state
            .scopes()
            .filter(|scope| !self.has_ended(scope))
            .filter_map(|scope| scope.path.parent().map(|(node, _)| node))
            .collect();
        self.state.branching().iter().any(|(node, ..)| !open.contains(node))
    }

    fn has_ended(&self, scope: &Scope) -> bool {
        let dag = self.plan.dag(&scope.path);
        dag.and_then(|dag| scope.nodes.get(dag.end)).is_some_and(|end| end.progress == Progress::Done)
    }

    /// Has a new run that starts later stored, and leaves it until then: nobody holds it, and it becomes due at its moment.
    pub(crate) fn leave_until_start(&mut self, now: Millis) {
        let Some(start) = self.state.starts_later(now) else { return };
        self.role = Role::Owner(Watch { checked: now, sleeps: Some(start), answers: 0 });
        self.todo.push_back(Todo::Commit);
        self.todo.push_back(Todo::Checked(Check { at: now, events: EventsExpected::Yes, whole: false, renewed: 0 }));
    }

    /// Forgets a later moment until which the run was to sleep.
    pub(crate) fn wake_up(&mut self, now: Millis) {
        if let Role::Owner(watch) = &mut self.role {
            watch.sleeps = watch.sleeps.filter(|wake| *wake <= now);
        }
    }

    /// Updates which branches with a limit are in flight.
    fn set_open(&mut self) {
        let mut open = Vec::new();
        // Siblings come one after the other, and have the same limit.
        let mut last = None;
        for scope in self.state.scopes() {
            let Some(above) = scope.path.above() else { continue };
            let is_limited = match last {
                Some((known, is_limited)) if known == above => is_limited,
                _ => self.start_of(scope).is_some_and(|start| queue::limit(&self.plan, &start).is_some()),
            };
            last = Some((above, is_limited));
            if is_limited {
                open.extend(self.open_branch(scope));
            }
        }
        self.queue.set_open(&self.plan, open);
    }

    fn start_of(&self, scope: &Scope) -> Option<NodePath> {
        let dag = self.plan.dag(&scope.path)?;
        Some(scope.path.node(&scope.nodes.get(dag.start)?.id))
    }

    /// The branch and the node that limits it, if the branch is in flight and has a limit.
    fn open_branch(&self, scope: &Scope) -> Option<(NodePath, ScopePath)> {
        let start = self.start_of(scope)?;
        let (node, _) = queue::limit(&self.plan, &start)?;
        let was_claimed = scope.node(&start.node).is_some_and(|start| !start.token.is_none());
        (was_claimed && !self.has_ended(scope)).then(|| (node, scope.path.clone()))
    }

    /// Releases the claims of this replica, and makes the run due at once.
    pub(crate) fn release(&mut self, circumstances: &Circumstances) {
        if self.role == Role::Left {
            return;
        }
        if self.durability == Durability::Memory {
            self.todo.push_front(Todo::Release);
            return self.todo.push_front(Todo::MakeDurable);
        }
        if !self.batch.is_empty() {
            self.todo.push_front(Todo::Release);
            return self.commit(circumstances.now);
        }
        let running: Vec<_> = self.running.iter().map(|(path, claim)| (path.clone(), claim.token)).collect();
        self.cancel();
        for (path, token) in &running {
            let release = Event::Release { path: path.clone(), token: *token };
            let _ = self.apply_now(release, circumstances.now);
        }
        self.role = Role::Owner(Watch { checked: circumstances.now, sleeps: Some(circumstances.now), answers: 0 });
        self.todo.push_front(Todo::Released(running.len()));
        self.todo.push_front(Todo::Commit);
    }
}

/// Whether this is a handler of the run, and not a node of the flow.
pub(crate) fn is_hook(path: &NodePath) -> bool {
    path.scope.is_root() && path.node.is_reserved()
}
