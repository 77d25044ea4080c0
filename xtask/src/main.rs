//! The project's own tasks, run as `cargo xtask <task>`. Each installs what it needs.

mod advisories;
mod bench;
mod c;
mod ci;
mod demo;
mod deploy;
mod docs;
mod files;
mod fuzz;
mod go;
mod licences;
mod metadata;
mod modules;
mod mutants;
mod package;
mod place;
mod python;
mod release;
mod run;
mod sdk_copy;
mod setup;
mod template;
mod tool;
mod typescript;
mod workflows;

use clap::{Parser, Subcommand};
use place::Place;
use run::Run;
use std::env;
use std::process::{Command, ExitCode};
use std::thread;

/// Tasks of the faas-flow project
///
/// Each task installs what it needs, and names it first. Builds and tools are kept in ~/.cache/faas-flow, outside the clone.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need; each tool and package is named before it is installed
    Setup {
        /// Install what `ci` needs too: its checkers, and the servers that the tests start
        #[arg(long)]
        ci: bool,
        /// Install Jaeger too, for the test that counts as ignored without it; it takes some minutes to build
        #[arg(long)]
        jaeger: bool,
    },
    /// Build the example flows, in all languages
    Modules,
    /// Serve the examples, send them real input, and show each run
    Demo,
    /// Check the SDK for Python and the flows written with it: types, tests, package, documentation
    Python,
    /// Build the modules and run all tests
    Test {
        /// Passed on to `cargo test`: `--test e2e dashboard::` runs the tests of the dashboard alone
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the Helm chart and everything else in deploy/
    Deploy {
        /// Render the base of kustomize from the chart instead
        #[arg(long)]
        render: bool,
    },
    /// Generate the copies of the SDKs in template/, or switch the template for Rust to a published version
    Template {
        /// Use this version from the registry instead of a copy
        #[arg(long, value_name = "VERSION", value_parser = template::version)]
        sdk_version: Option<semver::Version>,
    },
    /// Check the dependencies for known vulnerabilities, which takes a network
    Advisories,
    /// Check the GitHub workflows with actionlint and zizmor
    Workflows,
    /// Build the program that ships, optimized with a profile of the benchmark's flows
    Release {
        /// Also run the end-to-end tests against it
        #[arg(long)]
        test: bool,
    },
    /// Make what a release publishes: archive, bill of materials, chart, crates, checksums
    ///
    /// The files are written to one folder, whose path is printed. The archive is for this machine; a release has one for
    /// each platform.
    Package(package::Options),
    /// Build the documentation site from docs/ and rustdoc, and check its links
    ///
    /// Prints the path of the folder with the site.
    Docs,
    /// Measure runs per second, latency and memory
    Bench(bench::Options),
    /// Simulate replicas, a queue and stores that fail, under virtual time
    Sim {
        /// Passed on to the simulation: `--seeds`, `--seed`, `--flow`, `--swaps`, `--calls`, `--schedules`, `--json`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kill replicas and Redis while flows run, and check that nothing is lost
    Chaos {
        /// Passed on: `--runs N`; `--swaps N` to swap a flow meanwhile; `--seed N`; `--json`; `--keep FOLDER` for the logs
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Fuzz what is read from outside: stored documents, paths, definitions, events
    ///
    /// The inputs that a target found interesting are kept in the target folder for the next time. An input that crashes
    /// it is kept in fuzz/artifacts, and the task fails.
    Fuzz(fuzz::Options),
    /// Test the tests: change the rules of the engine in small ways, and see that a test notices
    Mutants {
        /// Passed on to `cargo mutants`: `--file 'host/core/src/id.rs'`, `--shard 0/4`, `--list`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run everything that a change must pass: format, lints, checks, documentation and tests
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
        Task::Setup { ci, jaeger } => {
            setup::for_modules(&place)?;
            if ci {
                setup::for_ci(&place)?;
            }
            if jaeger {
                setup::for_jaeger(&place)?;
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
        Task::Python => python::check(&place),
        Task::Test { arguments } => test(&place, &arguments),
        Task::Deploy { render: true } => deploy::render(&place),
        Task::Deploy { render: false } => deploy::check(&place),
        Task::Template { sdk_version } => {
            let sdk = sdk_version.map_or(template::Sdk::Copy, template::Sdk::Published);
            template::generate(&place, &sdk)?;
            go::template(&place)?;
            python::generate(&place)?;
            c::generate(&place)
        }
        Task::Advisories => advisories::check(&place),
        Task::Workflows => {
            setup::for_workflows(&place)?;
            workflows::check(&place)
        }
        Task::Release { test } => {
            let program = release::build(&place)?;
            if test {
                release::test(&place, &program)?;
            }
            println!("{}", program.display());
            Ok(())
        }
        Task::Package(options) => {
            println!("{}", package::build(&place, &options)?.display());
            Ok(())
        }
        Task::Docs => {
            println!("{}", docs::build(&place)?.display());
            Ok(())
        }
        Task::Bench(options) => bench::run(&place, &options),
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
        Task::Fuzz(options) => fuzz::run(&place, &options),
        Task::Mutants { arguments } => mutants::run(&place, &arguments),
        Task::Ci => ci::run(&place),
    }
}

/// Runs the chaos with the programs that the tests use too, so that both share what is compiled.
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
    // The end-to-end tests and the chaos run these, of which cargo knows nothing.
    place.build_programs(&["faas-flow", "faas-flow-gateway", "faas-flow-chaos"])?;
    let mut test = place.cargo("test");
    let selects = |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
    if !arguments.iter().take_while(|argument| *argument != "--").any(selects) {
        test.arg("--workspace");
    }
    // Most end-to-end tests wait for servers for about a third of their time.
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let threads = thread::available_parallelism().map_or(2, |cores| cores.get() * 2);
        test.env("RUST_TEST_THREADS", threads.to_string());
    }
    // A snapshot that differs fails its test. Who has looked at it and accepts it sets INSTA_UPDATE=always.
    if env::var_os("INSTA_UPDATE").is_none() {
        test.env("INSTA_UPDATE", "no");
    }
    test.env("INSTA_WORKSPACE_ROOT", &place.root).args(arguments).must("the tests")?;
    // Which tests of Rust are wanted says nothing about those of Python.
    if arguments.is_empty() {
        python::check(place)?;
    }
    Ok(())
}
