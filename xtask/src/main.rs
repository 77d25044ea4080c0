//! The project's own tasks, run as `cargo xtask <task>`. Each sets up what it needs.

mod ci;
mod demo;
mod deploy;
mod modules;
mod place;
mod release;
mod run;
mod setup;
mod template;

use clap::{Parser, Subcommand};
use place::Place;
use run::Run;
use std::process::{Command, ExitCode};

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need and this machine lacks; say so first
    Setup {
        /// Also what `ci` needs, its servers included
        #[arg(long)]
        ci: bool,
    },
    /// Build the examples into modules, in every language they are written in
    Modules,
    /// Run the examples on real input and show each run as it goes
    Demo,
    /// Build the modules and run all tests
    Test {
        /// Passed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the chart and the other files in deploy/ with the tools that will read them
    Deploy {
        /// Renew the rendered base of kustomize instead
        #[arg(long)]
        render: bool,
    },
    /// Generate the copy of the SDK in template/, or switch the template to a published version
    Template {
        /// Use this version from the registry instead of a copy
        #[arg(long, value_name = "VERSION", value_parser = template::version)]
        sdk_version: Option<semver::Version>,
    },
    /// Build the host as it ships: compiled and laid out with what it told when it ran the benchmark's flows (on Linux)
    Release,
    /// Measure: runs per second, latency, memory
    Bench {
        /// Measure the original, too, and compare with that; it is compiled with Go
        #[arg(long)]
        original: bool,
        /// Measure a host that is compiled once, without a profile: built sooner, slower than what ships
        #[arg(long)]
        plain: bool,
        /// Passed on to the benchmark: `--json`, `--flows`, `--stores`, `--seconds`, `--swaps`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Simulate replicas, queue and stores that fail, under virtual time
    Sim {
        /// Passed on to the simulation: `--seeds`, `--seed`, `--json`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kill replicas and Redis while flows run, swap one of them, and check that nothing is lost
    Chaos {
        /// Passed on: `--runs N`; `--swaps N`, which swaps a flow among five versions meanwhile; `--seed N`, `--json`,
        /// `--keep FOLDER` for the logs
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check format, lints, dependencies and tests, as `.ci/run` does
    Ci,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let place = Place::find()?;
    match Arguments::parse().task {
        Task::Setup { ci } => {
            setup::for_modules(&place)?;
            if ci {
                setup::for_ci(&place)?;
            }
            Ok(())
        }
        Task::Modules => {
            setup::for_modules(&place)?;
            modules::build(&place)
        }
        Task::Demo => {
            setup::for_modules(&place)?;
            demo::run(&place)
        }
        Task::Test { arguments } => test(&place, &arguments),
        Task::Deploy { render: true } => deploy::render(&place),
        Task::Deploy { render: false } => deploy::check(&place),
        Task::Template { sdk_version } => {
            let sdk = sdk_version.map_or(template::Sdk::Copy, template::Sdk::Published);
            template::generate(&place, &sdk)
        }
        Task::Release => {
            println!("{}", release::build(&place)?.display());
            Ok(())
        }
        Task::Bench { original, plain, arguments } => {
            setup::for_bench(&place, original)?;
            let flows = modules::build_for_bench(&place)?;
            let (program, host) = (
                release::build_bench(&place)?,
                match plain {
                    true => release::build_plain(&place)?,
                    false => release::build(&place)?,
                },
            );
            let mut bench = Command::new(program);
            bench.arg("--host").arg(host).arg("--modules").arg(flows).args(arguments);
            if original {
                eprintln!("building the original");
                let program = place.target.join("release/original");
                let mut go = Command::new("go");
                go.current_dir(place.root.join("benches/original")).env("CGO_ENABLED", "0");
                go.args(["build", "-o"]).arg(&program).must("building the original")?;
                bench.arg("--original").arg(program);
            }
            bench.must("the benchmark")
        }
        Task::Sim { arguments } => {
            setup::for_modules(&place)?;
            modules::build(&place)?;
            place.build_programs(&["faas-flow-sim"])?;
            Command::new(place.target.join("debug/faas-flow-sim")).args(arguments).must("the simulation")
        }
        Task::Chaos { arguments } => {
            setup::for_modules(&place)?;
            setup::for_tests(&place)?;
            modules::build(&place)?;
            chaos(&place, &arguments)
        }
        Task::Ci => ci::run(&place),
    }
}

/// With the programs that the tests use too.
fn chaos(place: &Place, arguments: &[String]) -> anyhow::Result<()> {
    place.build_programs(&["faas-flow", "faas-flow-gateway", "faas-flow-chaos"])?;
    let programs = place.target.join("debug");
    let mut chaos = Command::new(programs.join("faas-flow-chaos"));
    chaos.arg("--host").arg(programs.join("faas-flow")).arg("--gateway").arg(programs.join("faas-flow-gateway"));
    chaos.arg("--modules").arg(&place.modules).args(arguments).must("the chaos")
}

fn test(place: &Place, arguments: &[String]) -> anyhow::Result<()> {
    setup::for_modules(place)?;
    setup::for_tests(place)?;
    modules::build(place)?;
    place.cargo("test").arg("--workspace").args(arguments).must("the tests")
}
