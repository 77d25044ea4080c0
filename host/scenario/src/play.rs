//! Plays a scenario: one run of the real module on replicas of the real host, in virtual time.

use crate::Error;
use crate::canned::{Call, Callbacks, Canned, Known};
use crate::logs::{Line, Lines};
use crate::nodes::{Node, nodes};
use crate::scenario::{Data, Scenario, Step};
use crate::world::{Cluster, Faults, GATEWAY, Looks, QueueCalls, Setup, Weather, World};
use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use faas_flow_core::run::RunView;
use faas_flow_core::{Definition, Failure, Labels, ResponseHead, RunId, Status};
use faas_flow_replica::{Answers, Dispatch, Settings};
use faas_flow_versions::Flow;
use faas_flow_versions::runs::load;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The id of the run.
const RUN: &str = "scenario";
/// How long histories are kept: longer than any scenario takes.
const KEPT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// After so many steps of replicas, a run counts as one that never ends.
const MOST_STEPS: u64 = 200_000;
/// Virtual time during which things go wrong by chance.
const STORM: Duration = Duration::from_secs(40);
/// How often a request that got no answer is sent again.
const TRIES: usize = 200;
/// The largest answer that is read.
const ANSWER: usize = 64 << 20;

/// How replicas are set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) replicas: usize,
    pub(crate) run_nodes: usize,
    pub(crate) lease: Duration,
    /// How long what the flow's own code did may wait to be committed.
    pub(crate) commit_delay: Duration,
    /// Where work goes.
    pub(crate) dispatch: Dispatch,
    /// Larger payloads go to the data store.
    pub(crate) inline_limit: usize,
    /// How long a step takes at most.
    pub(crate) slow: Duration,
    pub(crate) seed: u64,
    /// How many replicas die.
    pub(crate) deaths: u32,
}

/// One replica that takes no time for anything, so that a run takes exactly what it waits for.
pub(crate) const PLAIN: How = How {
    replicas: 1,
    run_nodes: 64,
    lease: Duration::from_secs(10),
    commit_delay: Duration::ZERO,
    dispatch: Dispatch::Local,
    inline_limit: 32 << 10,
    slow: Duration::ZERO,
    seed: 2,
    deaths: 0,
};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its status.
    pub status: Status,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Its result.
    pub result: Option<Bytes>,
    /// The status and headers of its answer, if the flow has set them.
    pub response: Option<ResponseHead>,
    /// Its labels.
    pub labels: Labels,
}

/// Something that was done to the run from outside.
#[derive(Debug, Clone)]
pub struct Done {
    /// When, since the beginning of the scenario.
    pub at: Duration,
    /// What.
    pub what: String,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
}

/// How a scenario went.
#[derive(Debug, Clone)]
pub struct Played {
    /// How the run ended; none if it did not.
    pub ended: Option<Ended>,
    /// Why the request was refused, so that there is no run.
    pub refused: Option<String>,
    /// The calls of functions and URLs, in their order.
    pub calls: Vec<Call>,
    /// Functions that were called and that the scenario does not have, each with the key of a call.
    pub missing: Vec<(String, String)>,
    /// What the flow logged.
    pub logs: Vec<Line>,
    /// The steps of the scenario that were done.
    pub done: Vec<Done>,
    /// What each node got and gave.
    pub nodes: Vec<Node>,
    /// The history of the run.
    pub view: Option<RunView>,
    /// The definition of the run; none if it is that of the flow, which does not depend on the request.
    pub definition: Option<Arc<Definition>>,
    /// The virtual time that it took.
    pub took: Duration,
    /// What must never happen, and has.
    pub violations: Vec<String>,
    /// Steps of replicas, where a fault may be, and events that the queue accepted.
    pub(crate) steps: u64,
    pub(crate) events: u64,
    /// The key of each try of a call.
    pub(crate) tried: Vec<String>,
    /// Keys of calls of which an answer got lost.
    pub(crate) lost: Vec<String>,
    /// What the functions answered.
    pub(crate) answered: Known,
    /// Everything that happened.
    pub(crate) trace: String,
}

/// Plays a scenario on the present thread, which must not belong to a runtime that is in use.
pub(crate) fn play(
    flow: &Flow,
    scenario: &Arc<Scenario>,
    how: How,
    faults: Faults,
    known: Option<Arc<Known>>,
) -> Result<Played, Error> {
    let not_played = |reason: String| Error::NotPlayed { name: scenario.name.clone(), reason };
    fastrand::seed(how.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.map_err(|error| not_played(error.to_string()))?;
    let lines = Lines::default();
    let played = lines.collect(|| runtime.block_on(play_in(flow, scenario, how, faults, known)));
    let mut played = played.map_err(|error| not_played(format!("{error:#}")))?;
    played.logs = lines.take();
    Ok(played)
}

fn settings(how: How) -> Settings {
    let public_url = OnceLock::new();
    // It is set here only.
    let _ = public_url.set(GATEWAY.to_owned());
    Settings {
        run_nodes: how.run_nodes,
        lease: how.lease,
        commit_delay: how.commit_delay,
        dispatch: how.dispatch,
        inline_limit: how.inline_limit,
        history_ttl: KEPT,
        answers: Answers::Quoted,
        public_url,
        ..Settings::default()
    }
}

async fn play_in(
    flow: &Flow,
    scenario: &Arc<Scenario>,
    how: How,
    faults: Faults,
    known: Option<Arc<Known>>,
) -> anyhow::Result<Played> {
    let weather = Weather { slow: how.slow, crashes: how.deaths, ..Weather::default() };
    let world = Arc::new(World::new(how.seed, faults, weather));
    let name = flow.name.to_string();
    let canned = Canned::new(world.clone(), scenario.clone(), (name, settings(how)), known);
    let callbacks = Arc::new(Callbacks(OnceLock::new()));
    let cluster = Cluster::start(Setup {
        world: world.clone(),
        settings: settings(how),
        flows: std::iter::once(flow).chain(scenario.flows()).cloned().collect(),
        modules: None,
        outside: canned.clone(),
        callbacks: Some(callbacks.clone()),
        seed: how.seed,
        queue: QueueCalls::Unlimited,
        faulty_queue: matches!(faults, Faults::Chance(_)),
        began: scenario.began,
        replicas: how.replicas,
        apart: None,
        looks: Looks::WhenDue,
    })
    .await?;
    canned.connect(cluster.gateway());
    // It is set here only.
    let _ = callbacks.0.set(Arc::downgrade(cluster.gateway()));
    let began = Instant::now();
    let run = Running {
        cluster: cluster.clone(),
        flow: flow.clone(),
        scenario: scenario.clone(),
        id: RunId::new(RUN)?,
        began,
    };
    let run = Arc::new(run);
    let storm = matches!(faults, Faults::Chance(_)).then(|| tokio::spawn(storm(cluster.clone(), how.deaths)));
    let refused = run.begin().await?;
    let done = Arc::new(Mutex::new(Vec::new()));
    let mut steps = tokio::spawn(run.clone().steps(done.clone()));
    let mut ended = None;
    if refused.is_none() {
        ended = timeout(scenario.at_most, run.end(&mut steps)).await.ok().transpose()?.flatten();
    }
    let took = began.elapsed();
    steps.abort();
    if let Some(storm) = storm {
        storm.abort();
    }
    let state = load(cluster.truth(), &run.id).await?;
    let (view, nodes) = match &state {
        None => (None, Vec::new()),
        Some(state) => {
            let view = RunView::new(state.run(), state.scopes());
            let nodes = nodes(&cluster, flow, state, &view).await?;
            (Some(view), nodes)
        }
    };
    cluster.end();
    let done = done.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Played {
        ended,
        refused,
        calls: canned.calls(),
        missing: canned.missing(),
        logs: Vec::new(),
        done,
        nodes,
        view,
        definition: state.as_ref().and_then(|state| state.run().definition.clone()),
        took,
        violations: world.violations(),
        steps: world.steps(),
        events: world.events(),
        tried: canned.tried(),
        lost: canned.lost(),
        answered: canned.answered(),
        trace: world.trace(),
    })
}

/// Replicas die by chance, and others begin in their place, until all is calm.
async fn storm(cluster: Arc<Cluster>, deaths: u32) {
    let looks = async {
        cluster.storm(deaths, STORM / 4).await;
        cluster.look_after().await;
    };
    // What goes wrong ends after some time.
    let _ = timeout(STORM, looks).await;
    cluster.world().calm_down();
    cluster.revive();
}

/// The run of a scenario.
struct Running {
    cluster: Arc<Cluster>,
    flow: Flow,
    scenario: Arc<Scenario>,
    id: RunId,
    began: Instant,
}

impl Running {
    /// Sends the request until a replica takes it. Answers with why it is refused, if it is.
    async fn begin(&self) -> anyhow::Result<Option<String>> {
        let Scenario { query, headers, input, .. } = &*self.scenario;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        for _ in 0..TRIES {
            let mut request = Request::post(format!("/function/{}?{}", self.flow.name, query.join("&")));
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if let Some(media_type) = input.media_type.filter(|_| !has_content_type(headers)) {
                request = request.header("content-type", media_type);
            }
            request = request.header("x-faas-flow-reqid", self.id.as_str()).header("x-faas-flow-wait", "1ms");
            let request = request.body(Body::from(input.bytes.clone())).context("the request is malformed")?;
            let Some((status, has_state, said)) = self.send(request).await else {
                sleep(Duration::from_millis(500)).await;
                continue;
            };
            if matches!(status, StatusCode::OK | StatusCode::ACCEPTED) || has_state {
                return Ok(None);
            }
            if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                return Ok(Some(format!("{status}: {said}")));
            }
            sleep(Duration::from_millis(500)).await;
        }
        anyhow::bail!("no replica takes the request")
    }

    /// What some replica answers: the status, whether it is about a run, and the text. None if there is no answer.
    async fn send(&self, request: Request<Body>) -> Option<(StatusCode, bool, String)> {
        let sent = self.cluster.send(request);
        let answer = timeout(Duration::from_secs(20), sent).await.ok().flatten()?;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, ANSWER).await.unwrap_or_default();
        let has_state = parts.headers.contains_key("x-faas-flow-state");
        Some((parts.status, has_state, String::from_utf8_lossy(&body).trim().to_owned()))
    }

    /// Does what the scenario says, one after the other.
    async fn steps(self: Arc<Self>, done: Arc<Mutex<Vec<Done>>>) -> anyhow::Result<()> {
        for (number, step) in self.scenario.steps.iter().enumerate() {
            let (what, refused) = match step {
                Step::Wait(time) => {
                    sleep(*time).await;
                    continue;
                }
                Step::WaitUntil(moment) => {
                    sleep(Duration::from_millis(moment.saturating_sub(self.cluster.now()))).await;
                    continue;
                }
                Step::Signal(name, data) => (format!("signal {name}"), self.signal(number, name.as_str(), data).await?),
                Step::Stop => ("stop".to_owned(), self.ask("stop", number, &Data::default()).await?),
            };
            let at = self.began.elapsed();
            done.lock().unwrap_or_else(PoisonError::into_inner).push(Done { at, what, refused });
        }
        Ok(())
    }

    async fn signal(&self, number: usize, name: &str, data: &Data) -> anyhow::Result<Option<String>> {
        self.ask(&format!("signal/{name}"), number, data).await
    }

    /// Asks for something until a replica does it, or refuses it.
    async fn ask(&self, what: &str, number: usize, data: &Data) -> anyhow::Result<Option<String>> {
        for _ in 0..TRIES {
            let mut request = Request::post(format!("/function/{}/flow/{}/{what}", self.flow.name, self.id));
            request = request.header("x-faas-flow-idempotency-key", format!("step-{number}"));
            if let Some(media_type) = data.media_type {
                request = request.header("content-type", media_type);
            }
            match self.send(request.body(Body::from(data.bytes.clone()))?).await {
                Some((status, ..)) if status.is_success() => return Ok(None),
                Some((status, _, said)) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                    return Ok(Some(said));
                }
                _ => sleep(Duration::from_millis(500)).await,
            }
        }
        Ok(Some("nothing answers".to_owned()))
    }

    /// Waits for the end of the run; none if it goes on and on.
    async fn end(&self, steps: &mut tokio::task::JoinHandle<anyhow::Result<()>>) -> anyhow::Result<Option<Ended>> {
        let mut are_done = false;
        let mut changes = self.cluster.agenda().changes();
        loop {
            changes.borrow_and_update();
            let entry = self.cluster.truth().entry(&self.id).await?;
            let status = entry.map(|entry| entry.status);
            let is_over = status.is_some_and(|status| status.is_final() || (status == Status::Paused && are_done));
            if let Some(status) = status.filter(|_| is_over) {
                let state =
                    load(self.cluster.truth(), &self.id).await?.context("a run has an entry and no document")?;
                let run = state.run();
                let result = self.cluster.observer().result(&self.id).await?.map(|content| content.bytes);
                return Ok(Some(Ended {
                    status,
                    failure: run.failure.clone(),
                    result,
                    response: run.response_head().filter(|_| status.is_final()).cloned(),
                    labels: run.labels.clone(),
                }));
            }
            if self.cluster.world().steps() > MOST_STEPS {
                return Ok(None);
            }
            // A run that is paused already has ended once no step is left, and does not change then.
            tokio::select! {
                changed = changes.changed() => changed?,
                _ = &mut *steps, if !are_done => are_done = true,
            }
        }
    }
}

fn has_content_type(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
}
