//! One example for each rule of `docs/concepts.md` that takes a store, and often a second replica. The comment of a test
//! names its rules.

use crate::replica::{Fate, LEASE, circumstances, perform};
use crate::shared::{HERE, SENT, Shared, calling, chain, command, done, fan, limited, paths, report, wait};
use faas_flow_core::definition::{Branches, Definition};
use faas_flow_core::run::{Event, Outcome, Progress, Refusal};
use faas_flow_core::testing::{branched, failed, flow, for_each, graph, lone, node, path, payload, the_start};
use faas_flow_core::{Code, Failure, Partition};
use faas_flow_session::{Answer, Circumstances, Dispatch, Durability, End, Input, Io};
use futures_executor::block_on;

/// CLAIM-2.
#[test]
fn of_two_replicas_that_claim_a_node_at_the_same_moment_one_gives_up_before_it_calls_anything() {
    let shared = Shared::new(chain());
    shared.begin(SENT);
    let (mut first, mut second) = (shared.open(1), shared.open(2));
    // Both have claimed the node before either has committed its claim.
    for session in [&mut first, &mut second] {
        session.input(Input::Claim(path("f1")), &circumstances(2, HERE));
    }
    assert_eq!(paths(&shared.settle(&mut second, 3, HERE).start), ["f1"]);
    let ready = shared.settle(&mut first, 3, HERE);
    assert_eq!((ready.start.len(), first.executing()), (0, 0));
    assert_eq!(&*shared.node("f1").lease.unwrap().owner, "replica 2");
}

/// COMMIT-1: a result must not wait for claims that other replicas may win.
#[test]
fn after_a_conflict_what_is_done_is_committed_before_anything_else_is_claimed() {
    let one = (1, Dispatch::Local);
    let dag = graph(vec![calling("n")], []);
    let shared = Shared::new(flow(graph(vec![for_each("F", dag, Branches::default())], [])));
    let (mut owner, ready) = shared.begin(one);
    let items = branched(&[("1", ""), ("2", ""), ("3", "")]);
    let first = shared.input_with(&mut owner, 2, one, report(&ready.start[0], items)).start;
    shared.input(&mut shared.open(1), 3, Input::Claim(path("F[2]/n")));
    owner.input(done(&first[0]), &circumstances(4, one));
    let mut commits = Vec::new();
    while let Some(io) = owner.io() {
        if let Io::Commit { change, .. } = &io {
            commits.push(change.puts.iter().map(|put| put.doc.clone()).collect::<Vec<_>>().join(" "));
        }
        owner.answer(perform(&the_start().id, io, &*shared.store, Fate::Answered), &circumstances(4, one));
    }
    assert_eq!(commits, ["scope:F[1] scope:F[2]", "scope:F[1]", "scope:F[3]"]);
    assert_eq!(paths(&owner.ready().start), ["F[3]/n"]);
}

/// CLAIM-4, CLAIM-5.
#[test]
fn when_a_lease_has_run_out_another_replica_takes_the_node_and_the_late_result_changes_nothing() {
    let shared = Shared::new(chain());
    let (mut lost, ready) = shared.begin(HERE);
    let mut other = shared.open(1);
    // It sees the claim for the first time when the lease has run out by its clock.
    shared.input(&mut other, 1 + LEASE, Input::Check);
    let late = 1 + 2 * LEASE;
    assert_eq!(shared.input(&mut other, late - 1, Input::Claim(path("f1"))).refused, Some(Refusal::Leased));
    let taken = shared.input(&mut other, late, Input::Claim(path("f1")));
    assert_eq!(paths(&taken.start), ["f1"]);
    let ready = shared.input(&mut lost, late + 1, done(&ready.start[0]));
    assert_eq!((ready.start.len(), ready.end, ready.leases.lost), (0, None, 1));
    let node = shared.node("f1");
    assert_eq!((node.progress, node.token, node.output), (Progress::Running, taken.start[0].token, None));
    assert_eq!(shared.node("f1").attempts[0].failure.as_ref().unwrap().code, Code::NODE_LOST);
    shared.input(&mut other, late + 2, done(&taken.start[0]));
    assert_eq!(shared.node("f1").progress, Progress::Done);
}

/// CLAIM-3.
#[test]
fn a_replica_renews_its_leases_every_third_of_a_lease() {
    let shared = Shared::new(chain());
    let (mut owner, _) = shared.begin(HERE);
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!(ready.leases.renewed, 1);
    assert_eq!(shared.node("f1").lease.unwrap().until, 1 + LEASE / 3 + LEASE);
}

/// REPL-2: a replica whose copy of the run is out of date reads the run before it gives up.
#[test]
fn a_refusal_is_final_only_if_the_copy_is_as_it_is_stored() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let mut helper = shared.open(1);
    assert_eq!(shared.input_with(&mut owner, 2, SENT, done(&ready.start[0])).send, [path("f2")]);
    assert_eq!(paths(&shared.input(&mut helper, 3, Input::Claim(path("f2"))).start), ["f2"]);
}

/// JOIN-2: only branches with siblings are counted in the store.
#[test]
fn a_replica_that_recovers_a_run_counts_the_branches_that_have_ended() {
    for (items, sets) in [(vec![("1", "")], 0), (vec![("1", ""), ("2", "")], 1)] {
        let dag = graph(vec![calling("n")], []);
        let shared = Shared::new(flow(graph(vec![for_each("F", dag, Branches::default())], [])));
        let (mut owner, ready) = shared.begin(HERE);
        shared.input(&mut owner, 2, report(&ready.start[0], branched(&items)));
        let recovered = shared.input(&mut shared.open(1), 2 + LEASE, Input::Recover);
        assert_eq!(recovered.count.len(), sets);
    }
}

/// CLAIM-6, REPL-5: the events of a replica that has stopped are not waited for.
#[test]
fn the_run_of_a_replica_that_has_stopped_goes_on_at_once() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(SENT);
    assert_eq!(ready.send, [path("f1")], "and this event is lost");
    shared.input_with(&mut owner, 3, SENT, Input::Release);
    assert_eq!(shared.entry().due, Some(3));
    let ready = shared.input_with(&mut shared.open(1), 4, SENT, Input::Recover);
    assert_eq!(paths(&ready.start), ["f1"]);
}

/// CLAIM-5: a claim whose result was committed was not lost, even if nobody was told.
#[test]
fn a_result_that_was_committed_without_an_answer_is_no_lost_lease() {
    // In one case another replica has claimed the node again meanwhile, after the wait that this one reported.
    for (outcome, claimed_again) in [(wait(3), true), (wait(3), false), (Outcome::Done(payload("out")), false)] {
        let shared = Shared::new(chain());
        let (mut owner, ready) = shared.begin(HERE);
        owner.input(report(&ready.start[0], outcome), &circumstances(2, HERE));
        let answer = perform(&the_start().id, owner.io().unwrap(), &*shared.store, Fate::AnswerLost);
        owner.answer(answer, &circumstances(2, HERE));
        if claimed_again {
            assert_eq!(shared.input(&mut shared.open(1), 3, Input::Claim(path("f1"))).start.len(), 1);
        }
        let ready = shared.settle(&mut owner, 4, HERE);
        assert_eq!((ready.leases.lost, ready.abandoned), (0, None));
    }
}

/// CLAIM-4.
#[test]
fn a_claim_that_is_renewed_is_not_taken_over_whatever_the_clocks_say() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let mut other = shared.open(1);
    for third in 1..=12 {
        let now = 1 + third * LEASE / 3;
        shared.input(&mut owner, now, Input::Check);
        for input in [Input::Claim(path("f1")), Input::Recover, Input::Check, Input::Wake] {
            let ahead = Circumstances { now: now + 12 * LEASE, ..circumstances(now, HERE) };
            assert_eq!(shared.input_in(&mut other, &ahead, input).start.len(), 0, "after {third} thirds of a lease");
        }
    }
    // Its replica is lost, and only now is it unchanged for a whole lease.
    let last = 1 + 12 * LEASE / 3;
    let starts = (last + 1..).find(|now| !shared.input(&mut other, *now, Input::Wake).start.is_empty());
    assert!(starts.is_some_and(|now| (last + LEASE..=last + 2 * LEASE).contains(&now)), "{starts:?}");
    assert_eq!(shared.input(&mut owner, last + 3 * LEASE, done(&ready.start[0])).start.len(), 0);
}

/// EACH-4.
#[test]
fn at_most_max_parallel_branches_run_at_a_time() {
    let shared = Shared::new(limited());
    let (mut session, ready) = shared.begin(HERE);
    let items = branched(&[("1", ""), ("2", ""), ("3", ""), ("4", "")]);
    let first = shared.input(&mut session, 2, report(&ready.start[0], items)).start;
    assert_eq!(paths(&first), ["F[1]/n", "F[2]/n"]);
    let third = shared.input(&mut session, 3, done(&first[1])).start;
    assert_eq!(paths(&third), ["F[3]/n"]);
    let fourth = shared.input(&mut session, 4, done(&first[0])).start;
    assert_eq!(paths(&fourth), ["F[4]/n"]);
    assert_eq!(shared.input(&mut session, 5, done(&third[0])).start.len(), 0);
    // JOIN-2: with the last one, the node is done.
    assert_eq!(shared.input(&mut session, 6, done(&fourth[0])).end, Some(End::Ended));
}

/// REPL-1.
#[test]
fn the_owner_executes_nodes_while_it_has_room_and_sends_events_for_the_rest() {
    for (dispatch, sent) in [(Dispatch::Local, 0), (Dispatch::Overflow, 2)] {
        let shared = Shared::new(flow(fan()));
        let (mut owner, ready) = shared.begin((1, dispatch));
        let ready = shared.input_with(&mut owner, 2, (1, dispatch), done(&ready.start[0]));
        assert_eq!((paths(&ready.start), ready.send.len()), (vec!["f2".to_owned()], sent), "{dispatch:?}");
        // The rest of them waits here until there is room again.
        let ready = shared.input_with(&mut owner, 3, (1, dispatch), done(&ready.start[0]));
        assert_eq!(ready.start.len(), usize::from(sent == 0));
    }
    let shared = Shared::new(flow(fan()));
    let (_, ready) = shared.begin(SENT);
    assert_eq!((ready.start.len(), ready.send), (0, vec![path("f1")]));
}

/// REPL-2.
#[test]
fn a_replica_that_receives_an_event_executes_the_node_and_what_follows_it_and_then_leaves_the_run() {
    let shared = Shared::new(chain());
    shared.begin(SENT);
    let mut helper = shared.open(1);
    let first = shared.input(&mut helper, 2, Input::Claim(path("f1"))).start;
    let second = shared.input(&mut helper, 3, done(&first[0])).start;
    assert_eq!(paths(&second), ["f2"]);
    helper.leave_if_done();
    assert!(!helper.has_left());
    shared.input_with(&mut helper, 4, (0, Dispatch::Local), report(&second[0], wait(900)));
    helper.leave_if_done();
    assert!(helper.has_left());
}

/// REPL-2.
#[test]
fn starts_of_branches_with_a_limit_are_not_sent() {
    let shared = Shared::new(limited());
    let (mut session, ready) = shared.begin(SENT);
    assert_eq!(ready.send, [path("F")]);
    let work = shared.input_with(&mut session, 2, SENT, Input::Claim(path("F"))).start;
    let items = branched(&[("1", ""), ("2", ""), ("3", "")]);
    let ready = shared.input_with(&mut session, 3, SENT, report(&work[0], items));
    assert_eq!((paths(&ready.start).len(), ready.send), (2, vec![]));
}

/// REPL-2: what stays here waits for room here.
#[test]
fn starts_of_branches_with_a_limit_wait_for_room_on_the_replica_that_counts_them() {
    let shared = Shared::new(limited());
    let room = (1, Dispatch::Overflow);
    let (mut session, ready) = shared.begin(room);
    let items = branched(&[("1", ""), ("2", ""), ("3", "")]);
    let ready = shared.input_with(&mut session, 2, room, report(&ready.start[0], items));
    assert_eq!((paths(&ready.start), ready.send), (vec!["F[1]/n".to_owned()], vec![]));
    let ready = shared.input_with(&mut session, 3, room, done(&ready.start[0]));
    assert_eq!((paths(&ready.start), ready.send), (vec!["F[2]/n".to_owned()], vec![]));
}

/// REPL-2: a helper leaves when nothing waits on it, whether it has ended or was cancelled.
#[test]
fn a_helper_stays_while_a_node_waits_for_room_and_leaves_when_its_nodes_are_cancelled() {
    let shared = Shared::new(Definition { finally: Some("h".to_owned()), ..flow(fan()) });
    shared.begin(SENT);
    let mut helper = shared.open(1);
    let first = shared.input(&mut helper, 2, Input::Claim(path("f1"))).start;
    let room = (0, Dispatch::Local);
    assert!(shared.input_with(&mut helper, 3, room, done(&first[0])).start.is_empty());
    helper.leave_if_done();
    assert!(!helper.has_left());
    // Now `f2` has room, and the others still wait when the run is stopped and its finally handler executes elsewhere.
    let room = (1, Dispatch::Local);
    shared.input_with(&mut helper, 3, room, Input::Wake);
    assert_eq!(helper.executing(), 1);
    assert_eq!(paths(&shared.input(&mut shared.open(2), 4, command(Event::Stop)).start), ["(finally)"]);
    shared.input_with(&mut helper, 5, (0, Dispatch::Local), Input::Check);
    helper.leave_if_done();
    assert!(helper.has_left());
}

/// REPL-3.
#[test]
fn an_event_for_a_node_that_cannot_be_claimed_changes_nothing() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let refused = |node: &str| {
        let before = block_on(shared.store.read_all(&Partition::of_run(&the_start().id))).unwrap();
        let refused = shared.input(&mut shared.open(1), 3, Input::Claim(path(node)));
        assert_eq!(block_on(shared.store.read_all(&Partition::of_run(&the_start().id))).unwrap(), before);
        assert_eq!((refused.start.len(), refused.leases.lost), (0, 0));
        refused.refused
    };
    assert_eq!((refused("f1"), refused("f2")), (Some(Refusal::Leased), Some(Refusal::Stale)));
    assert_eq!(refused("nowhere"), Some(Refusal::Unknown));
    assert_eq!(
        shared.input(&mut owner, 4, Input::Claim(path("f1"))).refused,
        Some(Refusal::Leased),
        "it has it itself"
    );
    shared.input(&mut shared.open(1), 4, command(Event::Pause));
    shared.input(&mut owner, 4, done(&ready.start[0]));
    assert_eq!(refused("f2"), Some(Refusal::Paused));
    shared.input(&mut shared.open(1), 5, command(Event::Stop));
    assert_eq!(refused("f2"), Some(Refusal::Ended));
}

/// REPL-4.
#[test]
fn once_per_lease_the_owner_reads_the_whole_run_and_picks_up_what_is_ready_and_unclaimed() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(SENT);
    assert_eq!(ready.send, [path("f1")], "and this event is lost");
    let early = shared.input_with(&mut owner, 1 + LEASE / 3, SENT, Input::Check);
    assert!(early.start.is_empty() && early.send.is_empty(), "the event may be on its way");
    let work = shared.input_with(&mut owner, 1 + LEASE, SENT, Input::Check).start;
    assert_eq!(paths(&work), ["f1"]);
    // A lease is counted from the moment at which the node became ready.
    assert_eq!(shared.input_with(&mut owner, 2 + LEASE, SENT, done(&work[0])).send, [path("f2")]);
    assert!(shared.input_with(&mut owner, 1 + 2 * LEASE, SENT, Input::Check).start.is_empty());
    assert_eq!(paths(&shared.input_with(&mut owner, 2 + 2 * LEASE, SENT, Input::Check).start), ["f2"]);
}

/// REPL-5.
#[test]
fn when_the_owner_is_lost_the_run_becomes_due_and_another_replica_recovers_it() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    assert_eq!(shared.entry().due, Some(1 + LEASE));
    let mut other = shared.open(1);
    let ready = shared.input(&mut other, 1 + LEASE, Input::Recover);
    assert_eq!((paths(&ready.start), other.is_owner()), (Vec::<String>::new(), true), "the node may still be executed");
    assert_eq!(shared.entry().due, Some(1 + 2 * LEASE), "nobody else recovers it meanwhile");
    assert_eq!(paths(&shared.input(&mut other, 1 + 2 * LEASE, Input::Check).start), ["f1"]);
}

/// REPL-6: joins that were counted before the run was abandoned are not applied to a copy that must not be written.
#[test]
fn a_replica_that_has_abandoned_a_run_reads_and_commits_nothing_more_of_it() {
    let items = |id: &str| for_each(id, lone(), Branches::default());
    let nodes = vec![node("a"), items("F"), items("G"), node("b")];
    let shared = Shared::new(flow(graph(nodes, [("a", "F"), ("a", "G"), ("a", "b")])));
    let (mut owner, ready) = shared.begin(HERE);
    let ready = shared.input(&mut owner, 2, done(&ready.start[0]));
    let [b, f, g] = ["b", "F", "G"].map(|id| ready.start.iter().find(|work| work.path == path(id)).unwrap().clone());
    let mut branches = Vec::new();
    for work in [f, g] {
        branches.extend(shared.input(&mut owner, 2, report(&work, branched(&[("x", ""), ("y", "")]))).start);
    }
    shared.input(&mut owner, 9, Input::CommitDue);
    // The last branches of `F` and `G` arrive in the commit with which `b` fails the run, so both joins are refused.
    for branch in &branches {
        assert_eq!(shared.input(&mut owner, 10, done(branch)).end, None);
    }
    owner.input(report(&b, failed(false)), &circumstances(10, HERE));
    let arrived = perform(&the_start().id, owner.io().unwrap(), &*shared.store, Fate::Answered);
    owner.answer(arrived, &circumstances(10, HERE));
    // Whether its copy is out of date, the first join asks the store, which cannot be read.
    assert!(matches!(owner.io(), Some(Io::Load { .. })));
    let damaged = Failure::reject(Code::STORE_CORRUPT, "the document is damaged");
    owner.answer(Answer::NotLoaded(damaged), &circumstances(11, HERE));
    assert_eq!((owner.durability(), owner.io()), (Durability::Diverged, None));
    assert_eq!(owner.ready().abandoned.unwrap().code, Code::STORE_CORRUPT);
}
