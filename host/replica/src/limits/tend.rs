//! The task that renews what this replica has of a limit, and sees to it that those who wait get on.

use super::shard::Shard;
use super::state::Op;
use crate::answers::Answered;
use faas_flow_core::Millis;
use faas_flow_core::limit::Waiter;
use faas_flow_core::run::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often the document is read while somebody waits here.
pub(super) const LOOKS: Millis = 50;
/// How often it is read while nodes are suspended that wait, or while there is something that others might need.
const SELDOM_LOOKS: Millis = 250;

impl Shard {
    /// Renews what is here, until there is nothing more.
    pub(super) async fn tend(self: Arc<Self>) {
        let mut due: Option<Instant> = None;
        while let Some((wait, afresh)) = self.next_look().await {
            let next = Instant::now() + Duration::from_millis(wait);
            let at = due.map_or(next, |due| due.min(next));
            due = Some(at);
            if tokio::time::timeout_at(at, self.changed.notified()).await.is_err() {
                self.settle(afresh).await;
                self.look_at_parked().await;
                due = None;
            }
        }
        if let Some(services) = self.services() {
            services.limits.forget(&self);
        }
    }

    /// After how many milliseconds something is to be done, and whether the document is to be read then; `None` if there is
    /// nothing more to do.
    async fn next_look(&self) -> Option<(Millis, bool)> {
        let services = self.services()?;
        // The operator may have changed the limit for those who wait already. Nobody waits here until that is known.
        drop(services.look_up_limits());
        let known = self.known.lock().await;
        let now = services.now();
        let mut state = self.state();
        let allowance = self.allowance(&services, &state);
        let waits_here = state.tickets.values().any(Option::is_some);
        let (mut wait, afresh) = match () {
            () if waits_here => (LOOKS, true),
            () if !state.asleep.is_empty() || !state.leased.is_empty() => (SELDOM_LOOKS, true),
            () => (services.rules.lease / 3, false),
        };
        let mut afresh = afresh;
        if !state.pending.is_empty() {
            wait = wait.min(LOOKS);
        }
        let lines = known.as_ref().map(|known| &known.lines);
        if waits_here || !state.asleep.is_empty() {
            let moments = lines.into_iter().flat_map(|lines| lines.iter());
            let next = moments.filter_map(|(_, line)| line.next_admission(&allowance, now)).min();
            if let Some(next) = next.map(|next| next.saturating_sub(now).max(1)).filter(|next| *next <= wait) {
                (wait, afresh) = (next, false);
            }
        }
        if state.is_idle() {
            let is_left_to_others = lines.is_some_and(|lines| lines.iter().all(|(_, line)| !line.only_paces()));
            if is_left_to_others {
                state.is_tended = false;
                return None;
            }
        }
        Some((wait.max(1), afresh))
    }

    /// Continues a suspended node that has got its permit, if this replica can. If it cannot, another one does; if none does,
    /// the permit is free again once its lease has run out.
    pub(super) async fn wake(self: Arc<Self>, key: String, waiter: Waiter) {
        let (Some(host), Some(wait)) = (self.host.upgrade(), waiter.asleep) else { return };
        let ticket = waiter.ticket;
        match host.wake(&ticket.flow, &ticket.run, &ticket.node, wait).await {
            Ok(Answered::Ignored(Refusal::Ended) | Answered::UnknownRun) => self.ask(key, ticket, Op::Drop),
            // Nobody uses the permit until the run is resumed. Then the node asks again, and has its place in line by the time
            // at which it first asked.
            Ok(_) if host.is_paused(&ticket.run).await => self.ask(key, ticket, Op::Drop),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(run = %ticket.run, node = %ticket.node, code = %error.code(), %error, "node with a permit not continued here");
            }
        }
    }

    /// Commits as soon as possible, since somebody waits for what was given up.
    pub(super) fn give_back(self: &Arc<Self>) {
        self.state().renewed = 0;
        self.go_on(true);
    }
}
