//! The host as it ships. It is compiled so that it counts where it goes, made to run the benchmark's flows, and compiled again
//! with what was counted (profile-guided optimization). What is linked then does the same once more, to be laid out so that what
//! runs lies together, in the order in which it runs (LLVM's BOLT). What each brings is measured in benches/README.md.

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

/// Every flow of the benchmark with each of its stores, for a short while.
const LESSON: [&str; 4] = ["--json", "--polite", "--seconds", "0.5"];

/// What follows each other lies behind each other, functions as well as the blocks in them; what never ran lies elsewhere. Of
/// functions that are the same, one is kept.
const LAYOUT: [&str; 7] = [
    "-reorder-blocks=ext-tsp",
    "-reorder-functions=cdsort",
    "-split-functions",
    "-split-all-cold",
    "-split-eh",
    "-icf=safe",
    "-use-gnu-stack",
];

/// Builds it: `<target>/trained/faas-flow`.
pub fn build(place: &Place) -> Result<PathBuf> {
    let training = Training {
        place,
        tools: setup::for_release(place)?,
        flows: modules::build_for_bench(place)?,
        bench: build_bench(place)?,
        folder: place.target.join("trained"),
    };
    let profile = training.profile()?;
    eprintln!("building the host");
    // Nothing can be moved without knowing what refers to it.
    let flags = format!("-Cprofile-use={}\x1f-Clink-arg=-Wl,--emit-relocs", profile.display());
    let linked = training.compile("host", &flags, &[])?;
    training.lay_out(&linked)
}

/// What a host learns with, and where.
struct Training<'a> {
    place: &'a Place,
    tools: setup::ReleaseTools,
    flows: PathBuf,
    bench: PathBuf,
    folder: PathBuf,
}

impl Training<'_> {
    /// Makes a profile, unless that of the same host is there.
    fn profile(&self) -> Result<PathBuf> {
        eprintln!("building a host that counts where it goes");
        let counts = self.folder.join("counts");
        // What is optimized when all is linked changes nothing of what is counted, and takes most of the time.
        let quick = [("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_DEBUG", "0")];
        let counting = self.compile("counting", &format!("-Cprofile-generate={}", counts.display()), &quick)?;
        // A name of its own for each: cargo would not see that a file of the same name has changed.
        let profiles = self.folder.join("profiles");
        let profile = profiles.join(modified(&counting)?.duration_since(UNIX_EPOCH)?.as_millis().to_string());
        if !profile.exists() {
            self.learn(&counting, &counts)?;
            let merged = self.folder.join("merged");
            let mut merge = Command::new(&self.tools.profdata);
            merge.args(["merge", "--output"]).arg(&merged).arg(&counts).must("merging what was counted")?;
            empty(&profiles)?;
            rename(&merged, &profile)?;
        }
        Ok(profile)
    }

    /// Makes the program that ships of what was linked, unless it is there.
    fn lay_out(&self, linked: &Path) -> Result<PathBuf> {
        let program = self.folder.join("faas-flow");
        if program.exists() && modified(&program)? > modified(linked)? {
            return Ok(program);
        }
        eprintln!("making it count where it goes");
        let (counts, instrumented) = (self.folder.join("counts"), self.folder.join("instrumented"));
        let mut instrument = Command::new(self.tools.bolt);
        instrument.arg(linked).args(["-instrument", "-instrumentation-file-append-pid"]);
        instrument.arg(format!("-instrumentation-file={}", counts.join("host").display()));
        instrument.arg("-o").arg(&instrumented).stdout(Stdio::null()).must("making the host count")?;
        self.learn(&instrumented, &counts)?;
        eprintln!("laying it out");
        let (merged, laid_out) = (self.folder.join("merged"), self.folder.join("laid-out"));
        let mut merge = Command::new(self.tools.fdata);
        merge.args(["-q", "-o"]).arg(&merged).arg(&counts).must("merging what was counted")?;
        let mut lay_out = Command::new(self.tools.bolt);
        lay_out.arg(linked).arg("-data").arg(&merged).args(LAYOUT);
        lay_out.arg("-o").arg(&laid_out).stdout(Stdio::null()).must("laying out the host")?;
        rename(&laid_out, &program)?;
        Ok(program)
    }

    /// Lets a host run the benchmark's flows, which leaves what it counted in a folder.
    fn learn(&self, host: &Path, counts: &Path) -> Result<()> {
        empty(counts)?;
        eprintln!("letting it run the benchmark's flows");
        let mut lesson = Command::new(&self.bench);
        lesson.arg("--host").arg(host).arg("--modules").arg(&self.flows).args(LESSON);
        lesson.stdout(Stdio::null()).must("the lesson")
    }

    /// Builds a host with more flags for all that it consists of, which is why it has a target folder of its own.
    fn compile(&self, folder: &str, more: &str, settings: &[(&str, &str)]) -> Result<PathBuf> {
        let folder = self.folder.join(folder);
        let machine =
            program("rustc", &["--print", "host-tuple"]).quiet().context("rustc does not tell its machine")?;
        let mut flags = env::var_os("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push(more);
        let mut build = self.place.build();
        build.env("CARGO_TARGET_DIR", &folder).env("CARGO_ENCODED_RUSTFLAGS", flags).envs(settings.iter().copied());
        // With a target named, the flags are not for what runs while building.
        build.args(["--release", "--locked", "--package", "faas-flow-host", "--target", &machine]);
        build.must("building the host")?;
        Ok(folder.join(machine).join("release/faas-flow"))
    }
}

/// Builds it without a profile, in a third of the time.
pub fn build_plain(place: &Place) -> Result<PathBuf> {
    eprintln!("building the host");
    let mut build = place.build();
    build.args(["--release", "--locked", "--package", "faas-flow-host"]).must("building the host")?;
    Ok(place.target.join("release/faas-flow"))
}

/// Builds the benchmark's program.
pub fn build_bench(place: &Place) -> Result<PathBuf> {
    let mut build = place.build();
    build.args(["--release", "--package", "faas-flow-bench"]).must("building the benchmark")?;
    Ok(place.target.join("release/faas-flow-bench"))
}

fn modified(file: &Path) -> Result<SystemTime> {
    let made = fs::metadata(file).and_then(|about| about.modified());
    made.with_context(|| format!("cannot see when {} was made", file.display()))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot write {}", to.display()))
}

fn empty(folder: &Path) -> Result<()> {
    let emptied = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    emptied.and_then(|()| fs::create_dir_all(folder)).with_context(|| format!("cannot empty {}", folder.display()))
}
