//! A short run of what `cargo xtask chaos` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use faas_flow_test_support::modules;
use std::path::Path;
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
    // `cargo xtask test` builds the others before it runs any test.
    let beside = |name: &str| chaos.with_file_name(name);
    let mut run = Command::new(chaos);
    run.arg("--host").arg(beside("faas-flow")).arg("--gateway").arg(beside("faas-flow-gateway"));
    let done = run.arg("--modules").arg(modules::folder()).args(options).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}
