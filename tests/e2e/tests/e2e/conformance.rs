//! The conformance matrix: the flows in `tests/conformance` have the same cases in each language. A case is the same definition,
//! byte for byte, and passes the same scenarios.
//!
//! `UPDATE_DOCS=1 cargo test --workspace --test e2e conformance::renews` records the definitions of the flow in Rust, and
//! writes docs/conformance.md.

use faas_flow::testing::{Fake, Flow};
use faas_flow_e2e::command::run;
use faas_flow_e2e::definition::hide_values;
use faas_flow_e2e::program::root;
use faas_flow_test_support::modules::module;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// The languages by the names of their folders.
const LANGUAGES: [(&str, &str); 5] =
    [("rust", "Rust"), ("go", "Go"), ("typescript", "TypeScript"), ("python", "Python"), ("c", "C")];

/// Cases that a language does not have: its folder, the case, and the reason.
const MISSING: &[(&str, &str, &str)] = &[];

/// The groups of cases by the names of their files.
const GROUPS: [(&str, &str); 5] = [
    ("constructs", "Constructs"),
    ("calls", "Calls, and failures that are caught"),
    ("context", "The context"),
    ("failures", "Failures of the flow's own code"),
    ("data", "Data"),
];

const DEFINITIONS: &str = "tests/conformance/definitions.json";
const TABLE: &str = "docs/conformance.md";
/// Where the matrix begins.
const BEGIN: &str = "<!-- matrix: made of tests/conformance by tests/e2e/tests/e2e/conformance.rs -->\n";

/// The case of a scenario: its name, up to a colon.
fn case_of(scenario: &str) -> &str {
    scenario.split(": ").next().unwrap_or(scenario)
}

/// The cases of a group, in the order of its scenarios.
fn cases(group: &str) -> Vec<String> {
    let path = root().join("tests/conformance/scenarios").join(group).with_extension("yaml");
    let text = fs::read_to_string(&path).unwrap();
    let mut cases: Vec<String> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("  - name: ") else { continue };
        let case = case_of(name.trim_matches('"'));
        // The name says in the table what the query selects in the flow.
        let query = lines.next().unwrap_or_default();
        let selected = query.strip_prefix("    query: { case: ").and_then(|rest| rest.split([' ', ',']).next());
        assert_eq!(selected, Some(case), "{}: the scenario `{name}` selects another case", path.display());
        if cases.last().is_none_or(|last| last != case) {
            cases.push(case.to_owned());
        }
    }
    cases
}

fn is_missing(language: &str, case: &str) -> bool {
    MISSING.iter().any(|(folder, missing, _)| (*folder, *missing) == (language, case))
}

/// Plays all scenarios with the flow in this language.
fn play(language: &str) -> Vec<Value> {
    // The host names a flow by its file.
    let folder = TempDir::new().unwrap();
    let flow = folder.path().join("conformance.wasm");
    symlink(module(&format!("conformance-{language}")), &flow).unwrap();
    let scenarios = root().join("tests/conformance/scenarios");
    let done = run(&root(), ["test".as_ref(), flow.as_os_str(), scenarios.as_os_str(), "--json".as_ref()]);
    assert!(matches!(done.code, Some(0 | 1)), "{}{}", done.stdout, done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    report["scenarios"].as_array().unwrap().clone()
}

/// What was recorded, by case.
fn recorded() -> Map<String, Value> {
    serde_json::from_str(&fs::read_to_string(root().join(DEFINITIONS)).unwrap()).unwrap()
}

/// The first place at which two texts differ, with what is around it.
fn difference(expected: &str, found: &str) -> String {
    let at = expected.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
    let near = |text: &str| {
        let bytes = text.as_bytes().iter().skip(at.saturating_sub(80)).take(160).copied().collect::<Vec<u8>>();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    format!("\n    - …{}…\n    + …{}…", near(expected), near(found))
}

/// Compares the flow in a language with what was recorded, and names everything that differs.
fn conforms(language: &str) {
    let recorded = recorded();
    let mut wrong = String::new();
    let mut played = BTreeSet::new();
    for scenario in play(language) {
        let name = scenario["name"].as_str().unwrap();
        let case = case_of(name);
        played.insert(case.to_owned());
        let mut expected = recorded.get(case).cloned().unwrap_or_default();
        // The host shows no values that may be secrets. The results of `call-options` and `prepare` compare them.
        hide_values(&mut expected);
        let expected = expected.to_string();
        let found = scenario["definition"].to_string();
        if is_missing(language, case) {
            if scenario["passed"] == true && found == expected {
                writeln!(wrong, "{name}: it passes: remove it from MISSING").unwrap();
            }
            continue;
        }
        if found != expected {
            writeln!(wrong, "{name}: the definition is another one{}", difference(&expected, &found)).unwrap();
        }
        for one in scenario["wrong"].as_array().unwrap() {
            let told = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            writeln!(wrong, "{name} ({}:{}): {}", told(&scenario["file"]), one["line"], told(&one["what"])).unwrap();
            writeln!(wrong, "    - {}\n    + {}", told(&one["expected"]), told(&one["found"])).unwrap();
        }
    }
    for case in recorded.keys().filter(|case| !played.contains(*case)) {
        writeln!(wrong, "{case}: no scenario plays it").unwrap();
    }
    assert!(wrong.is_empty(), "the flow in tests/conformance/{language}:\n{wrong}");
}

#[test]
fn a_flow_in_rust_conforms() {
    conforms("rust");
}

#[test]
fn a_flow_in_go_conforms() {
    conforms("go");
}

#[test]
fn a_flow_in_typescript_conforms() {
    conforms("typescript");
}

#[test]
fn a_flow_in_python_conforms() {
    conforms("python");
}

#[test]
fn a_flow_in_c_conforms() {
    conforms("c");
}

/// The matrix. The tests above hold what it says.
fn matrix() -> String {
    let mut page = String::new();
    let mut notes: Vec<&str> = Vec::new();
    for (file, title) in GROUPS {
        let names: Vec<&str> = LANGUAGES.iter().map(|(_, name)| *name).collect();
        write!(page, "\n## {title}\n\n[The scenarios](../tests/conformance/scenarios/{file}.yaml)\n\n").unwrap();
        writeln!(page, "| case | {} |", names.join(" | ")).unwrap();
        writeln!(page, "|---|{}", ":---:|".repeat(names.len())).unwrap();
        for case in cases(file) {
            write!(page, "| `{case}` |").unwrap();
            for (language, _) in LANGUAGES {
                let reason = MISSING.iter().find(|(folder, missing, _)| (*folder, *missing) == (language, &*case));
                match reason {
                    None => page.push_str(" ✓ |"),
                    Some((_, _, reason)) => {
                        let known = notes.iter().position(|note| note == reason);
                        let number = known.unwrap_or_else(|| {
                            notes.push(reason);
                            notes.len() - 1
                        });
                        write!(page, " – [{0}](#missing) |", number + 1).unwrap();
                    }
                }
            }
            page.push('\n');
        }
    }
    page.push_str("\n## Missing\n\n");
    if notes.is_empty() {
        page.push_str("No cell is empty.\n");
    }
    for (number, note) in notes.iter().enumerate() {
        writeln!(page, "{}. {note}", number + 1).unwrap();
    }
    page
}

/// Whether files are to be renewed.
fn renews() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

#[test]
fn renews_or_compares_the_table_in_the_documentation() {
    let path = root().join(TABLE);
    let text = fs::read_to_string(&path).unwrap();
    let (head, found) = text.split_once(BEGIN).expect("the mark where the matrix begins");
    let matrix = matrix();
    if renews() {
        fs::write(&path, format!("{head}{BEGIN}{matrix}")).unwrap();
    } else {
        assert_eq!(found, matrix, "run this test with UPDATE_DOCS=1");
    }
}

/// The flow in Rust defines each case without a host as well. So do the native tests of the flows in other languages.
#[test]
fn renews_or_compares_the_recorded_definitions() {
    let mut lines = Vec::new();
    for case in GROUPS.iter().flat_map(|(file, _)| cases(file)) {
        let fake = Fake::new().query("case", &case).query("id", "seven").header("X-Times", "90");
        let flow = Flow::with(&fake, conformance_flow::define).unwrap_or_else(|failure| panic!("{case}: {failure}"));
        lines.push(format!("{}: {}", Value::from(case), flow.definition()));
    }
    let (path, text) = (root().join(DEFINITIONS), format!("{{\n{}\n}}\n", lines.join(",\n")));
    if renews() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "run this test with UPDATE_DOCS=1:{}", difference(&known, &text));
}
