//! The host as it ships: compiled so that it counts where it goes, made to run the benchmark's flows, and compiled again
//! with what was counted (profile-guided optimization). What that brings is measured in benches/README.md.

use crate::modules;
use crate::place::Place;
use crate::run::{Run, program};
use crate::setup;
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

/// Every flow of the benchmark with each of its stores, for a short while.
const LESSON: [&str; 4] = ["--json", "--polite", "--seconds", "0.5"];

/// Builds it: `<target>/trained/faas-flow`.
pub fn build(place: &Place) -> Result<PathBuf> {
    let merger = setup::for_release(place)?;
    let flows = modules::build_for_bench(place)?;
    let bench = build_bench(place)?;
    let folder = place.target.join("trained");
    let (counts, profiles) = (folder.join("counts"), folder.join("profiles"));
    eprintln!("building a host that counts where it goes");
    let counting = host(place, "counting", "generate", &counts)?;
    // A name of its own for each profile: cargo would not see that a file of the same name has changed.
    let made = fs::metadata(&counting).and_then(|about| about.modified()).context("cannot see what was built")?;
    let profile = profiles.join(made.duration_since(UNIX_EPOCH)?.as_millis().to_string());
    if !profile.exists() {
        clear(&counts)?;
        eprintln!("letting it run the benchmark's flows");
        let mut lesson = Command::new(bench);
        lesson.arg("--host").arg(&counting).arg("--modules").arg(flows).args(LESSON);
        lesson.stdout(Stdio::null()).must("the lesson")?;
        let merged = folder.join("merged");
        let mut merge = Command::new(merger);
        merge.args(["merge", "--output"]).arg(&merged).arg(&counts).must("merging what was counted")?;
        clear(&profiles)?;
        let kept = fs::create_dir_all(&profiles).and_then(|()| fs::rename(&merged, &profile));
        kept.with_context(|| format!("cannot write {}", profile.display()))?;
    }
    eprintln!("building the host");
    let (built, program) = (host(place, "host", "use", &profile)?, folder.join("faas-flow"));
    fs::copy(&built, &program).with_context(|| format!("cannot write {}", program.display()))?;
    Ok(program)
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

/// Builds a host that makes a profile or uses it. It has a target folder of its own, since all that it consists of does so.
fn host(place: &Place, folder: &str, what: &str, profile: &Path) -> Result<PathBuf> {
    let folder = place.target.join("trained").join(folder);
    let machine = program("rustc", &["--print", "host-tuple"]).quiet().context("rustc does not tell its machine")?;
    let mut flags = env::var_os("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.is_empty() {
        flags.push("\x1f");
    }
    flags.push(format!("-Cprofile-{what}="));
    flags.push(profile);
    let mut build = place.build();
    build.env("CARGO_TARGET_DIR", &folder).env("CARGO_ENCODED_RUSTFLAGS", flags);
    if what == "generate" {
        // What is optimized when all is linked changes nothing of what is counted, and takes most of the time.
        build.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    }
    // With a target named, the flag is not for what runs while building.
    build.args(["--release", "--locked", "--package", "faas-flow-host", "--target", &machine]);
    build.must("building the host")?;
    Ok(folder.join(machine).join("release/faas-flow"))
}

fn clear(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display())),
        false => Ok(()),
    }
}
