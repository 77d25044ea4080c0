//! Finds the program under test, and makes sure that it is the one that the sources would give.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Says which program to test, if not the one that cargo built beside the tests.
const VARIABLE: &str = "FAAS_FLOW_PROGRAM";

/// The program `faas-flow`: that of `FAAS_FLOW_PROGRAM`, or else the one that cargo built beside the tests.
///
/// If there is none, or its sources have changed since, no test can say anything: this ends all of them, with one
/// message that says what to do.
pub fn path() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        find().unwrap_or_else(|why| {
            // Not by `eprintln!`, which a test's output is captured of.
            let _ = writeln!(io::stderr(), "\nerror: {why}\n");
            exit(1);
        })
    })
}

/// The clone. Cargo runs a test in the folder of its package; what it runs may have been built in another clone.
pub fn root() -> PathBuf {
    env::current_dir().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// A folder that stays from one run of the tests to the next, so that what is built there is not built again.
pub fn scratch(name: &str) -> PathBuf {
    // `target/debug/deps/e2e-…`
    let test = env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().join("tmp").join(name)
}

fn find() -> Result<PathBuf, String> {
    if let Some(set) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let program = root().join(set);
        return if program.is_file() {
            Ok(program)
        } else {
            Err(format!("{VARIABLE} names {}, which is no file", program.display()))
        };
    }
    let test = env::current_exe().map_err(|error| format!("cannot tell where the tests are: {error}"))?;
    let program = test.ancestors().nth(2).unwrap().join("faas-flow");
    let wrong = match modified(&program) {
        Err(_) => Some("is missing".to_owned()),
        Ok(built) => outdated(&program.with_extension("d"), built),
    };
    match wrong {
        None => Ok(program),
        Some(wrong) => Err(format!(
            "the program under test, {}, {wrong}: run `cargo xtask test`, which builds it first (`cargo xtask test --test \
             e2e` for these tests alone), or set {VARIABLE} to the program to test",
            program.display()
        )),
    }
}

/// Why cargo would build the program again, if it would: a source has changed or gone since. `cargo build` writes the list of
/// the sources beside the program, and `cargo test` does not.
fn outdated(sources: &Path, built: SystemTime) -> Option<String> {
    let Ok(list) = fs::read_to_string(sources) else {
        return Some(format!("may be outdated, since {} is missing", sources.display()));
    };
    let unchanged = |source: &PathBuf| modified(source).is_ok_and(|at| at <= built);
    let source = listed(&list).into_iter().find(|source| !unchanged(source))?;
    Some(format!("is older than {}", source.display()))
}

fn modified(file: &Path) -> io::Result<SystemTime> {
    fs::metadata(file)?.modified()
}

/// The paths of a rule `program: source source`, in which a space of a path has a backslash before it.
fn listed(rule: &str) -> Vec<PathBuf> {
    let Some((_, sources)) = rule.trim().split_once(": ") else { return Vec::new() };
    let sources = sources.replace("\\ ", "\0");
    sources.split_whitespace().map(|source| source.replace('\0', " ").into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sources_are_listed_with_their_spaces() {
        assert_eq!(listed("/t/faas-flow: /a/lib.rs /b\\ c/d.rs\n"), [PathBuf::from("/a/lib.rs"), "/b c/d.rs".into()]);
        assert_eq!(listed(""), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_program_is_outdated_once_a_source_is_newer_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("faas-flow.d");
        let source = folder.path().join("lib.rs");
        fs::write(&source, "").unwrap();
        fs::write(&list, format!("faas-flow: {}", source.display())).unwrap();
        let changed = modified(&source).unwrap();
        assert_eq!(outdated(&list, changed), None);
        let older = outdated(&list, changed - Duration::from_secs(1)).unwrap();
        assert!(older.contains("older than") && older.contains("lib.rs"), "{older}");
        fs::remove_file(&source).unwrap();
        assert!(outdated(&list, changed).is_some());
        fs::remove_file(&list).unwrap();
        assert!(outdated(&list, changed).is_some(), "without a list nothing is known");
    }
}
