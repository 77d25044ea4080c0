//! The task that renews what this replica has of a limit, and sees to it that those who wait get on.

use super::enter::PATIENCE;
use super::shard::Shard;
use super::state::{Op, State};
use crate::answers::Answered;
use crate::log::log_node;
use crate::services::Services;
use faas_flow_core::Millis;
use faas_flow_core::limit::{Hold, Lines, Ticket, Waiter};
use faas_flow_core::run::Refusal;
use std::sync::Arc;
use std::time::Duration;

/// How often the document is read while somebody waits here for what others have.
pub(super) const LOOKS: Millis = 50;
/// How often it is read while nodes are suspended that wait, or while there is something that others might need.
const SELDOM_LOOKS: Millis = 250;

impl Shard {
    /// Renews what is here, until there is nothing more.
    pub(super) async fn tend(self: Arc<Self>) {
        while let Some((wait, afresh)) = self.next_look().await {
            if tokio::time::timeout(Duration::from_millis(wait), self.changed.notified()).await.is_err() {
                self.settle(afresh).await;
                self.look_at_parked().await;
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
        let (now, uptime) = (services.now(), services.clock.uptime());
        let mut state = self.state();
        let allowance = self.allowance(&services, &state);
        let lines = known.as_ref().map(|known| &known.lines);
        let waits_here = state.tickets.values().any(Option::is_some);
        // Whatever changes the document for another reason does this too, and puts off the next look.
        let after = |moment: Millis, wait: Millis| moment.saturating_add(wait).saturating_sub(uptime);
        let third = services.rules.lease / 3;
        let renewal = state.renewed.saturating_add(third).saturating_sub(now).min(third);
        let (mut wait, mut afresh) = match () {
            () if waits_here && self.waits_for_others(&state, lines, &services) => {
                (after(state.confirmed, LOOKS), true)
            }
            () if waits_here || !state.asleep.is_empty() || !state.leased.is_empty() => {
                (after(state.confirmed, SELDOM_LOOKS), true)
            }
            // If it has failed, it is not tried again at once.
            () => (renewal.max(after(state.confirmed, SELDOM_LOOKS)), false),
        };
        if let Some(asked) = state.asked {
            wait = wait.min(after(asked, PATIENCE.as_millis() as Millis));
        }
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

    /// Whether somebody waits here for what others can give up: other replicas, or other flows on this one. A parked permit
    /// can be given up by anybody.
    fn waits_for_others(&self, state: &State, lines: Option<&Lines>, services: &Services) -> bool {
        let is_mine = |hold: &Hold| hold.owner == *services.rules.owner && hold.flow == self.flow && !hold.parked;
        let waiting = state.tickets.iter().filter(|(_, waits)| waits.is_some());
        let mut keys = waiting.map(|((key, _), _)| key);
        keys.any(|key| lines.and_then(|lines| lines.get(key)).is_none_or(|line| !line.holds.iter().all(is_mine)))
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
                let Ticket { flow, run, node: path, .. } = &ticket;
                match host.runs.get(run) {
                    Some(live) => {
                        log_node!(debug, live, (path, None), code = %error.code(), %error, "node with a permit not continued here");
                    }
                    None => {
                        tracing::debug!(%run, %flow, %path, code = %error.code(), %error, "node with a permit not continued here");
                    }
                }
            }
        }
    }

    /// Commits as soon as possible, since somebody waits for what was given up.
    pub(super) fn give_back(self: &Arc<Self>) {
        self.state().renewed = 0;
        self.go_on(true);
    }
}
