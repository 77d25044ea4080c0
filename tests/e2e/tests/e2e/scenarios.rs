//! `faas-flow test`: scenarios of flows, in virtual time.

use faas_flow_e2e::command::{Done, run};
use faas_flow_e2e::program::root;
use faas_flow_test_support::modules::module;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The examples that have scenarios.
const EXAMPLES: [&str; 11] = [
    "greet",
    "dynamic-branching",
    "order",
    "approval",
    "polling",
    "reminder",
    "access-log-c",
    "basket-python",
    "price-go",
    "data-job-python",
    "webhook-typescript",
];
/// The examples that exist in several languages, and their names in other languages than Rust. They share their scenarios.
const SHARED: [(&str, &[&str]); 2] = [
    ("greet", &["greet-c", "greet-cpp", "greet-go", "greet-python", "greet-typescript", "greet-zig"]),
    (
        "dynamic-branching",
        &[
            "dynamic-branching-c",
            "dynamic-branching-cpp",
            "dynamic-branching-go",
            "dynamic-branching-python",
            "dynamic-branching-typescript",
        ],
    ),
];

/// Tests the scenarios of an example.
fn example(flow: &str, options: &[&str]) -> Done {
    with_scenarios_of(flow, flow, options)
}

/// Tests a flow with the scenarios of an example.
fn with_scenarios_of(example: &str, flow: &str, options: &[&str]) -> Done {
    let folder = root().join("examples").join(example);
    run(&folder, ["test", path(&module(flow))].into_iter().chain(options.iter().copied()))
}

/// That all scenarios have passed and nothing of the flow is left that none of them reaches.
#[track_caller]
fn reaches_all(flow: &str, done: &Done) {
    assert_eq!(done.code, Some(0), "{flow}: {}{}", done.stdout, done.stderr);
    let tested: Value = serde_json::from_str(&done.stdout).unwrap();
    for part in ["nodes", "edges", "branches", "handlers", "tries"] {
        assert_eq!(tested["coverage"][part]["missing"], serde_json::json!([]), "{flow}: {part}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Tests scenarios of this text.
fn text(flow: &str, text: &str, options: &[&str]) -> (TempDir, Done) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.yaml"), text).unwrap();
    let done = run(folder.path(), ["test", path(&module(flow)), "a.yaml"].into_iter().chain(options.iter().copied()));
    (folder, done)
}

#[test]
fn the_scenarios_of_the_examples_pass_and_reach_all_of_their_flows() {
    for flow in EXAMPLES {
        reaches_all(flow, &example(flow, &["--json"]));
    }
}

#[test]
fn the_same_scenarios_pass_in_every_language() {
    for (example, flows) in SHARED {
        for flow in flows {
            reaches_all(flow, &with_scenarios_of(example, flow, &["--json"]));
        }
    }
}

#[test]
fn every_example_that_has_scenarios_is_tested() {
    let folders = fs::read_dir(root().join("examples")).unwrap().flatten();
    let with_scenarios = folders.filter(|folder| {
        let scenarios = fs::read_dir(folder.path().join("tests")).into_iter().flatten().flatten();
        scenarios.into_iter().any(|file| file.path().extension().is_some_and(|extension| extension == "yaml"))
    });
    let mut found: Vec<String> = with_scenarios.map(|folder| folder.file_name().into_string().unwrap()).collect();
    found.sort();
    let mut tested = EXAMPLES.to_vec();
    tested.sort_unstable();
    assert_eq!(found, tested);
}

/// A run that may take two seconds: more than each step takes, and less than a replica's lease.
const IN_A_HURRY: &str = "scenarios:\n  - name: it's quick\n    input: Ada\n    at-most: 2s\n";

#[test]
fn a_fault_that_makes_a_run_go_otherwise_is_repeated_by_the_command_that_is_printed() {
    let (folder, done) = text("greet", IN_A_HURRY, &["--explore"]);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("the run does not end"), "{}", done.stdout);
    let command = done.stdout.lines().find_map(|line| line.trim().strip_prefix("to repeat it: faas-flow ")).unwrap();
    assert!(command.contains(r"-k 'it'\''s quick' --fault commits/step-"), "{command}");
    let fault = command.split(' ').next_back().unwrap();
    let repeat = |name: &str, fault: &str| {
        run(folder.path(), ["test", path(&module("greet")), "a.yaml", "-k", name, "--fault", fault])
    };
    let again = repeat("it's quick", fault);
    assert_eq!(again.code, Some(1), "{}{}", again.stdout, again.stderr);
    for part in ["the run does not end", "played once with faults", "replica 0 begins", command] {
        assert!(again.stdout.contains(part) || again.stderr.contains(part), "{part}: {}{}", again.stdout, again.stderr);
    }
    let calm = repeat("it's quick", "commits/none");
    assert_eq!(calm.code, Some(0), "{}{}", calm.stdout, calm.stderr);
    let json = text("greet", IN_A_HURRY, &["--explore", "--json"]).1;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["explored"][0]["wrong"][0]["repeat"], format!("faas-flow {command}"));
    let none = repeat("it's quick", "commits/step-9999/fails");
    assert_eq!(none.code, Some(2), "{}{}", none.stdout, none.stderr);
    assert!(none.stderr.contains("error FF0413: no scenario takes a step"), "{}", none.stderr);
    let no_fault = repeat("it's quick", "commits/step-9999");
    assert_eq!(no_fault.code, Some(2), "{}{}", no_fault.stdout, no_fault.stderr);
    assert!(no_fault.stderr.contains("such as commits/step-17/dies-after"), "{}", no_fault.stderr);
}

/// With `FAAS_FLOW_EVERY_FAULT`, which is set every night, also those of longer examples, which take minutes.
#[test]
fn whatever_goes_wrong_the_scenarios_of_examples_end_in_the_same_way() {
    let every = std::env::var_os("FAAS_FLOW_EVERY_FAULT").is_some();
    let long: &[&str] = if every { &["approval", "polling", "order"] } else { &[] };
    for &flow in ["greet", "reminder"].iter().chain(long) {
        let done = example(flow, &["--explore", "--seeds", "20", "--json"]);
        assert_eq!(done.code, Some(0), "{flow}: {}{}", done.stdout, done.stderr);
        let tested: Value = serde_json::from_str(&done.stdout).unwrap();
        let explored = tested["explored"].as_array().unwrap();
        assert!(!explored.is_empty() && explored.iter().all(|one| one["plays"].as_u64().unwrap() > 50), "{explored:?}");
    }
}

#[test]
fn a_week_of_sleep_costs_nothing() {
    let (_folder, done) = text(
        "reminder",
        "functions: { send: sent }\nscenarios:\n  - name: a year\n    now: 2026-01-01T00:00:00Z\n    input: { text: x, at: 2026-12-31T00:00:00Z }\n    expect: { takes: 364d }\n",
        &["--json"],
    );
    let tested = done.json();
    let (virtually, real) = (&tested["scenarios"][0]["virtual-ms"], &tested["scenarios"][0]["real-ms"]);
    assert_eq!(virtually.as_u64(), Some(364 * 24 * 3600 * 1000));
    assert!(real.as_u64().unwrap() < 5_000, "it took {real} ms");
}

#[test]
fn a_scenario_that_fails_shows_the_difference_and_the_story() {
    let (_folder, done) = text(
        "greet",
        "scenarios:\n  - name: somebody else\n    input: Ada\n    expect:\n      result: Hello, Bob!\n",
        &[],
    );
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    for part in [
        "FAIL  somebody else",
        "a.yaml:5: the result is different",
        "- Hello, Bob!",
        "+ Hello, Ada!",
        "greet got \"Ada\"",
        "greet gave \"Hello, Ada!\"",
        "1 scenario, 0 passed, 1 failed",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
}

#[test]
fn what_a_scenario_says_wrongly_is_named_with_its_file_and_line() {
    let cases = [
        (
            "scenarios:\n  - name: a\n    expect:\n      ran: [great]\n",
            "a.yaml:4: the flow has no node `great`: did you mean `greet`?",
        ),
        ("scenarios:\n  - name: a\n    inptu: b\n", "a.yaml:3: "),
        (
            "scenarios:\n  - name: a\n    expect:\n      counts: { charge: 1 }\n",
            "a.yaml:4: the flow calls no function `charge`",
        ),
        ("scenarios:\n  - name: a\n    steps:\n      - wait: soon\n", "a.yaml:4: `soon` is not a duration"),
        ("scenarios:\n  - name: a\n    expect:\n      status: fine\n", "a.yaml:4: `fine` is not a status"),
        ("scenarios: 7\n", "a.yaml:1: "),
        ("", "a.yaml:1: "),
    ];
    for (yaml, says) in cases {
        let (_folder, done) = text("greet", yaml, &[]);
        assert_eq!(done.code, Some(2), "{yaml}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains("error FF0413: ") && done.stderr.contains(says), "{yaml}: {}", done.stderr);
    }
    let folder = TempDir::new().unwrap();
    let none = run(folder.path(), ["test", path(&module("greet"))]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("error FF0404: cannot read tests"), "{}", none.stderr);
}

#[test]
fn there_may_be_no_scenarios_if_the_caller_says_so() {
    let folder = TempDir::new().unwrap();
    let module = module("greet");
    let test = |options: &[&str]| run(folder.path(), ["test", path(&module)].iter().chain(options).copied());
    let nothing_played = |done: Done| {
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        assert_eq!(done.stderr, "no scenarios in tests\n");
        assert!(done.stdout.contains("ok: 0 scenarios, 0 passed, 0 failed"), "{}", done.stdout);
    };
    nothing_played(test(&["--if-present"]));
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/flow.test.ts"), "").unwrap();
    assert_eq!(test(&[]).code, Some(2));
    nothing_played(test(&["--if-present"]));
    nothing_played(test(&["--if-present", "--only", "greets"]));
    let listed: Value = serde_json::from_str(&test(&["--if-present", "--json"]).stdout).unwrap();
    assert_eq!(listed["scenarios"], serde_json::json!([]));
    // A file that is there is to have scenarios.
    fs::write(folder.path().join("tests/a.yaml"), "scenarios: []\n").unwrap();
    let empty = test(&["--if-present"]);
    assert_eq!(empty.code, Some(2));
    assert!(empty.stderr.contains("there are no scenarios in tests/a.yaml"), "{}", empty.stderr);
    fs::write(folder.path().join("tests/a.yaml"), "scenarios:\n  - name: a\n    expect: { result: b }\n").unwrap();
    assert_eq!(test(&["--if-present"]).code, Some(1));
}

#[test]
fn a_scenario_that_never_ends_says_what_it_waits_for() {
    let large = "scenarios:\n  - name: nobody answers\n    input: hi\n";
    let (_folder, done) = text("fixture", &format!("{large}    query: {{ case: signal }}\n"), &[]);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    for part in ["FF0414: the run has not ended", "waits for signal approval", "- signal: approval"] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
}

#[test]
fn functions_that_are_called_asynchronously_take_hours_side_by_side_and_are_called_once() {
    let yaml = "functions:
  job: { delay: 3h, body: done }
scenarios:
  - name: one job
    query: { case: calls, target: job, asynchronously: 'yes' }
    expect: { result: done after, counts: { job: 1 }, takes: 3h }
  - name: a job that takes longer than the flow allows
    query: { case: calls, target: job, asynchronously: 'yes', timeout: 3600000 }
    expect: { failure: { code: FF0253, node: call }, counts: { job: 1 }, takes: 1h }
  - name: a job that is called again after a day
    query: { case: calls, target: job, asynchronously: 'yes', tries: 2 }
    functions: { job: [{ delay: 26h, body: late }, { delay: 23h, body: done }] }
    expect: { result: done after, counts: { job: 2 }, takes: 47h }
  - name: more jobs at a time than a queue has workers
    query: { case: calls-of-items }
    input: abcdefghijklmnopqrstuvwxyz
    functions: { sync-chain: { echo: true }, job: { delay: 20s } }
    expect: { counts: { job: 26, sync-chain: 26 }, takes: 20s }
";
    let (folder, done) = text("fixture", yaml, &[]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let fixture = module("fixture");
    let with_faults = ["test", path(&fixture), "a.yaml", "-k", "one job", "--seeds", "2"];
    let said = run(folder.path(), with_faults).ok();
    assert!(said.contains("played 2 times with faults, of which 0"), "{said}");
}

#[test]
fn a_function_that_the_scenario_lacks_is_named() {
    let (_folder, done) =
        text("reminder", "scenarios:\n  - name: a\n    input: { text: x, at: 2020-01-01T00:00:00Z }\n", &[]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stdout.contains("`send` is called by node reminder, and the scenario does not say"),
        "{}",
        done.stdout
    );
}

#[test]
fn expectations_are_written_and_hold_from_then_on() {
    let yaml = "# a comment\nscenarios:\n  - name: one\n    input: Ada   # her\n\n  - name: two\n    input: Bob\n    expect:\n      result: wrong\n      takes: 9d\n  - name: three\n    input: \" \"\n";
    let (folder, done) = text("greet", yaml, &["--update"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let written = fs::read_to_string(folder.path().join("a.yaml")).unwrap();
    let expected = "# a comment\nscenarios:\n  - name: one\n    input: Ada   # her\n    expect:\n      status: succeeded\n      result: \"Hello, Ada!\"\n      calls: []\n\n  - name: two\n    input: Bob\n    expect:\n      result: \"Hello, Bob!\"\n      takes: 0s\n  - name: three\n    input: \" \"\n    expect:\n      status: failed\n      failure:\n        code: FF0012\n        node: greet\n      calls: []\n";
    assert_eq!(written, expected);
    assert_eq!(run(folder.path(), ["test", path(&module("greet")), "a.yaml"]).code, Some(0));
    let again = run(folder.path(), ["test", path(&module("greet")), "a.yaml", "--update"]);
    let again = again.ok();
    assert!(again.ends_with("nothing to write: all expectations hold\n"), "{again}");
}

#[test]
fn labels_and_the_status_of_a_rejection_are_compared_and_written() {
    let yaml = "scenarios:\n  - name: rejected\n    query: { case: reject-with-status, status: 404 }\n    expect:\n      failure: { contains: not this, status: 409 }\n  - name: labelled\n    query: { case: labels }\n    input: x\n    functions: { step: '42' }\n    expect:\n      labels: { order: 41, by: first, none: x }\n";
    let (_folder, done) = text("fixture", yaml, &[]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    for part in [
        "a.yaml:5: the failure is answered with a different status\n    - 409\n    + 404\n",
        "the run has a different label order\n    - 41\n    + 42\n",
        "the run has a different label none\n    - x\n    + no such label\n",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(!done.stdout.contains("different label by"), "{}", done.stdout);
    let (folder, done) = text("fixture", yaml, &["--update"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let written = fs::read_to_string(folder.path().join("a.yaml")).unwrap();
    for part in [
        "        contains: not this\n        status: 404\n",
        "      labels:\n        by: first\n        order: \"42\"\n",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    assert_eq!(run(folder.path(), ["test", path(&module("fixture")), "a.yaml"]).code, Some(0), "{written}");
}

/// A flow whose definition depends on the request has another one in each run.
#[test]
fn json_has_the_definition_of_each_run_if_it_depends_on_the_request() {
    let yaml = "scenarios:\n  - name: paused\n    query: { case: paused }\n    functions: { step: { status: 500 } }\n    expect: { status: paused }\n  - name: sleeps\n    query: { case: sleep-alone, ms: 7 }\n";
    let (_folder, done) = text("fixture", yaml, &["--json"]);
    let tested = done.json();
    assert_eq!(tested["scenarios"][0]["definition"]["on-exhausted"], "pause");
    let list = &tested["scenarios"][1]["definition"]["dag"]["nodes"][0]["operations"]["list"];
    assert_eq!(*list, serde_json::json!([{ "sleep": 7 }]));
    let (_folder, done) = text("greet", "scenarios:\n  - name: a\n    input: Ada\n", &["--json"]);
    assert_eq!(done.json()["scenarios"][0]["definition"], Value::Null);
}

#[test]
fn ci_systems_read_the_results() {
    let yaml =
        "scenarios:\n  - name: fine\n    input: Ada\n  - name: <wrong>\n    input: Ada\n    expect: { result: x }\n";
    let (folder, done) = text("greet", yaml, &["--junit", "out.xml", "-k", "n"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let xml = fs::read_to_string(folder.path().join("out.xml")).unwrap();
    for part in
        ["tests=\"2\" failures=\"1\"", "name=\"fine\"", "name=\"&lt;wrong&gt;\"", "<failure message=\"a.yaml:6: "]
    {
        assert!(xml.contains(part), "{part}: {xml}");
    }
}
