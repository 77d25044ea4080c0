//! Everything that a change must pass, cheapest first.

use crate::place::Place;
use crate::run::Run;
use crate::setup::{self, TARGET};
use crate::tool::{CARGO_DENY, CARGO_SHEAR};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Runs all checks, stops at the first that fails, and prints how long each took.
pub fn run(place: &Place) -> Result<()> {
    let steps: [(&str, Step); 14] = [
        ("set-up", |place| {
            setup::for_modules(place)?;
            setup::for_ci(place)?;
            setup::for_tests(place)
        }),
        ("format", format),
        ("workflows", crate::workflows::check),
        ("documentation", crate::docs::check_book),
        ("unused dependencies", |place| {
            CARGO_SHEAR.command(place).current_dir(&place.root).must("unused dependencies")
        }),
        ("licences, bans, sources", |place| {
            let mut deny = CARGO_DENY.command(place);
            deny.current_dir(&place.root).args([
                "--workspace",
                "check",
                "--hide-inclusion-graph",
                "bans",
                "licenses",
                "sources",
            ]);
            deny.must("a dependency that deny.toml forbids")
        }),
        ("advisories", crate::advisories::check_if_fetched),
        ("deployment", crate::deploy::check),
        ("lints", |place| {
            let mut clippy = place.cargo("clippy");
            clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]).must("lints")
        }),
        ("lints of flows", lint_flows),
        ("Go", crate::go::check),
        ("documentation of the API", crate::docs::check_api),
        ("packages", |place| crate::package::crates(place).map(drop)),
        ("tests", |place| crate::test(place, &[])),
    ];
    let mut durations: Vec<(&str, Duration)> = Vec::new();
    let mut result = Ok(());
    for (name, step) in steps {
        eprintln!("== {name}");
        let started = Instant::now();
        result = step(place);
        durations.push((name, started.elapsed()));
        if result.is_err() {
            break;
        }
    }
    eprintln!("== durations");
    for (name, duration) in durations {
        eprintln!("{:>7.1} s  {name}", duration.as_secs_f64());
    }
    result
}

type Step = fn(&Place) -> Result<()>;

/// Checks the format of the workspace, and of the fuzz targets, which are a workspace of their own.
fn format(place: &Place) -> Result<()> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut fmt = place.cargo("fmt");
        fmt.args(["--all", "--check", "--manifest-path", manifest]).must("the format differs: run `cargo fmt`")?;
    }
    Ok(())
}

/// Checks the code that exists only for the target of flows: half of the SDK, and the flows themselves.
fn lint_flows(place: &Place) -> Result<()> {
    let mut clippy = place.cargo("clippy");
    clippy.args(["--target", TARGET, "--package", "faas-flow"]);
    for name in place.rust_flows()? {
        clippy.arg("--package").arg(format!("example-{name}"));
    }
    clippy.args(["--", "-D", "warnings"]).must("lints of flows")
}
