//! The rules of a session, one at a time.

use crate::replica::{COMMIT_DELAY, LEASE, circumstances, rules};
use crate::shared::tried;
use faas_flow_core::definition::{
    Branches, Call, Carries, Dag, Definition, Edge, Exhausted, Node, NodeKind, Operation, Operations,
};
use faas_flow_core::run::{ANSWERS, Attempt, Doc, Event, FORM, Outcome, Refusal, Report, RunState, Start, Work};
use faas_flow_core::testing::{branched, flow, for_each, graph, lone, path, payload, reported, the_start};
use faas_flow_core::{Code, Failure, NodePath, Plan, Status};
use faas_flow_session::{Answer, Circumstances, Dispatch, Documents, Durability, End, Input, Io, Ready, Role, Session};
use faas_flow_store::{Change, Committed};
use std::sync::Arc;

const HERE: (usize, Dispatch) = (8, Dispatch::Local);

/// A chain of nodes. Those whose names begin with `f` call a function, the others run the flow's own code.
pub fn chain(nodes: &[&str], on_exhausted: Exhausted) -> Arc<Plan> {
    let node = |id: &&str| {
        let operation = if id.starts_with('f') {
            Operation::Apply(Call { target: "f".to_owned(), ..Call::default() })
        } else {
            Operation::Modify("h".to_owned())
        };
        let operations = Operations { list: vec![operation], ..Operations::default() };
        Node { id: (*id).to_owned(), kind: NodeKind::Operations(operations) }
    };
    let edge = |pair: &[&str]| Edge { from: pair[0].to_owned(), to: pair[1].to_owned(), carries: Carries::Output };
    let dag =
        Dag { nodes: nodes.iter().map(node).collect(), edges: nodes.windows(2).map(edge).collect(), ..Dag::default() };
    let handlers = vec!["h".to_owned()];
    Arc::new(Plan::new(Definition { dag, handlers, on_exhausted, ..Definition::default() }).unwrap())
}

pub fn at(now: u64) -> Circumstances {
    circumstances(now, HERE)
}

pub fn begin(plan: &Arc<Plan>, durability: Durability) -> Session {
    let begun = RunState::start(plan, the_start());
    Session::begin((plan.clone(), rules(0), 7), begun, Documents::new(), durability, &at(1))
}

/// The change that a session wants to commit.
pub fn change(session: &mut Session) -> Change {
    match session.io() {
        Some(Io::Commit { change, .. }) => change,
        io => panic!("no commit but {io:?}"),
    }
}

/// Answers that a change was committed, for the first time.
pub fn committed(change: &Change) -> Answer {
    Answer::Committed(Committed { versions: vec![1; change.puts.len()], arrived: vec![1; change.arrivals.len()] })
}

/// Lets a session commit what it wants, and yields what is ready then.
pub fn commit(session: &mut Session, now: u64) -> Ready {
    while let Some(io) = session.io() {
        match io {
            Io::Commit { change, .. } => session.answer(committed(&change), &at(now)),
            Io::Values { .. } => session.answer(Answer::Values(Ok(Documents::new())), &at(now)),
            io => panic!("{io:?}"),
        }
    }
    session.ready()
}

pub fn report(work: &Work, outcome: Outcome) -> Input {
    let failure = match &outcome {
        Outcome::Failed(failure) => Some(failure.clone()),
        _ => None,
    };
    let attempts = vec![Attempt { started: 1, ended: 2, failure, next: None }];
    let report = Report { input_size: 2, attempts, ..reported(outcome) };
    Input::Event(Event::Complete { path: work.path.clone(), token: work.token, report }, Documents::new())
}

pub fn done() -> Outcome {
    Outcome::Done(payload("out"))
}

/// CLAIM-1.
#[test]
fn a_node_that_calls_is_executed_only_after_its_claim_was_committed() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    let first = change(&mut session);
    assert_eq!(first.puts.len(), 2, "the run and its outermost scope");
    session.answer(committed(&first), &at(2));
    let ready = session.ready();
    assert_eq!(ready.start.len(), 1);
    session.input(report(&ready.start[0], done()), &at(3));
    // One commit takes the output and claims the next node.
    let second = change(&mut session);
    assert!(session.io().is_none(), "at most one commit is outstanding");
    session.answer(committed(&second), &at(4));
    assert_eq!(session.ready().start[0].path, NodePath::parse("f2").unwrap());
}

/// STORE-1.
#[test]
fn a_run_that_somebody_may_ask_for_is_stored_before_anything_of_it_is_executed() {
    let mut session = begin(&chain(&["a", "f"], Exhausted::Fail), Durability::Beginning);
    let first = change(&mut session);
    session.answer(committed(&first), &at(2));
    assert_eq!(session.ready().start.len(), 1);
}

/// COMMIT-3, STORE-2.
#[test]
fn the_flow_s_own_code_is_executed_at_once_and_committed_with_what_follows() {
    let mut session = begin(&chain(&["a", "b", "f"], Exhausted::Fail), Durability::Delayed);
    for node in ["a", "b"] {
        assert!(session.io().is_none());
        let ready = session.ready();
        assert_eq!(ready.commit_by, Some(1 + COMMIT_DELAY), "counted from the first event");
        assert_eq!(ready.start[0].path, NodePath::parse(node).unwrap());
        session.input(report(&ready.start[0], done()), &at(2));
    }
    let change = change(&mut session);
    assert_eq!(change.puts.len(), 2);
    session.answer(committed(&change), &at(3));
    assert_eq!(session.ready().start[0].path, NodePath::parse("f").unwrap());
}

/// HIST-8, STORE-3: what failed is part of the history that is written at the end.
#[test]
fn a_try_that_failed_is_not_committed_while_the_run_is_in_memory() {
    let mut session = begin(&chain(&["f"], Exhausted::Fail), Durability::Memory);
    let ready = session.ready();
    session.input(tried(&ready.start[0], 1, 50), &at(2));
    assert_eq!((session.io(), session.ready().commit_by), (None, None));
    let node = session.state().scopes().next().unwrap().nodes[0].clone();
    assert_eq!(node.tries.unwrap().kept.len(), 1);
}

/// COMMIT-3, STORE-2.
#[test]
fn what_waits_is_committed_when_it_is_due() {
    let mut session = begin(&chain(&["a", "b"], Exhausted::Fail), Durability::Delayed);
    assert_eq!(session.ready().start.len(), 1);
    // The driver's clock decides, even if the session is told another time.
    session.input(Input::CommitDue, &at(COMMIT_DELAY));
    let ready = commit(&mut session, 6);
    assert_eq!((ready.commit_by, session.durability()), (None, Durability::Stored));
}

/// STORE-2: nobody knows of the run yet, so it may be stored later, and only a run that was stored can be gone.
#[test]
fn a_first_commit_that_did_not_happen_is_made_again() {
    let away = || Answer::Unknown(Failure::retry(Code::STORE_UNAVAILABLE, "away"));
    let mut session = begin(&chain(&["a", "b"], Exhausted::Fail), Durability::Delayed);
    session.ready();
    session.input(Input::CommitDue, &at(1 + COMMIT_DELAY));
    let first = change(&mut session);
    session.answer(away(), &at(6));
    assert!(matches!(session.io(), Some(Io::Load { .. })));
    session.answer(Answer::Loaded(vec![None, None]), &at(6));
    let again = change(&mut session);
    assert_eq!(again.puts, first.puts);
    session.answer(committed(&again), &at(7));
    assert_eq!((session.ready().abandoned, session.durability()), (None, Durability::Stored));
}

#[test]
fn a_request_fails_when_its_run_cannot_begin() {
    let plan = chain(&["f"], Exhausted::Fail);
    let mut session = begin(&plan, Durability::Beginning);
    change(&mut session);
    session.answer(Answer::Conflict, &at(2));
    let ready = session.ready();
    assert_eq!(ready.abandoned.unwrap().code, Code::RUN_EXISTS);
    assert!(ready.start.is_empty() && session.has_left());
    let mut session = begin(&plan, Durability::Beginning);
    change(&mut session);
    session.answer(Answer::Unknown(Failure::retry(Code::STORE_UNAVAILABLE, "away")), &at(2));
    assert_eq!(session.ready().abandoned.unwrap().code, Code::STORE_UNAVAILABLE);
    session.input(Input::Claim(NodePath::parse("f").unwrap()), &at(3));
    assert_eq!(session.ready().refused, Some(Refusal::Unknown), "it has diverged from the store");
}

#[test]
fn a_run_in_memory_needs_no_commit_before_its_end_and_leaves_its_history() {
    let mut session = begin(&chain(&["f"], Exhausted::Fail), Durability::Memory);
    assert!(session.io().is_none());
    let ready = session.ready();
    session.input(report(&ready.start[0], done()), &at(3));
    assert!(session.io().is_none());
    assert_eq!(session.ready().end, Some(End::Ended));
    let history = session.history(4);
    assert_eq!((history.puts.len(), history.entry.unwrap().status), (2, Status::Succeeded));
}

#[test]
fn a_run_in_memory_that_pauses_is_made_durable_before_anybody_is_told() {
    let mut session = begin(&chain(&["f"], Exhausted::Pause), Durability::Memory);
    let ready = session.ready();
    let failure = Failure::retry(Code::CALL_STATUS, "`f` answered with status 503");
    session.input(report(&ready.start[0], Outcome::Failed(failure)), &at(3));
    assert!(matches!(session.io(), Some(Io::Values { tries: 0 })));
    session.answer(Answer::Values(Ok(Documents::new())), &at(3));
    let ready = commit(&mut session, 4);
    assert_eq!((ready.end, session.durability()), (Some(End::Exhausted), Durability::Stored));
}

#[test]
fn a_run_in_memory_that_pauses_and_cannot_be_stored_is_abandoned_after_eight_tries() {
    let mut session = begin(&chain(&["f"], Exhausted::Pause), Durability::Memory);
    let ready = session.ready();
    let away = || Failure::retry(Code::STORE_UNAVAILABLE, "away");
    session.input(report(&ready.start[0], Outcome::Failed(away())), &at(3));
    for tries in 0..8 {
        assert_eq!(session.io(), Some(Io::Values { tries }));
        session.answer(Answer::Values(Err(away())), &at(4));
    }
    assert_eq!(session.io(), None);
    assert_eq!(session.ready().abandoned.unwrap().code, Code::STORE_UNAVAILABLE);
}

#[test]
fn a_run_in_memory_goes_on_when_it_cannot_be_made_durable() {
    let mut session = begin(&chain(&["f"], Exhausted::Fail), Durability::Memory);
    let ready = session.ready();
    session.input(Input::Check, &at(11));
    assert!(matches!(session.io(), Some(Io::Values { .. })));
    session.answer(Answer::Values(Err(Failure::retry(Code::STORE_UNAVAILABLE, "away"))), &at(12));
    assert!(session.io().is_none());
    assert_eq!(session.ready().unstored.unwrap().code, Code::STORE_UNAVAILABLE);
    session.input(report(&ready.start[0], done()), &at(13));
    assert_eq!(session.ready().end, Some(End::Ended));
}

/// REPL-6.
#[test]
fn a_commit_that_fails_too_often_abandons_the_run() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    let ready = commit(&mut session, 2);
    session.input(report(&ready.start[0], done()), &at(3));
    let (mut tries, mut reads) = (0, 0);
    while let Some(io) = session.io() {
        match io {
            Io::Commit { tries: earlier, .. } => {
                assert_eq!(earlier, tries, "the driver pauses for longer and longer");
                tries += 1;
                session.answer(Answer::Unknown(Failure::retry(Code::STORE_UNAVAILABLE, "away")), &at(4));
            }
            Io::Load { docs, tries: earlier } => {
                assert_eq!(earlier, tries);
                reads += 1;
                // What is stored is what the first commit wrote.
                session.answer(Answer::Loaded(stored(&docs, &chain(&["f1", "f2"], Exhausted::Fail))), &at(4));
            }
            io => panic!("{io:?}"),
        }
        if session.has_left() {
            break;
        }
    }
    let ready = session.ready();
    assert_eq!(ready.abandoned.unwrap().code, Code::STORE_UNAVAILABLE);
    assert!(tries <= 8 && reads < tries, "{tries} commits, {reads} reads");
    assert!(ready.cancel && ready.start.is_empty() && ready.send.is_empty());
}

#[test]
fn a_run_whose_document_cannot_be_read_is_abandoned() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    commit(&mut session, 2);
    session.input(Input::Check, &at(12));
    assert_eq!(session.io(), Some(Io::LoadRun));
    let damaged = faas_flow_store::Document { version: 2, bytes: vec![FORM, 0xc1].into() };
    session.answer(Answer::Loaded(vec![Some(damaged)]), &at(12));
    let ready = session.ready();
    assert_eq!((ready.abandoned.unwrap().code, ready.leases.lost, ready.cancel), (Code::STORE_CORRUPT, 1, true));
    assert!(session.has_left());
}

#[test]
fn a_store_that_refuses_a_check_for_good_ends_the_session() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    commit(&mut session, 2);
    session.input(Input::Check, &at(12));
    assert_eq!(session.io(), Some(Io::LoadRun));
    session.answer(Answer::NotLoaded(Failure::reject(Code::STORE_CORRUPT, "damaged")), &at(12));
    assert_eq!(session.ready().abandoned.unwrap().code, Code::STORE_CORRUPT);
}

#[test]
fn an_event_for_a_node_that_is_executing_here_asks_nothing_of_the_store() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    commit(&mut session, 2);
    session.input(Input::Claim(NodePath::parse("f1").unwrap()), &at(3));
    assert_eq!((session.io(), session.ready().refused), (None, Some(Refusal::Leased)));
}

/// The documents of a run whose first node is claimed by the session that [`begin`] made.
fn stored(docs: &[Doc], plan: &Arc<Plan>) -> Vec<Option<faas_flow_store::Document>> {
    let mut session = begin(plan, Durability::Beginning);
    let change = change(&mut session);
    let find = |doc: &Doc| {
        let put = change.puts.iter().find(|put| put.doc == doc.name())?;
        Some(faas_flow_store::Document { version: 1, bytes: put.bytes.clone() })
    };
    docs.iter().map(find).collect()
}

#[test]
fn others_are_told_of_ready_nodes_only_when_everything_is_committed() {
    let plan = chain(&["f1", "f2"], Exhausted::Fail);
    let everything = circumstances(1, (8, Dispatch::Everything));
    let begun = RunState::start(&plan, the_start());
    let mut session = Session::begin((plan, rules(0), 7), begun, Documents::new(), Durability::Beginning, &everything);
    let first = change(&mut session);
    session.answer(committed(&first), &everything);
    let ready = session.ready();
    assert_eq!((ready.send, ready.start.len()), (vec![NodePath::parse("f1").unwrap()], 0));
}

#[test]
fn a_helper_leaves_when_its_nodes_are_done_and_an_owner_stays() {
    let plan = chain(&["f1", "f2"], Exhausted::Fail);
    let mut owner = begin(&plan, Durability::Beginning);
    commit(&mut owner, 2);
    owner.leave_if_done();
    assert!(!owner.has_left() && owner.is_owner());
    let state = RunState::load(owner.state().run().clone(), 1);
    let mut helper = Session::open(plan, rules(1), 9, state, Role::Helper);
    assert!(!helper.is_owner());
    helper.leave_if_done();
    assert!(helper.has_left());
}

#[test]
fn a_replica_that_stops_releases_its_nodes_and_the_run_is_due_at_once() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    commit(&mut session, 2);
    session.input(Input::Release, &at(5));
    let release = change(&mut session);
    assert_eq!(release.entry.as_ref().unwrap().due, Some(5));
    assert!(
        release.checks.iter().all(|check| check.doc != ANSWERS),
        "an answer that has come in the meantime is no hindrance"
    );
    session.answer(committed(&release), &at(6));
    let ready = session.ready();
    assert_eq!((ready.leases.released, ready.cancel, session.has_left()), (1, true, true));
    assert_eq!(session.state().claimable(6), [NodePath::parse("f1").unwrap()]);
}

#[test]
fn an_owner_renews_what_it_executes_and_moves_on_when_the_run_is_due() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    commit(&mut session, 2);
    session.input(Input::Check, &at(12));
    assert_eq!(session.io(), Some(Io::LoadRun));
    let run = stored(&[Doc::Run], &chain(&["f1", "f2"], Exhausted::Fail));
    session.answer(Answer::Loaded(run), &at(12));
    let renewal = change(&mut session);
    assert_eq!(renewal.entry.as_ref().unwrap().due, Some(12 + LEASE));
    session.answer(committed(&renewal), &at(13));
    assert_eq!(session.ready().leases.renewed, 1);
}

#[test]
fn a_store_that_is_away_during_a_look_stops_nothing() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    let work = commit(&mut session, 2).start.remove(0);
    session.input(Input::Check, &at(12));
    assert_eq!(session.io(), Some(Io::LoadRun));
    session.answer(Answer::NotLoaded(Failure::retry(Code::STORE_UNAVAILABLE, "away")), &at(12));
    let ready = session.ready();
    assert!(!ready.cancel && ready.abandoned.is_none() && session.executes(&work.path));
}

/// COMMIT-3: the caller gets its answer only when everything is committed.
#[test]
fn the_end_of_a_run_is_committed_before_its_caller_is_notified() {
    let mut session = begin(&chain(&["a", "b"], Exhausted::Fail), Durability::Delayed);
    let first = session.ready().start;
    session.input(report(&first[0], done()), &at(2));
    assert!(session.io().is_none());
    let second = session.ready();
    assert_eq!(second.end, None);
    session.input(report(&second.start[0], done()), &at(2));
    let change = change(&mut session);
    assert_eq!(change.entry.as_ref().unwrap().status, Status::Succeeded);
    session.answer(committed(&change), &at(3));
    assert_eq!(session.ready().end, Some(End::Ended));
}

/// VAL-2: other nodes ask the store for values, so a node's values are committed with its output and do not wait.
#[test]
fn the_values_of_a_node_are_committed_together_with_its_output() {
    let mut session = begin(&chain(&["a", "b"], Exhausted::Fail), Durability::Delayed);
    let ready = session.ready();
    let Input::Event(event, _) = report(&ready.start[0], done()) else { unreachable!() };
    session.input(Input::Event(event, vec![("context:k".to_owned(), "v".into())]), &at(2));
    let change = change(&mut session);
    let docs: Vec<&str> = change.puts.iter().map(|put| &*put.doc).collect();
    assert_eq!(docs, ["run", "scope:", "context:k"]);
}

#[test]
fn a_run_is_not_stored_again_for_somebody_who_asks_for_it() {
    let mut session = begin(&chain(&["f1", "f2"], Exhausted::Fail), Durability::Beginning);
    commit(&mut session, 2);
    session.input(Input::Store, &at(3));
    assert_eq!(session.io(), None, "it is stored");
    let mut session = begin(&chain(&["f"], Exhausted::Fail), Durability::Memory);
    let ready = session.ready();
    session.input(report(&ready.start[0], done()), &at(3));
    assert_eq!(session.ready().end, Some(End::Ended));
    session.input(Input::Store, &at(4));
    assert_eq!(session.io(), None, "its history is about to be stored");
}

#[test]
fn a_session_knows_how_many_branches_a_node_has_started() {
    let plan = Plan::new(flow(graph(vec![for_each("F", lone(), Branches::default())], []))).unwrap();
    let mut session = begin(&Arc::new(plan), Durability::Delayed);
    let each = session.ready().start.remove(0);
    assert_eq!(session.branches_of(&each.path), None);
    session.input(report(&each, branched(&[("1", ""), ("2", "")])), &at(2));
    assert_eq!(session.branches_of(&each.path), Some(2));
    assert_eq!(session.branches_of(&path("nowhere")), None);
}

/// START-1, START-2: the run is stored, due at its moment, and held by nobody.
#[test]
fn a_run_that_starts_later_is_stored_and_left_until_then() {
    let plan = chain(&["f"], Exhausted::Fail);
    let start = || Start { start_at: Some(50_000), ..the_start() };
    let begun = RunState::start(&plan, start());
    let mut session =
        Session::begin((plan.clone(), rules(0), 7), begun, Documents::new(), Durability::Beginning, &at(1));
    let first = change(&mut session);
    let entry = first.entry.clone().unwrap();
    assert_eq!((entry.status, entry.started, entry.due), (Status::Running, 50_000, Some(50_000)));
    session.answer(committed(&first), &at(2));
    assert!(session.io().is_none());
    let ready = session.ready();
    assert_eq!((ready.start.len(), ready.end, session.has_left(), session.executing()), (0, None, true, 0));
    // A change before that moment does not make it due later or earlier.
    let state = RunState::load(session.state().run().clone(), 1);
    let mut helper = Session::open(plan, rules(0), 9, state, Role::Helper);
    helper.input(Input::Event(Event::SetCallback { url: "http://x/".to_owned() }, Documents::new()), &at(3));
    let changed = change(&mut helper);
    assert_eq!(changed.entry.clone().unwrap().due, Some(50_000));
}
