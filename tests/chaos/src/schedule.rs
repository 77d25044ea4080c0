//! A schedule that fires each second while everything breaks: each of its moments must get one run.

use crate::Options;
use crate::cluster::{ADMIN_TOKEN, Cluster, Run};
use crate::report::Report;
use anyhow::{Result, bail};
use faas_flow_core::{Millis, parse_moment};
use reqwest::Client;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// The flow that has the schedule.
pub const FLOW: &str = "sync-chain";
/// The schedule, as an operator configures it. Nothing is skipped: moments that are missed get their runs later, and runs may
/// overlap.
pub const SCHEDULE: &str = "tick=every 1s; missed=all; overlap=allow; input=tick";
/// What each of its runs must come to.
const RESULT: &str = "you said \"tick>func1>func2\"";
/// Calls of step functions that each run makes.
const CALLS: usize = 2;
/// How long the runs may take that go on when the schedule is paused.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pauses the schedule, waits until its runs have ended, and checks that each moment has had exactly one.
pub async fn check(
    options: &Options,
    cluster: &Cluster,
    client: &Client,
    calls: impl Fn(&str) -> usize,
    report: &mut Report,
) -> Result<()> {
    let flow = format!("{}/function/{FLOW}", cluster.url());
    let mut pause = Command::new(&options.host);
    pause.args(["schedules", "pause", "tick", "--to", &flow]).env("FAAS_FLOW_ADMIN_TOKEN", ADMIN_TOKEN);
    let paused = pause.kill_on_drop(true).output().await?;
    if !paused.status.success() {
        bail!("the schedule cannot be paused: {}", String::from_utf8_lossy(&paused.stderr));
    }
    let until = Instant::now() + PATIENCE;
    let runs = loop {
        let runs: Vec<_> = cluster.runs(options).await?.into_iter().filter(|run| run.id.starts_with("tick-")).collect();
        let gaps = gaps(&runs)?;
        // What had been decided before the pause may begin after it.
        if gaps.is_empty() && runs.iter().all(|run| !run.goes_on()) {
            break runs;
        }
        if Instant::now() > until {
            for (one, next) in &gaps {
                eprintln!("behind the moment {one} comes {next}, and not the next second");
            }
            report.moments_wrong += gaps.len();
            break runs;
        }
        sleep(Duration::from_millis(200)).await;
    };
    report.moments = runs.len();
    for run in &runs {
        let url = format!("{flow}/flow/{}/result", run.id);
        let said = client.get(url).send().await?.text().await?;
        let called = calls(&run.id);
        if said != RESULT || called != CALLS {
            eprintln!("{}: expected `{RESULT}` and {CALLS} calls, found `{said}` and {called}", run.id);
            report.moments_wrong += 1;
        }
    }
    Ok(())
}

/// Pairs of moments that follow each other, although they are not a second apart.
fn gaps(runs: &[Run]) -> Result<Vec<(Millis, Millis)>> {
    let mut moments = runs.iter().map(|run| moment_of(&run.id)).collect::<Result<Vec<Millis>>>()?;
    moments.sort_unstable();
    let pairs = moments.iter().zip(moments.iter().skip(1)).map(|(one, next)| (*one, *next));
    Ok(pairs.filter(|(one, next)| *next != one.saturating_add(1000)).collect())
}

/// `tick-20261201T013000Z-0a2ee3124a9b` is the run of 01:30:00.
fn moment_of(id: &str) -> Result<Millis> {
    let moment = id.split('-').nth(1).unwrap_or_default();
    let parts = (moment.get(..4), moment.get(4..6), moment.get(6..11), moment.get(11..13), moment.get(13..));
    let (Some(year), Some(month), Some(hour), Some(minute), Some(second)) = parts else {
        bail!("`{id}` has no moment")
    };
    let parsed = parse_moment(&format!("{year}-{month}-{hour}:{minute}:{second}"));
    parsed.map_err(|error| anyhow::anyhow!("`{id}` has no moment: {error}"))
}
