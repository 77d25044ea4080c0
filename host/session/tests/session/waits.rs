//! Runs that wait: for the next try, for an answer, for branches. The comment of a test names its rules in `docs/concepts.md`.

use crate::replica::{Fate, LEASE, circumstances, perform};
use crate::shared::{
    HERE, Shared, answer, asks, calling, chain, command, done, fan, limited, paths, report, tried, wait,
};
use faas_flow_core::definition::{Branches, Definition};
use faas_flow_core::run::{Event, Progress, Refusal};
use faas_flow_core::testing::{branched, flow, for_each, graph, path, the_start};
use faas_flow_session::{Dispatch, Input, Io};

/// HIST-8: what failed is stored although the node goes on, and outlives the replica that goes on with it.
#[test]
fn a_try_that_failed_is_stored_at_once_and_outlives_its_replica() {
    let shared = Shared::new(chain());
    let (mut lost, ready) = shared.begin(HERE);
    let first = &ready.start[0];
    let noted = shared.input(&mut lost, 3, tried(first, 1, 50));
    assert_eq!((noted.start.len(), noted.commit_by, lost.executes(&path("f1"))), (0, None, true));
    let numbers = || shared.node("f1").tries.unwrap().kept.iter().map(|one| one.number).collect::<Vec<_>>();
    assert_eq!((numbers(), shared.node("f1").progress), (vec![1], Progress::Running));
    let mut other = shared.open(1);
    shared.input(&mut other, 1 + LEASE, Input::Check);
    let taken = shared.input(&mut other, 1 + 2 * LEASE, Input::Claim(path("f1"))).start;
    shared.input(&mut other, 2 + 2 * LEASE, tried(&taken[0], 1, 9_000));
    shared.input(&mut other, 3 + 2 * LEASE, tried(&taken[0], 2, 9_000));
    shared.input(&mut other, 4 + 2 * LEASE, done(&taken[0]));
    assert_eq!(numbers(), [1, 1, 2]);
    // The first replica was only slow: what it still says is not part of the history.
    shared.input(&mut lost, 5 + 2 * LEASE, tried(first, 7, 9_000));
    assert_eq!((lost.executes(&path("f1")), numbers()), (false, vec![1, 1, 2]));
}

/// WAIT-1.
#[test]
fn during_a_stored_wait_nobody_holds_the_run_and_any_replica_continues_the_node() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut owner, 2, report(&ready.start[0], wait(900)));
    assert_eq!(shared.node("f1").lease, None);
    shared.input(&mut owner, 2 + LEASE, Input::Check);
    assert_eq!((owner.has_left(), shared.entry().due), (true, Some(900)));
    let mut other = shared.open(1);
    assert_eq!(shared.input(&mut other, 899, Input::Claim(path("f1"))).refused, Some(Refusal::Early { until: 900 }));
    let work = shared.input(&mut other, 900, Input::Recover).start;
    assert_eq!(work[0].suspended.as_ref().map(|wait| (wait.operation, wait.tries)), Some((1, 2)));
}

/// WAIT-1: an owner leaves only if nothing else can happen before the wait is over.
#[test]
fn an_owner_stays_while_anything_but_a_long_wait_is_left() {
    let at = 2 + LEASE;
    for (until, leaves) in [(at + LEASE, false), (at + LEASE + 1, true)] {
        let shared = Shared::new(chain());
        let (mut owner, ready) = shared.begin(HERE);
        shared.input(&mut owner, 2, report(&ready.start[0], wait(until)));
        shared.input(&mut owner, at, Input::Check);
        assert_eq!(owner.has_left(), leaves, "a wait until {until}");
    }
    // Beside the wait, another node is executing, or has no room here.
    for room in [HERE, (0, Dispatch::Local)] {
        let dag = graph(["f1", "f2", "f3"].map(calling).into(), [("f1", "f2"), ("f1", "f3")]);
        let shared = Shared::new(flow(dag));
        let (mut owner, ready) = shared.begin(HERE);
        let start = shared.input_with(&mut owner, 2, (1, Dispatch::Local), done(&ready.start[0])).start;
        shared.input_with(&mut owner, 3, room, report(&start[0], wait(900)));
        shared.input_with(&mut owner, at, room, Input::Check);
        assert_eq!((owner.has_left(), owner.executing()), (false, room.0.min(1)));
    }
}

/// WAIT-1: what another replica does to a run meanwhile must not wait as well.
#[test]
fn an_owner_that_would_leave_stays_if_another_replica_changes_the_run() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut owner, 2, report(&ready.start[0], wait(900)));
    owner.input(Input::Check, &circumstances(2 + LEASE, HERE));
    let loaded = perform(&the_start().id, owner.io().unwrap(), &*shared.store, Fate::Answered);
    for event in [Event::Pause, Event::Resume] {
        shared.input(&mut shared.open(1), 2 + LEASE, command(event));
    }
    owner.answer(loaded, &circumstances(2 + LEASE, HERE));
    shared.settle(&mut owner, 2 + LEASE, HERE);
    assert_eq!((owner.has_left(), shared.entry().due), (false, Some(2 + 2 * LEASE)));
}

/// WAIT-2, WAIT-3: nobody has the run, and the replica that gets the answer continues it. If that replica is lost, the run is due.
#[test]
fn the_answer_to_a_run_without_an_owner_makes_it_due_and_is_acted_on() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let asked = &ready.start[0];
    shared.input(&mut owner, 2, report(asked, asks(asked, 90_000)));
    shared.input(&mut owner, 2 + LEASE, Input::Check);
    assert_eq!((owner.has_left(), shared.entry().due), (true, Some(90_000)));
    let mut other = shared.open(1);
    let work = shared.input(&mut other, 5_000, answer(asked)).start;
    assert_eq!((paths(&work), work[0].answer.is_some()), (vec!["f1".to_owned()], true));
    assert_eq!(shared.entry().due, Some(5_000 + LEASE));
    let twice = shared.input(&mut shared.open(2), 5_001, answer(asked));
    assert_eq!((twice.refused, twice.start.len()), (Some(Refusal::Stale), 0));
    // The replica is lost. The next one finds the answer in the store.
    let mut third = shared.open(2);
    shared.input(&mut third, 5_000 + LEASE, Input::Recover);
    let again = shared.input(&mut third, 5_000 + 2 * LEASE, Input::Check).start;
    assert!(again[0].answer.is_some());
}

/// WAIT-1, WAIT-3: the answer that it knows of does not keep it.
#[test]
fn an_owner_leaves_during_a_wait_that_comes_after_an_answer() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let asked = &ready.start[0];
    shared.input(&mut owner, 2, report(asked, asks(asked, 90_000)));
    let again = shared.input(&mut owner, 3, answer(asked)).start;
    shared.input(&mut owner, 4, report(&again[0], wait(90_000)));
    shared.input(&mut owner, 4 + LEASE, Input::Check);
    assert_eq!((owner.has_left(), shared.entry().due), (true, Some(90_000)));
}

/// WAIT-3: an owner that leaves does not put off what an answer has just made due.
#[test]
fn an_owner_that_would_leave_stays_if_an_answer_comes() {
    for before_it_looks in [true, false] {
        let shared = Shared::new(chain());
        let (mut owner, ready) = shared.begin(HERE);
        let asked = &ready.start[0];
        shared.input(&mut owner, 2, report(asked, asks(asked, 90_000)));
        let at = 2 + LEASE;
        if before_it_looks {
            shared.input(&mut shared.open(1), at, answer(asked));
        }
        owner.input(Input::Check, &circumstances(at, HERE));
        let loaded = perform(&the_start().id, owner.io().unwrap(), &*shared.store, Fate::Answered);
        if !before_it_looks {
            shared.input(&mut shared.open(1), at, answer(asked));
        }
        owner.answer(loaded, &circumstances(at, HERE));
        shared.settle(&mut owner, at, HERE);
        assert_eq!((owner.has_left(), shared.entry().due), (false, Some(at + LEASE)), "{before_it_looks}");
    }
}

/// WAIT-3: the answer is faster than the commit of the wait, and comes to another replica.
#[test]
fn an_early_answer_through_another_replica_is_not_lost() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let asked = &ready.start[0];
    assert!(shared.input(&mut shared.open(1), 2, answer(asked)).start.is_empty());
    let start = shared.input(&mut owner, 3, report(asked, asks(asked, 90_000))).start;
    assert_eq!((paths(&start), start[0].answer.is_some()), (vec!["f1".to_owned()], true));
}

/// WAIT-1, JOIN-2: the replica that committed the end of the last branch was lost before it continued the node.
#[test]
fn an_owner_stays_while_ended_branches_are_not_joined() {
    let each = for_each("F", graph(vec![calling("n")], []), Branches::default());
    let dag = graph(vec![calling("f1"), each, calling("f2")], [("f1", "F"), ("f1", "f2")]);
    let shared = Shared::new(flow(dag));
    let (mut owner, ready) = shared.begin(HERE);
    let start = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    let [each, other] = &start[..] else { panic!("{start:?}") };
    let branches = shared.input(&mut owner, 3, report(each, branched(&[("1", ""), ("2", "")]))).start;
    shared.input(&mut owner, 4, report(other, wait(90_000)));
    let mut lost = shared.open(1);
    for branch in &branches {
        lost.input(done(branch), &circumstances(5, HERE));
        while let Some(io) = lost.io() {
            let is_commit = matches!(io, Io::Commit { .. });
            let answer = perform(&the_start().id, io, &*shared.store, Fate::Answered);
            if is_commit && branch.path == branches[1].path {
                break;
            }
            lost.answer(answer, &circumstances(5, HERE));
        }
    }
    let mut third = shared.open(2);
    shared.input(&mut third, 5 + LEASE, Input::Recover);
    let ready = shared.input(&mut third, 5 + 2 * LEASE, Input::Check);
    assert_eq!((third.has_left(), ready.count.len()), (false, 1));
}

/// EACH-4, REPL-5: branches that another replica had started count, and those that it had not start later.
#[test]
fn a_replica_that_recovers_a_run_keeps_to_max_parallel() {
    let shared = Shared::new(limited());
    let (mut owner, ready) = shared.begin(HERE);
    let items = branched(&[("1", ""), ("2", ""), ("3", ""), ("4", "")]);
    let first = shared.input(&mut owner, 2, report(&ready.start[0], items)).start;
    assert_eq!(paths(&shared.input(&mut owner, 3, done(&first[0])).start), ["F[3]/n"]);
    let mut other = shared.open(1);
    assert!(shared.input(&mut other, 3 + LEASE, Input::Recover).start.is_empty(), "they may still be executed");
    let again = shared.input(&mut other, 3 + 2 * LEASE, Input::Check).start;
    assert_eq!(paths(&again), ["F[2]/n", "F[3]/n"]);
    assert_eq!(paths(&shared.input(&mut other, 4 + 2 * LEASE, done(&again[0])).start), ["F[4]/n"]);
}

/// WAIT-1.
#[test]
fn an_owner_that_stays_continues_the_node_when_its_wait_is_over() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut owner, 2, report(&ready.start[0], wait(9)));
    assert!(shared.input(&mut owner, 8, Input::Wake).start.is_empty());
    assert_eq!(paths(&shared.input(&mut owner, 9, Input::Wake).start), ["f1"]);
}

/// JOIN-2: if nobody was told that the last branch has arrived, the store is asked.
#[test]
fn the_end_of_a_branch_that_was_committed_without_an_answer_is_counted() {
    for (items, sets) in [(vec![("1", "")], 0), (vec![("1", ""), ("2", "")], 1)] {
        let dag = graph(vec![calling("n")], []);
        let nodes = vec![for_each("F", dag, Branches::default()), calling("b")];
        let shared = Shared::new(flow(graph(nodes, [("F", "b")])));
        let (mut owner, ready) = shared.begin(HERE);
        let branches = shared.input(&mut owner, 2, report(&ready.start[0], branched(&items))).start;
        let (last, others) = branches.split_last().unwrap();
        for branch in others {
            shared.input(&mut owner, 3, done(branch));
        }
        owner.input(done(last), &circumstances(4, HERE));
        let lost = perform(&the_start().id, owner.io().unwrap(), &*shared.store, Fate::AnswerLost);
        owner.answer(lost, &circumstances(4, HERE));
        assert_eq!(shared.settle(&mut owner, 5, HERE).count.len(), sets);
    }
}

/// CLAIM-5: a conflict concerns what was about to be committed, and nothing else.
#[test]
fn what_a_replica_executes_goes_on_after_a_conflict() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    let start = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    shared.input(&mut shared.open(1), 3, command(Event::Pause));
    let ready = shared.input(&mut owner, 4, done(&start[0]));
    assert_eq!((ready.start.len(), ready.cancel, ready.leases.lost), (0, false, 0));
    assert!(!owner.executes(&path("f2")) && owner.executes(&path("f3")) && owner.executes(&path("f4")));
    for work in &start[1..] {
        shared.input(&mut owner, 5, done(work));
    }
    assert!(["f2", "f3", "f4"].iter().all(|node| shared.node(node).progress == Progress::Done));
}

/// WAIT-1: a deadline that comes first wakes the run.
#[test]
fn a_run_that_waits_is_due_at_its_deadline() {
    let shared = Shared::new(Definition { deadline_ms: Some(500), ..chain() });
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut owner, 2, report(&ready.start[0], wait(900)));
    shared.input(&mut owner, 2 + LEASE, Input::Check);
    assert_eq!(shared.entry().due, Some(501));
}
