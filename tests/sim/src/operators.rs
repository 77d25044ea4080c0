//! People who change a limit, pause runs, resume them, and stop one, each time on some replica.

use crate::Job;
use crate::replica::Cluster;
use anyhow::Result;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use faas_flow_core::RunId;
use faas_flow_core::limit::Figures;
use faas_flow_replica::set_limit;
use std::sync::Arc;
use std::time::Duration;

/// The longest between two things that they ask for.
const PAUSE: Duration = Duration::from_secs(3);

/// What operators do while things go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Operators {
    /// How often they define the limit of calls that flows give two permits, or remove it.
    pub limits: u32,
    /// How often they pause a run, and resume it later.
    pub pauses: u32,
    /// The number of the run that they stop.
    pub stops: Option<usize>,
}

impl Operators {
    pub async fn work(self, cluster: &Arc<Cluster>, runs: &[(Option<RunId>, Job)]) -> Result<()> {
        for _ in 0..self.limits {
            tokio::time::sleep(cluster.world().time(PAUSE)).await;
            let concurrent = Some(cluster.world().draw(3)).filter(|most| *most > 0).map(u32::try_from).transpose()?;
            let figures = concurrent.map(|most| Figures { concurrent: Some(most), per_second: None });
            set_limit(cluster.truth(), "jobs", figures).await?;
            cluster.world().note(format_args!("limit jobs: {figures:?}"));
        }
        for _ in 0..self.pauses {
            let chosen = cluster.world().draw(runs.len() as u64);
            // Nobody knows the id of a run whose caller waits.
            let Some((Some(run), job)) = runs.get(usize::try_from(chosen)?) else { continue };
            for what in ["pause", "resume"] {
                tokio::time::sleep(cluster.world().time(PAUSE)).await;
                // Two operators ask in the same moment.
                let (one, other) = tokio::join!(ask(cluster, *job, run, what), ask(cluster, *job, run, what));
                one?;
                other?;
            }
        }
        if let Some((Some(run), job)) = self.stops.and_then(|number| runs.get(number)) {
            tokio::time::sleep(cluster.world().time(PAUSE)).await;
            if ask(cluster, *job, run, "stop").await? == Some(StatusCode::OK) {
                cluster.stopped(run);
            }
        }
        Ok(())
    }
}

/// Asks once. It may be refused, and nobody may answer.
pub async fn ask(cluster: &Arc<Cluster>, job: Job, run: &RunId, what: &str) -> Result<Option<StatusCode>> {
    let request = Request::post(format!("/function/{}/flow/{run}/{what}", job.flow)).body(Body::empty())?;
    let answer = tokio::time::timeout(Duration::from_secs(20), cluster.send(request)).await;
    let status = answer.ok().flatten().map(|answer| answer.status());
    let said = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    cluster.world().note(format_args!("{what} {run}: {said}"));
    Ok(status)
}
