//! Every rule that docs/concepts.md states is named by a test, in the comment before it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the tests of rules are: `tests` beside them have the hosts and functions that rules about calls need.
const FOLDERS: [&str; 2] = ["host", "tests"];

/// The repository that is tested, which Cargo names when it runs the tests: a target folder that clones share may have this program
/// from another one.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().unwrap().to_owned()
}

/// The ids at the beginning of the rules: `- **DATA-3. A node with …`.
fn stated() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/concepts.md")).unwrap();
    let ids = text.lines().filter_map(|line| line.strip_prefix("- **")?.split_once(". "));
    let ids: BTreeSet<String> = ids.map(|(id, _)| id).filter(|id| is_id(id)).map(str::to_owned).collect();
    assert!(ids.len() > 80, "only {} rules were found: does this test still read them as they are written?", ids.len());
    ids
}

/// Whether a word is the id of a rule: capital letters, a hyphen and a number.
fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(kind, number)| {
        let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase());
        is_kind && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The rules that the comments of tests name, each with one of these tests.
fn tested() -> BTreeMap<String, String> {
    let mut tested = BTreeMap::new();
    let mut open: Vec<PathBuf> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let named = named(&text);
            tested.extend(named.into_iter().map(|(rule, test)| (rule, format!("{test} in {}", path.display()))));
        }
    }
    tested
}

/// The rules that the comments of tests in a source name, each with its test.
fn named(source: &str) -> Vec<(String, String)> {
    let mut named = Vec::new();
    let mut rules: Vec<&str> = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            let words = comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            rules.extend(words.filter(|word| is_id(word)));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test") || line.starts_with("#[tokio::test");
        } else {
            let name = line.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
            if let Some(name) = name.filter(|_| is_test) {
                named.extend(rules.iter().map(|rule| ((*rule).to_owned(), name.to_owned())));
            }
            rules.clear();
            is_test = false;
        }
    }
    named
}

#[test]
fn every_rule_has_a_test_and_tests_name_rules_that_exist() {
    let (stated, tested) = (stated(), tested());
    let missing: Vec<&String> = stated.iter().filter(|rule| !tested.contains_key(*rule)).collect();
    assert!(missing.is_empty(), "no test names {missing:?} in its comment, as in `/// DATA-3.`");
    let kind = |id: &str| id.split('-').next().unwrap_or_default().to_owned();
    let kinds: BTreeSet<String> = stated.iter().map(|rule| kind(rule)).collect();
    let unknown = tested.iter().filter(|(rule, _)| kinds.contains(&kind(rule)) && !stated.contains(*rule));
    let unknown: Vec<String> = unknown.map(|(rule, test)| format!("{rule}, named by {test}")).collect();
    assert!(unknown.is_empty(), "docs/concepts.md does not state these rules: {unknown:#?}");
}

#[test]
fn a_rule_is_named_by_the_comment_of_a_test_and_by_no_other() {
    let source = "/// DATA-3, JOIN-1: both.\n#[tokio::test]\nasync fn a() {}\n/// DATA-4.\nfn b() {}\n// DATA-5.\n#[test]\nfn c() {}";
    let named = named(source).into_iter().map(|(rule, test)| format!("{rule} {test}"));
    assert_eq!(named.collect::<Vec<_>>(), ["DATA-3 a", "JOIN-1 a"]);
}
