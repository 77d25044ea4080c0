//! Chaos for real: three replicas of every flow, a gateway and Redis, each a process. Runs begin and go on while replicas
//! and Redis are killed and started again, and while the gateway loses and repeats events. In the end every run must have
//! its result, and every node must have been committed once.

mod aof;
mod cases;
mod chaos;
mod cluster;
mod processes;
mod report;
mod schedule;
mod steps;
mod swaps;

use anyhow::{Result, bail};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Kills replicas and Redis, and swaps a flow, while flows run, and checks that nothing is lost.
#[derive(Parser)]
#[command(name = "cargo xtask chaos")]
struct Options {
    /// Runs
    #[arg(long, default_value_t = 1000)]
    runs: usize,
    /// Swaps of a flow, among five versions of it, while half of the runs are its
    #[arg(long, default_value_t = 0)]
    swaps: usize,
    /// What is random: faults of the gateway, kills, how long functions take
    #[arg(long)]
    seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where logs and Redis' files are kept, instead of a folder that is removed
    #[arg(long)]
    keep: Option<PathBuf>,
    /// The program `faas-flow`
    #[arg(long)]
    host: PathBuf,
    /// The program `faas-flow-gateway`
    #[arg(long)]
    gateway: PathBuf,
    /// The folder of the modules
    #[arg(long)]
    modules: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = async {
        let options = Options::parse();
        tokio::select! {
            done = run(&options) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    };
    match done.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<bool> {
    let temporary = tempfile::tempdir()?;
    let folder: &Path = match &options.keep {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            folder
        }
        None => temporary.path(),
    };
    let report = chaos::run(options, &std::path::absolute(folder)?).await?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?)
    } else {
        print!("{}", report.table()?)
    }
    Ok(report.holds())
}
