//! Mutation testing: cargo-mutants changes the rules of the engine in small ways, and a test must notice each change.

use crate::metadata::Metadata;
use crate::place::Place;
use crate::run::Run as _;
use crate::setup;
use crate::tool::CARGO_MUTANTS;
use anyhow::Result;

/// The crates that hold the rules. Each is tested by its own tests.
const PACKAGES: [&str; 2] = ["faas-flow-core", "faas-flow-session"];

/// Runs it; arguments are passed on.
pub fn run(place: &Place, arguments: &[String]) -> Result<()> {
    setup::for_mutants(place)?;
    let metadata = Metadata::read(place)?;
    let mut mutants = CARGO_MUTANTS.command(place);
    mutants.current_dir(&place.root).env("CARGO_TARGET_DIR", place.target.join("mutants"));
    mutants.args(["mutants", "--no-shuffle", "--output"]).arg(place.target.join("mutants"));
    for package in PACKAGES.iter().filter(|name| metadata.package(name).is_some()) {
        mutants.args(["--package", package]);
    }
    mutants.args(arguments).must("mutants survived")
}
