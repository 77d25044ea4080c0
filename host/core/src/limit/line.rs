//! One key of a limit: who holds its permits, and who waits for them in which order.

use super::figures::{Allowance, Pace, Scope};
use super::hold::{Hold, Ticket, Waiter};
use crate::run::WaitId;
use crate::{FlowName, Millis};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// How many may wait in line for one key. Those who come later ask again after a while.
pub const MOST_WAITING: usize = 1000;

/// How much longer than a lease a permit may at least be held before it counts as written by a clock that was ahead: a replica
/// may have a longer lease than the one that reads it, while the operator changes it.
const MARGIN: Millis = 60_000;
/// How far the share of a replica may be paced beyond its interval: more was paced before its clock went back. In microseconds.
const OWN_MARGIN: u64 = 2_000_000;

/// What one key of a limit has given out, and who waits: for all flows that have a limit of this name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Permits that are held.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// Who waits, in the order of arrival.
    #[serde(rename = "q", default, skip_serializing_if = "VecDeque::is_empty")]
    pub queue: VecDeque<Waiter>,
    /// How far the rate is used.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    paced: Vec<Paced>,
}

/// Until when a flow has used the rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Paced {
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    flow: Option<FlowName>,
    /// In microseconds since the Unix epoch.
    #[serde(rename = "u")]
    until: u64,
}

/// What comes of asking for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// The ticket holds a permit.
    Granted,
    /// The replica has leased permits, of which the ticket uses one.
    Leased,
    /// The ticket waits in line.
    Waits,
    /// There is no room in the line: ask again after a while.
    Full,
}

fn micros(now: Millis) -> u64 {
    now.saturating_mul(1000)
}

impl Line {
    /// How many permits are held that count together.
    pub fn held(&self, scope: &Scope) -> u32 {
        let counted = self.holds.iter().filter(|hold| scope.has(&hold.flow));
        counted.fold(0, |sum, hold| sum.saturating_add(hold.permits))
    }

    fn shares(&self, scope: &Scope) -> f64 {
        self.holds.iter().filter(|hold| scope.has(&hold.flow)).map(|hold| hold.share).sum()
    }

    /// The pace of what is not leased to replicas.
    fn pace(&self, Allowance { figures, scope }: &Allowance) -> Option<Pace> {
        figures.per_second.map(|rate| Pace::new(rate - self.shares(scope)))
    }

    fn paced_until(&self, scope: &Scope) -> u64 {
        self.paced.iter().filter(|paced| scope.has(&paced.flow)).map(|paced| paced.until).max().unwrap_or_default()
    }

    /// Counts a call of a flow that begins at this moment.
    fn use_rate(&mut self, pace: Pace, scope: &Scope, flow: &Option<FlowName>, now: u64) {
        let until = pace.after(self.paced_until(scope), now);
        match self.paced.iter_mut().find(|paced| paced.flow == *flow) {
            Some(paced) => paced.until = until,
            None => self.paced.push(Paced { flow: flow.clone(), until }),
        }
    }

    /// The permit of a ticket.
    pub fn hold_of(&self, ticket: &Ticket) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.ticket.as_ref() == Some(ticket))
    }

    /// Whether a replica has a permit for a ticket that the ticket can use as it is: for at least half a lease nobody has to
    /// renew it.
    pub fn has_permit(&self, owner: &str, ticket: &Ticket, now: Millis, lease: Millis) -> bool {
        let hold = self.hold_of(ticket);
        hold.is_some_and(|hold| hold.owner == owner && !hold.parked && hold.until >= now + lease / 2)
    }

    /// What a replica has leased for whatever comes of a flow.
    pub fn lease_of(&self, owner: &str, flow: &Option<FlowName>) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.is_lease(owner, flow))
    }

    /// The place of a ticket in line, from 0.
    pub fn place_of(&self, ticket: &Ticket) -> Option<usize> {
        self.queue.iter().position(|waiter| waiter.ticket == *ticket)
    }

    fn waiting(&self, scope: &Scope) -> impl Iterator<Item = (usize, &Waiter)> {
        self.queue.iter().enumerate().filter(|(_, waiter)| scope.has(&waiter.flow))
    }

    /// Whether replicas are to give back what they have leased: somebody waits, or more is given out than is allowed by now.
    pub fn is_busy(&self, Allowance { figures, scope }: &Allowance) -> bool {
        self.waiting(scope).next().is_some()
            || self.held(scope) > figures.most()
            || figures.per_second.is_some_and(|rate| self.shares(scope) > rate / 2.0)
    }

    /// Drops the holds and waiters that were not renewed in time. Call this before every other change of the line.
    pub fn expire(&mut self, now: Millis) {
        self.holds.retain(|hold| hold.until > now);
        self.queue.retain(|waiter| waiter.asleep.is_some() || waiter.until > now);
        self.paced.retain(|paced| paced.until > micros(now));
    }

    /// Bounds what a replica has written whose clock was ahead, so that it stops nobody for longer than a lease, or than the time
    /// of a call at this rate. What is written while clocks disagree by less than a lease stays as it is. Call this after
    /// [`Line::expire`].
    pub fn bound(&mut self, allowance: &Allowance, now: Millis, lease: Millis) {
        let until = now.saturating_add(lease);
        let most = until.saturating_add(lease.max(MARGIN));
        for hold in self.holds.iter_mut().filter(|hold| !hold.parked && hold.until > most) {
            hold.until = until;
        }
        for waiter in self.queue.iter_mut().filter(|waiter| waiter.asleep.is_none() && waiter.until > most) {
            waiter.until = until;
        }
        if let Some(pace) = self.pace(allowance) {
            for paced in self.paced.iter_mut().filter(|paced| allowance.scope.has(&paced.flow)) {
                paced.until = pace.plausible(paced.until, micros(now), micros(lease));
            }
        }
    }

    /// Whether it says nothing: nothing is held, nobody waits, and the rate is not used.
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.queue.is_empty() && self.paced.is_empty()
    }

    /// Whether it says only how far the rate is used, so that it is empty after a while.
    pub fn only_paces(&self) -> bool {
        self.holds.is_empty() && self.queue.is_empty() && !self.paced.is_empty()
    }

    /// Asks for a permit for a ticket that came at `since`, under the limit of a flow, or under that of the operator alone.
    /// While less than half of the limit is used and nobody waits, the replica leases some more permits than this one.
    pub fn enter(
        &mut self,
        allowance: &Allowance,
        (owner, flow, ticket): (&str, &Option<FlowName>, &Ticket),
        since: Millis,
        now: Millis,
        lease: Millis,
    ) -> Entered {
        let until = now + lease;
        // What is renewed in time anyway is not changed.
        if self.has_permit(owner, ticket, now, lease) {
            return Entered::Granted;
        }
        if let Some(hold) = self.holds.iter_mut().find(|hold| hold.ticket.as_ref() == Some(ticket)) {
            (hold.owner, hold.until, hold.parked) = (owner.to_owned(), until, false);
            return Entered::Granted;
        }
        let in_line = self.waiting(&allowance.scope).count();
        if let Some(waiter) = self.queue.iter_mut().find(|waiter| waiter.ticket == *ticket) {
            (waiter.owner, waiter.until, waiter.asleep) = (owner.to_owned(), until, None);
        } else if in_line == 0 && self.lease_more(allowance, owner, flow, now, until) {
            return Entered::Leased;
        } else if in_line >= MOST_WAITING {
            return Entered::Full;
        } else {
            let place = self.queue.partition_point(|waiter| waiter.since <= since);
            let (ticket, owner, flow) = (ticket.clone(), owner.to_owned(), flow.clone());
            self.queue.insert(place, Waiter { ticket, since, until, owner, asleep: None, flow });
        }
        self.admit(allowance, owner, now, lease);
        if self.hold_of(ticket).is_some() { Entered::Granted } else { Entered::Waits }
    }

    /// Leases permits and a share of the rate to a replica, of which one call begins at once, if that leaves half of both to
    /// others.
    fn lease_more(
        &mut self,
        allowance: &Allowance,
        owner: &str,
        flow: &Option<FlowName>,
        now: Millis,
        until: Millis,
    ) -> bool {
        let Allowance { figures, scope } = allowance;
        let free = figures.concurrent.map_or(1, |most| (most / 2).saturating_sub(self.held(scope)));
        let permits = figures.concurrent.map_or(1, |most| (most / 4).min(free));
        let share = figures.per_second.map_or(0.0, |rate| rate / 8.0);
        let fits = figures.per_second.is_none_or(|rate| share >= 1.0 && self.shares(scope) + share <= rate / 2.0);
        if permits == 0 || !fits {
            return false;
        }
        if let Some(pace) = self.pace(allowance) {
            // Only while the rate is not used up to now: who leased a share of a busy limit would slow down the others.
            if self.paced_until(scope) > micros(now) {
                return false;
            }
            self.use_rate(pace, scope, flow, micros(now));
        }
        match self.holds.iter_mut().find(|hold| hold.is_lease(owner, flow)) {
            Some(hold) => {
                hold.permits = hold.permits.saturating_add(permits);
                hold.share += share;
                hold.until = until;
            }
            None => {
                let (owner, flow) = (owner.to_owned(), flow.clone());
                self.holds.push(Hold { owner, permits, share, until, ticket: None, parked: false, flow });
            }
        }
        true
    }

    /// Gives permits to those who wait, in the order of their arrival, as long as there are any. The replica vouches for them
    /// until they are taken over.
    pub fn admit(&mut self, allowance: &Allowance, owner: &str, now: Millis, lease: Millis) -> Vec<Waiter> {
        let mut admitted = Vec::new();
        while let Some(moment) = self.next_admission(allowance, now).filter(|moment| *moment <= now) {
            let first = self.waiting(&allowance.scope).next().map(|(place, _)| place);
            let Some(waiter) = first.and_then(|place| self.queue.remove(place)) else { break };
            if let Some(pace) = self.pace(allowance) {
                self.use_rate(pace, &allowance.scope, &waiter.flow, micros(moment.max(now)));
            }
            let owner = if waiter.asleep.is_some() { owner } else { &waiter.owner }.to_owned();
            let (ticket, flow) = (Some(waiter.ticket.clone()), waiter.flow.clone());
            self.holds.push(Hold { owner, permits: 1, share: 0.0, until: now + lease, ticket, parked: false, flow });
            admitted.push(waiter);
        }
        admitted
    }

    /// When the first in line may have a permit: a moment that may be past; `None` if nobody waits, or if nobody knows, since
    /// somebody else must give a permit back before.
    pub fn next_admission(&self, allowance: &Allowance, now: Millis) -> Option<Millis> {
        let Allowance { figures, scope } = allowance;
        self.waiting(scope).next()?;
        if self.held(scope) >= figures.most() {
            return None;
        }
        Some(self.pace(allowance).map_or(now, |pace| pace.next(self.paced_until(scope)).div_ceil(1000)))
    }

    /// Gives up what a replica holds for a ticket, or the place of the ticket in line. What another replica has taken over
    /// stays.
    pub fn leave(&mut self, owner: &str, ticket: &Ticket) {
        self.holds.retain(|hold| hold.owner != owner || hold.ticket.as_ref() != Some(ticket));
        self.queue.retain(|waiter| waiter.owner != owner || waiter.ticket != *ticket);
    }

    /// Gives up what anybody holds for a ticket that does not go on, and its place.
    pub fn drop_ticket(&mut self, ticket: &Ticket) {
        self.holds.retain(|hold| hold.ticket.as_ref() != Some(ticket));
        self.queue.retain(|waiter| waiter.ticket != *ticket);
    }

    /// Notes that the node of a ticket is about to be suspended until it has a permit. Whether it still waits.
    pub fn fall_asleep(&mut self, ticket: &Ticket, wait: WaitId) -> bool {
        let waiter = self.queue.iter_mut().find(|waiter| waiter.ticket == *ticket);
        waiter.map(|waiter| waiter.asleep = Some(wait)).is_some()
    }

    /// Keeps the permit of a ticket until a moment although nobody renews it. `leased` if it is one of those that the replica
    /// has leased.
    pub fn park(&mut self, (owner, flow, ticket): (&str, &Option<FlowName>, &Ticket), leased: bool, until: Millis) {
        if leased && let Some(lease) = self.holds.iter_mut().find(|hold| hold.is_lease(owner, flow)) {
            lease.permits = lease.permits.saturating_sub(1);
        }
        self.holds.retain(|hold| hold.ticket.as_ref() != Some(ticket));
        let (owner, ticket, flow) = (owner.to_owned(), Some(ticket.clone()), flow.clone());
        self.holds.push(Hold { owner, permits: 1, share: 0.0, until, ticket, parked: true, flow });
    }

    /// Renews what a replica has leased, and keeps only so many permits of it, but those that it uses, and a share of the rate
    /// only if it says so.
    pub fn keep_lease(
        &mut self,
        (owner, flow): (&str, &Option<FlowName>),
        permits: RangeInclusive<u32>,
        keeps_share: bool,
        until: Millis,
    ) {
        for hold in self.holds.iter_mut().filter(|hold| hold.is_lease(owner, flow)) {
            hold.permits = hold.permits.min(*permits.end()).max(*permits.start());
            hold.until = until;
            if !keeps_share {
                hold.share = 0.0;
            }
        }
        self.holds.retain(|hold| hold.permits > 0 || hold.share > 0.0);
    }

    /// Renews the permit or the place of a ticket. Whether it has one.
    pub fn renew(&mut self, owner: &str, ticket: &Ticket, until: Millis) -> bool {
        let mut found = false;
        for hold in self.holds.iter_mut().filter(|hold| hold.owner == owner && hold.ticket.as_ref() == Some(ticket)) {
            if !hold.parked {
                hold.until = until;
            }
            found = true;
        }
        for waiter in self.queue.iter_mut().filter(|waiter| waiter.owner == owner && waiter.ticket == *ticket) {
            waiter.until = until;
            found = true;
        }
        found
    }
}

/// What a replica may still use of a share of the rate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    paced_until: u64,
}

impl Share {
    /// Whether a call may begin now at this rate; if so, it counts.
    pub fn take(&mut self, per_second: f64, now: Millis) -> bool {
        let pace = Pace::new(per_second);
        self.paced_until = pace.plausible(self.paced_until, micros(now), OWN_MARGIN);
        let may = per_second > 0.0 && pace.next(self.paced_until) <= micros(now);
        if may {
            self.paced_until = pace.after(self.paced_until, micros(now));
        }
        may
    }
}
