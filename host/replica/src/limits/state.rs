//! What this replica has of one document of a limit, and what it is about to change there.

use super::place::{Granted, Slept};
use faas_flow_core::limit::{Allowance, Entered, Figures, Lines, Share, Ticket, Waiter};
use faas_flow_core::run::WaitId;
use faas_flow_core::{Failure, FlowName, Millis};
use std::collections::{HashMap, HashSet};
use tokio::sync::oneshot;

/// A change of the document that somebody asks for.
#[derive(Debug)]
pub(super) enum Op {
    /// A permit, or a place in line.
    Enter { since: Millis, reply: oneshot::Sender<Result<Granted, Failure>> },
    /// The node is about to be suspended.
    Sleep { wait: WaitId, reply: oneshot::Sender<Result<Slept, Failure>> },
    /// The permit, or the place, is given up.
    Leave,
    /// The permit stays although nobody renews it.
    Park { leased: bool },
    /// The permit is given up, also if another replica has it.
    Drop,
}

/// What is asked, for which key and by whom.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) ticket: Ticket,
    pub(super) op: Op,
}

/// What this replica has leased of a key.
#[derive(Debug, Default)]
pub(super) struct Leased {
    /// How many permits.
    pub(super) permits: u32,
    /// How many of them are used, and how many were used at a time since the lease was last renewed.
    pub(super) used: u32,
    pub(super) peak: u32,
    /// The share of the rate, in calls per second.
    pub(super) share: f64,
    pub(super) paced: Share,
    /// Until when it is in force, by the clock that only measures durations.
    pub(super) until: Millis,
}

/// What this replica knows, holds and wants.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What the flow says that the limit allows, as of the latest node that asked. It counts unless the operator says something.
    pub(super) figures: Figures,
    /// What the limit allowed when the document was last changed.
    pub(super) allowance: Allowance,
    pub(super) pending: Vec<Asked>,
    /// When the oldest of these was asked for, or was last tried.
    pub(super) asked: Option<Millis>,
    pub(super) leased: HashMap<String, Leased>,
    /// The permits and places that are renewed here, and who waits here for one.
    pub(super) tickets: HashMap<(String, Ticket), Option<oneshot::Sender<()>>>,
    /// Nodes that this replica has suspended, and that wait for a permit.
    pub(super) asleep: HashMap<(String, Ticket), Waiter>,
    /// Permits that this replica has parked.
    pub(super) parked: HashSet<(String, Ticket)>,
    /// The keys of which nothing may be leased, as far as this replica knows: somebody waits, or too much is given out.
    pub(super) busy: HashSet<String>,
    /// How many are about to ask.
    pub(super) users: usize,
    /// Whether the task runs that renews what is here.
    pub(super) is_tended: bool,
    /// Whether this replica stops, so that it leases nothing any more.
    pub(super) is_closed: bool,
    /// Whether another replica had changed the document before this one could, and may do so again.
    pub(super) is_contended: bool,
    /// When the document was last read or written, or could not be, by the clock that only measures durations.
    pub(super) confirmed: Millis,
    /// When everything was last renewed, and when parked permits were last looked at.
    pub(super) renewed: Millis,
    pub(super) looked: Millis,
}

/// On what terms the document is changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct On<'a> {
    pub(super) allowance: &'a Allowance,
    /// This replica.
    pub(super) owner: &'a str,
    /// The flow whose limit it is; `None` if only the operator limits the function that is called.
    pub(super) flow: &'a Option<FlowName>,
    pub(super) now: Millis,
    pub(super) lease: Millis,
}

/// What a change yields once it is committed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// For each permit that was asked for, in order.
    pub(super) entered: Vec<Option<Entered>>,
    /// For each node that is about to sleep.
    pub(super) waits: Vec<bool>,
    /// Those who sleep and have got a permit.
    pub(super) woken: Vec<(String, Waiter)>,
    /// Whether everything was renewed.
    pub(super) renews: bool,
}

impl State {
    /// Uses a leased permit of a key, if there is one.
    pub(super) fn take(&mut self, key: &str, figures: Figures, now: Millis, uptime: Millis) -> bool {
        if self.busy.contains(key) {
            return false;
        }
        let Figures { concurrent, per_second } = figures;
        let Some(leased) = self.leased.get_mut(key).filter(|leased| uptime < leased.until) else { return false };
        if concurrent.is_some() && leased.used >= leased.permits {
            return false;
        }
        if per_second.is_some() && !leased.paced.take(leased.share, now) {
            return false;
        }
        leased.used += 1;
        leased.peak = leased.peak.max(leased.used);
        true
    }

    /// What is to be done now.
    pub(super) fn take_pending(&mut self) -> Vec<Asked> {
        self.asked = None;
        std::mem::take(&mut self.pending)
    }

    /// Gives a leased permit back.
    pub(super) fn untake(&mut self, key: &str) {
        if let Some(leased) = self.leased.get_mut(key) {
            leased.used = leased.used.saturating_sub(1);
        }
    }

    /// Whether it is time to renew what this replica has of the document. It is, too, if the clock has gone back.
    pub(super) fn must_renew(&self, now: Millis, lease: Millis) -> bool {
        now < self.renewed || now >= self.renewed.saturating_add(lease / 3)
    }

    /// Changes the document as is asked, and renews what this replica has of it, if that is due, or if something else is allowed
    /// than before.
    pub(super) fn apply(&mut self, lines: &mut Lines, asked: &[Asked], on: &On<'_>) -> Done {
        let On { allowance, owner, flow, now, lease } = *on;
        let has_changed = self.allowance != *allowance;
        let renews = has_changed || self.must_renew(now, lease);
        let mut done = Done { renews, ..Done::default() };
        lines.expire(now);
        lines.bound(allowance, now, lease);
        // How many leased permits more are used once it is committed, or less.
        let mut uses: HashMap<&str, i32> = HashMap::new();
        // What is given up first makes room for those who ask.
        let comes_first = |one: &&Asked| !matches!(one.op, Op::Enter { .. } | Op::Sleep { .. });
        for Asked { key, ticket, op } in asked.iter().filter(comes_first) {
            let line = lines.line(key);
            match op {
                Op::Leave => line.leave(owner, ticket),
                Op::Park { leased } => {
                    line.park((owner, flow, ticket), *leased, now + PARKED);
                    *uses.entry(key).or_default() -= i32::from(*leased);
                }
                Op::Drop => line.drop_ticket(ticket),
                Op::Enter { .. } | Op::Sleep { .. } => {}
            }
        }
        if renews {
            for (key, ticket) in self.tickets.keys() {
                lines.line(key).renew(owner, ticket, now + lease);
            }
        }
        if has_changed {
            // So that all that is in flight here counts.
            self.keep_leases(lines, &uses, on, renews);
        }
        // Those who came before are served before.
        admit(&mut done, lines, on);
        for Asked { key, ticket, op } in asked {
            if let Op::Sleep { wait, .. } = op {
                done.waits.push(lines.line(key).fall_asleep(ticket, *wait));
            }
        }
        for Asked { key, ticket, op } in asked {
            let Op::Enter { since, reply } = op else { continue };
            if reply.is_closed() {
                done.entered.push(None);
                continue;
            }
            let entered = lines.line(key).enter(allowance, (owner, flow, ticket), *since, now, lease);
            if entered == Entered::Leased {
                *uses.entry(key).or_default() += 1;
            }
            done.entered.push(Some(entered));
        }
        self.keep_leases(lines, &uses, on, renews);
        admit(&mut done, lines, on);
        lines.expire(now);
        done
    }

    /// Renews what this replica has leased, if that is due, and gives back what it does not use, at once if others need it.
    fn keep_leases(&mut self, lines: &mut Lines, uses: &HashMap<&str, i32>, on: &On<'_>, renews: bool) {
        for (key, leased) in &mut self.leased {
            let line = lines.line(key);
            let is_busy = self.is_closed || line.is_busy(on.allowance);
            if is_busy || renews {
                let used = leased.used.saturating_add_signed(uses.get(&**key).copied().unwrap_or_default());
                let keeps = if is_busy { used } else { used.max(leased.peak) };
                let is_used = keeps > 0 && !is_busy;
                line.keep_lease((on.owner, on.flow), used..=keeps, is_used, on.now + on.lease);
                // Before it is committed, so that nobody uses here what is being given back.
                leased.permits = leased.permits.min(keeps);
                if !is_used {
                    leased.share = 0.0;
                }
            }
        }
    }

    /// Takes note of the document as it is now.
    pub(super) fn note(&mut self, lines: &Lines, on: &On<'_>, renews: bool, until: Millis) {
        let On { allowance, owner, flow, .. } = *on;
        self.allowance = allowance.clone();
        self.busy = lines.iter().filter(|(_, line)| line.is_busy(allowance)).map(|(key, _)| key.to_owned()).collect();
        for (key, line) in lines.iter() {
            if let Some(hold) = line.lease_of(owner, flow) {
                let leased = self.leased.entry(key.to_owned()).or_default();
                if hold.permits > leased.permits || renews {
                    leased.until = until;
                }
                (leased.permits, leased.share) = (hold.permits, hold.share);
            }
        }
        for (key, leased) in &mut self.leased {
            if lines.get(key).and_then(|line| line.lease_of(owner, flow)).is_none() {
                (leased.permits, leased.share) = (0, 0.0);
            }
            if renews {
                leased.peak = leased.used;
            }
        }
        self.leased.retain(|_, leased| leased.permits > 0 || leased.share > 0.0 || leased.used > 0);
        let holds = |key: &str, ticket: &Ticket| lines.get(key).is_some_and(|line| line.hold_of(ticket).is_some());
        for ((key, ticket), waits) in &mut self.tickets {
            if waits.is_some()
                && holds(key, ticket)
                && let Some(waits) = waits.take()
            {
                // If its caller has gone away, its place is given up anyway.
                let _ = waits.send(());
            }
        }
    }

    /// Those who were suspended here and have got a permit, or have lost their place.
    pub(super) fn awake(&mut self, lines: &Lines) -> Vec<(String, Waiter)> {
        let waits = |key: &str, ticket: &Ticket| lines.get(key).is_some_and(|line| line.place_of(ticket).is_some());
        let awake = self.asleep.extract_if(|(key, ticket), _| !waits(key, ticket));
        awake.map(|((key, _), waiter)| (key, waiter)).collect()
    }

    /// How many nodes wait here for a permit: in memory, or suspended.
    pub(super) fn waiting(&self) -> usize {
        self.tickets.values().filter(|waits| waits.is_some()).count() + self.asleep.len()
    }

    /// Whether there is nothing that has to be renewed, or looked at.
    pub(super) fn is_idle(&self) -> bool {
        let Self { pending, leased, tickets, asleep, parked, users, .. } = self;
        pending.is_empty()
            && leased.is_empty()
            && tickets.is_empty()
            && asleep.is_empty()
            && parked.is_empty()
            && *users == 0
    }
}

/// For how long a parked permit is kept at most: longer than any node sleeps or waits for an answer.
const PARKED: Millis = 400 * 24 * 3600 * 1000;

fn admit(done: &mut Done, lines: &mut Lines, on: &On<'_>) {
    for (key, line) in lines.iter_mut() {
        let admitted = line.admit(on.allowance, on.owner, on.now, on.lease).into_iter();
        done.woken.extend(admitted.filter(|waiter| waiter.asleep.is_some()).map(|waiter| (key.to_owned(), waiter)));
    }
}
