//! What a page of the list of runs costs in a store that has very many runs: by every condition, and their numbers. The runs are
//! entries only, written into the store directly, in Redis and in SQLite.

use crate::cell::quantile;
use crate::redis::Redis;
use anyhow::{Context, Result};
use faas_flow_core::{Code, Digest, FlowName, Labels, Millis, Partition, RunId, Status};
use faas_flow_store::{Change, RunEntry, RunFailure, RunQuery, StateStore, open_state};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many are written at the same time.
const AT_ONCE: usize = 256;
/// How many runs a page has.
const PAGE: usize = 50;
/// How often each page is read.
const TIMES: usize = 30;
/// When the first run started.
const START: Millis = 1_790_000_000_000;

/// Measures pages in stores with this many runs.
pub fn measure(runs: usize) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for the store")?;
    let redis = Redis::start(folder.path())?;
    let runtime = Runtime::new()?;
    let sqlite = format!("sqlite:{}", folder.path().join("state.db").display());
    println!("pages of {PAGE} of {runs} runs, {TIMES} times each: median and longest, in milliseconds; aim: below 50");
    for (name, url) in [("redis", redis.url()), ("sqlite", sqlite)] {
        let store = runtime.block_on(open_state(&url))?;
        let began = Instant::now();
        runtime.block_on(fill(&store, runs))?;
        eprintln!("{name}: wrote {runs} runs in {:.0} s", began.elapsed().as_secs_f64());
        for (what, query) in queries(runs)? {
            let times = runtime.block_on(page(&store, &query))?;
            print(name, what, times);
        }
        let flow = flow(3)?;
        for (what, of) in [("counts of a flow", Some(&flow)), ("counts of all", None)] {
            let mut times = Vec::new();
            for _ in 0..TIMES {
                let began = Instant::now();
                runtime.block_on(store.counts(of))?;
                times.push(began.elapsed());
            }
            print(name, what, times);
        }
    }
    Ok(())
}

fn print(store: &str, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!("{store:<7} {what:<40} {:>8.2} {:>8.2}", quantile(&times, 0.5), quantile(&times, 1.0));
}

async fn page(store: &Arc<dyn StateStore>, query: &RunQuery) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        store.runs(query).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn flow(number: usize) -> Result<FlowName> {
    Ok(FlowName::new(format!("flow-{number}"))?)
}

/// Of a hundred runs, 97 have succeeded and two have failed; of a hundred thousand, one is paused.
fn entry(number: usize) -> Result<RunEntry> {
    let (status, failure) = match number {
        _ if number.is_multiple_of(100_000) => (Status::Paused, None),
        _ if number % 50 == 7 => {
            let code = if number % 5000 == 7 { Code::CALL_UNREACHABLE } else { Code::CALL_STATUS };
            (Status::Failed, Some(RunFailure::new(code, &format!("`bank` answered number {number} with status 503"))))
        }
        _ => (Status::Succeeded, None),
    };
    let mut labels = Labels::new();
    labels.insert("order", &number.to_string())?;
    Ok(RunEntry {
        run: RunId::of_time_and_bits(
            START + number as Millis * 10,
            (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ),
        // One flow has one run of ten thousand.
        flow: flow(if number.is_multiple_of(10_000) { 9 } else { number % 4 })?,
        digest: Digest::of(&[(number / 100_000) as u8]),
        status,
        labels,
        failure,
        started: START + number as Millis * 10,
        ended: (status != Status::Paused).then_some(START + number as Millis * 10 + 5),
        due: None,
    })
}

async fn fill(store: &Arc<dyn StateStore>, runs: usize) -> Result<()> {
    let mut writing: JoinSet<Result<()>> = JoinSet::new();
    for number in 0..runs {
        if writing.len() == AT_ONCE
            && let Some(written) = writing.join_next().await
        {
            written??;
        }
        let (store, entry) = (store.clone(), entry(number)?);
        let partition = Partition::of_run(&entry.run);
        let change = Change { entry: Some(entry), ..Change::default() };
        writing.spawn(async move { Ok(store.commit(&partition, change).await.map(drop)?) });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    Ok(())
}

fn queries(runs: usize) -> Result<Vec<(&'static str, RunQuery)>> {
    let latest = || RunQuery::latest(PAGE);
    let middle = entry(runs / 2)?;
    let mut label = Labels::new();
    label.insert("order", &(runs / 3).to_string())?;
    let after = Some(faas_flow_store::Cursor::behind(&middle));
    Ok(vec![
        ("the latest", latest()),
        ("behind the middle", RunQuery { after: after.clone(), ..latest() }),
        ("of a flow", RunQuery { flow: Some(flow(3)?), ..latest() }),
        ("of a flow, behind the middle", RunQuery { flow: Some(flow(3)?), after, ..latest() }),
        ("of a flow with few runs", RunQuery { flow: Some(flow(9)?), ..latest() }),
        ("failed", RunQuery { status: Some(Status::Failed), ..latest() }),
        ("failed, of a flow", RunQuery { flow: Some(flow(3)?), status: Some(Status::Failed), ..latest() }),
        ("paused", RunQuery { status: Some(Status::Paused), ..latest() }),
        ("with a label", RunQuery { labels: label, ..latest() }),
        ("with a code", RunQuery { code: Some(Code::CALL_UNREACHABLE), ..latest() }),
        ("of an old version", RunQuery { digest: Some(middle.digest.short().to_owned()), ..latest() }),
        (
            "of an hour in the middle",
            RunQuery { since: Some(middle.started), until: Some(middle.started + 3_600_000), ..latest() },
        ),
        ("with the beginning of an id", RunQuery { id: Some(middle.run.as_str()[..9].to_owned()), ..latest() }),
        ("with a text that many have", RunQuery { text: Some("status 503".to_owned()), ..latest() }),
        ("with a text that none has", RunQuery { text: Some("nothing of the kind".to_owned()), ..latest() }),
        ("with the beginning of no id", RunQuery { id: Some("zzz".to_owned()), ..latest() }),
    ])
}
