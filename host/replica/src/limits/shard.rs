//! One document of a limit: changes are collected, and committed together.

use super::enter::PATIENCE;
use super::place::{Granted, Slept};
use super::state::{Asked, Done, On, Op, State};
use super::tend::LOOKS;
use crate::host::Host;
use crate::services::Services;
use faas_flow_core::limit::{Allowance, Entered, Lines, Scope, Ticket, document_of};
use faas_flow_core::run::{decode, encode};
use faas_flow_core::{Code, Failure, FlowName, Millis, Partition};
use faas_flow_store::{Change, CommitError, Expect, Put, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};

/// How often a change is tried again that conflicts with those of other replicas.
const TRIES: usize = 50;

/// The document as it was last read or written.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) version: u64,
    pub(super) lines: Lines,
}

/// The name of a limit, the flow whose limit it is, and the number of a document.
pub(super) type ShardId = (String, Option<FlowName>, u32);

/// One document of a limit, as those use it who keep to the limit of one flow.
pub(super) struct Shard {
    pub(super) host: Weak<Host>,
    /// The name of the limit.
    pub(super) name: String,
    /// The flow whose limit it is; `None` if only the operator limits the function that is called.
    pub(super) flow: Option<FlowName>,
    number: u32,
    state: Mutex<State>,
    /// Locked while the document is read or changed; `None` if nobody knows what it is.
    pub(super) known: AsyncMutex<Option<Known>>,
    /// Something is to be done sooner than was thought.
    pub(super) changed: Notify,
}

impl Shard {
    pub(super) fn new(host: Weak<Host>, (name, flow, number): ShardId) -> Self {
        let (state, known, changed) = (Mutex::default(), AsyncMutex::default(), Notify::new());
        Self { host, name, flow, number, state, known, changed }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id(&self) -> ShardId {
        (self.name.clone(), self.flow.clone(), self.number)
    }

    pub(super) fn services(&self) -> Option<Arc<Services>> {
        self.host.upgrade().map(|host| host.services.clone())
    }

    /// What the limit allows now: what the operator says, or else the flow. Everything, if nobody says anything any more.
    pub(super) fn allowance(&self, services: &Services, state: &State) -> Allowance {
        match services.limits.of_operator(&self.name) {
            Some(figures) => Allowance { figures, scope: Scope::All },
            None => Allowance { figures: state.figures, scope: Scope::Of(self.flow.clone()) },
        }
    }

    /// Notes that somebody is about to ask.
    pub(super) fn uses(&self) {
        self.state().users += 1;
    }

    pub(super) fn unuses(&self) {
        self.state().users -= 1;
    }

    pub(super) fn may_be_forgotten(&self) -> bool {
        let state = self.state();
        state.is_idle() && !state.is_tended
    }

    /// Asks for a change, which is committed at once or, if it is not urgent, within a moment.
    pub(super) fn ask(self: &Arc<Self>, key: String, ticket: Ticket, op: Op) {
        let services = self.services();
        let (now, uptime) = services.map_or((0, 0), |services| (services.now(), services.clock.uptime()));
        let mut state = self.state();
        let is_urgent = match op {
            Op::Leave => state.busy.contains(&key),
            // Behind others in line it can only wait, so it joins the commit that gives up a permit. If it has waited for long
            // before, it may have its permit already.
            Op::Enter { since, .. } => !state.busy.contains(&key) || since + PATIENCE.as_millis() as Millis <= now,
            Op::Sleep { .. } => !state.busy.contains(&key),
            Op::Park { .. } | Op::Drop => true,
        };
        state.pending.push(Asked { key, ticket, op });
        state.asked.get_or_insert(uptime);
        drop(state);
        self.go_on(is_urgent);
    }

    /// Uses the permit that a ticket was granted while its node was suspended, if this replica knows of it. This needs no
    /// commit.
    pub(super) async fn uses_permit(&self, key: &str, ticket: &Ticket) -> bool {
        let Some(services) = self.services() else { return false };
        let (owner, lease) = (&*services.rules.owner, services.rules.lease);
        let known = self.known.lock().await;
        let mut state = self.state();
        let line = known.as_ref().and_then(|known| known.lines.get(key));
        let has_permit = line.is_some_and(|line| line.has_permit(owner, ticket, services.now(), lease));
        // That of an earlier try is about to be given up.
        let is_given_up = state.pending.iter().any(|asked| asked.key == key && asked.ticket == *ticket);
        if !has_permit || is_given_up {
            return false;
        }
        let place = (key.to_owned(), ticket.clone());
        state.asleep.remove(&place);
        state.tickets.insert(place, None);
        true
    }

    /// Commits what is asked for now, or soon.
    pub(super) fn go_on(self: &Arc<Self>, is_urgent: bool) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !std::mem::replace(&mut self.state().is_tended, true) {
            runtime.spawn(self.clone().tend());
        }
        if is_urgent {
            let shard = self.clone();
            runtime.spawn(async move { shard.settle(false).await });
        } else {
            self.changed.notify_one();
        }
    }

    /// Commits what is asked for, and what is due. `afresh` if others may have changed the document, and nobody would notice.
    pub(super) async fn settle(self: &Arc<Self>, afresh: bool) {
        let Some(services) = self.services() else { return };
        let mut known = self.known.lock().await;
        let asked = self.state().take_pending();
        let lease = services.rules.lease;
        if asked.is_empty() && !afresh && !self.state().must_renew(services.now(), lease) {
            // What was asked for is done, together with something else.
            if known.is_some() && !self.is_due(known.as_ref(), &services) {
                return;
            }
        }
        if afresh && services.clock.uptime() >= self.state().confirmed.saturating_add(LOOKS) {
            *known = None;
        }
        match self.commit(&services, &mut known, &asked).await {
            Ok((done, allowance, until)) => {
                let lines = known.as_ref().map(|known| known.lines.clone()).unwrap_or_default();
                self.finish(asked, done, &lines, &self.on(&services, &allowance), until);
            }
            Err(failure) => {
                *known = None;
                self.fail(asked, &failure, services.clock.uptime());
            }
        }
    }

    /// Whether somebody in line may have a permit by now.
    fn is_due(&self, known: Option<&Known>, services: &Services) -> bool {
        let (allowance, now) = (self.allowance(services, &self.state()), services.now());
        let lines = known.map(|known| known.lines.iter()).into_iter().flatten();
        lines.into_iter().any(|(_, line)| line.next_admission(&allowance, now).is_some_and(|moment| moment <= now))
    }

    fn on<'a>(&'a self, services: &'a Services, allowance: &'a Allowance) -> On<'a> {
        let (owner, now, lease) = (&*services.rules.owner, services.now(), services.rules.lease);
        On { allowance, owner, flow: &self.flow, now, lease }
    }

    async fn commit(
        &self,
        services: &Services,
        known: &mut Option<Known>,
        asked: &[Asked],
    ) -> Result<(Done, Allowance, Millis), Failure> {
        let partition = Partition::of_limit(&self.name);
        let mut last_seen = known.as_ref().map(|known| known.version);
        if self.state().is_contended {
            // To read it first takes two round trips. To be refused, to read it and to commit again would take three.
            *known = None;
        }
        for _ in 0..TRIES {
            let Known { version, lines: before } = match known {
                Some(known) => known.clone(),
                None => {
                    let read = self.read(services).await?;
                    if last_seen.take() == Some(read.version) {
                        self.state().is_contended = false;
                    }
                    known.insert(read).clone()
                }
            };
            let learned = services.learn_limits_up_to(before.generation).await;
            learned.map_err(|error| Failure::retry(error.code(), error.to_string()))?;
            let (until, mut lines) = (services.clock.uptime() + services.rules.lease, before.clone());
            let (allowance, done) = {
                let mut state = self.state();
                lines.generation = services.limits.generation();
                let allowance = self.allowance(services, &state);
                let done = state.apply(&mut lines, asked, &self.on(services, &allowance));
                (allowance, done)
            };
            if lines == before {
                return Ok((done, allowance, until));
            }
            let now = services.clock.uptime();
            let put = Put { doc: self.document(), expect: Expect::Version(version), bytes: encode(&lines).into() };
            match services.state.commit(&partition, Change { puts: vec![put], ..Change::default() }).await {
                Ok(committed) => {
                    self.state().confirmed = now;
                    let version = committed.versions.first().copied().unwrap_or(version + 1);
                    *known = Some(Known { version, lines });
                    return Ok((done, allowance, until));
                }
                Err(CommitError::Conflict) => {
                    *known = None;
                    last_seen = None;
                    self.state().is_contended = true;
                }
                Err(CommitError::Store(error)) => return Err(failed(&error)),
            }
        }
        Err(Failure::retry(Code::STORE_UNAVAILABLE, "too many replicas change the same limit at the same time"))
    }

    async fn read(&self, services: &Services) -> Result<Known, Failure> {
        let now = services.clock.uptime();
        let read = services.state.read(&Partition::of_limit(&self.name), &[self.document()]).await;
        let document = read.map_err(|error| failed(&error))?.into_iter().next().flatten();
        self.state().confirmed = now;
        let Some(document) = document else { return Ok(Known::default()) };
        let lines = decode(&document.bytes).map_err(|error| Failure::reject(error.code(), error.to_string()))?;
        Ok(Known { version: document.version, lines })
    }

    fn document(&self) -> String {
        document_of(self.number)
    }

    /// Tells everybody what has come of what they asked for.
    fn finish(self: &Arc<Self>, asked: Vec<Asked>, done: Done, lines: &Lines, on: &On<'_>, until: Millis) {
        let Done { entered, waits, mut woken, renews } = done;
        let (mut entered, mut waits) = (entered.into_iter(), waits.into_iter());
        let mut state = self.state();
        if renews {
            state.renewed = on.now;
        }
        for Asked { key, ticket, op } in asked {
            match op {
                Op::Enter { reply, .. } => self.entered(&mut state, (key, ticket), entered.next().flatten(), reply),
                Op::Sleep { reply, .. } => {
                    let still = waits.next().unwrap_or_default();
                    let has_permit = lines.get(&key).is_some_and(|line| line.hold_of(&ticket).is_some());
                    if still {
                        let waiter =
                            lines.get(&key).and_then(|line| line.queue.iter().find(|one| one.ticket == ticket));
                        if let Some(waiter) = waiter {
                            state.asleep.insert((key.clone(), ticket.clone()), waiter.clone());
                        }
                        state.tickets.remove(&(key, ticket));
                    }
                    let slept = if still {
                        Slept::Waits
                    } else if has_permit {
                        Slept::Permit
                    } else {
                        Slept::Lost
                    };
                    // If its caller has gone away, its turn will show that.
                    let _ = reply.send(Ok(slept));
                }
                Op::Park { leased } => {
                    if leased {
                        state.untake(&key);
                    }
                    state.parked.insert((key, ticket));
                }
                Op::Leave => {}
                Op::Drop => {
                    state.parked.remove(&(key, ticket));
                }
            }
        }
        state.note(lines, on, renews, until);
        for (key, waiter) in state.awake(lines) {
            if !woken.iter().any(|(_, one)| one.ticket == waiter.ticket) {
                woken.push((key, waiter));
            }
        }
        drop(state);
        for (key, waiter) in woken {
            tokio::spawn(self.clone().wake(key, waiter));
        }
        self.changed.notify_one();
    }

    fn entered(
        &self,
        state: &mut State,
        (key, ticket): (String, Ticket),
        entered: Option<Entered>,
        reply: oneshot::Sender<Result<Granted, Failure>>,
    ) {
        state.asleep.remove(&(key.clone(), ticket.clone()));
        let granted = match entered {
            None => return,
            Some(Entered::Leased) => {
                let leased = state.leased.entry(key.clone()).or_default();
                leased.used += 1;
                leased.peak = leased.peak.max(leased.used);
                Granted::Leased
            }
            Some(Entered::Granted) => {
                state.parked.remove(&(key.clone(), ticket.clone()));
                state.tickets.insert((key.clone(), ticket.clone()), None);
                Granted::Ticket
            }
            Some(Entered::Waits) => {
                let (grants, granted) = oneshot::channel();
                state.tickets.insert((key.clone(), ticket.clone()), Some(grants));
                Granted::Waits(granted)
            }
            Some(Entered::Full) => Granted::Full,
        };
        // If its caller has gone away, it has given up its place.
        match reply.send(Ok(granted)) {
            Err(Ok(Granted::Leased)) => state.untake(&key),
            Err(_) => drop(state.tickets.remove(&(key, ticket))),
            Ok(()) => {}
        }
    }

    /// Answers what could not be done. What gives something up is tried again.
    fn fail(&self, asked: Vec<Asked>, failure: &Failure, uptime: Millis) {
        let mut again = Vec::new();
        for one in asked {
            match one.op {
                Op::Enter { reply, .. } => drop(reply.send(Err(failure.clone()))),
                Op::Sleep { reply, .. } => drop(reply.send(Err(failure.clone()))),
                Op::Leave | Op::Park { .. } | Op::Drop => again.push(one),
            }
        }
        let mut state = self.state();
        state.confirmed = uptime;
        again.append(&mut state.pending);
        state.asked = (!again.is_empty()).then_some(uptime);
        state.pending = again;
    }

    /// Gives back what is not used, since this replica stops.
    pub(super) async fn close(self: &Arc<Self>) {
        {
            let mut state = self.state();
            state.is_closed = true;
            state.renewed = 0;
        }
        self.settle(false).await;
    }
}

fn failed(error: &StoreError) -> Failure {
    Failure::retry(error.code(), error.to_string())
}
