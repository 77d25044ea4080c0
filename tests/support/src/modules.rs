//! The flows that `cargo xtask modules` built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What the flow `versions` has in its bytes: a number, which goes into all that it makes, and how it behaves.
const MARK: &[u8] = b"faas-flow-version:0000:okay";

/// The folder of the modules: `FAAS_FLOW_MODULES`, or else the one in the user's cache.
pub fn folder() -> PathBuf {
    set("FAAS_FLOW_MODULES").unwrap_or_else(|| cache().join("modules"))
}

/// Where the project's tasks keep what outlives a clone.
pub fn cache() -> PathBuf {
    set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache")).join("faas-flow")
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The module of this name. Panics if it was not built.
pub fn module(name: &str) -> PathBuf {
    let module = folder().join(name).with_extension("wasm");
    assert!(module.is_file(), "{} is missing: run `cargo xtask modules`", module.display());
    module
}

/// Writes a version of the flow `versions` into a folder, and returns its file.
///
/// All that it makes carries the number. The mode is a word of four letters that `tests/versions` knows: `okay`, `more`
/// (a graph with one more node), `each` (a for-each), `asks` (a definition that depends on the request), `paus` (a run
/// whose first node fails and waits for the operator), `hide` (a call with secrets), `trap` (code that fails), `bad_` (a definition that is refused).
pub fn version(folder: &Path, number: u16, mode: &str) -> PathBuf {
    let mut bytes = fs::read(module("versions")).unwrap();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).expect("the module has its mark");
    let mark = format!("faas-flow-version:{number:04}:{mode}");
    assert_eq!(mark.len(), MARK.len(), "the mode `{mode}` does not have four letters");
    bytes[at..at + MARK.len()].copy_from_slice(mark.as_bytes());
    let path = folder.join(format!("{number}-{mode}.wasm"));
    fs::write(&path, bytes).unwrap();
    path
}
