//! What becomes of a batch whose commit conflicted or had no answer (COMMIT-1), and of reports that come too late.

use crate::replica::{Fate, LEASE, circumstances, perform};
use crate::shared::{HERE, SENT, Shared, asks, calling, chain, command, done, paths, report, tried};
use faas_flow_core::definition::{Branches, Dag, Definition, RecoverNode};
use faas_flow_core::run::{Event, Outcome, Progress, Refusal, Said, WaitId, Withdrawn, Work};
use faas_flow_core::testing::{branched, failed, flow, for_each, graph, lone, node, path, payload, sub_dag, the_start};
use faas_flow_core::{Code, Status};
use faas_flow_session::{Answer, Dispatch, End, Input, Io, Session};

/// `F` starts branches of the flow's own code.
fn each() -> Definition {
    flow(graph(vec![for_each("F", lone(), Branches::default())], []))
}

/// A run whose node `F` has started two branches, and the work of both. Only the claim of `F` is stored.
fn two_branches(shared: &Shared) -> (Session, [Work; 2]) {
    let (mut owner, ready) = shared.begin(HERE);
    owner.input(report(&ready.start[0], branched(&[("1", ""), ("2", "")])), &circumstances(2, HERE));
    assert!(owner.io().is_none());
    let branches = owner.ready().start;
    assert_eq!(paths(&branches), ["F[1]/n", "F[2]/n"]);
    (owner, branches.try_into().unwrap())
}

/// Performs all I/O that a session asks for, the first with this fate, and yields its kinds.
fn settle(shared: &Shared, session: &mut Session, mut fate: Fate) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    while let Some(io) = session.io() {
        kinds.push(match &io {
            Io::Commit { .. } => "commit",
            _ => "load",
        });
        session.answer(perform(&the_start().id, io, &*shared.store, fate), &circumstances(3, HERE));
        fate = Fate::Answered;
    }
    kinds
}

/// Another replica changes the run and changes it back.
fn change_and_change_back(shared: &Shared) {
    for event in [Event::Pause, Event::Resume] {
        shared.input(&mut shared.open(9), 3, command(event));
    }
}

/// HIST-8: whether the commit happened or not, the history has the try once, and the node goes on.
#[test]
fn a_try_whose_commit_had_no_answer_or_conflicted_is_in_the_history_once() {
    for fate in [Fate::Answered, Fate::AnswerLost, Fate::Lost] {
        let shared = Shared::new(chain());
        let (mut owner, ready) = shared.begin(HERE);
        change_and_change_back(&shared);
        owner.input(tried(&ready.start[0], 1, 50), &circumstances(3, HERE));
        settle(&shared, &mut owner, fate);
        assert_eq!(owner.ready().refused, None);
        assert!(owner.executes(&path("f1")));
        assert_eq!(shared.node("f1").tries.unwrap().kept.len(), 1);
        shared.input(&mut owner, 4, done(&ready.start[0]));
        let node = shared.node("f1");
        assert_eq!((node.progress, node.tries.unwrap().kept.len()), (Progress::Done, 1));
    }
}

/// CLAIM-2: the claim was refused, and afterwards nobody has the node.
#[test]
fn a_node_that_another_replica_has_released_is_claimed_after_the_conflict() {
    let shared = Shared::new(chain());
    shared.begin(SENT);
    let (mut first, mut second) = (shared.open(1), shared.open(2));
    first.input(Input::Claim(path("f1")), &circumstances(2, HERE));
    shared.input(&mut second, 2, Input::Claim(path("f1")));
    shared.input(&mut second, 3, Input::Release);
    let ready = shared.settle(&mut first, 4, HERE);
    assert_eq!(paths(&ready.start), ["f1"]);
    assert_eq!(shared.node("f1").token, ready.start[0].token);
}

/// COMMIT-3.
#[test]
fn own_code_that_is_executing_is_not_started_again_by_a_replay() {
    let shared = Shared::new(flow(graph(["a", "b"].map(node).into(), [("a", "b")])));
    let (mut owner, ready) = shared.begin(HERE);
    owner.input(done(&ready.start[0]), &circumstances(2, HERE));
    assert!(owner.io().is_none());
    let start = owner.ready().start;
    assert_eq!(paths(&start), ["b"]);
    change_and_change_back(&shared);
    let ready = shared.input(&mut owner, 4, Input::CommitDue);
    assert_eq!((ready.start.len(), owner.executes(&path("b"))), (0, true));
    assert_eq!(shared.node("b").token, start[0].token);
    assert_eq!(shared.input(&mut owner, 5, done(&start[0])).end, Some(End::Ended));
}

/// END-2: the end of the flow is applied again, and then the claim of the handler that follows it.
#[test]
fn the_handler_of_a_run_that_has_failed_is_executed_after_a_conflict() {
    let shared = Shared::new(Definition { finally: Some("h".to_owned()), ..chain() });
    let (mut owner, ready) = shared.begin(HERE);
    owner.input(report(&ready.start[0], failed(false)), &circumstances(2, HERE));
    change_and_change_back(&shared);
    let ready = shared.settle(&mut owner, 4, HERE);
    assert_eq!((paths(&ready.start), ready.cancel), (vec!["(finally)".to_owned()], true));
}

/// CLAIM-5: own code began before its claim was committed, and the claim was refused. Its report is not one of the claim
/// that this replica has made of the node since then.
#[test]
fn a_late_report_does_not_end_a_newer_claim_of_the_same_replica() {
    let shared = Shared::new(flow(graph(["a", "b"].map(node).into(), [("a", "b")])));
    shared.begin(SENT);
    let mut helper = shared.open(1);
    helper.input(Input::Claim(path("a")), &circumstances(2, HERE));
    assert!(helper.io().is_none());
    let early = helper.ready().start;
    let mut other = shared.open(2);
    shared.input(&mut other, 2, Input::Claim(path("a")));
    shared.input(&mut other, 3, Input::CommitDue);
    shared.input(&mut other, 3, Input::Release);
    let again = shared.input(&mut helper, 4, Input::CommitDue).start;
    assert_eq!(paths(&again), ["a"]);
    assert_ne!(again[0].token, early[0].token);
    let late = shared.input(&mut helper, 5, done(&early[0]));
    assert_eq!((late.refused, late.leases.lost), (Some(Refusal::Stale), 1));
    assert!(helper.executes(&path("a")));
    assert_eq!(shared.input(&mut helper, 6 + LEASE / 3, Input::Check).leases.renewed, 1);
    assert_eq!(paths(&shared.input(&mut helper, 7 + LEASE / 3, done(&again[0])).start), ["b"]);
}

/// CLAIM-5: the replica has seen that another one has its node.
#[test]
fn a_report_of_a_claim_that_another_replica_has_taken_counts_as_a_lost_lease() {
    let shared = Shared::new(chain());
    let (mut lost, ready) = shared.begin(HERE);
    let mut other = shared.open(1);
    for now in [1 + LEASE, 1 + 2 * LEASE] {
        shared.input(&mut other, now, Input::Recover);
    }
    assert!(other.executes(&path("f1")));
    shared.input(&mut lost, 2 + 2 * LEASE, Input::Check);
    let late = shared.input(&mut lost, 3 + 2 * LEASE, done(&ready.start[0]));
    assert_eq!((late.refused, late.leases.lost), (Some(Refusal::Stale), 1));
}

/// WAIT-2, WAIT-3: of two answers, the one that is stored counts, also for the replica that took the other one. That one says
/// that its answer came too late.
#[test]
fn a_node_continues_with_the_answer_that_is_stored() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let asked = &ready.start[0];
    shared.input(&mut owner, 2, report(asked, asks(asked, 90_000)));
    let answer = |text: &str| {
        let to = WaitId { claim: asked.token, operation: 0 };
        let said = Said::Response { status: 200, headers: Vec::new(), body: payload(text) };
        command(Event::Answer { path: asked.path.clone(), to, said })
    };
    let (mut first, mut second) = (shared.open(1), shared.open(2));
    first.input(answer("one"), &circumstances(3, HERE));
    let full = (0, Dispatch::Local);
    assert!(shared.input_with(&mut second, 3, full, answer("two")).start.is_empty());
    let ready = shared.settle(&mut first, 4, HERE);
    assert_eq!(ready.refused, Some(Refusal::Stale));
    let start = ready.start;
    assert_eq!(paths(&start), ["f1"]);
    let Said::Response { body, .. } = &start[0].answer.as_ref().unwrap().said else { panic!("{start:?}") };
    assert_eq!(*body, payload("two"));
}

/// Gives a command to a replica. Its commit has this fate; then others give these. Yields why the command was refused.
fn refused(shared: &Shared, event: Event, fate: Fate, others: &[Event]) -> Option<Refusal> {
    let mut asked = shared.open(1);
    asked.input(command(event), &circumstances(6, HERE));
    let answer = perform(&the_start().id, asked.io().unwrap(), &*shared.store, fate);
    for event in others {
        assert_eq!(shared.input(&mut shared.open(2), 7, command(event.clone())).refused, None);
    }
    asked.answer(answer, &circumstances(8, HERE));
    shared.settle(&mut asked, 8, HERE).refused
}

/// CTRL-1: who gave a command is told what is stored, also if the commit had no answer.
#[test]
fn a_command_whose_commit_had_no_answer_is_refused_only_if_it_has_not_happened() {
    let run = |before: &[Event], others: &[Event]| {
        let deadline_ms = matches!(others, [Event::Deadline]).then_some(5);
        let shared = Shared::new(Definition { deadline_ms, ..chain() });
        shared.begin(HERE);
        for event in before {
            shared.input(&mut shared.open(3), 5, command(event.clone()));
        }
        shared
    };
    let rerun = || Event::Rerun { from: None };
    let (sent, delivered) = (Event::CallBack { until: 40 }, Event::CalledBack { tries: 1, failure: None, next: None });
    let called_back = [Event::Stop, sent, delivered];
    let callback = || Event::SetCallback { url: "http://127.0.0.1/other".to_owned() };
    let ended = Some(Refusal::Ended);
    for (before, event, fate, others, expected) in [
        (&[][..], Event::Stop, Fate::AnswerLost, &[][..], None),
        (&[], Event::Stop, Fate::Lost, &[Event::Deadline], ended.clone()),
        (&[], Event::Pause, Fate::AnswerLost, &[], None),
        (&[], Event::Pause, Fate::Lost, &[Event::Stop], ended.clone()),
        (&[], Event::Resume, Fate::Lost, &[Event::Stop], ended),
        (&[Event::Stop], rerun(), Fate::AnswerLost, &[], None),
        (&[Event::Stop], rerun(), Fate::Lost, &[rerun(), Event::Pause], Some(Refusal::Whole)),
        (&[], callback(), Fate::AnswerLost, &[Event::Stop], None),
        (&called_back, Event::SendCallback, Fate::AnswerLost, &[], None),
    ] {
        let about = format!("{event:?}, {fate:?}, {others:?}");
        assert_eq!(refused(&run(before, others), event, fate, others), expected, "{about}");
    }
}

/// STOP-1: whether the answer to its commit came or not. This is also when the runs are stopped that the run has called.
#[test]
fn a_replica_that_has_stopped_a_run_cancels_its_work() {
    for fate in [Fate::Answered, Fate::AnswerLost, Fate::Lost] {
        let shared = Shared::new(chain());
        shared.begin(HERE);
        let mut operator = shared.open(1);
        operator.input(command(Event::Stop), &circumstances(3, HERE));
        settle(&shared, &mut operator, fate);
        let ready = operator.ready();
        assert_eq!((ready.cancel, ready.refused), (true, None), "{fate:?}");
    }
}

/// WAIT-2: as above, for an answer to a node that waits.
#[test]
fn an_answer_whose_commit_had_no_answer_is_refused_only_if_another_one_counts() {
    for (fate, others, expected) in
        [(Fate::AnswerLost, None, None), (Fate::Lost, None, None), (Fate::Lost, Some("two"), Some(Refusal::Stale))]
    {
        let shared = Shared::new(chain());
        let (mut owner, ready) = shared.begin(HERE);
        let asked = &ready.start[0];
        shared.input(&mut owner, 2, report(asked, asks(asked, 90_000)));
        let answer = |text: &str| {
            let to = WaitId { claim: asked.token, operation: 0 };
            let said = Said::Response { status: 200, headers: Vec::new(), body: payload(text) };
            Event::Answer { path: asked.path.clone(), to, said }
        };
        let others: Vec<Event> = others.into_iter().map(answer).collect();
        assert_eq!(refused(&shared, answer("one"), fate, &others), expected, "{fate:?}, {others:?}");
    }
}

/// JOIN-2.
#[test]
fn branches_that_arrive_in_one_commit_are_joined_once() {
    let shared = Shared::new(each());
    let (mut owner, [first, second]) = two_branches(&shared);
    shared.input(&mut owner, 2, Input::CommitDue);
    owner.input(done(&first), &circumstances(3, HERE));
    assert!(owner.io().is_none());
    owner.ready();
    owner.input(done(&second), &circumstances(3, HERE));
    assert_eq!(settle(&shared, &mut owner, Fate::Answered), ["commit", "commit"], "the branches, and what follows");
    assert_eq!(owner.ready().end, Some(End::Ended));
}

/// JOIN-2, COMMIT-1.
#[test]
fn branches_that_arrive_again_in_a_replay_are_joined_once() {
    let shared = Shared::new(each());
    let (mut owner, [first, second]) = two_branches(&shared);
    for branch in [&first, &second] {
        owner.ready();
        owner.input(done(branch), &circumstances(3, HERE));
    }
    assert_eq!(settle(&shared, &mut owner, Fate::Lost), ["commit", "load", "commit"]);
    assert_eq!(owner.ready().end, Some(End::Ended));
}

/// JOIN-2, PAUSE-1: the branches had begun and ended in one batch with their join. When another replica has paused the run,
/// they have not begun.
#[test]
fn branches_that_do_not_arrive_in_a_replay_are_not_joined() {
    let shared = Shared::new(each());
    let (mut owner, [first, second]) = two_branches(&shared);
    owner.input(done(&first), &circumstances(3, HERE));
    assert!(owner.io().is_none());
    owner.ready();
    shared.input(&mut shared.open(1), 3, command(Event::Pause));
    assert_eq!(shared.input(&mut owner, 4, done(&second)).end, Some(End::Paused));
    assert_eq!((shared.stored().run().status(), shared.node("F").progress), (Status::Paused, Progress::Branching));
    let resumed = shared.input(&mut shared.open(2), 5, command(Event::Resume));
    assert_eq!(paths(&resumed.start), ["F[1]/n", "F[2]/n"]);
}

#[test]
fn a_run_that_is_gone_from_the_store_is_abandoned() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    owner.input(done(&ready.start[0]), &circumstances(2, HERE));
    assert!(matches!(owner.io(), Some(Io::Commit { .. })));
    owner.answer(Answer::Conflict, &circumstances(2, HERE));
    let Some(Io::Load { docs, .. }) = owner.io() else { panic!("it looks what is stored") };
    owner.answer(Answer::Loaded(vec![None; docs.len()]), &circumstances(2, HERE));
    assert_eq!(owner.ready().abandoned.unwrap().code, Code::RUN_UNKNOWN);
    assert_eq!(owner.io(), None);
}

/// WAIT-3: the same answer comes twice, to two replicas, and the commit of the second one is not answered. It cannot have
/// happened.
#[test]
fn an_answer_that_came_twice_is_taken_once() {
    for goes_on in [false, true] {
        let shared = Shared::new(chain());
        let (mut owner, ready) = shared.begin(HERE);
        let asked = &ready.start[0];
        shared.input(&mut owner, 2, report(asked, asks(asked, 90_000)));
        let answer = || {
            let to = WaitId { claim: asked.token, operation: 0 };
            let said = Said::Response { status: 200, headers: Vec::new(), body: payload("one") };
            command(Event::Answer { path: asked.path.clone(), to, said })
        };
        let (mut first, mut second) = (shared.open(1), shared.open(2));
        let start = shared.input(&mut first, 3, answer()).start;
        if goes_on {
            shared.input(&mut first, 4, done(&start[0]));
            shared.input(&mut first, 4, Input::CommitDue);
        }
        second.input(answer(), &circumstances(5, HERE));
        settle(&shared, &mut second, Fate::Lost);
        assert_eq!(second.ready().refused, Some(Refusal::Stale), "goes on: {goes_on}");
    }
}

/// The dag of a node has begun.
fn entered() -> Outcome {
    Outcome::Branched(vec![(None, payload(""))])
}

/// COMMIT-1, CATCH-6: what does not go on since a failure was caught is cut off, and what it has called is stopped, also if
/// the answer to the commit was lost.
#[test]
fn a_replica_that_has_caught_a_failure_withdraws_what_is_beside_it() {
    let inside =
        graph(["s", "x", "y", "end"].map(calling).into(), [("s", "x"), ("s", "y"), ("x", "end"), ("y", "end")]);
    let of_node = || {
        let recovers = RecoverNode { node: "S".to_owned(), recover: "h".to_owned() };
        Dag { recover_nodes: vec![recovers], ..graph(vec![sub_dag("S", inside.clone())], []) }
    };
    let of_dag = || graph(vec![sub_dag("S", Dag { recover: Some("h".to_owned()), ..inside.clone() })], []);
    let scope = path("S/x").scope;
    for (dag, part, next) in
        [(of_node(), Withdrawn::Branches(path("S")), "S"), (of_dag(), Withdrawn::Scope(scope), "S/(recover)")]
    {
        for fate in [Fate::Answered, Fate::AnswerLost, Fate::Lost] {
            let shared = Shared::new(flow(dag.clone()));
            let (mut owner, ready) = shared.begin(HERE);
            let start = shared.input(&mut owner, 2, report(&ready.start[0], entered())).start;
            let [x, y] = <[Work; 2]>::try_from(shared.input(&mut owner, 2, done(&start[0])).start).unwrap();
            owner.input(report(&x, failed(false)), &circumstances(3, HERE));
            settle(&shared, &mut owner, fate);
            let ready = owner.ready();
            assert_eq!((&ready.withdrawn, ready.withdrawn_claims), (&vec![part.clone()], vec![y.token]), "{fate:?}");
            assert_eq!((paths(&ready.start), owner.executes(&y.path)), (vec![next.to_owned()], false), "{fate:?}");
        }
    }
}

/// JOIN-2, COMMIT-1: the last branch ends within a sub-dag, and the answer to that commit is lost.
#[test]
fn branches_whose_arrival_had_no_answer_are_counted() {
    let item = graph(vec![sub_dag("S", graph(vec![calling("n")], []))], []);
    for fate in [Fate::Answered, Fate::AnswerLost, Fate::Lost] {
        let shared = Shared::new(flow(graph(vec![for_each("F", item.clone(), Branches::default())], [])));
        let (mut owner, ready) = shared.begin(HERE);
        let items = branched(&[("1", ""), ("2", "")]);
        let start = shared.input(&mut owner, 2, report(&ready.start[0], items)).start;
        let mut calls = Vec::new();
        for item in &start {
            calls.extend(shared.input(&mut owner, 2, report(item, entered())).start);
        }
        assert_eq!(paths(&calls), ["F[1]/S/n", "F[2]/S/n"]);
        shared.input(&mut owner, 2, done(&calls[0]));
        owner.input(done(&calls[1]), &circumstances(3, HERE));
        settle(&shared, &mut owner, fate);
        let ready = owner.ready();
        let counted: Vec<String> = ready.count.iter().map(|join| join.node.to_string()).collect();
        let expected = if fate == Fate::AnswerLost { (vec!["F".to_owned()], None) } else { (vec![], Some(End::Ended)) };
        assert_eq!((counted, ready.end), expected, "{fate:?}");
    }
}

/// END-1, COMMIT-1: the replica that has ended a run says so, also if the answer to the commit was lost. If another one was
/// faster, it hears of that.
#[test]
fn a_replica_that_has_ended_a_run_leaves_it() {
    for (fate, faster, expected) in [
        (Fate::Answered, false, End::Ended),
        (Fate::AnswerLost, false, End::Ended),
        (Fate::Lost, false, End::Ended),
        (Fate::Lost, true, End::EndedElsewhere),
    ] {
        let shared = Shared::new(chain());
        let (mut owner, _) = shared.begin(HERE);
        owner.input(command(Event::Stop), &circumstances(3, HERE));
        let answer = perform(&the_start().id, owner.io().unwrap(), &*shared.store, fate);
        if faster {
            shared.input(&mut shared.open(1), 2, command(Event::Stop));
        }
        owner.answer(answer, &circumstances(4, HERE));
        let ready = shared.settle(&mut owner, 4, HERE);
        assert_eq!((ready.end, ready.cancel, owner.has_left()), (Some(expected), true, true), "{fate:?}, {faster}");
    }
}

/// BACK-4: a claim of the callback whose commit had no answer is made use of, once.
#[test]
fn the_callback_is_sent_by_who_has_claimed_it() {
    for fate in [Fate::Answered, Fate::AnswerLost, Fate::Lost] {
        let shared = Shared::new(chain());
        shared.begin(HERE);
        shared.input(&mut shared.open(1), 3, command(Event::Stop));
        let (mut first, mut second) = (shared.open(1), shared.open(2));
        first.input(command(Event::CallBack { until: 40 }), &circumstances(4, HERE));
        settle(&shared, &mut first, fate);
        let delivery = first.ready().call_back.unwrap();
        assert_eq!((delivery.tries, delivery.earlier), (1, 0), "{fate:?}");
        assert_eq!(shared.input(&mut second, 5, command(Event::CallBack { until: 41 })).call_back, None);
    }
}
