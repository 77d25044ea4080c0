//! The host as it ships, built with profile-guided optimization: the host is compiled with counters, runs the benchmark's
//! flows, and is compiled again with the profile. `benches/README.md` says how much that gains.
//!
//! What is linked is what ships, so the end-to-end tests can run against it ([`fn@test`]).

use crate::modules;
use crate::place::Place;
use crate::run::{Run, program};
use crate::setup;
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The arguments of the benchmark's training run: every flow with each of its stores, for a short time.
const TRAINING: [&str; 4] = ["--json", "--polite", "--seconds", "0.5"];

/// Builds the host that ships: `<target>/trained/faas-flow`.
pub fn build(place: &Place) -> Result<PathBuf> {
    let training = Training {
        place,
        profdata: setup::for_release(place)?,
        flows: modules::build_for_bench(place)?,
        bench: build_bench(place)?,
        folder: place.target.join("trained"),
    };
    let profile = training.profile()?;
    eprintln!("building the host with its profile");
    let linked = training.compile("host", &format!("-Cprofile-use={}", profile.display()), &[])?;
    // Renamed into place, since a program that runs cannot be overwritten.
    let (copy, program) = (training.folder.join("copy"), training.folder.join("faas-flow"));
    fs::copy(&linked, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    rename(&copy, &program)?;
    Ok(program)
}

/// Runs the end-to-end tests against a host that was built for release.
pub fn test(place: &Place, program: &Path) -> Result<()> {
    setup::for_modules(place)?;
    setup::for_tests(place)?;
    modules::build(place)?;
    let mut tests = place.cargo("test");
    tests.args(["--workspace", "--test", "e2e"]).env("FAAS_FLOW_PROGRAM", program);
    tests.must("the end-to-end tests of the released program")
}

/// What a host is trained with, and where.
struct Training<'a> {
    place: &'a Place,
    /// `llvm-profdata`.
    profdata: PathBuf,
    /// The folder of the benchmark's flows.
    flows: PathBuf,
    /// The benchmark's program.
    bench: PathBuf,
    folder: PathBuf,
}

impl Training<'_> {
    /// Records a profile, unless there is one of the same host.
    fn profile(&self) -> Result<PathBuf> {
        eprintln!("building a host with counters");
        let counts = self.folder.join("counts");
        // Optimization at link time would take most of the time and does not affect the counters.
        let quick = [("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_DEBUG", "0")];
        let counting = self.compile("counting", &format!("-Cprofile-generate={}", counts.display()), &quick)?;
        // Each profile has a name of its own, since cargo would not notice that a file of the same name has changed.
        let profiles = self.folder.join("profiles");
        let profile = profiles.join(modified(&counting)?.duration_since(UNIX_EPOCH)?.as_millis().to_string());
        if !profile.exists() {
            self.train(&counting, &counts)?;
            let merged = self.folder.join("merged");
            let mut merge = Command::new(&self.profdata);
            merge.args(["merge", "--output"]).arg(&merged).arg(&counts).must("merging the profiles")?;
            empty(&profiles)?;
            rename(&merged, &profile)?;
        }
        Ok(profile)
    }

    /// Runs the benchmark's flows on a host with counters, which writes them to the folder `counts`.
    fn train(&self, host: &Path, counts: &Path) -> Result<()> {
        empty(counts)?;
        eprintln!("running the benchmark's flows");
        let mut training = Command::new(&self.bench);
        training.arg("--host").arg(host).arg("--modules").arg(&self.flows).args(TRAINING);
        training.stdout(Stdio::null()).must("the training run")
    }

    /// Builds a host with additional flags for all of its crates, and therefore in a target folder of its own.
    fn compile(&self, folder: &str, more: &str, settings: &[(&str, &str)]) -> Result<PathBuf> {
        let folder = self.folder.join(folder);
        let machine =
            program("rustc", &["--print", "host-tuple"]).quiet().context("`rustc --print host-tuple` failed")?;
        let mut flags = env::var_os("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push(more);
        let mut build = self.place.cargo_with_progress("build");
        build.env("CARGO_TARGET_DIR", &folder).env("CARGO_ENCODED_RUSTFLAGS", flags).envs(settings.iter().copied());
        // With an explicit target, the flags do not apply to build scripts and macros.
        build.args(["--release", "--locked", "--package", "faas-flow-host", "--target", &machine]);
        build.must("building the host")?;
        Ok(folder.join(machine).join("release/faas-flow"))
    }
}

/// Builds the host without a profile, in half of the time.
pub fn build_plain(place: &Place) -> Result<PathBuf> {
    eprintln!("building the host");
    let mut build = place.cargo_with_progress("build");
    build.args(["--release", "--locked", "--package", "faas-flow-host"]).must("building the host")?;
    Ok(place.target.join("release/faas-flow"))
}

/// Builds the benchmark's program.
pub fn build_bench(place: &Place) -> Result<PathBuf> {
    let mut build = place.cargo_with_progress("build");
    build.args(["--release", "--package", "faas-flow-bench"]).must("building the benchmark")?;
    Ok(place.target.join("release/faas-flow-bench"))
}

fn modified(file: &Path) -> Result<SystemTime> {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.with_context(|| format!("cannot read the modification time of {}", file.display()))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot write {}", to.display()))
}

fn empty(folder: &Path) -> Result<()> {
    let emptied = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    emptied.and_then(|()| fs::create_dir_all(folder)).with_context(|| format!("cannot clear {}", folder.display()))
}
