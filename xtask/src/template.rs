//! The SDK in the template: a copy, since `faas-cli template pull` brings nothing but the template's folder.

use crate::place::Place;
use anyhow::{Context, Result};
use std::fs;

/// What is copied, each a folder of files.
const COPIES: [(&str, &str); 2] = [("guest-sdk/rust/src", "sdk/rust/src"), ("wit", "wit")];

/// Copies the sources of the SDK into the template. Its manifest there is not a copy, and a test compares them.
pub fn renew(place: &Place) -> Result<()> {
    for (from, to) in COPIES {
        let (from, to) = (place.root.join(from), place.root.join("template/faas-flow").join(to));
        if to.is_dir() {
            fs::remove_dir_all(&to).with_context(|| format!("cannot clear {}", to.display()))?;
        }
        fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        for file in from.read_dir().with_context(|| format!("cannot list {}", from.display()))? {
            let file = file?;
            fs::copy(file.path(), to.join(file.file_name()))
                .with_context(|| format!("cannot copy {}", file.path().display()))?;
        }
    }
    Ok(())
}
