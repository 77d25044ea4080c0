//! Measures `faas-flow serve` from outside: a closed-loop load generator in a process of its own.
//!
//! Each flow, store and size gets a fresh server. A run is one `POST` on a kept connection; its caller waits for the
//! result and compares every byte. First one client runs alone, for the latency; then sixteen together, for the
//! throughput. The processor time and the peak memory are those of the server's process alone, as the kernel counts
//! them; the generator and the echo function share the machine with it.

mod aim;
mod bare;
mod cell;
mod client;
mod echo;
mod languages;
mod lists;
mod load;
mod looks;
mod observe;
mod original;
mod redis;
mod report;
mod server;
mod signals;
mod sleeps;
mod swap;

use anyhow::{Result, bail};
use cell::{FLOWS, LOGGING, STORES};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What `--observed` measures unless `--flows` says otherwise.
const OBSERVED: [&str; 3] = ["F6", "F8", "F11"];

/// Measures flows: runs per second, latency, processor time, memory.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Options {
    /// One JSON object per row instead of a table
    #[arg(long)]
    json: bool,
    /// Only these flows
    #[arg(long, value_delimiter = ',', value_name = "F1,F2,…")]
    flows: Vec<String>,
    /// Only these stores
    #[arg(long, value_delimiter = ',', value_name = "memory,sqlite,redis,synced")]
    stores: Vec<String>,
    /// Measure instead what swaps take on three replicas, what they cost those who call the flow meanwhile, and the memory of
    /// a version: each figure beside its aim
    #[arg(long, conflicts_with_all = ["flows", "stores"])]
    swaps: bool,
    /// Measure instead what it costs to look at a run of a hundred thousand items, while it runs and after its end
    #[arg(long, conflicts_with_all = ["flows", "swaps"])]
    looks: bool,
    /// Measure instead what this many runs that sleep cost, and how fast a hundred thousand of them wake on two replicas
    #[arg(long, value_name = "RUNS", num_args = 0..=1, default_missing_value = "1000000", conflicts_with_all = ["flows", "stores", "swaps", "looks"])]
    sleeps: Option<usize>,
    /// Measure instead how long it takes from a signal to the next call of its run
    #[arg(long, conflicts_with_all = ["flows", "swaps", "looks", "sleeps"])]
    signals: bool,
    /// Measure instead what a page of the list of runs costs in stores with this many runs
    #[arg(long, value_name = "RUNS", num_args = 0..=1, default_missing_value = "1000000", conflicts_with_all = ["flows", "stores", "swaps", "looks", "sleeps", "signals"])]
    lists: Option<usize>,
    /// Measure instead what logs and tracing cost flows that call functions (F6, F8) and one that does nothing (F11), unless
    /// `--flows` says which: the same load with and without them, in turn
    #[arg(long, conflicts_with_all = ["swaps", "looks", "sleeps", "signals", "lists"])]
    observed: bool,
    /// Measure instead what flows cost in each language, from their sources to the memory of an instance
    #[arg(long, conflicts_with_all = ["flows", "stores", "swaps", "looks", "sleeps", "signals"])]
    languages: bool,
    /// Only these languages
    #[arg(long, value_delimiter = ',', value_name = "Rust,C,…", requires = "languages")]
    of: Vec<String>,
    /// Only what the modules cost: no project is built and served
    #[arg(long, requires = "languages")]
    modules_only: bool,
    /// How long each row is measured
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Let servers end by themselves instead of killing them: what they write at their end is written
    #[arg(long, hide = true)]
    polite: bool,
    /// Measure the original, too, and compare with that
    #[arg(long, hide = true, value_name = "PROGRAM")]
    original: Option<PathBuf>,
    /// The program to measure
    #[arg(long, hide = true)]
    host: PathBuf,
    /// Where the flows' modules are
    #[arg(long, hide = true)]
    modules: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if options.languages {
        return languages::measure(options);
    }
    let stores = chosen("store", &options.stores, STORES.iter(), |store| store.name)?;
    let time = Duration::try_from_secs_f64(options.seconds)?;
    if options.signals {
        return signals::measure(options, &stores, time);
    }
    let echo = echo::start()?;
    if options.swaps {
        return swap::measure(options, echo, time);
    }
    if options.looks {
        return looks::measure(options, echo, &stores, time);
    }
    if options.observed {
        let named = if options.flows.is_empty() { &OBSERVED.map(str::to_owned)[..] } else { &options.flows };
        let flows = chosen("flow", named, FLOWS.iter().chain([&LOGGING]), |flow| flow.name)?;
        return observe::measure(options, echo, (&stores, &flows), time);
    }
    if let Some(runs) = options.lists {
        return lists::measure(runs);
    }
    if let Some(runs) = options.sleeps {
        return sleeps::measure(options, echo, runs, time);
    }
    let flows = chosen("flow", &options.flows, FLOWS.iter(), |flow| flow.name)?;
    if !options.json {
        report::head();
    }
    let mut rows = Vec::new();
    for store in &stores {
        for flow in &flows {
            for size in flow.sizes {
                let measured = cell::measure(options, echo, store, flow, size, time)?;
                for row in measured {
                    if options.json {
                        report::json(&row)?
                    } else {
                        report::line(&row)
                    }
                    rows.push(row);
                }
            }
        }
    }
    if !options.json {
        report::foot(&rows, options.original.is_some());
    }
    Ok(())
}

/// Those with these names, or all if there are no names.
fn chosen<'a, T>(
    what: &str,
    names: &[String],
    all: impl Iterator<Item = &'a T> + Clone,
    name: fn(&T) -> &'static str,
) -> Result<Vec<&'a T>> {
    if names.is_empty() {
        return Ok(all.collect());
    }
    let mut chosen = Vec::new();
    for wanted in names {
        match all.clone().find(|one| name(one).eq_ignore_ascii_case(wanted)) {
            Some(one) => chosen.push(one),
            None => {
                let known: Vec<&str> = all.map(name).collect();
                bail!("there is no {what} `{wanted}`: there are {}", known.join(", "));
            }
        }
    }
    Ok(chosen)
}
