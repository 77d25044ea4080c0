//! The original's figures, to compare with: those with Redis beside ours with Redis, those in memory beside all others.
//!
//! With `--original` they are measured beside ours, by the program in `benches/original`. Else they are the project's
//! baseline, measured elsewhere, on the same kind of machine (2 cores, x86-64, Linux), in November 2026, in the same way: a
//! gateway in memory with 16 workers stood beside it, and it had a store object per request.

use crate::cell::Flow;
use crate::redis::Redis;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One flow with one size.
#[derive(Deserialize, Serialize)]
pub struct Original {
    /// In the baseline: at concurrency 16.
    pub runs_per_s: f64,
    /// Of the engine alone; in the baseline at concurrency 16.
    pub cpu_ms_per_run: f64,
    /// In the baseline: at concurrency 1.
    pub p50_ms: f64,
    /// Runs whose result never came.
    #[serde(default)]
    pub lost: u64,
}

/// Measures a flow; none for one that the program does not have.
pub fn measure(
    program: &Path,
    flow: &Flow,
    store: &str,
    size: usize,
    clients: usize,
    time: Duration,
) -> Result<Option<Original>> {
    if figures(flow.name, store, size).is_none() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let redis = if store == "redis" { Some(Redis::start(folder.path())?) } else { None };
    let store = redis.as_ref().map_or_else(|| "memory".to_owned(), Redis::address);
    let mut command = Command::new(program);
    command.args(["--flow", flow.name, "--store", &store, "--size", &size.to_string()]);
    command.args(["--clients", &clients.to_string(), "--seconds", &time.as_secs_f64().to_string()]);
    // What it says of events that its engine cut off is no news.
    let output = command.stderr(Stdio::null()).output().context("cannot start the original")?;
    if !output.status.success() {
        bail!("the original could not be measured with {}: {}", flow.name, output.status);
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

/// The figures of a flow; none for one that was not measured.
pub fn figures(flow: &str, store: &str, size: usize) -> Option<Original> {
    let [small, large] = match (store, flow) {
        ("redis", "F1") => [(2378.0, 0.42, 0.73), (1354.0, 0.72, 0.94)],
        ("redis", "F2") => [(228.0, 4.6, 6.5), (158.0, 7.6, 11.7)],
        // With its counter made atomic; as it is, it loses runs.
        ("redis", "F3") => [(76.0, 9.5, 9.2), (71.0, 17.5, 16.2)],
        ("redis", "F4") => [(134.0, 7.7, 9.3), (62.0, 20.4, 22.7)],
        ("redis", "F5") => [(399.0, 2.7, 3.0), (216.0, 3.9, 5.3)],
        ("redis", "F6") => [(1063.0, 0.69, 1.4), (699.0, 1.09, 2.4)],
        (_, "F1") => [(4732.0, 0.18, 0.37), (3549.0, 0.26, 0.41)],
        (_, "F2") => [(451.0, 2.6, 3.6), (218.0, 6.1, 7.3)],
        (_, "F3") => [(222.0, 4.3, 4.2), (96.0, 11.1, 10.9)],
        (_, "F4") => [(236.0, 4.9, 4.1), (111.0, 12.6, 11.8)],
        (_, "F5") => [(1113.0, 1.0, 1.4), (415.0, 3.1, 3.7)],
        (_, "F6") => [(1516.0, 0.59, 1.0), (889.0, 0.88, 1.8)],
        _ => return None,
    };
    let (runs_per_s, cpu_ms_per_run, p50_ms) = match size {
        64 => small,
        16384 => large,
        _ => return None,
    };
    Some(Original { runs_per_s, cpu_ms_per_run, p50_ms, lost: 0 })
}
