//! Takes requests: begins a run for each.

use super::context::Before;
use super::control::to_its_end;
use super::ended::Ended;
use super::host::Host;
use super::live::Live;
use crate::Error;
use crate::progress::Step;
use bytes::Bytes;
use faas_flow_core::run::{Request, RunState, Start};
use faas_flow_core::{Code, Failure, FlowName, Payload, RunId};
use faas_flow_guest::RunContext;
use faas_flow_session::{Documents, Durability, Session};
use faas_flow_versions::RunEnd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A request to a flow.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The caller's own request id; the host makes one up otherwise.
    pub id: Option<RunId>,
    /// The body.
    pub body: Bytes,
    /// Query and headers.
    pub request: Request,
    /// Where the result, or the failure, is to be sent.
    pub callback: Option<String>,
}

/// A run that has begun.
pub struct Submitted {
    /// Its request id.
    pub id: RunId,
    host: Arc<Host>,
    live: Arc<Live>,
}

impl Submitted {
    /// Waits until the run has ended, or paused, on whichever replica.
    pub async fn end(&self, at_most: Duration) -> Result<Option<Arc<Ended>>, Error> {
        self.host.wait_for(Some(&self.live), &self.id, at_most).await
    }

    /// Waits until this replica has abandoned the run, because its store failed for too long; answers with how.
    pub async fn given_up(&self) -> Failure {
        let mut abandoned = self.live.abandoned.subscribe();
        match abandoned.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
            Ok(Some(failure)) => failure,
            _ => std::future::pending().await,
        }
    }

    /// Whether its caller gets the result without asking for it: that of a flow of a single node, as in the original.
    pub fn answers(&self) -> bool {
        self.live.plan.is_single_node()
    }
}

impl Host {
    /// Begins a run. When this answers, the run is stored and will end, whatever becomes of this process; but where the
    /// caller waits (`waits`), did not choose the id and did not ask for a callback, it may be stored a little later, see
    /// [`super::deferred`].
    pub async fn submit(
        self: &Arc<Self>,
        flow: &FlowName,
        submission: Submission,
        waits: Waits,
    ) -> Result<Submitted, Error> {
        let Submission { id, body, request, callback } = submission;
        let chosen = id.is_some();
        let id = match id {
            Some(id) => id,
            None => RunId::new(xid::new().to_string())?,
        };
        let Some(flow) = self.services.versions.for_new_run(flow, &id) else {
            let known: Vec<String> =
                self.services.versions.all_active().iter().map(|flow| flow.name.to_string()).collect();
            let message = format!("there is no flow `{flow}` here: there are {}", known.join(", "));
            return Err(Error::new(Code::FLOW_UNKNOWN, message));
        };
        if self.is_draining() {
            return Err(Self::stopping());
        }
        if body.len() > self.services.settings.body_limit {
            let message =
                format!("the body has {} bytes, and {} is the most", body.len(), self.services.settings.body_limit);
            return Err(Error::new(Code::BODY_TOO_LARGE, message));
        }
        let context = Before { id: id.clone(), flow: flow.name.clone(), request: request.clone() };
        let context: Arc<dyn RunContext> = Arc::new(context);
        let plan = self
            .runs
            .in_room(self.services.settings.room_wait, || async { Ok(flow.plan_for(context.clone()).await?) })
            .await;
        let plan = plan.inspect_err(|error| {
            // That there is no room for it is not its fault.
            if error.code() != Code::GUEST_POOL_FULL {
                self.services.versions.count_ended(&flow, RunEnd::Failed);
            }
        })?;
        let small = body.len() <= self.services.settings.inline_limit;
        let waits = match waits {
            Waits::No => false,
            Waits::ForOneNode => plan.is_single_node(),
            Waits::Yes => true,
        };
        let durability = match waits && !chosen && callback.is_none() && small {
            true if plan.is_single_node() => Durability::Memory,
            true => Durability::Delayed,
            false => Durability::Beginning,
        };
        let mut documents = Documents::new();
        let input = match durability {
            Durability::Memory => Payload::Inline(body),
            _ => self.services.data.keep(&id, "(input)", body, &mut documents).await?,
        };
        let start = Start {
            id: id.clone(),
            flow: flow.name.clone(),
            digest: flow.module.digest().clone(),
            request,
            definition: flow.plan.is_none().then(|| plan.definition().clone()),
            input,
            callback,
            now: self.now(),
        };
        let begun = RunState::start(&plan, start);
        let parts = (plan.clone(), self.services.rules.clone(), fastrand::u64(..));
        let session = Session::begin(parts, begun, documents.clone(), durability, &self.services.around());
        let live = Live::new((self.services.clone(), self.runs.clone()), (flow, plan), session);
        let beginning = live.clone();
        to_its_end(async move { beginning.begin(documents).await }).await?;
        self.services.counters.run_begun();
        Ok(Submitted { id, host: self.clone(), live })
    }
}

impl Live {
    /// Puts a new run among those that this replica works on, if there is room, and begins it.
    async fn begin(self: &Arc<Self>, documents: Documents) -> Result<(), Error> {
        let mut session = self.lock().await;
        {
            let mut runs = self.runs.lock();
            if runs.len() >= self.services.settings.max_runs {
                let message = format!("{} runs are in flight, and that is the limit: try again later", runs.len());
                return Err(Error::new(Code::OVERLOADED, message));
            }
            if runs.contains_key(&self.id) {
                let message = format!("there is a run with the request id {} already", self.id);
                return Err(Error::new(Code::RUN_EXISTS, message));
            }
            runs.insert(self.id.clone(), self.clone());
        }
        self.show(|| Step::Started);
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).extend(documents);
        let mut reaction = self.settle(&mut session).await;
        drop(session);
        match reaction.abandoned.take() {
            Some(failure) => Err(failure.into()),
            None => {
                self.carry_out(reaction);
                Ok(())
            }
        }
    }
}

/// Whether the caller waits for the result, with [`Submitted::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It does, for a while at least.
    Yes,
    /// It does if the flow has a single node, [`Submitted::answers`].
    ForOneNode,
    /// It only wants to know that the run has begun.
    No,
}
