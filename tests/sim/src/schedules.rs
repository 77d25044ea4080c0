//! A schedule fires while replicas die, and stores fail: each moment has exactly one run.

use crate::checks::left;
use crate::replica::Cluster;
use crate::{Faults, Flows, Outcome, PATIENCE, SKEWS, STORM, Weather, storm};
use anyhow::{Result, ensure};
use axum::body::Body;
use axum::http::Request;
use faas_flow_core::schedule::{Missed, Overlap, ScheduleEntry};
use faas_flow_core::{FlowName, Millis};
use faas_flow_replica::{Dispatch, Settings};
use faas_flow_scenario::world::World;
use faas_flow_store::{RunEntry, RunQuery, every_run};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Runs of this flow take about two seconds if nothing goes wrong.
const FLOW: &str = "sync-chain";
/// The time between two moments, in milliseconds.
const PERIOD: Millis = 3_000;

/// Simulates a schedule that fires every three seconds, on three replicas of which some die. When all is calm again, it is
/// paused, and all runs end. No moment may have two runs, or none if the policy for missed moments gives each of them one; and
/// runs overlap only if the policy allows it.
pub fn schedules(flows: &Flows, seed: u64) -> Result<Outcome> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let overlap = rng.choice(Overlap::ALL).map_or(Overlap::Allow, |(_, overlap)| overlap);
    let missed = rng.choice(Missed::ALL).map_or(Missed::All, |(_, missed)| missed);
    let line = format!("{FLOW}/tick=every 3s; missed={}; overlap={}; input=hi", missed.as_str(), overlap.as_str());
    let settings = Settings {
        schedules: vec![ScheduleEntry::parse(&line)?],
        dispatch: if rng.bool() { Dispatch::Auto } else { Dispatch::Gateway },
        lease: Duration::from_millis(rng.u64(900..4000)),
        ..Settings::default()
    };
    let faults = if rng.u8(..8) == 0 { Faults::None } else { Faults::Chance(rng.u32(8..80)) };
    let skew = rng.choice(SKEWS).unwrap_or_default();
    let deaths = if faults == Faults::None { 0 } else { rng.u32(..6) };
    let weather = Weather { crashes: rng.u32(..6), skew, ..Weather::default() };
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let world = Arc::new(World::new(seed, faults, weather));
        let flows = (flows.0.clone(), None);
        let cluster = Cluster::start(world.clone(), settings, flows, seed, faults != Faults::None).await?;
        let storm = storm(&cluster, deaths);
        let looks = cluster.clone();
        tokio::spawn(async move { looks.look_after().await });
        sleep(STORM).await;
        storm.await?;
        world.calm_down();
        cluster.revive();
        // What was decided on before the calm is done, and some more moments come.
        sleep(Duration::from_secs(30)).await;
        pause(&cluster).await?;
        // Whatever had been decided on before the pause begins.
        sleep(Duration::from_secs(30)).await;
        let mut wrong: Vec<String> = left(&cluster).await?.into_iter().collect();
        let flow = FlowName::new(FLOW)?;
        let waiting: BTreeSet<Millis> = cluster
            .observer()
            .stored_schedules(&flow)
            .await?
            .into_iter()
            .flat_map(|(_, kept)| kept.waiting.into_iter().chain(kept.firing.into_iter().map(|firing| firing.moment)))
            .collect();
        let runs = every_run(cluster.truth(), RunQuery { flow: Some(flow), ..RunQuery::latest(0) }).await?;
        wrong.extend(faults_of(&runs, &waiting, (missed, overlap, skew)));
        cluster.end();
        wrong.extend(world.violations());
        let (steps, events, trace) = (world.steps(), world.events(), world.trace());
        let ends = runs.iter().map(|run| format!("{} {}", run.run, run.status)).collect();
        Ok(Outcome { wrong, steps, events, trace, ends, took: Vec::new(), most_calls: 0 })
    })
}

/// Pauses the schedule on some replica.
async fn pause(cluster: &Arc<Cluster>) -> Result<()> {
    let paused = async {
        loop {
            let request = Request::post(format!("/function/{FLOW}/schedules/tick/pause")).body(Body::empty())?;
            if cluster.send(request).await.is_some_and(|answer| answer.status().is_success()) {
                return Ok::<(), anyhow::Error>(());
            }
            sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(PATIENCE, paused).await?
}

/// What is wrong with the runs that the schedule has begun, whose moments are in their ids.
fn faults_of(
    runs: &[RunEntry],
    waiting: &BTreeSet<Millis>,
    (missed, overlap, skew): (Missed, Overlap, u64),
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut moments = BTreeSet::new();
    for run in runs {
        match moment_of(run) {
            Ok(moment) if moments.insert(moment) => {}
            Ok(moment) => wrong.push(format!("the moment {moment} has two runs")),
            Err(error) => wrong.push(format!("{}: {error}", run.run)),
        }
    }
    if moments.len() < 5 {
        wrong.push(format!("there are {} runs only", moments.len()));
    }
    let known: BTreeSet<Millis> = moments.union(waiting).copied().collect();
    // The others pass over moments at which the run before has not ended, or at which nobody was there for long.
    if let (Some(first), Some(last)) = (known.first(), known.last())
        && matches!(overlap, Overlap::Allow | Overlap::Queue)
        && missed == Missed::All
    {
        let all = (*first..=*last).step_by(usize::try_from(PERIOD).unwrap_or(1));
        wrong.extend(all.filter(|at| !known.contains(at)).map(|at| format!("the moment {at} has no run")));
    }
    if overlap != Overlap::Allow && skew == 0 {
        let mut runs: Vec<&RunEntry> = runs.iter().collect();
        runs.sort_by_key(|run| run.started);
        for pair in runs.windows(2) {
            if let [one, next] = pair
                && one.ended.is_none_or(|ended| ended > next.started)
            {
                wrong.push(format!("{} overlaps {}", one.run, next.run));
            }
        }
    }
    wrong
}

/// The moment in the id of a run: `tick-20231114T221321Z-…`.
fn moment_of(run: &RunEntry) -> Result<Millis> {
    let at = run.run.as_str().split('-').nth(1).unwrap_or_default();
    ensure!(at.len() == 16, "it has no moment in its id");
    let part = |range: std::ops::Range<usize>| at.get(range).unwrap_or_default();
    let (date, time) = ([part(0..4), part(4..6), part(6..8)], [part(9..11), part(11..13), part(13..15)]);
    Ok(faas_flow_core::parse_moment(&format!("{}T{}Z", date.join("-"), time.join(":")))?)
}
