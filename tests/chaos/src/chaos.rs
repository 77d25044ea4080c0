//! The whole of it: many runs begin while everything breaks; then it is looked at what became of them.

use crate::aof::Commits;
use crate::cases::{Case, VERSIONS, case};
use crate::cluster::{Cluster, Run};
use crate::report::Report;
use crate::schedule;
use crate::steps::{self, Notes};
use crate::swaps::{self, Versions};
use crate::{Options, steps::Seen};
use anyhow::{Context, Result, anyhow};
use reqwest::{Client, Response};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Runs that begin at the same time.
const SUBMITTERS: usize = 64;
/// How long it stays chaotic at most, and how long runs may take after that.
const CHAOS: Duration = Duration::from_secs(180);
const CALM: Duration = Duration::from_secs(90);
/// Refusals that a kill explains: the store does not answer, or the replica is about to stop, or is starting. Kubernetes sends
/// nothing to one that is not ready; this gateway passes over those alone that refuse the connection.
const EXCUSED: [&[u8]; 4] = [b"FF0306", b"FF0220", b"FF0225", b"FF0227"];
/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(500);

/// Runs it in a folder.
pub async fn run(options: &Options, folder: &Path) -> Result<Report> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    fastrand::seed(seed);
    eprintln!("chaos with seed {seed}, in {}", folder.display());
    let notes = Notes::default();
    let steps = steps::serve(notes.clone()).await?;
    let versions = match options.swaps {
        0 => None,
        _ => Some(Versions::make(&options.modules.join(VERSIONS).with_extension("wasm"), folder)?),
    };
    let mut cluster = Cluster::start(options, folder, &steps, versions.as_ref(), seed).await?;
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let cases: Arc<Vec<Case>> = Arc::new((0..options.runs).map(|index| case(index, versions.is_some())).collect());
    let began = Instant::now();
    let mut report = Report { runs: options.runs, swaps: options.swaps, ..Report::default() };

    let (begun, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut submitters = submit_all(&cases, &client, (&cluster.url(), &steps), &begun, &refused);
    let swaps = versions.as_ref().map(|versions| swaps::swap_all(options, &cluster, versions, begun));
    until_ended(options, &mut cluster, &mut submitters, &mut report).await?;
    if let Some(swaps) = swaps {
        swaps.await??;
    }
    report.refused = refused.load(Ordering::Relaxed);
    report.seconds = began.elapsed().as_secs_f64();

    eprintln!("looks at what became of the runs");
    let seen =
        |id: &str| notes.lock().unwrap_or_else(PoisonError::into_inner).keys().get(id).copied().unwrap_or_default();
    schedule::check(options, &cluster, &client, seen, &mut report).await?;
    let runs = cluster.runs(options).await?;
    report.still_running = runs.iter().filter(|run| run.goes_on()).count();
    labels(&cases, &runs, &mut report);
    report.permits_left = permits_left(&cluster).await?;
    report.most_in_flight = notes.lock().unwrap_or_else(PoisonError::into_inner).most_in_flight;
    let mut cases = Arc::unwrap_or_clone(cases);
    let failing = expect_of_versions(&mut cases, versions.as_ref(), &client, &cluster.url()).await?;
    results(&cases, &failing, &client, &cluster.url(), &mut report).await;
    called_back(&cases, &notes, &mut report).await;
    report.faults = cluster.faults(&client).await?;
    (report.kills, report.redis_kills) = (cluster.kills, cluster.redis_kills);
    count_calls(&cases, &notes.lock().unwrap_or_else(PoisonError::into_inner), &mut report);
    if let Some(versions) = &versions {
        eprintln!("swaps in peace");
        swaps::quiet(options, &cluster, versions, &client, &mut report).await?;
    }
    let commits = Commits::read(folder)?;
    (report.commits, report.repeated_commits) = (commits.done, commits.repeated);
    for (key, times) in notes.lock().unwrap_or_else(PoisonError::into_inner).times() {
        let unexplained = commits.unexplained(key, times);
        if unexplained > 0 {
            eprintln!("{key} was called {times} times, {unexplained} more than its node was attempted");
        }
        report.unexplained_calls += unexplained;
    }
    Ok(report)
}

/// Breaks things until all runs have ended, or patience.
async fn until_ended(
    options: &Options,
    cluster: &mut Cluster,
    submitters: &mut JoinSet<Result<()>>,
    report: &mut Report,
) -> Result<()> {
    let calm_from = Instant::now() + CHAOS;
    let mut tick = interval(Duration::from_millis(50));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = Instant::now() + LOOK;
    let mut calm = false;
    loop {
        tick.tick().await;
        if !calm {
            cluster.disturb().await?;
        }
        while let Some(submitted) = submitters.try_join_next() {
            submitted??;
        }
        if Instant::now() < look {
            continue;
        }
        // While Redis is away, nobody can say; a command that asked would wait, and nothing would start Redis again meanwhile.
        if cluster.has_redis()
            && let Ok(mut runs) = cluster.runs(options).await
        {
            runs.retain(|run| !run.id.starts_with("tick-"));
            let running = runs.iter().filter(|run| run.goes_on()).count();
            report.most_at_once = report.most_at_once.max(running);
            if submitters.is_empty() && runs.len() >= options.runs && running == 0 {
                return cluster.calm().await;
            }
        }
        let now = Instant::now();
        if !calm && now > calm_from {
            eprintln!("not all runs have ended: lets them go on in peace");
            calm = true;
            cluster.calm().await?;
        }
        if now > calm_from + CALM {
            return Ok(());
        }
        look = now + LOOK;
    }
}

/// Begins all runs; each is asked for again until it is accepted.
fn submit_all(
    cases: &Arc<Vec<Case>>,
    client: &Client,
    (gateway, steps): (&str, &str),
    next: &Arc<AtomicUsize>,
    refused: &Arc<AtomicUsize>,
) -> JoinSet<Result<()>> {
    let mut submitters = JoinSet::new();
    for _ in 0..SUBMITTERS.min(cases.len()) {
        let (cases, next, client) = (cases.clone(), next.clone(), client.clone());
        let (gateway, steps, refused) = (gateway.to_owned(), steps.to_owned(), refused.clone());
        submitters.spawn(async move {
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                submit(case, &client, &gateway, &steps, &refused).await?;
                signal(case, &client, &gateway).await?;
            }
            Ok(())
        });
    }
    submitters
}

async fn submit(case: &Case, client: &Client, gateway: &str, steps: &str, refused: &AtomicUsize) -> Result<()> {
    let url = format!("{gateway}/function/{}{}", case.flow, case.query);
    let until = Instant::now() + CHAOS;
    loop {
        let mut request = client.post(&url).body(case.input.clone()).header("X-Faas-Flow-Reqid", &case.id);
        if case.calls_back {
            request = request.header("X-Faas-Flow-Callback-Url", format!("{steps}/callback/{}", case.id));
        }
        if let Some(start) = case.start {
            request = request.header("X-Faas-Flow-Start-At", start);
        }
        if let Some(label) = case.label {
            request = request.header("X-Faas-Flow-Label", label);
        }
        // No caller waits, so that all can begin.
        let why = match request.header("X-Faas-Flow-Wait", "1ms").send().await {
            // It speaks of a run: that is stored.
            Ok(answer) if answer.headers().contains_key("x-faas-flow-reqid") => return Ok(()),
            Ok(answer) => {
                let code = answer.headers().get("x-faas-flow-error").map(|code| code.as_bytes().to_vec());
                let counts = code.is_some_and(|code| !EXCUSED.contains(&code.as_slice()));
                let said = said(answer).await;
                if counts {
                    refused.fetch_add(1, Ordering::Relaxed);
                    eprintln!("{} of {} was refused: {said}", case.id, case.flow);
                }
                anyhow!("{said}")
            }
            Err(error) => error.into(),
        };
        if Instant::now() > until {
            return Err(why.context(format!("run {} was never accepted", case.id)));
        }
        sleep(Duration::from_millis(fastrand::u64(50..200))).await;
    }
}

/// Sends a run the signal for which it waits, if it does, until it is stored.
async fn signal(case: &Case, client: &Client, gateway: &str) -> Result<()> {
    let Some(body) = &case.signal else { return Ok(()) };
    let url = format!("{gateway}/function/{}/flow/{}/signal/approval", case.flow, case.id);
    let until = Instant::now() + CHAOS;
    loop {
        let request = client.post(&url).header("X-Faas-Flow-Idempotency-Key", "once").body(body.clone());
        let why = match request.send().await {
            Ok(answer) if answer.status() == 200 => return Ok(()),
            Ok(answer) => anyhow!("{}", said(answer).await),
            Err(error) => error.into(),
        };
        if Instant::now() > until {
            return Err(why.context(format!("the signal to run {} was never stored", case.id)));
        }
        sleep(Duration::from_millis(fastrand::u64(50..200))).await;
    }
}

async fn said(answer: Response) -> String {
    let status = answer.status();
    format!("{status}: {}", answer.text().await.unwrap_or_default())
}

/// What must come of the runs of the flow that is swapped: that of the version that each is pinned to. Yields the runs that
/// must fail, as their version does.
async fn expect_of_versions(
    cases: &mut [Case],
    versions: Option<&Versions>,
    client: &Client,
    gateway: &str,
) -> Result<HashSet<String>> {
    let mut failing = HashSet::new();
    let Some(versions) = versions else { return Ok(failing) };
    for case in cases.iter_mut().filter(|case| case.flow == VERSIONS) {
        // A run that is lost has none, and shows as lost.
        let Ok(pinned) = swaps::pinned(case, client, gateway).await else { continue };
        match versions.made(&pinned, &case.input)? {
            Some((result, calls)) => (case.result, case.calls) = (result, calls),
            None => drop(failing.insert(case.id.clone())),
        }
    }
    Ok(failing)
}

/// Compares every result.
async fn results(cases: &[Case], failing: &HashSet<String>, client: &Client, gateway: &str, report: &mut Report) {
    for case in cases {
        let url = format!("{gateway}/function/{}/flow/{}/result", case.flow, case.id);
        let answer = client.get(url).send().await.context("no answer");
        let found = match answer {
            Ok(answer) if answer.status() == 202 || answer.status() == 404 => {
                report.lost += 1;
                said(answer).await
            }
            Ok(answer) if failing.contains(&case.id) => match answer.headers().get("x-faas-flow-error") {
                Some(code) if code == "FF0006" => continue,
                _ => {
                    report.wrong += 1;
                    said(answer).await
                }
            },
            Ok(answer) if answer.status() == 200 => {
                let body = answer.text().await.unwrap_or_default();
                if body == case.result {
                    continue;
                }
                report.wrong += 1;
                body
            }
            Ok(answer) => {
                report.wrong += 1;
                said(answer).await
            }
            Err(error) => {
                report.lost += 1;
                format!("{error:#}")
            }
        };
        eprintln!("{} of {}: expected `{}`, found `{found}`", case.id, case.flow, case.result);
    }
}

/// Compares the labels of runs that are to have some.
fn labels(cases: &[Case], runs: &[Run], report: &mut Report) {
    for case in cases.iter().filter(|case| !case.labels.is_empty()) {
        // A run that is lost has none, and shows as lost.
        let Some(run) = runs.iter().find(|run| run.id == case.id) else { continue };
        if run.labels != case.labels {
            eprintln!("{} of {}: expected the labels {:?}, found {:?}", case.id, case.flow, case.labels, run.labels);
            report.wrong += 1;
        }
    }
}

/// Waits for the callbacks: one whose replica was killed meanwhile is tried again half a minute later.
async fn called_back(cases: &[Case], notes: &Notes, report: &mut Report) {
    let until = Instant::now() + Duration::from_secs(45);
    let asked: Vec<&Case> = cases.iter().filter(|case| case.calls_back).collect();
    report.callbacks = asked.len();
    loop {
        let missing: Vec<_> = {
            let seen = notes.lock().unwrap_or_else(PoisonError::into_inner);
            asked.iter().filter(|case| !seen.called_back(&case.id, &case.result)).collect()
        };
        report.callbacks_lost = missing.len();
        if missing.is_empty() || Instant::now() > until {
            for case in &missing {
                eprintln!("{} of {} did not call back as it should", case.id, case.flow);
            }
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn count_calls(cases: &[Case], seen: &Seen, report: &mut Report) {
    (report.calls, report.repeated_calls, report.changed_keys) = (seen.total, seen.repeated(), seen.changed());
    let keys = seen.keys();
    for case in cases {
        let used = keys.get(case.id.as_str()).copied().unwrap_or_default();
        if used != case.calls {
            eprintln!("{} of {} used {used} idempotency keys for {} calls", case.id, case.flow, case.calls);
            report.changed_keys += 1;
        }
    }
}

/// The permits that are still held or waited for: those of replicas that were killed last are free when their lease has run
/// out.
async fn permits_left(cluster: &Cluster) -> Result<usize> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let permits = cluster.permits().await?;
        if permits == 0 || Instant::now() > until {
            return Ok(permits);
        }
        sleep(Duration::from_millis(200)).await;
    }
}
