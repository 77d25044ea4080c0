//! The benchmark: builds what is measured, and measures it.

use crate::place::Place;
use crate::run::Run as _;
use crate::tool::{COMPONENTIZE_PY, ZIG};
use crate::{modules, release, setup};
use anyhow::Result;
use std::process::Command;

/// What to measure.
#[derive(clap::Args)]
pub struct Options {
    /// Measure the original Go project too, and compare; needs Go
    #[arg(long)]
    original: bool,
    /// Measure a program built without a profile: it is built in a third of the time, and slower than what ships
    #[arg(long)]
    plain: bool,
    /// Measure instead what flows cost in each language, from their sources to the memory of an instance
    #[arg(long, conflicts_with = "original")]
    languages: bool,
    /// Passed on to the benchmark: `--json`, `--flows`, `--stores`, `--seconds`, `--swaps`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the benchmark.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    if options.original {
        setup::go("the original's libraries")?;
    }
    setup::for_bench(place)?;
    let flows = if options.languages {
        setup::for_modules(place)?;
        modules::build(place)?;
        place.modules.clone()
    } else {
        modules::build_for_bench(place)?
    };
    let program = release::build_bench(place)?;
    let host = if options.plain { release::build_plain(place)? } else { release::build(place)? };
    let mut bench = Command::new(program);
    bench.arg("--host").arg(host).arg("--modules").arg(flows).args(&options.arguments);
    if options.languages {
        // Projects are built with the pinned compilers, as the examples are.
        let zig = format!("{} -m ziglang", ZIG.path(place).display());
        bench.arg("--languages").env("ZIG", zig).env("VIRTUAL_ENV", COMPONENTIZE_PY.folder(place));
    }
    if options.original {
        eprintln!("building the original");
        let program = place.target.join("release/original");
        let mut go = Command::new("go");
        go.current_dir(place.root.join("benches/original")).env("CGO_ENABLED", "0");
        go.args(["build", "-o"]).arg(&program).must("building the original")?;
        bench.arg("--original").arg(program);
    }
    bench.must("the benchmark")
}
