//! A short run of what `cargo xtask chaos` does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn nothing_is_lost_while_replicas_and_redis_are_killed() {
    chaos(&["--runs", "100"]);
}

#[test]
fn every_run_is_that_of_one_version_while_a_flow_is_swapped_and_its_replicas_are_killed() {
    chaos(&["--runs", "60", "--swaps", "12"]);
}

fn chaos(options: &[&str]) {
    let chaos = Path::new(env!("CARGO_BIN_EXE_faas-flow-chaos"));
    // `cargo test --workspace` has built them for the tests of their own packages.
    let beside = |name: &str| chaos.with_file_name(name);
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache"));
        cache.join("faas-flow/modules")
    });
    let mut run = Command::new(chaos);
    run.arg("--host").arg(beside("faas-flow")).arg("--gateway").arg(beside("faas-flow-gateway"));
    let done = run.arg("--modules").arg(modules).args(options).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}
