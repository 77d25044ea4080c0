//! What is printed.

use crate::aim;
use crate::original::Original;
use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One flow with one store, one size and one number of clients.
#[derive(Serialize)]
pub struct Row {
    pub flow: &'static str,
    pub store: &'static str,
    /// The payload's, in bytes.
    pub size: usize,
    /// Clients at a time.
    pub concurrency: usize,
    pub runs_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of the server's process.
    pub cpu_ms_per_run: f64,
    /// The most that the server's process had resident so far.
    pub rss_mib: f64,
    /// From the server's start, with its code compiled before, to its first answer.
    pub ready_ms: f64,
    /// Resident before the first run.
    pub idle_rss_mib: f64,
    /// Between the generator and Redis, in the middle of the runs: the median of bare `PING`s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_round_trip_ms: Option<f64>,
    /// Commits to Redis, each one round trip, per run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_commits_per_run: Option<f64>,
    /// Of a blocking socket on which the same calls are made, in the same run: F8 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare_socket_cpu_ms: Option<f64>,
    /// Of the host's HTTP client alone, which makes the same calls, in the same run: F8 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare_library_cpu_ms: Option<f64>,
    /// What the original does with the same: measured beside it, or else its baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
}

/// One line.
pub fn json(row: &Row) -> Result<()> {
    println!("{}", serde_json::to_string(row)?);
    Ok(())
}

/// A figure, and the most that it should be.
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub aim: Option<f64>,
}

/// Named figures beside their aims: a line each, or one JSON object.
pub fn figures_of(figures: &[Figure], json: bool) -> Result<()> {
    let met = |figure: &Figure| figure.aim.map(|aim| figure.value <= aim);
    if json {
        let values: Map<String, Value> =
            figures.iter().map(|figure| (figure.name.to_owned(), figure.value.into())).collect();
        let aimed = figures.iter().filter_map(|figure| {
            Some((figure.name.to_owned(), json!({ "at-most": figure.aim?, "met": met(figure)? })))
        });
        let aims: Map<String, Value> = aimed.collect();
        let mut all = values;
        all.insert("aims".to_owned(), aims.into());
        println!("{}", serde_json::to_string(&all)?);
        return Ok(());
    }
    for figure in figures {
        print!("{:<28}{:>10.3}", figure.name, figure.value);
        match (figure.aim, met(figure)) {
            (Some(aim), Some(true)) => println!("  at most {aim}: met"),
            (Some(aim), _) => println!("  at most {aim}: not met"),
            (None, _) => println!(),
        }
    }
    Ok(())
}

/// For people: what the columns are.
pub fn head() {
    println!(
        "{:<5} {:<7} {:>6} {:>3} {:>9} {:>8} {:>8} {:>11} {:>8} │ {:>6} {:>6} {:>6} │ aim",
        "flow", "store", "size", "at", "runs/s", "p50 ms", "p99 ms", "cpu ms/run", "rss MiB", "runs", "p50", "cpu"
    );
}

/// For people: one row, beside the original's figures and what it is to reach.
pub fn line(row: &Row) {
    let [runs, p50, cpu] = match &row.original {
        Some(original) if row.concurrency == 1 => [None, Some(original.p50_ms / row.p50_ms), None],
        Some(original) => {
            let cpu = original.cpu_ms_per_run / row.cpu_ms_per_run;
            [Some(row.runs_per_s / original.runs_per_s), None, Some(cpu)]
        }
        None => [None; 3],
    }
    .map(|ratio| ratio.map_or_else(String::new, times));
    let aim = aim::of(row).map_or_else(String::new, |aim| aim.to_string());
    let line = format!(
        "{:<5} {:<7} {:>6} {:>3} {:>9.0} {:>8.3} {:>8.3} {:>11.4} {:>8.1} │ {runs:>6} {p50:>6} {cpu:>6} │ {aim}",
        row.flow,
        row.store,
        row.size,
        row.concurrency,
        row.runs_per_s,
        row.p50_ms,
        row.p99_ms,
        row.cpu_ms_per_run,
        row.rss_mib
    );
    println!("{}", line.trim_end());
}

/// For people: what all rows together say.
pub fn foot(rows: &[Row], measured: bool) {
    let median = |of: fn(&Row) -> f64| {
        let mut all: Vec<f64> = rows.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let (ready, idle) = (median(|row| row.ready_ms), median(|row| row.idle_rss_mib));
    let [ready_aim, idle_aim] = aim::of_server(ready, idle);
    println!(
        "\nready in {ready:.0} ms with a warm cache: {ready_aim}; {idle:.1} MiB resident idle: {idle_aim} (medians)"
    );
    for row in rows.iter().filter(|row| row.concurrency == 1) {
        if let (Some(trip), Some(commits)) = (row.redis_round_trip_ms, row.redis_commits_per_run) {
            println!(
                "{} {} B with Redis: {commits:.1} commits a run; the median run takes {:.1} times as long as so many bare \
                 round trips of {trip:.3} ms",
                row.flow,
                row.size,
                row.p50_ms / (commits * trip)
            );
        }
    }
    let lost: u64 = rows.iter().filter_map(|row| row.original.as_ref()).map(|original| original.lost).sum();
    let how = if measured {
        format!("measured alternately with ours; {lost} of its runs were lost")
    } else {
        "measured elsewhere on the same kind of machine in November 2026; --original measures it here".to_owned()
    };
    println!(
        "right of the first line: how many times better than the original with Redis, or else in memory ({how});\nruns per \
         second include the load generator's share of the machine"
    );
}

fn times(ratio: f64) -> String {
    format!("{ratio:.1}×")
}
