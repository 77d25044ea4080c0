//! Signals: nodes that wait for one, and those that come.

use super::attempt::{NodeAttempt, Unfinished};
use super::completion::run_to_completion;
use super::host::Host;
use super::live::Live;
use super::operations::Whose;
use super::retries::count;
use crate::Error;
use crate::events::Keys;
use faas_flow_core::definition::{SignalSource, WaitFor};
use faas_flow_core::run::{
    self, ADDRESS_KEY, Actor, Awaited, Doc, EarlySignals, Event, OperationKind, Phase, Refusal, SentSignal, Side,
    Suspended, Wait, WaitId,
};
use faas_flow_core::{
    Code, Content, Failure, FlowName, LONGEST_SLEEP_MS, Millis, Partition, RunId, ShownDuration, SignalName,
};
use faas_flow_guest::ContextError;
use faas_flow_session::{Documents, Input, Role};
use faas_flow_versions::runs::{load_run, read};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use url::form_urlencoded;

/// After how long a node that waits without a timeout is looked at: an entry of the store has to be due at some time.
const LONGEST_WAIT: Millis = 30 * 24 * 3600 * 1000;
/// How long the address of a signal is valid unless the flow's code says otherwise: 7 days.
const VALID: Millis = 7 * 24 * 3600 * 1000;
const NO_PUBLIC_URL: &str = "the flow asks for the address of a signal, but the host does not know at which address people reach it: set its configuration key `public_url` to the address of the gateway, for example `public_url: https://gateway.example.org` in the `environment` of `flow.yml`";

impl NodeAttempt<'_> {
    /// Yields the body of the signal that the node has got, or suspends the node until one comes.
    pub(super) async fn wait_for(
        &mut self,
        index: usize,
        wait: &WaitFor,
        data: Content,
    ) -> Result<Content, Unfinished> {
        let operation = count(index);
        if let Some(taken) = self.work.signals.iter().find(|taken| taken.operation == operation) {
            return Ok(self.live.fetch(&taken.body).await?);
        }
        self.notes.got(&data);
        self.keep(Whose::operation(OperationKind::WaitFor, index), Side::Input, &data);
        let now = self.live.services.now();
        let suspended = self.work.suspended.as_deref().filter(|suspended| suspended.operation == operation);
        let waits = match suspended.and_then(|suspended| suspended.wait.clone()) {
            Some(waits) => *waits,
            None => {
                let signal = self.signal_of(&wait.signal, &data).await?;
                let id = WaitId { claim: self.work.token, operation };
                let limit = wait.timeout_ms.map(|ms| now.saturating_add(ms));
                Wait { id, of: Awaited::Signal { signal }, since: now, limit, looks: 0 }
            }
        };
        if waits.limit.is_some_and(|limit| limit <= now) {
            let failed = no_signal(&waits).into();
            return match &wait.recover_from {
                Some(handler) => self.recover_from(handler, failed).await,
                None => Err(Unfinished::Failed(failed)),
            };
        }
        // Somebody must be able to send the signal to any replica.
        self.live.be_stored().await?;
        let data = match suspended.and_then(|suspended| suspended.data.clone()) {
            Some(stored) => stored,
            None => self.store(&format!("waits/{index}"), data).await?,
        };
        let until = waits.limit.unwrap_or(Millis::MAX).min(now + LONGEST_WAIT);
        let wait = Some(Box::new(waits));
        Err(Unfinished::Suspended(Suspended { operation, data: Some(data), wait, ..Suspended::until(until) }))
    }

    async fn signal_of(&mut self, source: &SignalSource, data: &Content) -> Result<SignalName, Failure> {
        match source {
            SignalSource::Named(name) => {
                SignalName::new(name).map_err(|error| Failure::reject(Code::BAD_SIGNAL, error.to_string()))
            }
            SignalSource::Handler(handler) => self.instance().await?.signal_name(handler, data).await,
        }
    }
}

fn no_signal(wait: &Wait) -> Failure {
    let limit = ShownDuration(Duration::from_millis(wait.limit.unwrap_or_default().saturating_sub(wait.since)));
    let signal = match &wait.of {
        Awaited::Signal { signal } => signal.as_str(),
        Awaited::Function { .. } | Awaited::Run { .. } | Awaited::Limit { .. } => "",
    };
    let message = format!("no signal `{signal}` came in {limit}: send it earlier, or give the wait a longer timeout");
    Failure::reject(Code::SIGNAL_TIMED_OUT, message)
}

/// A signal that somebody sends to a run.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Its name.
    pub name: SignalName,
    /// An idempotency key: of several signals with the same name and key, one counts.
    pub key: Option<String>,
    /// Its body.
    pub body: Content,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    /// A node goes on with it.
    Taken,
    /// No node waits for it yet, so the run keeps it.
    Kept,
    /// One with the same key has come before, so it does not count.
    Repeated,
}

impl Host {
    /// Gives a signal to a run. When this returns, it is stored.
    pub async fn signal(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        signal: &Signal,
        by: Option<&Actor>,
    ) -> Result<Signalled, Error> {
        let mut stored = None;
        let unknown = || Error::UnknownRun { run: run.clone() };
        loop {
            let live = match self.runs.get(run) {
                Some(live) => live,
                None => {
                    let state = load_run(&*self.services.state, run).await?.ok_or_else(unknown)?;
                    if state.run().flow != *flow {
                        return Err(unknown());
                    }
                    if state.run().phase == Phase::Ended {
                        // Its sender may not know that it came in time.
                        let key = signal.key.as_deref().unwrap_or_default();
                        if self.was_signalled(flow, run, &signal.name, key).await? {
                            return Ok(Signalled::Repeated);
                        }
                        return Err(Error::Refused { run: run.clone(), refusal: Refusal::Ended });
                    }
                    self.open(state, Role::Helper).await?
                }
            };
            if live.flow.name != *flow {
                return Err(unknown());
            }
            live.store().await?;
            if stored.is_none()
                && signal.body.bytes.len() > self.services.data.inline_limit
                && self.refuses_large(&live, run, signal).await?
            {
                return Ok(Signalled::Repeated);
            }
            let (sent, documents) = match &stored {
                Some(stored) => stored,
                None => stored.insert(self.store_signal(run, signal).await?),
            }
            .clone();
            let by = by.cloned();
            // Without an answer, this replica has left the run in the meantime.
            if let Some(signalled) = run_to_completion(async move { live.signal(sent, documents, by).await }).await? {
                return Ok(signalled);
            }
        }
    }

    /// Refuses a signal before its body gets into the data store, which cannot take back what belongs to a run that goes on. A
    /// signal is refused as it would be afterwards; if it is repeated, the answer is `true`. Others that come at the same moment
    /// may still fill what room there is.
    async fn refuses_large(&self, live: &Live, run: &RunId, signal: &Signal) -> Result<bool, Error> {
        let Signal { name, key, body } = signal;
        let docs = [Doc::Signal(name.clone()).name(), Doc::EarlySignals.name()];
        let read_docs = self.services.state.read(&Partition::of_run(run), &docs).await?;
        let mut documents = read_docs.into_iter();
        let mut next = || documents.next().flatten();
        let of_name: run::Signal =
            next().map_or_else(|| Ok(run::Signal::default()), |document| read(run, &document))?;
        let early: EarlySignals =
            next().map_or_else(|| Ok(EarlySignals::default()), |document| read(run, &document))?;
        if key.is_some() && of_name.came.iter().any(|came| came.key == *key) {
            return Ok(true);
        }
        if !live.plan.signals().include(name) {
            return Err(live.never_awaits(name));
        }
        if of_name.waiters.is_empty() {
            let refused = |refusal| Error::Refused { run: run.clone(), refusal };
            early.with(body.bytes.len() as u64).map_err(refused)?;
        }
        Ok(false)
    }

    /// Whether a signal with this idempotency key has come to a run that may still go on.
    pub async fn was_signalled(
        &self,
        flow: &FlowName,
        run: &RunId,
        name: &SignalName,
        key: &str,
    ) -> Result<bool, Error> {
        let state = load_run(&*self.services.state, run).await?;
        let state = state.filter(|state| state.run().flow == *flow);
        let state = state.ok_or_else(|| Error::UnknownRun { run: run.clone() })?;
        let docs = [Doc::Signal(name.clone()).name()];
        let documents = self.services.state.read(&Partition::of_run(run), &docs).await?;
        if let Some(document) = documents.into_iter().flatten().next() {
            let signal: run::Signal = read(run, &document)?;
            if signal.came.iter().any(|came| came.key.as_deref() == Some(key)) {
                return Ok(true);
            }
        }
        match state.run().phase {
            Phase::Flow => Ok(false),
            _ => Err(Error::Refused { run: run.clone(), refusal: Refusal::Ended }),
        }
    }

    async fn store_signal(&self, run: &RunId, signal: &Signal) -> Result<(SentSignal, Documents), Error> {
        let Signal { name, key, body } = signal;
        let id = fastrand::u64(..);
        let mut documents = Documents::new();
        let Content { bytes, media_type } = body.clone();
        let place = format!("(signal)/{name}/{id:016x}");
        let body = self.services.data.store_payload(run, place, bytes, &mut documents).await?.of_type(media_type);
        Ok((SentSignal { name: name.clone(), id, key: key.clone(), body }, documents))
    }
}

impl Live {
    fn never_awaits(&self, signal: &SignalName) -> Error {
        let known = self.plan.signals().names().map(SignalName::to_string).collect();
        Error::NeverAwaited { run: self.id.clone(), signal: signal.clone(), known }
    }

    /// Gives the session a signal; `None` if this replica has left the run.
    async fn signal(
        self: &Arc<Self>,
        sent: SentSignal,
        documents: Documents,
        by: Option<Actor>,
    ) -> Result<Option<Signalled>, Error> {
        let (name, id) = (sent.name.clone(), sent.id);
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(None);
        }
        let mut reaction = self.drive(&mut session, Input::Event(Event::Signal(sent).by(by.as_ref()), documents)).await;
        let is_kept = session.state().keeps_signal(&name, id);
        drop(session);
        let (failure, refused) = (reaction.abandoned.take(), reaction.refused.take());
        self.spawn_started(reaction);
        self.leave_if_done().await;
        match (failure, refused) {
            (Some(failure), _) => Err(failure.into()),
            (None, Some(Refusal::Repeated)) => Ok(Some(Signalled::Repeated)),
            (None, Some(Refusal::NeverAwaited)) => Err(self.never_awaits(&name)),
            (None, Some(refusal)) => Err(Error::Refused { run: self.id.clone(), refusal }),
            (None, None) => match is_kept {
                Some(true) => Ok(Some(Signalled::Kept)),
                Some(false) => Ok(Some(Signalled::Taken)),
                // The deadline has come first.
                None => Err(Error::Refused { run: self.id.clone(), refusal: Refusal::Ended }),
            },
        }
    }
}

/// The query of the address of a signal, which is signed, works once, and expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalAddress {
    /// What tells the addresses of one signal apart, and with that the signals that are sent to them.
    pub once: String,
    /// When it expires.
    pub expires: Millis,
    /// Its signature; `None` if there was no secret to sign it with.
    pub signature: Option<String>,
}

impl SignalAddress {
    /// The address that a node hands out.
    fn new(keys: Option<&Keys>, to: (&FlowName, &RunId, &SignalName), by: (&str, u32), expires: Millis) -> Self {
        let (node, round) = by;
        let digest = Sha256::digest(format!("{node}\n{round}"));
        let once = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let unsigned = Self { once, expires, signature: None };
        let signature = keys.map(|keys| keys.sign_signal(&unsigned.signed(to)));
        Self { signature, ..unsigned }
    }

    /// What is signed.
    fn signed(&self, (flow, run, name): (&FlowName, &RunId, &SignalName)) -> String {
        format!("{flow}\n{run}\n{name}\n{}\n{}", self.once, self.expires)
    }

    /// The idempotency key of the signal that is sent to it.
    pub fn key(&self) -> String {
        format!("{ADDRESS_KEY}{}", self.once)
    }

    /// Checks its signature, and then whether it has expired. Without keys, none is signed.
    pub fn check(&self, keys: Option<&Keys>, to: (&FlowName, &RunId, &SignalName), now: Millis) -> Result<(), Error> {
        if let Some(keys) = keys {
            keys.verify_signal(&self.signed(to), self.signature.as_deref())?;
        }
        if self.expires <= now { Err(Error::SignalUrlExpired { expires: self.expires }) } else { Ok(()) }
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("once", &self.once).append_pair("expires", &self.expires.to_string());
        if let Some(signature) = &self.signature {
            query.append_pair(crate::SIGNATURE_PARAMETER, signature);
        }
        query.finish()
    }
}

/// The address for one signal to a run, as the flow's code gets it from its host at `base`.
pub(super) fn signal_url(
    live: &Live,
    (node, round): (&str, u32),
    name: &str,
    valid_ms: Option<u64>,
) -> Result<String, ContextError> {
    let name = SignalName::new(name).map_err(|error| ContextError::Refused(error.to_string()))?;
    let valid = valid_ms.unwrap_or(VALID);
    if valid == 0 || valid > LONGEST_SLEEP_MS {
        let text = format!("the address of a signal is valid for 1 to {LONGEST_SLEEP_MS} ms, but not for {valid} ms");
        return Err(ContextError::Refused(text));
    }
    let services = &live.services;
    let no_url = || ContextError::Host(Failure::reject(Code::NO_PUBLIC_URL, NO_PUBLIC_URL));
    let base = services.settings.public_url.get().ok_or_else(no_url)?;
    let (flow, run) = (&live.flow.name, &live.id);
    let address = SignalAddress::new(services.keys.as_ref(), (flow, run, &name), (node, round), services.now() + valid);
    Ok(format!("{base}/function/{flow}/flow/{run}/signal/{name}?{}", address.query()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (FlowName, RunId, SignalName) {
        (FlowName::new("f").unwrap(), RunId::new("r-1").unwrap(), SignalName::new("ok").unwrap())
    }

    #[test]
    fn an_address_is_signed_for_one_signal_of_one_run_and_expires() {
        let keys = Keys::new("sixteen bytes ok", None).unwrap();
        let (flow, run, name) = names();
        let to = (&flow, &run, &name);
        let address = SignalAddress::new(Some(&keys), to, ("n1", 0), 1_000);
        assert!(address.check(Some(&keys), to, 999).is_ok());
        let code = |address: &SignalAddress, to, now| address.check(Some(&keys), to, now).unwrap_err().code();
        assert_eq!(code(&address, to, 1_000), Code::SIGNAL_URL_EXPIRED);
        let other = SignalName::new("other").unwrap();
        assert_eq!(code(&address, (&flow, &run, &other), 0), Code::BAD_SIGNATURE);
        for forged in [
            SignalAddress { expires: 2_000, ..address.clone() },
            SignalAddress { once: "0".repeat(16), ..address.clone() },
            SignalAddress { signature: Some("v2=00".to_owned()), ..address.clone() },
        ] {
            assert_eq!(code(&forged, to, 0), Code::BAD_SIGNATURE);
        }
        assert_eq!(code(&SignalAddress { signature: None, ..address }, to, 0), Code::UNSIGNED);
    }

    #[test]
    fn a_node_gives_away_the_same_address_again_and_another_one_when_it_begins_anew() {
        let (flow, run, name) = names();
        let key = |node, round| SignalAddress::new(None, (&flow, &run, &name), (node, round), 1).key();
        assert_eq!(key("n1", 0), key("n1", 0));
        assert_ne!(key("n1", 0), key("n1", 1));
        assert_ne!(key("n1", 0), key("n2", 0));
    }

    #[test]
    fn who_got_no_signal_in_time_is_told_which_one() {
        let id = WaitId { claim: faas_flow_core::run::ClaimToken::new(1), operation: 0 };
        let of = Awaited::Signal { signal: names().2 };
        let failure = no_signal(&Wait { id, of, since: 1_000, limit: Some(91_000), looks: 0 });
        assert_eq!(failure.code, Code::SIGNAL_TIMED_OUT);
        assert!(failure.message.contains("no signal `ok` came in 1 min 30 s"), "{}", failure.message);
    }
}
