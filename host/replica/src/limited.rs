//! Nodes and calls that keep to limits over all runs.

use super::attempt::{NodeAttempt, Unfinished};
use super::call::{CallKind, NodeCall};
use super::drive::PATIENT_RETRIES;
use super::retries::count;
use crate::limits::{At, Place, Waited};
use faas_flow_core::definition::{Limit, Operations};
use faas_flow_core::limit::{Figures, LONGEST_KEY, Ticket};
use faas_flow_core::run::{Awaited, Outcome, Suspended, Task, Wait, WaitId};
use faas_flow_core::{Code, Content, Failure, Millis, RetryPolicy, split_target};
use std::time::Duration;
use tokio::time::Instant;

/// When a node in line looks whether it has a permit that nobody has told it of, after it has looked so often before.
const LOOKS: RetryPolicy = RetryPolicy::exponential(Duration::from_secs(30), Duration::from_secs(600));
/// When a node asks again for which there was no room in the line.
const AGAIN: RetryPolicy = RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(60));

/// What came of asking for permits.
pub(super) enum Entry {
    /// All of them.
    Permits(Permits),
    /// The node waits for one. It looks for it at `until` at the latest.
    Waits { wait: Wait, until: Millis },
}

impl Default for Entry {
    fn default() -> Self {
        Self::Permits(Permits::default())
    }
}

/// What came of asking for one permit.
enum Asked {
    Permit(Place),
    /// The node waits in line.
    Waits,
    /// There is no room in the line.
    Full,
}

/// Permits that are given up when they are dropped.
#[derive(Default)]
pub(super) struct Permits(Vec<Place>);

impl Permits {
    /// Keeps them while the node is suspended.
    pub(super) fn park(self) {
        self.0.into_iter().for_each(Place::park);
    }
}

impl NodeAttempt<'_> {
    /// Gets the permits that a try of a call needs. A call without limits asks nobody.
    pub(super) async fn enter_call(&mut self, node_call: NodeCall<'_>, data: &Content) -> Result<Entry, Failure> {
        let limits = self.limits_of(node_call, data).await?;
        self.enter(limits, Some(count(node_call.index))).await
    }

    /// Gives up the permits of a call that has got its answer, which were parked meanwhile.
    pub(super) async fn leave_call(&mut self, node_call: NodeCall<'_>, data: &Content) -> Result<(), Failure> {
        for at in self.limits_of(node_call, data).await? {
            let ticket = self.ticket(Some(count(node_call.index)));
            self.live.services.limits.leave(&at, ticket);
        }
        Ok(())
    }

    /// Gets the permit that an attempt of the node needs.
    pub(super) async fn enter_node(&mut self, operations: &Operations, data: &Content) -> Result<Entry, Failure> {
        let Some(limit) = &operations.limit else { return Ok(Entry::Permits(Permits::default())) };
        self.live.services.learn_limits().await;
        let goes_on = self.work.suspended.as_ref().is_some_and(|suspended| suspended.operation > 0);
        let at = if goes_on && limit.key.is_some() {
            // The key is that of the data with which the attempt has begun.
            let data = self.gather().await?;
            self.at(limit, &data).await?
        } else {
            self.at(limit, data).await?
        };
        self.enter(vec![at], None).await
    }

    /// Suspends the node until it has a permit, before its first operation or where it continues.
    pub(super) async fn wait_before(&mut self, data: Content, wait: Wait, until: Millis) -> Unfinished {
        let earlier = self.work.suspended.as_ref().filter(|suspended| suspended.data.is_some());
        let (operation, tries) = earlier.map_or((0, 0), |suspended| (suspended.operation, suspended.tries));
        let data = match earlier.and_then(|suspended| suspended.data.clone()) {
            Some(stored) => stored,
            None => match self.store("suspended/node", data).await {
                Ok(stored) => stored,
                Err(failure) => return failure.into(),
            },
        };
        Unfinished::Suspended(Suspended {
            operation,
            tries,
            data: Some(data),
            wait: Some(Box::new(wait)),
            ..Suspended::until(until)
        })
    }

    async fn enter(&mut self, limits: Vec<At>, operation: Option<u32>) -> Result<Entry, Failure> {
        let mut permits = Permits::default();
        for at in limits {
            let earlier = self.waited(&at);
            let since = earlier.map_or_else(|| self.live.services.now(), |wait| wait.since);
            let looks = earlier.map_or(0, |wait| wait.looks.saturating_add(1));
            let again = match self.ask_patiently(&at, operation, since).await? {
                Asked::Permit(place) => {
                    let services = &self.live.services;
                    services.counters.waited_for_permit(services.now().saturating_sub(since));
                    permits.0.push(place);
                    continue;
                }
                Asked::Waits => LOOKS,
                Asked::Full => AGAIN,
            };
            self.live.services.counters.waits_for_permit();
            permits.park();
            let id = self.wait_for_permit(operation);
            let delay = again.delay_after(looks.saturating_add(1).min(20), fastrand::f64());
            let until = self.live.services.now() + delay.map_or(60_000, |delay| delay.as_millis() as u64);
            let of = Awaited::Limit { name: at.name, key: at.key };
            return Ok(Entry::Waits { wait: Wait { id, of, since, limit: None, looks }, until });
        }
        Ok(Entry::Permits(permits))
    }

    /// Asks for a permit, again and again while the store fails: if the attempt began anew instead, it would repeat the calls
    /// that it has made. A node with a timeout stops asking after half of it, so that it does not time out because the store is
    /// away.
    async fn ask_patiently(&self, at: &At, operation: Option<u32>, since: Millis) -> Result<Asked, Failure> {
        let timeout_ms = match &self.work.task {
            Task::Operations(operations) => operations.timeout_ms,
            _ => None,
        };
        let until = timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms / 2));
        let mut delays = PATIENT_RETRIES.delays(fastrand::f64);
        loop {
            let asked = self.ask(at, operation, since).await;
            let delay = match &asked {
                Err(failure) if failure.code.may_pass_later() && !self.live.is_in_memory() => delays.next(),
                _ => None,
            };
            match delay.filter(|delay| until.is_none_or(|until| Instant::now() + *delay < until)) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return asked,
            }
        }
    }

    async fn ask(&self, at: &At, operation: Option<u32>, since: Millis) -> Result<Asked, Failure> {
        match self.live.services.limits.enter(at, self.ticket(operation), since).await? {
            Waited::Permit(place) => Ok(Asked::Permit(place)),
            Waited::InLine(place) => {
                self.live.be_stored().await?;
                let permit = place.sleep(self.wait_for_permit(operation)).await?;
                Ok(permit.map_or(Asked::Waits, Asked::Permit))
            }
            Waited::Full => {
                self.live.be_stored().await?;
                Ok(Asked::Full)
            }
        }
    }

    /// The wait of this node for a permit of this limit that ends now.
    fn waited(&self, at: &At) -> Option<&Wait> {
        let wait = self.work.suspended.as_ref()?.wait.as_deref()?;
        matches!(&wait.of, Awaited::Limit { name, key } if *name == at.name && *key == at.key).then_some(wait)
    }

    fn wait_for_permit(&self, operation: Option<u32>) -> WaitId {
        let goes_on = self.work.suspended.as_ref().map_or(0, |suspended| suspended.operation);
        WaitId { claim: self.work.token, operation: operation.unwrap_or(goes_on) }
    }

    fn ticket(&self, operation: Option<u32>) -> Ticket {
        let live = self.live;
        Ticket { flow: live.flow.name.clone(), run: live.id.clone(), node: self.work.path.clone(), operation }
    }

    /// The limits of a call: its own, and the operator's for the function.
    async fn limits_of(&mut self, node_call: NodeCall<'_>, data: &Content) -> Result<Vec<At>, Failure> {
        let mut limits = Vec::new();
        self.live.services.learn_limits().await;
        if let Some(limit) = &node_call.call.limit {
            limits.push(self.at(limit, data).await?);
        }
        if node_call.kind == CallKind::Function {
            let (name, _) = split_target(&node_call.call.target);
            let is_limited = self.live.services.limits.of_operator(name).is_some();
            if is_limited && limits.iter().all(|limit| limit.name != name) {
                let (name, figures) = (name.to_owned(), Figures::default());
                limits.push(At { name, flow: None, figures, key: String::new() });
            }
        }
        Ok(limits)
    }

    async fn at(&mut self, limit: &Limit, data: &Content) -> Result<At, Failure> {
        let Limit { name, figures, key } = limit;
        let key = match key {
            Some(handler) => self.instance().await?.key(handler, data).await?,
            None => String::new(),
        };
        if key.len() > LONGEST_KEY {
            let message =
                format!("the key of limit {name} has {} bytes, but at most {LONGEST_KEY} are possible", key.len());
            return Err(Failure::reject(Code::BAD_HANDLER_ANSWER, message));
        }
        let flow = Some(self.live.flow.name.clone());
        Ok(At { name: name.clone(), flow, figures: *figures, key })
    }
}

/// Keeps the permit of a node whose attempt goes on later, and gives up that of one whose attempt is over.
pub(super) fn settle(permits: Permits, outcome: &Result<Outcome, Unfinished>) {
    if let Err(Unfinished::Suspended(Suspended { data: Some(_), .. })) = outcome {
        permits.park();
    }
}
