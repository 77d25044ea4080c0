//! `faas-flow test`: plays scenarios of a flow in virtual time.

mod counting;
mod explore;
mod junit;
mod report;
mod watch;

use super::host::{ModuleKeys, load, scenario_guests};
use super::output::{Output, complain, json, print, print_json};
use super::project::{Build, Refused, Sources};
use super::stop::Signals;
use crate::Error;
use crate::config::Options;
use clap::Args;
use faas_flow_guest::Guests;
use faas_flow_scenario::{
    Asked as Faults, Error as ScenarioError, Scenario, SingleFault, Suite, Tested, files, read, update,
};
use faas_flow_versions::load_flow;
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use watch::Watch;

/// The exit code if scenarios cannot be run.
const CANNOT_RUN: u8 = 2;

#[derive(Args)]
#[command(after_help = "Exit codes: 0 if all scenarios pass, 1 if one fails, 2 if they cannot be run")]
pub(super) struct Test {
    /// Module of the flow, or the folder of its sources, which are built first
    #[arg(default_value = ".")]
    flow: PathBuf,
    /// Scenario files, or folders of them [default: tests, in the folder of the sources if that is given]
    #[arg(value_name = "SCENARIOS")]
    scenarios: Vec<PathBuf>,
    /// Only scenarios whose names contain this text
    #[arg(long, short = 'k', value_name = "TEXT")]
    only: Option<String>,
    /// Succeed if there are no scenarios: if a file or folder does not exist, or a folder has no scenario files
    #[arg(long)]
    if_present: bool,
    /// Play each scenario again with every single fault at every step
    #[arg(long)]
    explore: bool,
    /// Play each scenario again with this many random mixtures of faults
    #[arg(long, value_name = "NUMBER")]
    seeds: Option<u64>,
    /// Play each scenario again with the faults of this seed, and print everything that happens
    #[arg(long, value_name = "SEED", conflicts_with_all = ["explore", "seeds"])]
    seed: Option<u64>,
    /// Play each scenario again with this fault, as --explore prints it, and print everything that happens
    #[arg(long, value_name = "FAULT", conflicts_with_all = ["explore", "seeds", "seed"])]
    fault: Option<SingleFault>,
    /// Show which nodes, edges, branches, handlers and tries no scenario reaches
    #[arg(long)]
    coverage: bool,
    /// Write the actual results into scenarios that fail or expect nothing
    #[arg(long, conflicts_with_all = ["explore", "seeds", "seed", "fault", "watch"])]
    update: bool,
    /// Test again whenever the module, its sources or a scenario changes
    #[arg(long)]
    watch: bool,
    /// Print the stories of all scenarios, not only of those that fail
    #[arg(long)]
    story: bool,
    /// Also write the results to this file, in JUnit's format
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

/// What is tested.
struct Asked {
    flow: PathBuf,
    /// How the flow is built, if the folder of its sources is given.
    build: Option<Build>,
    paths: Vec<PathBuf>,
    only: Option<String>,
    /// Whether there may be no scenarios.
    if_present: bool,
    faults: Faults,
    /// Whether all that happens with the only seed or fault is printed.
    traces: bool,
    coverage: bool,
    update: bool,
    stories: bool,
    junit: Option<PathBuf>,
    output: Output,
}

impl Test {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let guests = match self.guest.read().map_err(Error::from).and_then(|values| scenario_guests(&values)) {
            Ok(guests) => guests,
            Err(error) => return Ok(cannot_run(&error, Output::of_flag(self.json))),
        };
        let sources = self.flow.is_dir().then_some(&self.flow);
        let build = match sources.map(|folder| Build::of(folder, None)).transpose() {
            Ok(build) => build,
            Err(error) => return Ok(cannot_run(&error, Output::of_flag(self.json))),
        };
        let beside = sources.filter(|folder| *folder != Path::new(".")).cloned().unwrap_or_default();
        let asked = Asked {
            paths: if self.scenarios.is_empty() { vec![beside.join("tests")] } else { self.scenarios },
            build,
            flow: self.flow,
            only: self.only,
            if_present: self.if_present,
            faults: Faults {
                every: self.explore,
                fault: self.fault,
                seeds: self.seed.map_or_else(|| (1..=self.seeds.unwrap_or_default()).collect(), |seed| vec![seed]),
            },
            traces: self.seed.is_some() || self.fault.is_some(),
            coverage: self.coverage,
            update: self.update,
            stories: self.story,
            junit: self.junit,
            output: Output::of_flag(self.json),
        };
        if self.watch {
            return asked.watch(&guests).await;
        }
        Ok(asked.test(&guests).await.unwrap_or_else(|error| cannot_run(&error, asked.output)))
    }
}

/// Waits until the sources have changed, for ever if there are none.
async fn changed(sources: &mut Option<Sources>) -> Result<(), Error> {
    match sources {
        Some(sources) => Ok(sources.changed().await.map(drop)?),
        None => std::future::pending().await,
    }
}

/// Reports why scenarios cannot be run.
fn cannot_run(error: &Error, output: Output) -> ExitCode {
    super::report(error, output);
    ExitCode::from(CANNOT_RUN)
}

impl Asked {
    /// Tests again and again.
    async fn watch(&self, guests: &Arc<Guests>) -> Result<ExitCode, Error> {
        let mut signals = Signals::new()?;
        let sources = self.build.as_ref().map(|_| Sources::new(&self.flow, None)).transpose();
        let mut sources = match sources {
            Ok(sources) => sources,
            Err(error) => return Ok(cannot_run(&Error::from(error), self.output)),
        };
        loop {
            let mut watch = match Watch::new(&self.flow, &self.paths) {
                Ok(watch) => watch,
                Err(error) => return Ok(cannot_run(&Error::from(error), self.output)),
            };
            if let Err(error) = self.test(guests).await {
                super::report(&error, self.output);
            }
            complain("waiting for changes; Ctrl-C ends this");
            tokio::select! {
                changed = watch.changed() => changed?,
                changed = changed(&mut sources) => changed?,
                _ = signals.any() => return Ok(ExitCode::SUCCESS),
            }
        }
    }

    /// Tests once.
    async fn test(&self, guests: &Arc<Guests>) -> Result<ExitCode, Error> {
        let flow = match &self.build {
            None => load(guests, &self.flow).await?,
            Some(build) => match build.run().await {
                Ok(module) => load_flow(guests.clone(), &module, build.name()).await?,
                // Its output has said why.
                Err(Refused::Build) => return Ok(ExitCode::from(CANNOT_RUN)),
                Err(Refused::Error(error)) => return Err(error),
            },
        };
        let mut found = Vec::new();
        for path in &self.paths {
            match files(path) {
                Ok(files) => found.extend(files),
                Err(error) if self.if_present && error.is_absence() => {
                    complain(format!("no scenarios in {}", path.display()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut scenarios = read(guests, &flow, &found).await?;
        if let Some(only) = &self.only {
            scenarios.retain(|scenario| scenario.name.contains(only.as_str()));
            if scenarios.is_empty() && !found.is_empty() {
                return Err(Error::NoSuchScenario { only: only.clone() });
            }
        }
        let suite = Arc::new(Suite::new(flow, scenarios));
        let began = Instant::now();
        let faults = self.faults.clone();
        let text = self.output == Output::Text;
        let stories = self.stories;
        // Each scenario has a runtime of its own, with a clock of its own.
        let tested = tokio::task::spawn_blocking(move || {
            let mut report = Report::new(stories);
            let tested = each(
                &*suite,
                suite.scenarios(),
                |suite, scenario| suite.test(scenario),
                |tested| {
                    if text {
                        print(report.line(tested));
                    }
                },
            )?;
            let explored = explore::explore(&suite, &tested, &faults, text)?;
            Ok::<_, ScenarioError>((suite, tested, explored))
        });
        let tested =
            tested.await.map_err(|error| Error::System { what: "test", source: std::io::Error::other(error) })?;
        let (suite, tested, explored) = tested?;
        if self.update {
            return self.write(&tested);
        }
        let coverage = suite.coverage(&tested);
        if let Some(path) = &self.junit {
            let text = junit::junit(suite.flow(), &tested, &explored);
            std::fs::write(path, text).map_err(|source| Error::OutputUnwritable { path: path.clone(), source })?;
        }
        match self.output {
            Output::Json => print_json(&report::to_json(&self.flow, &tested, &explored, &coverage))?,
            Output::Text => {
                print(report::details(&self.flow, &tested, &explored, stories));
                if self.traces {
                    for one in &explored {
                        print(one.traces());
                    }
                }
                if self.coverage {
                    print(report::covered(&coverage));
                }
                print(report::summary(&tested, &explored, began.elapsed()));
            }
        }
        let passed =
            tested.iter().all(|tested| tested.wrong.is_empty()) && explored.iter().all(|one| one.wrong.is_empty());
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Writes what came into the files.
    fn write(&self, tested: &[Tested]) -> Result<ExitCode, Error> {
        let updated = update(tested)?;
        match self.output {
            Output::Json => print(json(&updated)?),
            Output::Text if updated.is_empty() => print("nothing to write: all expectations hold\n"),
            Output::Text => updated.iter().for_each(|path| print(format!("wrote {}\n", path.display()))),
        }
        let failed = |tested: &&Tested| !tested.can_be_updated();
        let left: Vec<&Tested> = tested.iter().filter(failed).collect();
        for tested in &left {
            print(report::detail(tested, true));
        }
        Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Does something with each item, on as many threads as there are, and tells of each in order. Ends with the first error.
fn each<S: Sync, T: Sync, R: Send>(
    shared: &S,
    items: &[T],
    work: impl Fn(&S, &T) -> Result<R, ScenarioError> + Sync,
    mut tell: impl FnMut(&R),
) -> Result<Vec<R>, ScenarioError> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = std::sync::mpsc::channel();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { return };
                    // Nobody listens any more after an error.
                    if sender.send((number, work(shared, item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = std::collections::BTreeMap::new();
        let mut done = Vec::with_capacity(items.len());
        for (number, result) in receiver {
            early.insert(number, result?);
            while let Some(result) = early.remove(&done.len()) {
                tell(&result);
                done.push(result);
            }
        }
        Ok(done)
    })
}

/// The name of a scenario with its file and line.
fn place(scenario: &Scenario) -> String {
    format!("{}:{}", scenario.file.display(), scenario.line)
}
