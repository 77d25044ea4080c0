//! `.github/`: the workflows and the configuration of dependabot, checked by actionlint (with shellcheck) and zizmor.

use crate::place::Place;
use crate::run::Run as _;
use crate::tool::{ACTIONLINT, SHELLCHECK, ZIZMOR};
use anyhow::Result;

/// Checks all of it, without a network.
pub fn check(place: &Place) -> Result<()> {
    let mut actionlint = ACTIONLINT.command(place);
    // The pinned shellcheck, and no pyflakes, which would be whichever this machine has.
    actionlint.arg("-shellcheck").arg(SHELLCHECK.path(place)).args(["-pyflakes", ""]);
    actionlint.current_dir(&place.root).must("the GitHub workflows")?;
    let mut zizmor = ZIZMOR.command(place);
    zizmor.current_dir(&place.root).args([
        "--offline",
        "--no-progress",
        "--quiet",
        "--pedantic",
        "--strict-collection",
        ".github",
    ]);
    zizmor.must("the security of the GitHub workflows")
}
