//! Begins a run for each request.

use super::completion::run_to_completion;
use super::context::Context;
use super::ended::Ended;
use super::host::Host;
use super::live::Live;
use crate::CREDENTIAL_HEADERS;
use crate::Error;
use crate::child::{MAX_CALLS, PARENT};
use crate::progress::Step;
use faas_flow_core::run::{Parent, Request, Run, RunState, Start};
use faas_flow_core::{Code, Content, Failure, FlowName, Labels, Millis, Plan, RunId};
use faas_flow_guest::{FlowLog, RunContext};
use faas_flow_session::{Documents, Durability, Session, run_exists};
use faas_flow_versions::runs::load_run;
use faas_flow_versions::{Flow, RunEnd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long the first of two requests with one id may take to store its run.
const TWIN: Duration = Duration::from_secs(2);
/// The time between two looks for that run.
const TWIN_DELAY: Duration = Duration::from_millis(20);

/// Kept with a run whose caller chose the id: the digest of the request's body.
pub const BODY_DIGEST: &str = "x-faas-flow-body-digest";
/// Headers that a run does not keep, since they are the host's own.
const NOT_KEPT: [&str; 3] = ["x-faas-flow-signature", PARENT, BODY_DIGEST];

/// Whether a run keeps the header of this name, in lower case: all but the host's own and, unless they are among
/// `credentials`, those that let their owner in somewhere.
pub fn keeps_header(name: &str, credentials: &[&'static str]) -> bool {
    !NOT_KEPT.contains(&name) && (!CREDENTIAL_HEADERS.contains(&name) || credentials.contains(&name))
}

/// A request to a flow.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The request id that the caller has chosen; otherwise, the host makes one up.
    pub id: Option<RunId>,
    /// The body.
    pub body: Content,
    /// Query and headers.
    pub request: Request,
    /// The URL to which the result, or the failure, is sent.
    pub callback: Option<String>,
    /// The node of another run that calls the flow, and waits for the end of the run.
    pub parent: Option<Box<Parent>>,
    /// The labels of the run.
    pub labels: Labels,
    /// The moment at which the run starts, if the caller has named one. One in the past is now.
    pub start_at: Option<Millis>,
}

/// Whether the caller waits for the result, with [`Submitted::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It does, at least for a while.
    Yes,
    /// It does if the flow has a single node, see [`Submitted::answers`].
    ForOneNode,
    /// It only wants to know that the run has begun.
    No,
}

/// A run that has begun.
pub struct Submitted {
    /// Its request id.
    pub id: RunId,
    host: Arc<Host>,
    live: Arc<Live>,
}

impl Submitted {
    /// Waits until the run has ended, or paused, on whichever replica. `None` if it has done neither in time.
    pub async fn end(&self, at_most: Duration) -> Result<Option<Arc<Ended>>, Error> {
        self.host.wait_for(Some(&self.live), &self.id, at_most).await
    }

    /// Waits until this replica has abandoned the run, because its store failed for too long; answers with the reason.
    pub async fn abandoned(&self) -> Failure {
        self.live.abandoned.wait().await.clone()
    }

    /// Whether the caller gets the result without asking for it, which is so if the flow has a single node.
    pub fn answers(&self) -> bool {
        self.live.plan.is_single_node()
    }
}

impl Host {
    /// The run that an earlier request with this id has begun. As that request may be storing the run at this moment, this waits
    /// for it for up to two seconds; `None` if it is not stored by then.
    pub async fn begun(&self, id: &RunId) -> Result<Option<Run>, Error> {
        let until = tokio::time::Instant::now() + TWIN;
        loop {
            match load_run(self.state(), id).await? {
                Some(state) => return Ok(Some(state.run().clone())),
                None if tokio::time::Instant::now() >= until => return Ok(None),
                None => tokio::time::sleep(TWIN_DELAY).await,
            }
        }
    }

    /// Begins a run. When this returns, the run is stored and will end, even if this replica is lost. If the caller waits
    /// (`waits`), has not chosen the request id and wants no callback, the run may be stored a little later (`durable.rs`).
    pub async fn submit(
        self: &Arc<Self>,
        flow: &FlowName,
        submission: Submission,
        waits: Waits,
    ) -> Result<Submitted, Error> {
        let Submission { id: chosen, body, request, callback, parent, labels, start_at } = submission;
        let now = self.now();
        let start_at = start_at.filter(|at| *at > now);
        let id = chosen.clone().unwrap_or_else(|| self.draw_id());
        let flow = self.flow_for(flow, &id)?;
        if self.is_draining() {
            return Err(Error::Stopping);
        }
        if let Some(parent) = parent.as_ref().filter(|parent| parent.within.len() >= MAX_CALLS) {
            return Err(Error::FlowsTooDeep { flow: flow.name.clone(), within: parent.within.clone() });
        }
        let size = body.bytes.len();
        let limit = self.body_limit(Some(&flow));
        if size > limit.bytes {
            return Err(Error::BodyTooLarge { limit });
        }
        let plan = self.plan_for(&flow, &id, &request).await?;
        let must_be_stored = chosen.is_some() || callback.is_some() || start_at.is_some();
        let durability = if must_be_stored || size > self.services.settings.inline_limit {
            Durability::Beginning
        } else {
            durability(waits, &plan)
        };
        let mut documents = Documents::new();
        let input = match durability {
            Durability::Memory => body.into(),
            _ => {
                let Content { bytes, media_type } = body;
                let payload = self.services.data.store_payload(&id, "(input)", bytes, &mut documents).await?;
                payload.of_type(media_type)
            }
        };
        let start = Start {
            id: id.clone(),
            flow: flow.name.clone(),
            digest: flow.module.digest().clone(),
            request,
            definition: flow.plan.is_none().then(|| plan.definition().clone()),
            input,
            callback,
            parent,
            labels,
            start_at,
            now,
        };
        let begun = RunState::start(&plan, start);
        let parts = (plan.clone(), self.services.rules.clone(), fastrand::u64(..));
        let session = Session::begin(parts, begun, documents.clone(), durability, &self.services.circumstances());
        let live = Live::new((self.services.clone(), self.runs.clone()), (flow, plan), session);
        let beginning = live.clone();
        run_to_completion(async move { beginning.begin(documents).await }).await?;
        self.services.counters.run_started();
        Ok(Submitted { id, host: self.clone(), live })
    }

    /// The version of a flow that a new run executes.
    fn flow_for(&self, flow: &FlowName, run: &RunId) -> Result<Arc<Flow>, Error> {
        self.services.versions.for_new_run(flow, run)?.ok_or_else(|| {
            let known = self.services.versions.all_active().iter().map(|flow| flow.name.clone()).collect();
            Error::UnknownFlow { flow: flow.clone(), known }
        })
    }

    /// The plan of a new run, for which the flow's code may have to see the request.
    async fn plan_for(&self, flow: &Arc<Flow>, run: &RunId, request: &Request) -> Result<Arc<Plan>, Error> {
        if let Some(plan) = &flow.plan {
            return Ok(plan.clone());
        }
        let log = FlowLog::new(self.services.settings.flow_log);
        let context = Context::before(run.clone(), flow.name.clone(), request.clone(), log);
        let context: Arc<dyn RunContext> = Arc::new(context);
        let plan = || async { Ok(flow.plan_for(context.clone()).await?) };
        let plan = self.runs.with_room(self.services.settings.room_wait, plan).await;
        plan.inspect_err(|error| {
            // The flow is not to blame for a lack of room or memory.
            if !matches!(error.code(), Code::GUEST_POOL_FULL | Code::OUT_OF_MEMORY) {
                self.services.versions.count_ended(flow, RunEnd::Failed);
            }
        })
    }
}

/// How much of a new run is stored at first, if only its caller knows of it.
fn durability(waits: Waits, plan: &Plan) -> Durability {
    // Those who send signals must find the run from the moment on at which they may know of it.
    match (waits, plan.is_single_node() && plan.signals().is_empty()) {
        (Waits::Yes | Waits::ForOneNode, true) => Durability::Memory,
        (Waits::Yes, false) => Durability::Delayed,
        (Waits::ForOneNode, false) | (Waits::No, _) => Durability::Beginning,
    }
}

impl Live {
    /// Adds a new run to those that this replica works on, if there is room, and begins it.
    async fn begin(self: &Arc<Self>, documents: Documents) -> Result<(), Error> {
        let mut session = self.lock().await;
        self.add_to_runs()?;
        self.show(|| Step::Started);
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).extend(documents);
        let mut reaction = self.advance(&mut session).await;
        drop(session);
        match reaction.abandoned.take() {
            Some(failure) => Err(failure.into()),
            None => {
                self.spawn_started(reaction);
                Ok(())
            }
        }
    }

    fn add_to_runs(self: &Arc<Self>) -> Result<(), Error> {
        let mut runs = self.runs.lock();
        if runs.len() >= self.services.settings.max_runs {
            return Err(Error::TooManyRuns { runs: runs.len() });
        }
        if runs.contains_key(&self.id) {
            return Err(run_exists(&self.id).into());
        }
        runs.insert(self.id.clone(), self.clone());
        Ok(())
    }
}
