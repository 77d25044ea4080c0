//! `cargo xtask sim`: many seeds, or one with its trace.

use anyhow::Result;
use clap::Parser;
use faas_flow_sim::{Flows, Versions, swaps};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Simulates replicas, a queue and stores that fail; everything follows from a seed.
#[derive(Parser)]
#[command(name = "cargo xtask sim")]
struct Options {
    /// How many seeds to try
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one, with everything that happened
    #[arg(long)]
    seed: Option<u64>,
    /// Swap a flow while its runs are in flight, instead
    #[arg(long, conflicts_with = "flow")]
    swaps: bool,
    /// Only flows that call flows, and functions that answer later
    #[arg(long, conflicts_with_all = ["flow", "swaps"])]
    calls: bool,
    /// A schedule that fires while replicas die, instead
    #[arg(long, conflicts_with_all = ["flow", "swaps", "calls"])]
    schedules: bool,
    /// Only jobs of this flow
    #[arg(long)]
    flow: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let (flows, versions) = (Flows::load()?, Versions::load()?);
    let seed = |seed: u64| match options {
        Options { swaps: true, .. } => swaps(&versions, seed),
        Options { schedules: true, .. } => faas_flow_sim::schedules(&flows, seed),
        Options { calls: true, .. } => faas_flow_sim::calls(&flows, seed),
        _ => faas_flow_sim::seed(&flows, seed, options.flow.as_deref()),
    };
    if let Some(one) = options.seed {
        let outcome = seed(one)?;
        print!("{}", outcome.trace);
        outcome.ends.iter().for_each(|end| println!("{end}"));
        outcome.wrong.iter().for_each(|wrong| println!("WRONG: {wrong}"));
        return Ok(if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let (next, failed, steps, began) =
        (AtomicU64::new(options.from), AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    let end = options.from.saturating_add(options.seeds);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let this = next.fetch_add(1, Ordering::Relaxed);
                    if this >= end {
                        return;
                    }
                    let wrong = match seed(this) {
                        Ok(outcome) => {
                            steps.fetch_add(outcome.steps, Ordering::Relaxed);
                            outcome.wrong
                        }
                        Err(error) => vec![format!("{error:#}")],
                    };
                    if !wrong.is_empty() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        let swaps = if options.swaps { "--swaps " } else { "" };
                        let calls = if options.calls { "--calls " } else { "" };
                        let calls = if options.schedules { "--schedules " } else { calls };
                        let flow = options.flow.as_ref().map(|flow| format!("--flow {flow} ")).unwrap_or_default();
                        let wrong = wrong.join("; ");
                        eprintln!("seed {this}: {wrong}\n  again: cargo xtask sim {swaps}{calls}{flow}--seed {this}");
                    }
                    let done = this - options.from + 1;
                    if done.is_multiple_of(500) {
                        eprintln!("{done} of {} seeds, {:.0} s", options.seeds, began.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let (failed, steps, seconds) = (failed.into_inner(), steps.into_inner(), began.elapsed().as_secs_f64());
    if options.json {
        println!(
            "{}",
            serde_json::json!({ "seeds": options.seeds, "failed": failed, "steps": steps, "seconds": seconds })
        )
    } else {
        println!("{} seeds, {steps} steps, {failed} failed, {seconds:.0} s", options.seeds)
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
