//! What the keeper of a run does for it now and then, and what happens when a replica takes a run up or gives it back.

use super::live::{Inner, Live, node};
use super::queue;
use super::step::may_pass;
use crate::Error;
use crate::counters::Lease;
use crate::versions::runs::{load, refresh};
use faas_flow_core::run::{Doc, Event, NodeState, Phase, Progress, Scope, Work, set_of};
use faas_flow_core::{NodePath, ScopePath};
use std::sync::Arc;

/// Whether what became ready a moment ago is in good hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// It may be on its way as an event.
    Events,
    /// Whoever would have sent an event is gone.
    Nobody,
}

impl Live {
    /// Renews what this replica holds, takes up what nobody holds, and notices what others did to the run.
    pub(super) async fn beat(self: &Arc<Self>) {
        self.beat_with(Trust::Events).await;
    }

    async fn beat_with(self: &Arc<Self>, trust: Trust) {
        let mut inner = self.lock().await;
        if let Err(error) = self.store_now(&mut inner).await {
            tracing::warn!(run = %self.id, code = %error.code(), "cannot store the run yet: {error}");
            return;
        }
        let (mut works, looked) = (Vec::new(), inner.looked);
        let beaten = self.try_beat(&mut inner, trust, &mut works).await;
        if self.or_break_off(&mut inner, &mut works, beaten).is_err() {
            return;
        }
        let whole = inner.keeper && !inner.gone && inner.looked != looked;
        let branching = if whole { inner.state.branching() } else { Vec::new() };
        drop(inner);
        self.spawn(works);
        if let Err(error) = self.join(branching).await {
            tracing::warn!(run = %self.id, code = %error.code(), "cannot see which branches have ended: {error}");
        }
    }

    /// Lets nodes go on whose branches have all arrived: whoever brought the last one may have been lost right after.
    async fn join(self: &Arc<Self>, branching: Vec<(NodePath, u32, u32)>) -> Result<(), Error> {
        for (node, epoch, total) in branching {
            if total > 1 && self.host.state.arrived(&self.id, &set_of(&node, epoch)).await? == u64::from(total) {
                self.react_and_spawn(Event::Joined { path: node, epoch }).await;
            }
        }
        Ok(())
    }

    async fn try_beat(self: &Arc<Self>, inner: &mut Inner, trust: Trust, works: &mut Vec<Work>) -> Result<(), Error> {
        // What is at hand is about to be replaced by what is stored.
        self.save(inner, works).await?;
        let at = self.host.now();
        if inner.gone {
            return Ok(());
        }
        match self.look(inner, at).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // What is under way goes on: if the store is away for so long that others take it up, their claims stand.
            Err(error) if may_pass(error.code()) => {
                tracing::warn!(run = %self.id, code = %error.code(), "cannot renew what it executes yet: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let until = at + self.lease();
        let running: Vec<_> = inner.running.iter().map(|(path, running)| (path.clone(), running.token)).collect();
        let mut renewed = 0;
        for (path, token) in running {
            renewed += usize::from(self.advance(inner, Event::Renew { path, token, until }, at, works).is_ok());
        }
        self.enqueue_claimable(inner, trust, at);
        self.fill(inner, at, works);
        inner.sleeps = (inner.looked == at).then(|| self.sleep(inner, at)).flatten();
        self.save_with_entry(inner, works).await?;
        self.host.counters.leases(Lease::Renewed, renewed);
        if inner.sleeps.is_some() {
            self.leave(inner);
        }
        if inner.state.run().deadline.is_some_and(|deadline| deadline <= at) && inner.state.run().phase == Phase::Flow {
            self.apply(inner, Event::Deadline, Vec::new(), works).await?;
        }
        self.go_on(inner, works).await
    }

    /// Looks at what others may have done to the run; whether there is something left to do for this replica.
    async fn look(self: &Arc<Self>, inner: &mut Inner, at: u64) -> Result<bool, Error> {
        if inner.keeper && at.saturating_sub(inner.looked) >= self.lease() {
            let Some(state) = load(&*self.host.state, &self.id).await? else { return Ok(self.leave(inner)) };
            (inner.state, inner.looked) = (state, at);
            self.set_open(inner);
        } else if !refresh(&*self.host.state, &self.id, &mut inner.state, &[Doc::Run]).await? {
            return Ok(self.leave(inner));
        }
        self.obey(inner).await;
        Ok(!inner.gone)
    }

    /// Stops what has become pointless when somebody else ended, stopped or paused the run.
    pub(super) async fn obey(self: &Arc<Self>, inner: &mut Inner) {
        let run = inner.state.run();
        if run.phase == Phase::Ended {
            self.cancel(inner);
            return self.announce(inner).await;
        }
        let hook = |path: &NodePath| path.scope.is_root() && path.node.is_reserved();
        if run.phase != Phase::Flow && inner.running.keys().any(|path| !hook(path)) {
            self.cancel(inner);
        }
        if inner.state.run().paused && inner.running.is_empty() {
            self.announce(inner).await;
        }
    }

    /// Queues what may be claimed and is in nobody's hands. What became ready a moment ago may be on its way as an event.
    fn enqueue_claimable(&self, inner: &mut Inner, trust: Trust, at: u64) {
        for path in inner.state.claimable(at) {
            let fresh = |node: &NodeState| node.suspended.is_none() && node.since + self.lease() > at;
            let fresh = trust == Trust::Events && self.host.may_send() && node(&inner.state, &path).is_some_and(fresh);
            if fresh || inner.running.contains_key(&path) || inner.queue.contains(&path) {
                continue;
            }
            // A start of a branch counts as under way once it was claimed; before, its turn may not have come.
            let begun = node(&inner.state, &path).is_some_and(|node| node.token > 0);
            match !begun && queue::limit(&self.plan, &path).is_some() {
                true => inner.queue.add(&self.plan, path),
                false => inner.queue.add_here(path),
            }
        }
    }

    /// Until when the run may be left alone, if all that it does is to wait for a moment well ahead.
    fn sleep(&self, inner: &Inner, at: u64) -> Option<u64> {
        let runs = |node: &NodeState| node.progress == Progress::Running;
        let runs = inner.state.scopes().flat_map(|scope| &scope.nodes).chain(&inner.state.run().hooks).any(runs);
        let idle = !runs && inner.queue.is_empty() && inner.outbox.is_empty() && inner.state.claimable(at).is_empty();
        let wake = inner.state.next_wake().filter(|wake| idle && *wake > at + self.lease())?;
        Some(inner.state.run().deadline.map_or(wake, |deadline| wake.min(deadline)))
    }

    /// Claims what waited for this moment.
    pub(super) async fn wake(self: Arc<Self>) {
        let mut inner = self.lock().await;
        let mut works = Vec::new();
        if inner.gone {
            return;
        }
        let at = self.host.now();
        self.enqueue_claimable(&mut inner, Trust::Events, at);
        self.fill(&mut inner, at, &mut works);
        let gone_on = self.go_on(&mut inner, &mut works).await;
        let _ = self.or_break_off(&mut inner, &mut works, gone_on);
        drop(inner);
        self.spawn(works);
    }

    /// Makes this replica the run's keeper: it takes up everything that may be claimed.
    pub(super) async fn keep(self: &Arc<Self>) -> Result<(), Error> {
        let mut inner = self.lock().await;
        if inner.gone {
            return Ok(());
        }
        let mut works = Vec::new();
        let kept = self.try_keep(&mut inner, &mut works).await;
        self.or_break_off(&mut inner, &mut works, kept)?;
        let branching = if inner.gone { Vec::new() } else { inner.state.branching() };
        drop(inner);
        self.spawn(works);
        self.join(branching).await?;
        self.beat_with(Trust::Nobody).await;
        Ok(())
    }

    async fn try_keep(self: &Arc<Self>, inner: &mut Inner, works: &mut Vec<Work>) -> Result<(), Error> {
        if inner.keeper {
            self.set_open(inner);
            return Ok(());
        }
        self.save(inner, works).await?;
        (inner.keeper, inner.looked) = (true, 0);
        let at = self.host.now();
        self.look(inner, at).await.map(|_| ())
    }

    /// Notes the branches that are under way, where their number is limited.
    fn set_open(&self, inner: &mut Inner) {
        let open: Vec<_> = inner.state.scopes().filter_map(|scope| self.open(scope)).collect();
        inner.queue.set_open(&self.plan, open);
    }

    /// The node whose limited branch this is, if it is under way.
    fn open(&self, scope: &Scope) -> Option<(NodePath, ScopePath)> {
        let dag = self.plan.dag(&scope.path)?;
        let start = scope.nodes.get(dag.start)?;
        let ended = scope.nodes.get(dag.end).is_some_and(|end| end.progress == Progress::Done);
        let (node, _) = queue::limit(&self.plan, &scope.path.node(&start.id))?;
        (start.token > 0 && !ended).then(|| (node, scope.path.clone()))
    }

    /// Gives back what this replica executes and leaves the run to others, who find it due at once.
    pub(super) async fn release(self: &Arc<Self>) -> usize {
        let mut inner = self.lock().await;
        if inner.gone {
            return 0;
        }
        if let Err(error) = self.store_now(&mut inner).await {
            tracing::error!(run = %self.id, code = %error.code(), "loses the run, which is not stored: {error}");
            return 0;
        }
        let released = self.try_release(&mut inner).await;
        let released = self.or_break_off(&mut inner, &mut Vec::new(), released).unwrap_or_default();
        self.leave(&mut inner);
        released
    }

    async fn try_release(self: &Arc<Self>, inner: &mut Inner) -> Result<usize, Error> {
        let mut works = Vec::new();
        self.save(inner, &mut works).await?;
        let running: Vec<_> = inner.running.iter().map(|(path, running)| (path.clone(), running.token)).collect();
        self.cancel(inner);
        if inner.gone {
            return Ok(0);
        }
        let now = self.host.now();
        for (path, token) in &running {
            let release = Event::Release { path: path.clone(), token: *token };
            let _ = self.advance(inner, release, now, &mut works);
        }
        (inner.sleeps, inner.keeper) = (Some(now), true);
        self.save_with_entry(inner, &mut works).await?;
        self.host.counters.leases(Lease::GivenBack, running.len());
        Ok(running.len())
    }
}
