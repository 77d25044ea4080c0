//! Fuzzing: libFuzzer on what is read from outside. The targets are in `fuzz/`, a workspace of its own.

use crate::place::Place;
use crate::run::Run as _;
use crate::setup;
use crate::tool::CARGO_FUZZ;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The targets, and files or folders in the repository with inputs to begin with.
const TARGETS: [Target; 7] = [
    Target::core("stored_form", "host/core/tests/golden"),
    Target::core("node_path", "fuzz/seeds/node_path"),
    Target::core("definition", "fuzz/seeds/definition"),
    Target::host("event", "fuzz/seeds/event"),
    Target::host("http", "fuzz/seeds/http"),
    Target::host("configuration", "fuzz/seeds/configuration"),
    Target::host("text", "fuzz/seeds/text"),
];

struct Target {
    name: &'static str,
    seeds: &'static str,
    /// Which part of the product it needs, and with it the feature of the fuzzing package.
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The pure core, which compiles in a minute.
    Core,
    /// The host, which takes many minutes.
    Host,
}

impl Target {
    const fn core(name: &'static str, seeds: &'static str) -> Self {
        Self { name, seeds, part: Part::Core }
    }

    const fn host(name: &'static str, seeds: &'static str) -> Self {
        Self { name, seeds, part: Part::Host }
    }
}

/// Which targets to run, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// How long to run each target, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Targets to run [default: all]: stored_form, node_path, definition, event, http, configuration, text
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Runs each target for some time. The inputs that it found interesting stay in the target folder, for the next time; an
/// input that crashes it is kept in `fuzz/artifacts`, and is an error.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    for name in &options.targets {
        let names = TARGETS.map(|target| target.name).join(", ");
        ensure!(TARGETS.iter().any(|target| target.name == name), "there is no fuzz target `{name}`: use {names}");
    }
    setup::for_fuzz(place)?;
    let chosen =
        |target: &&Target| options.targets.is_empty() || options.targets.iter().any(|name| name == target.name);
    for target in TARGETS.iter().filter(chosen) {
        run_target(place, target, options.seconds)?;
    }
    Ok(())
}

fn run_target(place: &Place, target: &Target, seconds: u32) -> Result<()> {
    eprintln!("== {}", target.name);
    let corpus = corpus(place, target)?;
    let mut fuzz = cargo_fuzz(place, "run");
    if target.part == Part::Host {
        fuzz.args(["--features", "host"]);
    }
    fuzz.arg(target.name).arg(&corpus).arg(place.root.join(target.seeds));
    fuzz.arg("--").args([format!("-max_total_time={seconds}"), "-timeout=10".to_owned(), "-verbosity=1".to_owned()]);
    fuzz.must(&format!("fuzzing {}", target.name))
}

/// `cargo fuzz`. libFuzzer needs unstable flags, so the compiler is allowed them. There is no sanitizer, since the code that
/// is fuzzed is safe: what is looked for are panics, overflows and endless loops.
fn cargo_fuzz(place: &Place, subcommand: &str) -> Command {
    let mut fuzz = CARGO_FUZZ.command(place);
    fuzz.arg(subcommand).args(["--sanitizer", "none", "--fuzz-dir"]).arg(place.root.join("fuzz"));
    fuzz.current_dir(&place.root).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", place.target.join("fuzz"));
    fuzz
}

/// The folder of the inputs that earlier runs found.
fn corpus(place: &Place, target: &Target) -> Result<PathBuf> {
    let folder = place.target.join("fuzz/corpus").join(target.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
