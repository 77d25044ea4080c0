//! One example for each rule of `docs/concepts.md` that takes a store, and often a second replica. The comment of a test
//! names its rules.

use crate::replica::{Fate, LEASE, circumstances, perform, rules};
use faas_flow_core::definition::{Branches, Call, Dag, Definition, Node, NodeKind, Operation, Operations};
use faas_flow_core::run::{
    Attempt, Awaited, Event, NodeState, Outcome, Phase, Progress, Refusal, Report, RunState, Said, Start, Suspended,
    Try, Wait, WaitId, Work,
};
use faas_flow_core::testing::{branched, failed, flow, for_each, graph, lone, node, path, payload, the_start};
use faas_flow_core::{Code, Failure, Partition, Plan, Status};
use faas_flow_session::{
    Answer, Circumstances, Dispatch, Documents, Durability, End, Input, Io, Ready, Role, Session, load_all,
};
use faas_flow_store::{RunEntry, StateStore, open_state};
use futures_executor::block_on;
use std::sync::Arc;

pub const HERE: (usize, Dispatch) = (8, Dispatch::Local);
pub const SENT: (usize, Dispatch) = (8, Dispatch::Everything);

/// A node that calls a function.
pub fn calling(id: &str) -> Node {
    let call = Operation::Apply(Call { target: "f".to_owned(), ..Call::default() });
    Node { id: id.to_owned(), kind: NodeKind::Operations(Operations { list: vec![call], ..Operations::default() }) }
}

/// `f1`, then `f2`.
pub fn chain() -> Definition {
    flow(graph(vec![calling("f1"), calling("f2")], [("f1", "f2")]))
}

/// `f1`, then `f2`, `f3` and `f4` side by side.
fn fan() -> Dag {
    let nodes = ["f1", "f2", "f3", "f4"].map(calling).into();
    graph(nodes, [("f1", "f2"), ("f1", "f3"), ("f1", "f4")])
}

/// A for-each of which two branches may run at a time.
fn limited() -> Definition {
    let dag = graph(vec![calling("n")], []);
    flow(graph(vec![for_each("F", dag, Branches { max_parallel: Some(2), ..Branches::default() })], []))
}

/// A store that replicas share.
pub struct Shared {
    pub store: Arc<dyn StateStore>,
    plan: Arc<Plan>,
}

impl Shared {
    pub fn new(definition: Definition) -> Self {
        Self { store: block_on(open_state("memory")).unwrap(), plan: Arc::new(Plan::new(definition).unwrap()) }
    }

    /// Replica 0 begins the run at 1 and owns it.
    pub fn begin(&self, room: (usize, Dispatch)) -> (Session, Ready) {
        let start = Start { callback: Some("http://127.0.0.1/done".to_owned()), ..the_start() };
        let begun = RunState::start(&self.plan, start);
        let circumstances = circumstances(1, room);
        let session = (self.plan.clone(), rules(0), 7);
        let mut session = Session::begin(session, begun, Documents::new(), Durability::Beginning, &circumstances);
        let ready = self.settle(&mut session, 1, room);
        (session, ready)
    }

    /// A replica loads the run as it is stored.
    pub fn open(&self, replica: usize) -> Session {
        Session::open(self.plan.clone(), rules(replica), 7 + replica as u64, self.stored(), Role::Helper)
    }

    /// Performs the I/O that a session asks for.
    pub fn settle(&self, session: &mut Session, now: u64, room: (usize, Dispatch)) -> Ready {
        while let Some(io) = session.io() {
            let answer = perform(&session.state().run().id.clone(), io, &*self.store, Fate::Answered);
            session.answer(answer, &circumstances(now, room));
        }
        session.ready()
    }

    /// With a clock that may be wrong.
    fn input_in(&self, session: &mut Session, circumstances: &Circumstances, input: Input) -> Ready {
        session.input(input, circumstances);
        while let Some(io) = session.io() {
            let answer = perform(&session.state().run().id.clone(), io, &*self.store, Fate::Answered);
            session.answer(answer, circumstances);
        }
        session.ready()
    }

    pub fn input(&self, session: &mut Session, now: u64, input: Input) -> Ready {
        self.input_with(session, now, HERE, input)
    }

    pub fn input_with(&self, session: &mut Session, now: u64, room: (usize, Dispatch), input: Input) -> Ready {
        session.input(input, &circumstances(now, room));
        self.settle(session, now, room)
    }

    pub fn stored(&self) -> RunState {
        load_all(block_on(self.store.read_all(&Partition::of_run(&the_start().id))).unwrap()).unwrap().unwrap()
    }

    pub fn node(&self, node: &str) -> NodeState {
        let path = path(node);
        self.stored().scope(&path.scope).unwrap().node(&path.node).unwrap().clone()
    }

    fn entry(&self) -> RunEntry {
        block_on(self.store.entry(&the_start().id)).unwrap().unwrap()
    }
}

pub fn report(work: &Work, outcome: Outcome) -> Input {
    let attempts = vec![Attempt { started: 1, ended: 2, failure: None, next: None }];
    let report = Report {
        outcome,
        response: None,
        evidence: None,
        labels: faas_flow_core::Labels::new(),
        input_size: 0,
        attempts,
        tries: Vec::new(),
    };
    Input::Event(Event::Complete { path: work.path.clone(), token: work.token, report }, Documents::new())
}

pub fn done(work: &Work) -> Input {
    report(work, Outcome::Done(payload("out")))
}

pub fn command(event: Event) -> Input {
    Input::Event(event, Documents::new())
}

pub fn paths(works: &[Work]) -> Vec<String> {
    works.iter().map(|work| work.path.to_string()).collect()
}

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

fn wait(until: u64) -> Outcome {
    Outcome::Suspended(Suspended {
        until,
        operation: 1,
        tries: 2,
        begun: None,
        data: Some(payload("so far")),
        wait: None,
        asleep: None,
        failed: 0,
    })
}

/// A try of the call of a piece of work that failed, after which the next one is due at this moment.
pub fn tried(work: &Work, number: u32, next: u64) -> Input {
    let failure = Failure::retry(Code::CALL_STATUS, "busy");
    let one = Try { next: Some(next), ..Try::begin(0, number, 9, 1).failed(2, Some(503), &failure) };
    command(Event::Tried { path: work.path.clone(), token: work.token, attempts: Vec::new(), tries: vec![one] })
}

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

/// Waits for an answer until a moment.
pub fn asks(work: &Work, until: u64) -> Outcome {
    let id = WaitId { claim: work.token, operation: 0 };
    let of = Awaited::Function { name: "f".to_owned() };
    let wait = Some(Box::new(Wait { id, of, since: 2, limit: Some(until), looks: 0 }));
    Outcome::Suspended(Suspended {
        until,
        operation: 0,
        tries: 0,
        begun: None,
        data: Some(payload("so far")),
        wait,
        asleep: None,
        failed: 0,
    })
}

/// The answer to what a piece of work asked.
fn answer(work: &Work) -> Input {
    let to = WaitId { claim: work.token, operation: 0 };
    let said = Said::Response { status: 200, headers: Vec::new(), body: payload("answer") };
    command(Event::Answer { path: work.path.clone(), to, said })
}

/// WAIT-2, WAIT-3: nobody has the run, and whoever takes the answer continues it. If that replica is lost, the run is due.
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

/// END-2, STOP-1.
#[test]
fn work_in_flight_is_cancelled_when_another_replica_has_stopped_the_run() {
    let shared = Shared::new(chain());
    let (mut owner, _) = shared.begin(HERE);
    assert_eq!(shared.input(&mut shared.open(1), 3, command(Event::Stop)).end, Some(End::Ended));
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!((ready.cancel, ready.end, owner.executing()), (true, Some(End::EndedElsewhere), 0));
}

/// STOP-2: also after it has left the run, and with all nodes in one commit.
#[test]
fn a_replica_reports_once_what_it_no_longer_executes_after_another_one_has_stopped_the_run() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    let started = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    assert_eq!(started.len(), 3);
    let mut operator = shared.open(1);
    let stopped = shared.input(&mut operator, 3, command(Event::Stop));
    assert_eq!((stopped.end, stopped.cut_off), (Some(End::Ended), vec![]), "it executes nothing itself");
    assert_eq!(shared.stored().to_cut_off().len(), 3);
    // One of them notices since its report is refused.
    let ready = shared.input(&mut owner, 4, done(&started[0]));
    assert!(ready.cancel && owner.has_left());
    assert_eq!(ready.cut_off.len(), 3, "also the one that was executed to its end");
    let cut_off = ready.cut_off.clone();
    owner.input(Input::CutOff(ready.cut_off), &circumstances(5, HERE));
    let mut commits = 0;
    while let Some(io) = owner.io() {
        commits += usize::from(matches!(io, Io::Commit { .. }));
        owner.answer(perform(&the_start().id, io, &*shared.store, Fate::Answered), &circumstances(5, HERE));
    }
    assert_eq!((commits, owner.ready().end), (1, None));
    assert_eq!(shared.stored().to_cut_off(), []);
    // It has nothing to report of a run that goes on.
    shared.input(&mut shared.open(2), 6, command(Event::rerun_from(path("f2"))));
    let before = shared.stored().claims();
    shared.input(&mut owner, 7, Input::CutOff(cut_off));
    assert_eq!(shared.stored().claims(), before);
}

/// STOP-2, CLAIM-4: a replica whose claim is lost is told at its next check, and begins no call under it.
#[test]
fn a_check_says_under_which_claims_calls_may_begin() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    let started = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    let tokens = |works: &[Work]| works.iter().map(|work| work.token).collect::<Vec<_>>();
    let check = shared.input(&mut owner, 2 + LEASE / 3, Input::Check);
    assert_eq!(check.renewed, Some(tokens(&started)));
    let mut other = shared.open(1);
    shared.input(&mut other, 3 + LEASE, Input::Check);
    let taken = shared.input(&mut other, 3 + 3 * LEASE, Input::Claim(started[0].path.clone()));
    assert_eq!(taken.start.len(), 1);
    let check = shared.input(&mut owner, 4 + 3 * LEASE, Input::Check);
    assert_eq!((check.renewed, owner.executing()), (Some(tokens(&started[1..])), 2));
}

/// END-2.
#[test]
fn work_in_flight_is_cancelled_while_the_handlers_of_the_run_are_executing_elsewhere() {
    let shared = Shared::new(Definition { finally: Some("h".to_owned()), ..chain() });
    let (mut owner, _) = shared.begin(HERE);
    let mut other = shared.open(1);
    assert_eq!(paths(&shared.input(&mut other, 3, command(Event::Stop)).start), ["(finally)"]);
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!((ready.cancel, ready.end, owner.executing()), (true, None, 0));
}

/// END-5.
#[test]
fn history_and_result_are_kept_for_a_while_after_the_end() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let ready = shared.input(&mut owner, 2, done(&ready.start[0]));
    shared.input(&mut owner, 3, done(&ready.start[0]));
    let mut caller = shared.open(1);
    assert_eq!(shared.entry().due, Some(3), "its callback is due first");
    shared.input(&mut caller, 4, command(Event::CallBack { until: 40 }));
    shared.input(&mut caller, 5, command(Event::CalledBack { tries: 1, failure: None, next: None }));
    let entry = shared.entry();
    assert_eq!((entry.status, entry.due), (Status::Succeeded, Some(3 + rules(0).history_ttl)));
}

/// PAUSE-1.
#[test]
fn nodes_that_are_running_commit_when_another_replica_has_paused_the_run() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    assert_eq!(shared.input(&mut shared.open(1), 3, command(Event::Pause)).end, Some(End::Paused));
    assert_eq!(shared.entry().due, None, "an operator resumes it");
    let check = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert!(!check.cancel && check.end.is_none());
    let ready = shared.input(&mut owner, 12, done(&ready.start[0]));
    assert_eq!((ready.start.len(), ready.end), (0, Some(End::Paused)));
    assert_eq!((shared.node("f1").progress, shared.node("f2").progress), (Progress::Done, Progress::Ready));
}

/// PAUSE-2.
#[test]
fn any_replica_resumes_a_run_and_starts_everything_that_is_ready() {
    let shared = Shared::new(flow(fan()));
    let (mut owner, ready) = shared.begin(HERE);
    shared.input(&mut shared.open(1), 3, command(Event::Pause));
    shared.input(&mut owner, 4, done(&ready.start[0]));
    let ready = shared.input(&mut shared.open(1), 5, command(Event::Resume));
    assert_eq!(paths(&ready.start), ["f2", "f3", "f4"]);
}

/// FAIL-9.
#[test]
fn the_owner_fails_a_run_whose_deadline_has_passed() {
    let shared = Shared::new(Definition { deadline_ms: Some(5), ..chain() });
    let (mut owner, _) = shared.begin(HERE);
    let ready = shared.input(&mut owner, 1 + LEASE / 3, Input::Check);
    assert_eq!((ready.cancel, ready.end), (true, Some(End::Ended)));
    assert_eq!(shared.stored().run().failure.as_ref().unwrap().code, Code::DEADLINE_PASSED);
}

/// FAIL-9.
#[test]
fn a_paused_run_is_due_at_its_deadline_and_whoever_finds_it_fails_it() {
    let limited = Definition { deadline_ms: Some(50), finally: Some("h".to_owned()), ..chain() };
    let shared = Shared::new(limited);
    shared.begin(HERE);
    let mut operator = shared.open(1);
    assert_eq!(operator.deadline(), Some(51));
    assert_eq!(shared.input(&mut operator, 3, command(Event::Pause)).end, Some(End::Paused));
    assert_eq!((shared.entry().due, operator.deadline()), (Some(51), Some(51)));
    let early = shared.input(&mut shared.open(2), 50, command(Event::Deadline));
    assert_eq!(early.refused, Some(Refusal::Early { until: 51 }));
    let ready = shared.input(&mut shared.open(2), 51, Input::Recover);
    assert_eq!(paths(&ready.start), ["(finally)"]);
    let run = shared.stored().run().clone();
    assert_eq!((run.status(), run.failure.unwrap().code), (Status::Running, Code::DEADLINE_PASSED));
}

/// FAIL-9: what is done too late is not done, and another replica's copy of the run may be older than a re-run.
#[test]
fn of_two_replicas_that_see_the_deadline_pass_each_cuts_off_its_own_work() {
    let shared = Shared::new(Definition { deadline_ms: Some(50), ..flow(fan()) });
    let (mut owner, ready) = shared.begin(SENT);
    assert!(ready.start.is_empty());
    let ready = shared.input(&mut owner, 2, Input::Claim(path("f1")));
    let ready = shared.input_with(&mut owner, 3, SENT, done(&ready.start[0]));
    assert_eq!(ready.send.len(), 3);
    let mut helper = shared.open(1);
    let started = shared.input(&mut helper, 4, Input::Claim(path("f2"))).start;
    let kept = shared.input(&mut owner, 4, Input::Claim(path("f3"))).start;
    assert_eq!((started.len(), kept.len()), (1, 1));
    for session in [&mut owner, &mut helper] {
        session.input(command(Event::Deadline), &circumstances(51, HERE));
    }
    let (first, second) = (shared.settle(&mut owner, 51, HERE), shared.settle(&mut helper, 51, HERE));
    assert_eq!((first.cancel, first.end), (true, Some(End::Ended)));
    assert_eq!((second.cancel, second.end, second.refused), (true, Some(End::EndedElsewhere), None));
}

/// CTRL-1.
#[test]
fn of_two_commands_at_the_same_moment_the_one_that_comes_too_late_is_refused() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    let (mut one, mut other) = (shared.open(1), shared.open(2));
    for session in [&mut one, &mut other] {
        session.input(command(Event::Stop), &circumstances(3, HERE));
    }
    let (first, second) = (shared.settle(&mut one, 3, HERE), shared.settle(&mut other, 3, HERE));
    assert_eq!((first.refused, first.abandoned), (None, None));
    assert_eq!((second.refused, second.abandoned), (Some(Refusal::Ended), None));
}

/// RERUN-1: a replica whose copy of the run is old looks at what is stored before it refuses.
#[test]
fn a_run_is_re_run_from_a_node_that_was_not_ready_when_the_replica_read_it() {
    let shared = Shared::new(chain());
    let (mut owner, ready) = shared.begin(HERE);
    let mut asked = shared.open(1);
    let second = shared.input(&mut owner, 2, done(&ready.start[0])).start;
    assert_eq!(shared.input(&mut owner, 3, report(&second[0], failed(false))).end, Some(End::Ended));
    let ready = shared.input(&mut asked, 4, command(Event::rerun_from(path("f2"))));
    assert_eq!((ready.refused, paths(&ready.start)), (None, vec!["f2".to_owned()]));
}

/// BACK-7.
#[test]
fn a_callback_is_sent_again_once_though_two_replicas_are_asked() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    shared.input(&mut shared.open(1), 3, command(Event::Stop));
    let mut first = shared.open(1);
    shared.input(&mut first, 4, command(Event::CallBack { until: 40 }));
    shared.input(&mut first, 5, command(Event::CalledBack { tries: 1, failure: None, next: None }));
    let (mut one, mut other) = (shared.open(2), shared.open(3));
    for session in [&mut one, &mut other] {
        session.input(command(Event::SendCallback), &circumstances(6, HERE));
    }
    let (first, second) = (shared.settle(&mut one, 6, HERE), shared.settle(&mut other, 6, HERE));
    assert_eq!((first.refused, first.abandoned), (None, None));
    assert_eq!((second.refused, second.abandoned), (Some(Refusal::Sending), None));
    let delivery = shared.input(&mut one, 7, command(Event::CallBack { until: 40 })).call_back.unwrap();
    assert_eq!((delivery.tries, delivery.earlier), (2, 0));
}

/// BACK-4.
#[test]
fn only_one_replica_at_a_time_sends_the_callback() {
    let shared = Shared::new(chain());
    shared.begin(HERE);
    shared.input(&mut shared.open(1), 3, command(Event::Stop));
    assert_eq!(shared.stored().run().phase, Phase::Ended);
    let (mut first, mut second) = (shared.open(1), shared.open(2));
    for session in [&mut first, &mut second] {
        session.input(command(Event::CallBack { until: 40 }), &circumstances(4, HERE));
    }
    let delivery = shared.settle(&mut first, 4, HERE).call_back.unwrap();
    assert_eq!((&*delivery.url, delivery.tries), ("http://127.0.0.1/done", 1));
    assert_eq!(shared.settle(&mut second, 4, HERE).call_back, None);
    let mut third = shared.open(3);
    let early = shared.input(&mut third, 39, command(Event::CallBack { until: 70 }));
    assert_eq!((early.call_back, early.refused), (None, Some(Refusal::Early { until: 40 })));
    assert_eq!(shared.input(&mut third, 40, command(Event::CallBack { until: 70 })).call_back.unwrap().tries, 2);
}
