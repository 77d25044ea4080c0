//! What some tests need of the machine, and the set-up cannot give on every machine.

/// Whether a test can run on this machine: nothing is lacking. In CI, a test fails if it cannot run; elsewhere it says what is
/// lacking, and is skipped.
#[track_caller]
pub fn can_run(lacking: Option<&str>) -> bool {
    let Some(lacking) = lacking else { return true };
    assert!(std::env::var_os("CI").is_none(), "this test must run in CI, and cannot: {lacking}");
    eprintln!("skipped: {lacking}");
    false
}
