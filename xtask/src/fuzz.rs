//! Fuzzing: libFuzzer on what is read from outside. The targets are in `fuzz/`, a workspace of its own.

use crate::modules;
use crate::place::Place;
use crate::run::Run as _;
use crate::setup;
use crate::tool::CARGO_FUZZ;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The targets, and files or folders in the repository with inputs to begin with.
const TARGETS: [Target; 10] = [
    Target::core("stored_form", "host/core/tests/golden"),
    Target::core("node_path", "fuzz/seeds/node_path"),
    Target::core("media_type", "fuzz/seeds/media_type"),
    Target::core("definition", "fuzz/seeds/definition"),
    Target::host("event", "fuzz/seeds/event"),
    Target::host("compiler_answer", "fuzz/seeds/compiler_answer"),
    Target::host("http", "fuzz/seeds/http"),
    Target::host("configuration", "fuzz/seeds/configuration"),
    Target::host("scenario", "fuzz/seeds/scenario"),
    Target::host("text", "fuzz/seeds/text"),
];

/// Modules are read by a process of their own, which may crash. So they are not fuzzed with libFuzzer, but with an end-to-end
/// test that pushes mutants to a server, which must live and answer each with a code.
const MODULE: &str = "module";

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
    /// Targets to run [default: all]
    #[arg(value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    targets: Vec<String>,
}

/// Runs each target for some time. The inputs that it found interesting stay in the target folder, for the next time; an
/// input that crashes it is kept in `fuzz/artifacts`, and is an error.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    setup::for_fuzz(place)?;
    let chosen = |name: &str| options.targets.is_empty() || options.targets.iter().any(|target| target == name);
    for target in TARGETS.iter().filter(|target| chosen(target.name)) {
        run_target(place, target, options.seconds)?;
    }
    if chosen(MODULE) { run_module(place, options.seconds) } else { Ok(()) }
}

fn names() -> Vec<&'static str> {
    TARGETS.iter().map(|target| target.name).chain([MODULE]).collect()
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

fn run_module(place: &Place, seconds: u32) -> Result<()> {
    eprintln!("== {MODULE}");
    setup::for_modules(place)?;
    setup::for_tests(place)?;
    modules::build(place)?;
    place.build_programs(&["faas-flow"])?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    eprintln!("FAAS_FLOW_MUTANTS_SEED={seed} repeats it");
    let mut test = place.cargo("test");
    test.args(["--workspace", "--test", "e2e", "whatever_the_bytes_of_a_module_are", "--", "--nocapture"]);
    test.env("FAAS_FLOW_MUTANTS", seconds.to_string()).env("FAAS_FLOW_MUTANTS_SEED", seed.to_string());
    test.must("fuzzing modules")
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
