//! Golden files of the stored form: what one build wrote, every later build must read.
//!
//! `UPDATE_GOLDEN=1 cargo test --workspace --test stored_form` rewrites the files of the current form. Files of an
//! older form are never rewritten.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod nodes;

use bytes::Bytes;
use faas_flow_core::run::*;
use faas_flow_core::testing::{Random, definition, flow, graph, node, payload};
use faas_flow_core::*;
use std::path::PathBuf;
use std::sync::Arc;

fn golden(name: &str) -> PathBuf {
    format!("tests/golden/form-{FORM}/{name}").into()
}

/// Compares with the golden file, byte for byte, and with its JSON twin that people can read.
fn check<T>(name: &str, document: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let (bytes, json) = (encode(document), serde_json::to_string_pretty(document).unwrap() + "\n");
    let (stored, readable) = (golden(&format!("{name}.stored")), golden(&format!("{name}.json")));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(&stored, &bytes).unwrap();
        std::fs::write(&readable, &json).unwrap();
    }
    let then = std::fs::read(&stored).unwrap();
    assert_eq!(decode::<T>(&then).unwrap(), *document, "{name} reads as it was meant");
    assert_eq!(bytes, then, "{name} is written as before: a change of form needs a new FORM");
    assert_eq!(json, std::fs::read_to_string(&readable).unwrap(), "{name}.json");
}

fn failure() -> Failure {
    let path = NodePath::parse("C[a%2Fb]/n1").unwrap();
    Failure { path: Some(path), ..Failure::retry(Code::CALL_STATUS, "`func1` answered with status 500") }
}

fn only_branch(only: (String, Payload)) -> Branches {
    Branches {
        total: 1,
        started_by: ClaimToken::new(2),
        only: Some(only),
        only_failure: None,
        failed: 0,
        full: false,
        round: 0,
        redone: Vec::new(),
    }
}

#[test]
fn a_run_is_stored_as_its_golden_file() {
    let hook = NodeState {
        id: NodeId::finally(),
        progress: Progress::Running,
        since: 5,
        token: ClaimToken::new(1),
        lease: Some(Lease { owner: "replica".into(), until: 9 }),
        branches: None,
        given: None,
        round: 0,
        suspended: Some(Suspended {
            until: 4,
            operation: 0,
            tries: 1,
            begun: None,
            data: None,
            wait: None,
            asleep: None,
            failed: 0,
        }),
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: None,
        started: Some(5),
        input_size: 0,
        attempts: Vec::new(),
        tries: None,
        logs: Vec::new(),
        operations: Vec::new(),
    };
    let run = Run {
        id: RunId::new("run-1").unwrap(),
        flow: FlowName::new("greet").unwrap(),
        digest: Digest::of(b"module"),
        started: 1_790_000_000_000,
        start_at: None,
        ended: Some(1_790_000_000_123),
        rerun: None,
        deadline: Some(1_790_000_060_000),
        labels: Labels::new(),
        actions: Vec::new(),
        request: Request {
            query: vec![("a".to_owned(), "1".to_owned())],
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        },
        definition: Some(Arc::new(definition(&mut Random(42), 2))),
        phase: Phase::Finally,
        paused: false,
        verdict: Some(Status::Failed),
        result: Some(Payload::stored("n1/1/", 70_000)),
        response: None,
        failure_response: None,
        failure: Some(failure()),
        hooks: vec![hook],
        callback: Some(Callback {
            url: "http://127.0.0.1:8080/done".to_owned(),
            round: 0,
            tries: 2,
            before: 0,
            next: Some(1_790_000_001_000),
            delivered: Some(1_790_000_000_900),
            failure: Some(failure()),
        }),
        parent: None,
    };
    check("run", &run);
    let parent = Parent {
        flow: FlowName::new("shop").unwrap(),
        run: RunId::new("run-0").unwrap(),
        node: NodePath::parse("C[a%2Fb]/n1").unwrap(),
        to: WaitId { claim: ClaimToken::new(7), operation: 2 },
        within: vec![FlowName::new("shop").unwrap()],
    };
    check("run-called", &Run { parent: Some(Box::new(parent)), definition: None, ..run });
}

/// ANSWER-1, ANSWER-3, ANSWER-6. Documents without status and headers are those of the other tests.
#[test]
fn a_run_with_an_answer_of_the_flow_is_stored_as_its_golden_file() {
    let head = |status, headers: &[(&str, &str)]| {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ResponseHead::new(status, owned).unwrap()
    };
    let by = NodePath::parse("C[a%2Fb]/n1").unwrap();
    let run = Run {
        id: RunId::new("run-1").unwrap(),
        flow: FlowName::new("greet").unwrap(),
        digest: Digest::of(b"module"),
        started: 1_790_000_000_000,
        start_at: None,
        ended: Some(1_790_000_000_123),
        rerun: None,
        deadline: None,
        labels: Labels::new(),
        actions: Vec::new(),
        request: Request::default(),
        definition: None,
        phase: Phase::Ended,
        paused: false,
        verdict: Some(Status::Failed),
        result: Some(payload("sorry")),
        response: Some(Box::new(NodeResponse { by, head: head(201, &[("Location", "/a"), ("X-A", "")]) })),
        failure_response: Some(Box::new(head(404, &[]))),
        failure: Some(Failure { status: Some(422), ..Failure::reject(Code::GUEST_REJECTED, "no") }),
        hooks: Vec::new(),
        callback: None,
        parent: None,
    };
    assert_eq!(run.response_head().map(|head| head.status), Some(404));
    check("run-response", &run);
    let some = |text: &str| Some(text.to_owned());
    let alice = Actor { who: some("alice"), via: some("token"), from: some("10.0.0.7"), reason: some("wrong order") };
    let action = |action: &str, actor| Action { at: 1_790_000_000_100, action: action.to_owned(), actor };
    let actions = vec![action("pause", alice), action("resume", Actor::default())];
    check("run-actions", &Run { actions, ..run });
}

#[test]
fn a_scope_is_stored_as_its_golden_file() {
    let state = |id: &str, progress| NodeState {
        id: NodeId::new(id).unwrap(),
        progress,
        since: 17,
        token: ClaimToken::new(2),
        lease: None,
        branches: None,
        given: None,
        round: 0,
        suspended: None,
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: Some(payload("out")),
        started: Some(11),
        input_size: 3,
        attempts: vec![
            Attempt { started: 11, ended: 12, failure: Some(failure()), next: None },
            Attempt { started: 13, ended: 17, failure: None, next: None },
        ],
        tries: None,
        logs: Vec::new(),
        operations: Vec::new(),
    };
    let branches = only_branch(("k".to_owned(), payload("x")));
    let branching = NodeState { branches: Some(branches), output: None, ..state("C", Progress::Branching) };
    let waiting = NodeState {
        progress: Progress::Waiting,
        since: 0,
        token: ClaimToken::NONE,
        caught: None,
        output: None,
        started: None,
        input_size: 0,
        attempts: Vec::new(),
        ..state("n2", Progress::Waiting)
    };
    let kept = Payload::kept(format!("{DATA}n3/1/0"), 900);
    let wait = Suspended {
        until: 90_000,
        operation: 1,
        tries: 3,
        begun: None,
        data: Some(kept.clone()),
        wait: None,
        asleep: None,
        failed: 0,
    };
    let suspended = NodeState { suspended: Some(wait), output: None, ..state("n3", Progress::Ready) };
    let large = NodeState { output: Some(kept), ..state("n4", Progress::Done) };
    let scope = Scope {
        path: ScopePath::parse("C[a%2Fb]/F[2]").unwrap(),
        input: payload("in"),
        index: 1,
        siblings: 3,
        started_by: ClaimToken::new(2),
        caught: None,
        nodes: vec![state("n1", Progress::Done), branching, waiting, suspended, large],
    };
    check("scope", &scope);
    let called = vec![Called { flow: "child".to_owned(), run: RunId::new("run-2").unwrap() }];
    let calling = NodeState { called, ..state("n1", Progress::Done) };
    check("scope-calling", &Scope { nodes: vec![calling], ..scope });
}

/// TYPE-1. Documents without media types are those of the tests above: what they have is `application/octet-stream`.
#[test]
fn data_with_media_types_is_stored_as_its_golden_file() {
    let csv = || MediaType::parse("text/csv; header=absent").unwrap();
    let state = |id: &str, output: Payload| NodeState {
        id: NodeId::new(id).unwrap(),
        progress: Progress::Done,
        since: 17,
        token: ClaimToken::new(2),
        lease: None,
        branches: None,
        given: None,
        round: 0,
        suspended: None,
        answer: None,
        signals: Vec::new(),
        called: Vec::new(),
        caught: None,
        output: Some(output),
        started: Some(11),
        input_size: 3,
        attempts: Vec::new(),
        tries: None,
        logs: Vec::new(),
        operations: Vec::new(),
    };
    let only = ("k".to_owned(), payload("x").of_type(MediaType::JSON));
    let branching = NodeState { branches: Some(only_branch(only)), output: None, ..state("C", payload("out")) };
    let wait = Suspended {
        until: 90_000,
        operation: 1,
        tries: 3,
        begun: None,
        data: Some(payload("so far").of_type(csv())),
        wait: None,
        asleep: None,
        failed: 0,
    };
    let suspended = NodeState { suspended: Some(wait), output: None, ..state("n3", payload("out")) };
    let scope = Scope {
        path: ScopePath::root(),
        input: payload("{}").of_type(MediaType::JSON),
        index: 0,
        siblings: 1,
        started_by: ClaimToken::NONE,
        caught: None,
        nodes: vec![
            state("n1", payload("out")),
            state("n2", payload("a,b").of_type(csv())),
            suspended,
            branching,
            state("n4", Payload::kept(format!("{DATA}n4/1/0"), 900).of_type(csv())),
            state("n5", Payload::stored("n5/1/", 70_000).of_type(MediaType::JSON)),
        ],
    };
    check("scope-media-types", &scope);
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&scope).unwrap()).unwrap();
    assert_eq!(json["nodes"][4]["output"]["media-type"], "text/csv; header=absent");
}

/// START-1.
#[test]
fn a_run_with_a_start_time_is_stored_as_its_golden_file() {
    let plan = Plan::new(flow(graph(vec![node("n")], []))).unwrap();
    let start = Start { start_at: Some(1_790_000_000_000), ..faas_flow_core::testing::the_start() };
    check("run-start-at", RunState::start(&plan, start).0.run());
}

/// LABEL-1.
#[test]
fn a_run_with_labels_is_stored_as_its_golden_file() {
    let plan = Plan::new(flow(graph(vec![node("n")], []))).unwrap();
    let mut labels = Labels::new();
    labels.add_all("order=42,customer=Ada").unwrap();
    let start = Start { labels, ..faas_flow_core::testing::the_start() };
    check("run-labels", RunState::start(&plan, start).0.run());
}

#[test]
fn what_is_zero_is_not_stored() {
    let callback = serde_json::to_value(Callback::new("http://127.0.0.1/".to_owned())).unwrap();
    assert_eq!(callback, serde_json::json!({ "url": "http://127.0.0.1/" }));
}

#[test]
fn a_newer_form_and_damaged_bytes_are_told_apart() {
    assert_eq!(decode::<Run>(&[FORM + 1, 0]).unwrap_err().code(), Code::STORE_NEWER);
    for damaged in [&[][..], &[FORM], &[FORM, 0xc1], &[FORM, 0x81, 0xa1]] {
        assert_eq!(decode::<Run>(damaged).unwrap_err().code(), Code::STORE_CORRUPT);
    }
}

#[test]
fn a_field_of_a_later_version_is_ignored() {
    #[derive(serde::Serialize)]
    struct Later {
        started: Millis,
        ended: Millis,
        colour: &'static str,
    }
    let attempt: Attempt = decode(&encode(&Later { started: 1, ended: 2, colour: "green" })).unwrap();
    assert_eq!(attempt, Attempt { started: 1, ended: 2, failure: None, next: None });
}
