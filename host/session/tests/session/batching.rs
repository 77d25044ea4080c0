//! What may wait for a common commit, and what may not (COMMIT-3).

use crate::replica::{COMMIT_DELAY, circumstances, rules};
use crate::rules::{at, chain, change, committed, done, report};
use crate::shared::calling;
use faas_flow_core::definition::{Branches, Dag, Definition, Exhausted};
use faas_flow_core::run::{Event, Outcome, RunState, Suspended, Work};
use faas_flow_core::testing::{branched, flow, for_each, graph, lone, node, path, payload, the_start};
use faas_flow_core::{BranchKey, Payload, Plan};
use faas_flow_session::{Answer, Circumstances, Dispatch, Documents, Durability, Input, Io, Role, Session};
use faas_flow_store::{Change, Document};
use std::sync::Arc;

/// Room for all branches of these tests.
fn wide(now: u64) -> Circumstances {
    circumstances(now, (40, Dispatch::Local))
}

fn begin(definition: Definition, documents: Documents) -> Session {
    let plan = Arc::new(Plan::new(definition).unwrap());
    let begun = RunState::start(&plan, the_start());
    Session::begin((plan, rules(0), 7), begun, documents, Durability::Delayed, &wide(1))
}

/// The flow's own code `a`, then `b` and `c` side by side.
fn fork() -> Dag {
    graph(["a", "b", "c"].map(node).into(), [("a", "b"), ("a", "c")])
}

fn for_each_of_one_node() -> Definition {
    flow(graph(vec![for_each("F", lone(), Branches::default())], []))
}

fn items(count: usize) -> Outcome {
    let keys: Vec<String> = (0..count).map(|key| key.to_string()).collect();
    branched(&keys.iter().map(|key| (key.as_str(), "")).collect::<Vec<_>>())
}

fn only(session: &mut Session) -> Work {
    let mut start = session.ready().start;
    assert_eq!(start.len(), 1);
    start.remove(0)
}

/// A report with a document that is not a value.
fn with_document(work: &Work, bytes: usize) -> Input {
    let Input::Event(event, _) = report(work, Outcome::Done(payload("out"))) else { unreachable!() };
    Input::Event(event, vec![(format!("data:{}", work.path), vec![0; bytes].into())])
}

#[test]
fn a_commit_is_due_a_fixed_time_after_the_first_event_it_contains() {
    for (now, waits) in [(COMMIT_DELAY, true), (1 + COMMIT_DELAY, false)] {
        let plan = chain(&["a", "b", "c"], Exhausted::Fail);
        let begun = RunState::start(&plan, the_start());
        let mut session = Session::begin((plan, rules(0), 7), begun, Documents::new(), Durability::Delayed, &at(1));
        let work = only(&mut session);
        session.input(report(&work, done()), &at(now));
        assert_eq!(session.io().is_none(), waits, "at {now}");
    }
}

#[test]
fn what_a_run_begins_with_waits_unless_it_is_large() {
    for (bytes, waits) in [(256 << 10, true), ((256 << 10) + 1, false)] {
        let document = ("data:in".to_owned(), vec![0; bytes].into());
        let mut session = begin(flow(fork()), vec![document]);
        assert_eq!(session.io().is_none(), waits, "{bytes} bytes");
    }
}

#[test]
fn outputs_wait_until_they_are_large_together() {
    let nodes = ["a", "b", "c", "d"].map(node).into();
    let mut session = begin(flow(graph(nodes, [("a", "b"), ("b", "c"), ("c", "d")])), Documents::new());
    for (bytes, waits) in [(128 << 10, true), (128 << 10, true), (1, false)] {
        let work = only(&mut session);
        session.input(with_document(&work, bytes), &wide(2));
        let io = session.io();
        assert_eq!(io.is_none(), waits, "{}", work.path);
    }
}

#[test]
fn arrivals_wait_until_there_are_many_together_with_the_documents_that_changed() {
    let mut session = begin(for_each_of_one_node(), Documents::new());
    let work = only(&mut session);
    session.input(report(&work, items(14)), &wide(2));
    let branches = session.ready().start;
    assert_eq!(branches.len(), 14);
    // The run, its outermost scope and 14 branches have changed, so 8 arrivals make 24.
    for (branch, arrived) in branches.iter().zip(1..=9) {
        session.input(report(branch, done()), &wide(2));
        assert_eq!(session.io().is_none(), arrived <= 8, "{arrived} have arrived");
        session.ready();
    }
}

#[test]
fn few_branches_start_in_a_commit_with_other_changes() {
    let mut session = begin(for_each_of_one_node(), Documents::new());
    let work = only(&mut session);
    session.input(report(&work, items(16)), &wide(2));
    assert!(session.io().is_none());
    assert_eq!(session.ready().start.len(), 16);
}

#[test]
fn many_branches_and_large_ones_start_in_a_commit_of_their_own() {
    let large = vec![(BranchKey::new("k").ok(), Payload::inline(vec![0; (256 << 10) + 1]))];
    for outcome in [items(17), Outcome::Branched(large)] {
        let mut session = begin(for_each_of_one_node(), Documents::new());
        let work = only(&mut session);
        session.input(report(&work, outcome), &wide(2));
        let before = change(&mut session);
        assert_eq!(before.puts.len(), 2, "what was applied before is committed first");
        session.answer(committed(&before), &wide(3));
        let branches = change(&mut session);
        assert!(branches.puts.iter().any(|put| put.doc.starts_with("scope:F[")));
    }
}

#[test]
fn the_claim_of_a_call_does_not_wait_for_the_flow_s_own_code_beside_it() {
    let nodes = vec![node("a"), node("b"), calling("f")];
    let mut session = begin(flow(graph(nodes, [("a", "b"), ("a", "f")])), Documents::new());
    let work = only(&mut session);
    session.input(report(&work, done()), &wide(2));
    change(&mut session);
}

#[test]
fn the_result_of_a_call_does_not_wait_for_the_flow_s_own_code_beside_it() {
    let nodes = vec![node("a"), node("b"), calling("f"), node("c")];
    let mut session = begin(flow(graph(nodes, [("a", "b"), ("a", "f"), ("f", "c")])), Documents::new());
    let work = only(&mut session);
    session.input(report(&work, done()), &wide(2));
    let claims = change(&mut session);
    session.answer(committed(&claims), &wide(2));
    let start = session.ready().start;
    assert_eq!(start.len(), 2);
    let call = start.iter().find(|work| work.path == path("f")).unwrap();
    session.input(report(call, done()), &wide(2));
    change(&mut session);
}

#[test]
fn commands_and_waits_are_committed_at_once() {
    let wait =
        Suspended { until: 900, operation: 0, tries: 1, begun: None, data: None, wait: None, asleep: None, failed: 0 };
    for is_wait in [true, false] {
        let mut session = begin(flow(fork()), Documents::new());
        let work = only(&mut session);
        session.input(report(&work, done()), &wide(2));
        assert!(session.io().is_none());
        let start = session.ready().start;
        let c = start.iter().find(|work| work.path == path("c")).unwrap();
        // `b` is executing, so anything that may wait would wait for it.
        let input = if is_wait {
            report(c, Outcome::Suspended(wait.clone()))
        } else {
            Input::Event(Event::Pause, Documents::new())
        };
        session.input(input, &wide(2));
        change(&mut session);
    }
}

/// Commits everything, and yields the changes that this took.
fn changes(session: &mut Session) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some(io) = session.io() {
        let Io::Commit { change, .. } = io else { panic!("{io:?}") };
        session.answer(committed(&change), &wide(3));
        changes.push(change);
    }
    changes
}

fn puts(changes: &[Change]) -> Vec<usize> {
    changes.iter().map(|change| change.puts.len()).collect()
}

#[test]
fn a_commit_of_more_than_fifty_documents_is_split() {
    // The branches, and the scope around them.
    for (branches, values, expected) in
        [(49, 0, vec![50]), (50, 0, vec![50, 1]), (48, 1, vec![50]), (48, 2, vec![2, 48, 1]), (60, 0, vec![50, 10, 1])]
    {
        let mut session = begin(for_each_of_one_node(), Documents::new());
        let work = only(&mut session);
        let Input::Event(event, _) = report(&work, items(branches)) else { unreachable!() };
        let values = (0..values).map(|value| (format!("data:{value}"), "v".into())).collect();
        session.input(Input::Event(event, values), &wide(2));
        let before = change(&mut session);
        session.answer(committed(&before), &wide(3));
        let changes = changes(&mut session);
        assert_eq!(puts(&changes), expected, "{branches} branches");
        // Only the last change, with the scope around the branches, makes the others count. The others are not written
        // once somebody has changed it, or the run.
        let (last, others) = changes.split_last().unwrap();
        assert!(last.puts.iter().any(|put| put.doc == "scope:"));
        for other in others {
            let mut checked: Vec<&str> = other.checks.iter().map(|check| &*check.doc).collect();
            checked.sort_unstable();
            assert_eq!((checked, other.entry.is_none()), (vec!["run", "scope:"], true));
        }
    }
}

#[test]
fn a_commit_of_more_than_768_kib_is_split() {
    let commit = |bytes: usize| {
        let mut session = begin(flow(fork()), Documents::new());
        let work = only(&mut session);
        session.input(with_document(&work, bytes), &wide(2));
        changes(&mut session)
    };
    let sizes =
        |changes: &[Change]| changes.iter().flat_map(|change| &change.puts).map(|put| put.bytes.len()).sum::<usize>();
    let rest = sizes(&commit(300 << 10)) - (300 << 10);
    let most = (768 << 10) - rest;
    assert_eq!(sizes(&commit(most)), 768 << 10);
    assert_eq!(puts(&commit(most)), [3]);
    assert_eq!(puts(&commit(most + 1)), [1, 2]);
}

#[test]
fn what_a_run_begins_with_is_split_before_the_run_is_stored() {
    let documents = ["data:a", "data:b"].map(|name| (name.to_owned(), vec![0; 600 << 10].into()));
    let mut session = begin(flow(fork()), documents.into());
    let changes = changes(&mut session);
    assert_eq!(puts(&changes), [1, 1, 2]);
    assert!(changes.iter().all(|change| change.checks.is_empty()), "nothing that is stored could change");
    assert_eq!(changes.iter().filter(|change| change.entry.is_some()).count(), 1);
}

#[test]
fn a_branch_arrives_in_the_change_that_stores_its_end() {
    let mut session = begin(for_each_of_one_node(), Documents::new());
    let work = only(&mut session);
    session.input(report(&work, items(3)), &wide(2));
    let branches = session.ready().start;
    for branch in &branches {
        let large = Payload::inline(vec![0; 400 << 10]);
        session.input(report(branch, Outcome::Done(large)), &wide(2));
    }
    let changes = changes(&mut session);
    let arrivals: Vec<Vec<&str>> =
        changes.iter().map(|change| change.arrivals.iter().map(|arrival| &*arrival.member).collect()).collect();
    for (change, arrived) in changes.iter().zip(&arrivals) {
        let docs: Vec<&str> = change.puts.iter().filter_map(|put| put.doc.strip_prefix("scope:F[")).collect();
        let branches: Vec<&str> = docs.iter().map(|doc| doc.trim_end_matches(']')).collect();
        assert_eq!(*arrived, branches);
    }
    assert_eq!(arrivals.concat().len(), 3);
}

#[test]
fn only_what_is_new_is_written() {
    let plan = chain(&["f1", "f2", "f3"], Exhausted::Fail);
    let begun = RunState::start(&plan, the_start());
    let mut owner = Session::begin((plan.clone(), rules(0), 7), begun, Documents::new(), Durability::Beginning, &at(1));
    let first = change(&mut owner);
    assert!(first.checks.is_empty() && first.entry.is_some());
    owner.answer(committed(&first), &at(2));
    let work = only(&mut owner);
    owner.input(report(&work, done()), &at(3));
    let second = change(&mut owner);
    // The run itself has not changed: it is only checked, and its entry in the list of runs is still good.
    assert_eq!((second.puts.len(), second.checks.len(), second.entry), (1, 1, None));
    // A helper that has nothing to renew writes nothing.
    let state = RunState::load(owner.state().run().clone(), 1);
    let mut helper = Session::open(plan, rules(1), 9, state, Role::Helper);
    helper.input(Input::Check, &at(12));
    assert_eq!(helper.io(), Some(Io::LoadRun));
    let run = first.puts.iter().find(|put| put.doc == "run").unwrap().bytes.clone();
    helper.answer(Answer::Loaded(vec![Some(Document { version: 1, bytes: run })]), &at(12));
    assert_eq!(helper.io(), None);
}
