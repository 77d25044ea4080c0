//! Those who ask for runs: they begin them, send signals, and wait for their ends.

use crate::jobs::{Asks, Job};
use crate::network::HOOK;
use crate::replica::Cluster;
use crate::{PATIENCE, SIGNAL, families, operators};
use anyhow::{Context, Result, bail};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use faas_flow_core::{RunId, Status};
use faas_flow_replica::Host;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A run that somebody asked for.
pub(crate) enum Begun {
    /// Under this id.
    Run(RunId),
    /// By waiting for its result.
    Asked(JoinHandle<Result<String>>),
}

impl Begun {
    pub(crate) fn id(&self) -> Option<&RunId> {
        match self {
            Begun::Run(run) => Some(run),
            Begun::Asked(_) => None,
        }
    }
}

/// Sends a request until a replica takes it: the same id twice is the same run.
pub(crate) async fn begin(cluster: &Arc<Cluster>, job: Job, number: usize) -> Result<RunId> {
    let id = RunId::new(format!("r{number}"))?;
    for _ in 0..200 {
        let uri = format!("/function/{}?{}", job.flow, job.query);
        let mut request = Request::post(uri).header("x-faas-flow-reqid", id.as_str()).header("x-faas-flow-wait", "1ms");
        if job.asks == Asks::Callback {
            request = request.header("x-faas-flow-callback-url", HOOK);
        }
        if let Asks::Start(delay) = job.asks {
            request = request.header("x-faas-flow-start-at", delay);
        }
        let sent = cluster.send(request.body(Body::from(job.body))?);
        // It takes a few steps.
        match tokio::time::timeout(Duration::from_secs(5) + cluster.world().slow() * 8, sent).await {
            Ok(Some(response)) if matches!(response.status(), StatusCode::OK | StatusCode::ACCEPTED) => return Ok(id),
            // A run that ended at once, if only by failing, was taken.
            Ok(Some(response)) if response.headers().contains_key("x-faas-flow-state") => return Ok(id),
            Ok(Some(response)) => {
                let (parts, body) = response.into_parts();
                let said = to_bytes(body, 1 << 20).await.unwrap_or_default();
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                cluster.world().note(format_args!("{id} is refused: {} {said}", parts.status));
                // A replica that has not brought its flow yet knows none.
                let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::NOT_FOUND];
                if parts.status.is_client_error() && !later.contains(&parts.status) {
                    bail!("{id} is refused: {} {said}", parts.status);
                }
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("nobody takes run {id}")
}

/// Sends a signal with an idempotency key until it is stored, as somebody does who gets no answers.
pub(crate) async fn send(
    cluster: Arc<Cluster>,
    job: Job,
    run: RunId,
    (name, body): (&'static str, &'static str),
) -> Result<()> {
    loop {
        tokio::time::sleep(cluster.world().time(SIGNAL)).await;
        let request = Request::post(format!("/function/{}/flow/{run}/signal/{name}", job.flow));
        let request = request.header("x-faas-flow-idempotency-key", "once").body(Body::from(body))?;
        let answer = tokio::time::timeout(Duration::from_secs(20), cluster.send(request)).await;
        let status = answer.ok().flatten().map(|answer| answer.status());
        cluster.world().note(format_args!("signal {name} to {run}: {status:?}"));
        if matches!(status, Some(StatusCode::OK | StatusCode::CONFLICT)) {
            return Ok(());
        }
    }
}

/// Asks until an answer comes, as a caller does who waits for the result.
pub(crate) async fn ask_now(cluster: Arc<Cluster>, job: Job) -> Result<String> {
    loop {
        let mut request = Request::post(format!("/function/{}?{}", job.flow, job.query));
        if job.asks == Asks::Waiting {
            request = request.header("x-faas-flow-wait", "40s");
        }
        let request = request.body(Body::from(job.body))?;
        let answer = tokio::time::timeout(Duration::from_secs(60), cluster.send(request)).await;
        if let Ok(Some(answer)) = answer {
            let (parts, body) = answer.into_parts();
            let body = to_bytes(body, 1 << 20).await?;
            let state = parts.headers.get("x-faas-flow-state").and_then(|state| state.to_str().ok());
            let said = format!("{}: {}", state.unwrap_or("no state"), String::from_utf8_lossy(&body));
            cluster.world().note(format_args!("somebody who waits hears {} {said}", parts.status));
            // The result may be there, and not to be had at the moment.
            let none = [StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE];
            if state.is_some() && !none.contains(&parts.status) {
                return Ok(said);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// How a run ended, once it has, with all that its caller asked for.
pub(crate) async fn end(cluster: &Arc<Cluster>, run: &RunId, job: Job) -> Result<Option<String>> {
    let Some(mut ended) = end_once(cluster, run, job).await? else { return Ok(None) };
    match job.asks {
        Asks::Later | Asks::Now | Asks::Waiting | Asks::Signals(_) | Asks::Start(_) => {}
        Asks::Callback => {
            let began = tokio::time::Instant::now();
            let told = loop {
                match cluster.told(run) {
                    None if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(200)).await,
                    told => break told,
                }
            };
            ended.push_str(&format!(", and its caller was told {told:?}"));
        }
        Asks::Again(node) => {
            cluster.may_run_again(run).await?;
            let what = format!("rerun?node={node}");
            // Two operators ask in the same moment.
            loop {
                let (one, other) =
                    tokio::join!(operators::ask(cluster, job, run, &what), operators::ask(cluster, job, run, &what));
                // It is in flight again if an answer got lost.
                if [one?, other?].iter().any(|status| matches!(status, Some(StatusCode::OK | StatusCode::CONFLICT))) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                cluster.revive();
            }
            let Some(again) = end_once(cluster, run, job).await? else { return Ok(None) };
            ended.push_str(&format!(", and then with {again}"));
        }
    }
    Ok(Some(ended))
}

async fn end_once(cluster: &Arc<Cluster>, run: &RunId, job: Job) -> Result<Option<String>> {
    let began = tokio::time::Instant::now();
    while began.elapsed() < PATIENCE {
        let entry = cluster.truth().entry(run).await?;
        let status = entry.map(|entry| entry.status);
        if status == Some(Status::Paused) {
            operators::ask(cluster, job, run, "resume").await?;
        }
        if status.is_some_and(|status| status.is_final()) {
            let host: Arc<Host> = cluster.observer();
            let view = host.view(run).await?.context("a run has an entry and no document")?;
            let result = host.result(run).await?.unwrap_or_default().bytes;
            let failure = view.failure.map(|failure| format!(" {failure}")).unwrap_or_default();
            let nodes: Vec<String> =
                view.nodes.iter().map(|node| format!("{} {:?}", node.path, node.progress)).collect();
            let (result, nodes) = (String::from_utf8_lossy(&result), nodes.join(", "));
            let answer = view.response.map_or(String::new(), |head| format!(", answered with {head:?}"));
            let ended = format!("{}{failure}: {result} [{nodes}]{answer}", view.status);
            return Ok(Some(families::without_ids(cluster, run, ended).await?));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(None)
}
