//! Known vulnerabilities of dependencies, as the RustSec project publishes them.

use crate::place::Place;
use crate::run::Run as _;
use crate::setup;
use crate::tool::CARGO_DENY;
use anyhow::Result;
use std::env;
use std::path::PathBuf;

/// Fetches the database of advisories and checks all dependencies against it.
pub fn check(place: &Place) -> Result<()> {
    setup::for_advisories(place)?;
    cargo_deny(place, &[])
}

/// Checks them if the database was fetched before, since a change must be testable without a network.
pub fn check_if_fetched(place: &Place) -> Result<()> {
    if databases().is_some_and(|folder| folder.is_dir()) {
        return cargo_deny(place, &["--offline"]);
    }
    eprintln!("skipped: the database of advisories is not on this machine; `cargo xtask advisories` fetches it");
    Ok(())
}

fn cargo_deny(place: &Place, options: &[&str]) -> Result<()> {
    let mut deny = CARGO_DENY.command(place);
    deny.current_dir(&place.root).arg("--workspace").args(options).args(["check", "advisories"]);
    deny.must("a dependency with a known vulnerability, or one that nobody maintains")
}

/// Where cargo-deny keeps its databases.
fn databases() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("advisory-dbs"))
}
