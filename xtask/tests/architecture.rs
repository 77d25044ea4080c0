//! ARCHITECTURE.md is true: the ladder of crates, the code map, and the path of a request. So are the links that comments
//! have to the documentation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates whose rules are to run without a clock, without IO and without a runtime, and what they therefore do without.
const PURE: [&str; 3] = ["host/core", "host/session", "host/graph"];
const IMPURE: [&str; 5] = ["tokio", "tracing", "fastrand", "reqwest", "axum"];

/// The guides at the top level, and the folders to which the paths belong that they quote.
const GUIDES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
const FOLDERS: [&str; 7] = ["host/", "guest-sdk/", "wit/", "tests/", "xtask/", "deploy/", "template/"];

/// The repository that is tested, which Cargo names when it runs the tests: a target folder that clones share may have this program
/// from another one.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// The lines of ARCHITECTURE.md from a heading to the next one of the same level or above.
fn section(heading: &str) -> Vec<String> {
    let text = read("ARCHITECTURE.md");
    let level = heading.split(' ').next().unwrap().len();
    let ends = |line: &&str| (1..=level).any(|level| line.starts_with(&format!("{} ", "#".repeat(level))));
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "ARCHITECTURE.md has no heading `{heading}`, which this test looks for");
    lines.take_while(|line| !ends(line)).map(str::to_owned).collect()
}

/// The cells of each row of the tables in these lines, without their heads.
fn rows(lines: &[String]) -> Vec<Vec<String>> {
    let cells = |line: &String| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let mut rows = Vec::new();
    let mut is_body = false;
    for line in lines {
        if line.starts_with("|---") {
            is_body = true;
        } else if !line.starts_with('|') {
            is_body = false;
        } else if is_body {
            rows.push(cells(line));
        }
    }
    rows
}

/// The texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A crate of the workspace: its folder, and what it depends on other than in its tests.
struct Package {
    folder: String,
    uses: BTreeMap<String, Option<String>>,
}

fn workspace() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let place = PathBuf::from(metadata["workspace_root"].as_str().unwrap());
    let relative = |path: &Path| path.strip_prefix(&place).ok().map(|path| path.to_str().unwrap().to_owned());
    let package = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let used = package["dependencies"].as_array().unwrap().iter().filter(|used| used["kind"] != "dev");
        let uses = used.map(|used| {
            let folder = used["path"].as_str().and_then(|path| relative(Path::new(path)));
            (used["name"].as_str().unwrap().to_owned(), folder)
        });
        Package { folder: relative(manifest.parent().unwrap()).unwrap(), uses: uses.collect() }
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// The ladder: the folder of each crate, and the folders of those that it may use.
fn ladder() -> BTreeMap<String, BTreeSet<String>> {
    let mut ladder: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows(&section("## The ladder of crates")) {
        let folder = quoted(&row[0]).first().copied().unwrap_or_default().to_owned();
        let above = |name: &str| {
            let found = ladder.keys().find(|folder| folder.rsplit('/').next() == Some(name));
            found.cloned().unwrap_or_else(|| {
                panic!("the ladder in ARCHITECTURE.md lets {folder} use `{name}`, which has no row above it. Correct the row.")
            })
        };
        let allowed = quoted(&row[2]).into_iter().map(above).collect();
        ladder.insert(folder, allowed);
    }
    ladder
}

#[test]
fn each_crate_uses_only_what_the_ladder_allows() {
    let ladder = ladder();
    let mut faults = Vec::new();
    for Package { folder, uses } in workspace() {
        let Some(allowed) = ladder.get(&folder) else { continue };
        for used in uses.into_values().flatten().filter(|used| !allowed.contains(used)) {
            faults.push(format!(
                "{folder} uses {used}, which its row of the ladder in ARCHITECTURE.md does not allow. Take the dependency \
                 out of {folder}/Cargo.toml: move the code that needs it up to a crate that may use both, or pass in what \
                 it needs. If the ladder itself is to change, change the row and say why in the commit."
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_crate_of_the_host_and_the_sdk_has_its_row_in_the_ladder() {
    let rows: BTreeSet<String> = ladder().into_keys().collect();
    let is_ours = |folder: &String| folder.starts_with("host/") || folder.starts_with("guest-sdk/");
    let crates: BTreeSet<String> = workspace().into_iter().map(|package| package.folder).filter(is_ours).collect();
    let without: Vec<&String> = crates.difference(&rows).collect();
    assert!(
        without.is_empty(),
        "{without:?} have no row in the ladder of ARCHITECTURE.md. Add one that says what the crate is and which crates it \
         may use, and a section to the code map."
    );
    let gone: Vec<&String> = rows.difference(&crates).collect();
    assert!(
        gone.is_empty(),
        "the ladder in ARCHITECTURE.md has rows for {gone:?}, which are no crates. Remove the rows."
    );
}

#[test]
fn pure_crates_do_without_runtime_log_randomness_and_network() {
    let mut faults = Vec::new();
    for Package { folder, uses } in workspace().into_iter().filter(|package| PURE.contains(&package.folder.as_str())) {
        for impure in IMPURE.iter().filter(|name| uses.contains_key(**name)) {
            faults.push(format!(
                "{folder} depends on {impure}, but is pure. Return what is to be done as a value, and let host/replica do it; \
                 take the time and random numbers as arguments."
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(
        ladder()["host/core"],
        BTreeSet::new(),
        "host/core is the lowest step of the ladder and uses no other crate"
    );
}

#[test]
fn the_code_map_names_files_that_exist() {
    let mut folder = String::new();
    let mut missing = Vec::new();
    let mut described = BTreeSet::new();
    for line in section("## Code map") {
        if let Some(heading) = line.strip_prefix("### ") {
            folder = quoted(heading).first().copied().unwrap_or_default().to_owned();
            described.insert(folder.clone());
        }
        let row = rows(&["|---|".to_owned(), line]);
        let names = row.iter().flat_map(|cells| quoted(&cells[0])).map(|name| format!("{folder}/{name}"));
        missing.extend(names.filter(|path| !root().join(path).exists()));
    }
    assert!(
        missing.is_empty(),
        "the code map in ARCHITECTURE.md names what is not there: {missing:?}. Correct its rows."
    );
    let ladder: BTreeSet<String> = ladder().into_keys().collect();
    let without: Vec<&String> = ladder.difference(&described).collect();
    assert!(without.is_empty(), "{without:?} have no section in the code map of ARCHITECTURE.md. Add one.");
}

#[test]
fn the_path_of_a_request_names_functions_that_exist() {
    let mut faults = Vec::new();
    let steps = rows(&section("## Follow a request"));
    assert!(steps.len() > 10, "ARCHITECTURE.md follows a request through {} steps only", steps.len());
    for step in steps {
        let [path, functions @ ..] = &*quoted(&step[1]) else { panic!("a step without a file: {step:?}") };
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            faults.push(format!("there is no file {path}"));
            continue;
        };
        let is_there = |name: &str| {
            let start = format!("fn {name}");
            text.split(&start).skip(1).any(|rest| rest.starts_with(['(', '<']))
        };
        faults.extend(functions.iter().filter(|name| !is_there(name)).map(|name| format!("{path} has no `fn {name}`")));
    }
    let faults = faults.join("\n");
    assert!(faults.is_empty(), "\"Follow a request\" in ARCHITECTURE.md is out of date. Correct its steps:\n{faults}");
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut faults = Vec::new();
    for path in sources(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        faults.extend(links(&text).into_iter().filter_map(|link| fault(&link).map(|why| format!("{name}: {why}"))));
    }
    for guide in GUIDES {
        let text = read(guide);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        let links = links.filter(|link| !link.contains("://")).map(|link| match link.strip_prefix('#') {
            Some(anchor) => format!("{guide}#{anchor}"),
            None => link.to_owned(),
        });
        let is_path = |name: &&str| FOLDERS.iter().any(|folder| name.starts_with(folder)) && !name.contains(' ');
        // The rows of the code map are relative to a folder.
        let prose = text.lines().filter(|line| !line.starts_with("| `"));
        let paths = prose.flat_map(quoted).filter(is_path).map(str::to_owned);
        faults.extend(links.chain(paths).filter_map(|link| fault(&link).map(|why| format!("{guide}: {why}"))));
    }
    let faults = faults.join("\n");
    assert!(faults.is_empty(), "correct these links and paths, which comments and guides name:\n{faults}");
}

/// The files whose comments may cite the documentation.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if path.is_dir() {
            // Generated, or a copy.
            let is_passed_over = name.starts_with('.') || ["target", "template", "node_modules"].contains(&name);
            if !is_passed_over && !path.is_symlink() {
                found.extend(sources(&path));
            }
        } else if ["rs", "wit", "toml"].map(OsStr::new).contains(&path.extension().unwrap_or_default()) {
            found.push(path);
        }
    }
    found
}

/// The pages of docs/ that a text names, with their anchors.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for (at, _) in text.match_indices("docs/") {
        let is_whole = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_';
        if text[..at].ends_with(is_whole) {
            continue;
        }
        let end = text[at..].find(|c: char| !c.is_ascii_alphanumeric() && !"/.-_#".contains(c));
        let link = &text[at..end.map_or(text.len(), |end| at + end)];
        if let Some((page, anchor)) = link.split_once(".md") {
            let anchor =
                anchor.strip_prefix('#').map_or(String::new(), |anchor| format!("#{}", anchor.trim_matches('.')));
            links.push(format!("{page}.md{anchor}"));
        }
    }
    links
}

/// Why a link leads nowhere, if it does.
fn fault(link: &str) -> Option<String> {
    let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
    if !root().join(page).exists() {
        return Some(format!("there is no {page}"));
    }
    let is_missing = !anchor.is_empty()
        && read(page).lines().filter(|line| line.starts_with('#')).all(|line| anchor_of(line) != anchor);
    is_missing.then(|| format!("{page} has no heading with the anchor #{anchor}"))
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
