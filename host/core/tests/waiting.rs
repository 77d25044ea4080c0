//! Waits that outlive a lease, callbacks, and runs of which only some documents are loaded.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use faas_flow_core::definition::{Branch, Branches, Dag, Node, NodeKind, Operations};
use faas_flow_core::run::{
    ClaimToken, Doc, Effect, Event, HeldClaim, Outcome, Progress, Refusal, Run, RunState, RunView, Start, Suspended,
    Work,
};
use faas_flow_core::testing::{payload, reported, the_start};
use faas_flow_core::{BranchKey, Code, Definition, Failure, NodePath, Payload, Plan, ScopePath, Status};

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

/// Claims a node. The claim's token is its `until`.
fn claim(node: &str, until: u64) -> Event {
    Event::Claim { path: path(node), owner: "me".into(), token: ClaimToken::new(until as u32), until, lost: None }
}

/// Claims a node whose claim until `lost` is lost.
fn take_over(node: &str, lost: u64, until: u64) -> Event {
    let lost = Some(HeldClaim { token: ClaimToken::new(lost as u32), until: Some(lost) });
    Event::Claim { path: path(node), owner: "me".into(), token: ClaimToken::new(until as u32), until, lost }
}

/// Reports on the claim that was made until `claimed_until`.
fn report(node: &str, claimed_until: u32, outcome: Outcome) -> Event {
    let token = ClaimToken::new(claimed_until);
    Event::Complete { path: path(node), token, report: reported(outcome) }
}

fn work(effects: &[Effect]) -> &Work {
    let [Effect::Execute(work)] = effects else { panic!("{effects:?}") };
    work
}

fn operations(id: &str) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::Operations(Operations::default()) }
}

fn single(finally: bool) -> Plan {
    let dag = Dag { nodes: vec![operations("a")], ..Dag::default() };
    let (handlers, finally) = (vec!["h".to_owned()], finally.then(|| "h".to_owned()));
    Plan::new(Definition { dag, handlers, finally, ..Default::default() }).unwrap()
}

/// A for-each `F` around a sub-dag `S` around a node `n`.
fn nested() -> Plan {
    let within = Dag { nodes: vec![operations("n")], ..Dag::default() };
    let sub = Dag { nodes: vec![Node { id: "S".to_owned(), kind: NodeKind::SubDag(within) }], ..Dag::default() };
    let dags = vec![Branch { key: String::new(), dag: sub }];
    let branches = Branches { handler: "h".to_owned(), dags, carries_nothing: true, ..Branches::default() };
    let dag = Dag { nodes: vec![Node { id: "F".to_owned(), kind: NodeKind::ForEach(branches) }], ..Dag::default() };
    Plan::new(Definition { dag, handlers: vec!["h".to_owned()], ..Default::default() }).unwrap()
}

fn wait() -> Suspended {
    Suspended {
        until: 1_000,
        operation: 2,
        tries: 3,
        begun: None,
        data: Some(payload("so far")),
        wait: None,
        asleep: None,
        failed: 0,
    }
}

#[test]
fn a_suspended_node_is_claimed_when_its_wait_is_over_and_goes_on_where_it_was() {
    let plan = single(false);
    let (mut state, _) = RunState::start(&plan, the_start());
    assert_eq!(work(&state.step(&plan, &claim("a", 100), 2).unwrap()).suspended, None);
    assert!(state.step(&plan, &report("a", 100, Outcome::Suspended(wait())), 3).unwrap().is_empty());
    assert_eq!((state.next_wake(), state.claimable(999)), (Some(1_000), vec![]));
    assert_eq!(state.step(&plan, &claim("a", 2_000), 999).unwrap_err(), Refusal::Early { until: 1_000 });
    assert_eq!(state.claimable(1_000), [path("a")]);
    assert_eq!(work(&state.step(&plan, &claim("a", 2_000), 1_000).unwrap()).suspended.as_deref(), Some(&wait()));
    assert_eq!(state.next_wake(), None);
    // The lease is lost: the next one goes on at the same operation.
    assert_eq!(
        work(&state.step(&plan, &take_over("a", 2_000, 3_000), 2_000).unwrap()).suspended.as_deref(),
        Some(&wait())
    );
    state.step(&plan, &report("a", 3_000, Outcome::Done(payload("out"))), 2_001).unwrap();
    let node = &state.scopes().next().unwrap().nodes[0];
    assert_eq!((node.progress, &node.suspended), (Progress::Done, &None));
}

#[test]
fn a_paused_run_is_not_woken() {
    let plan = single(false);
    let (mut state, _) = RunState::start(&plan, the_start());
    state.step(&plan, &claim("a", 100), 2).unwrap();
    state.step(&plan, &Event::Pause, 3).unwrap();
    state.step(&plan, &report("a", 100, Outcome::Suspended(wait())), 3).unwrap();
    assert_eq!((state.next_wake(), state.claimable(2_000)), (None, vec![]));
    assert!(state.step(&plan, &Event::Resume, 4).unwrap().is_empty(), "its wait is not over");
    assert_eq!(state.next_wake(), Some(1_000));
    let view = RunView::new(state.run(), state.scopes());
    assert_eq!(view.nodes[0].waits_until, Some(1_000));
}

#[test]
fn a_handler_of_the_run_may_wait_too() {
    let plan = single(true);
    let (mut state, _) = RunState::start(&plan, the_start());
    state.step(&plan, &claim("a", 100), 2).unwrap();
    state.step(&plan, &report("a", 100, Outcome::Done(Payload::empty())), 3).unwrap();
    state.step(&plan, &claim("(finally)", 100), 4).unwrap();
    state.step(&plan, &report("(finally)", 100, Outcome::Suspended(wait())), 5).unwrap();
    assert_eq!(state.next_wake(), Some(1_000));
    state.step(&plan, &claim("(finally)", 2_000), 1_000).unwrap();
    state.step(&plan, &report("(finally)", 2_000, Outcome::Done(Payload::empty())), 1_001).unwrap();
    assert_eq!((state.run().status(), state.next_wake()), (Status::Succeeded, None));
}

mod callbacks {
    use super::*;

    fn ended() -> (Plan, RunState) {
        let plan = single(false);
        let start = Start { callback: Some("http://127.0.0.1/done".to_owned()), ..the_start() };
        let (mut state, _) = RunState::start(&plan, start);
        assert_eq!(state.callback_due(), None);
        assert_eq!(state.step(&plan, &Event::CallBack { until: 9 }, 2).unwrap_err(), Refusal::Stale);
        state.step(&plan, &claim("a", 100), 2).unwrap();
        state.step(&plan, &report("a", 100, Outcome::Done(Payload::empty())), 10).unwrap();
        assert_eq!(state.callback_due(), Some(10));
        (plan, state)
    }

    #[test]
    fn a_callback_is_tried_by_one_replica_at_a_time_until_it_is_delivered() {
        let (plan, mut state) = ended();
        let effects = state.step(&plan, &Event::CallBack { until: 40 }, 10).unwrap();
        assert!(matches!(&effects[..], [Effect::CallBack { url, tries: 1, .. }] if url == "http://127.0.0.1/done"));
        assert_eq!(state.step(&plan, &Event::CallBack { until: 40 }, 11).unwrap_err(), Refusal::Early { until: 40 });
        let failure = Failure::retry(Code::CALL_STATUS, "the callback answered with status 500");
        let failed = |tries, next| Event::CalledBack { tries, failure: Some(failure.clone()), next };
        state.step(&plan, &failed(1, Some(30)), 12).unwrap();
        assert_eq!(state.callback_due(), Some(30));
        // The second is never heard of again, the third delivers.
        state.step(&plan, &Event::CallBack { until: 40 }, 30).unwrap();
        state.step(&plan, &Event::CallBack { until: 60 }, 40).unwrap();
        assert_eq!(state.step(&plan, &failed(2, Some(50)), 41).unwrap_err(), Refusal::Stale);
        state.step(&plan, &Event::CalledBack { tries: 3, failure: None, next: None }, 42).unwrap();
        assert_eq!(state.callback_due(), None);
        assert_eq!(state.step(&plan, &Event::CallBack { until: 99 }, 70).unwrap_err(), Refusal::Stale);
        assert_eq!(state.step(&plan, &failed(3, Some(50)), 71).unwrap_err(), Refusal::Stale);
        let callback = RunView::new(state.run(), state.scopes()).callback.unwrap();
        assert_eq!((callback.tries, callback.delivered, callback.failure), (3, Some(42), None));
    }

    #[test]
    fn a_callback_that_is_given_up_keeps_its_failure() {
        let (plan, mut state) = ended();
        state.step(&plan, &Event::CallBack { until: 40 }, 10).unwrap();
        let failure = Some(Failure::reject(Code::CALL_STATUS, "the callback answered with status 404"));
        state.step(&plan, &Event::CalledBack { tries: 1, failure: failure.clone(), next: None }, 12).unwrap();
        let callback = state.run().callback.clone().unwrap();
        assert_eq!((callback.next, callback.delivered, callback.failure), (None, None, failure));
    }
}

mod partly_loaded {
    use super::*;

    /// `nested` with two branches begun, and its documents.
    fn begun(plan: &Plan) -> RunState {
        let (mut state, _) = RunState::start(plan, the_start());
        state.step(plan, &claim("F", 100), 2).unwrap();
        let keys = ["x", "y"].map(|key| (Some(BranchKey::new(key).unwrap()), Payload::empty()));
        state.step(plan, &report("F", 100, Outcome::Branched(keys.to_vec())), 3).unwrap();
        state.step(plan, &claim("F[x]/S", 100), 4).unwrap();
        state.step(plan, &report("F[x]/S", 100, Outcome::Branched(vec![(None, Payload::empty())])), 5).unwrap();
        state
    }

    fn scope(text: &str) -> ScopePath {
        ScopePath::parse(text).unwrap()
    }

    #[test]
    fn a_claim_says_which_documents_it_needs() {
        let plan = nested();
        let all = begun(&plan);
        assert_eq!(
            all.loaded(),
            ["", "F[x]", "F[x]/S", "F[y]"].iter().fold(vec![Doc::Run], |mut docs, path| {
                docs.push(Doc::Scope(scope(path)));
                docs
            })
        );
        let mut state = RunState::load(all.run().clone(), 1);
        let mut needed = vec![Doc::Run];
        while let Err(refusal) = state.step(&plan, &claim("F[x]/S/n", 100), 6) {
            let Refusal::Needs(Doc::Scope(path)) = refusal else { panic!("{refusal}") };
            assert_eq!((state.claimable(6), state.branching()), (vec![], vec![]), "{path} is not loaded");
            state.load_scope(all.scope(&path).unwrap().clone(), 1);
            needed.push(Doc::Scope(path));
        }
        assert_eq!(needed, Doc::around(&path("F[x]/S/n")));
        // With these, the end of the scope and of the one around it needs no more.
        let effects = state.step(&plan, &report("F[x]/S/n", 100, Outcome::Done(Payload::empty())), 7).unwrap();
        assert!(matches!(&effects[..], [Effect::Arrive { node, .. }] if *node == path("F")));
        state.forget_scope(&scope("F[x]/S"));
        assert_eq!(state.loaded().len(), 3);
    }

    #[test]
    fn branches_of_a_lost_claim_are_not_part_of_the_run() {
        let plan = nested();
        let lost = begun(&plan);
        let (mut state, _) = RunState::start(&plan, the_start());
        state.step(&plan, &claim("F", 10), 2).unwrap();
        state.step(&plan, &take_over("F", 10, 200), 10).unwrap();
        for path in ["F[x]", "F[y]", "F[x]/S"] {
            state.load_scope(lost.scope(&scope(path)).unwrap().clone(), 7);
        }
        assert_eq!(state.step(&plan, &claim("F[y]/S", 100), 11).unwrap_err(), Refusal::Stale);
        assert_eq!((state.claimable(11), state.branching()), (vec![], vec![]));
        assert_eq!(RunView::new(state.run(), state.scopes()).nodes.len(), 1);
        let keys = vec![(Some(BranchKey::new("x").unwrap()), Payload::empty())];
        state.step(&plan, &report("F", 200, Outcome::Branched(keys)), 12).unwrap();
        assert_eq!(state.claimable(13), [path("F[x]/S")], "what was below it is not begun yet");
        // It writes over the lost branch.
        state.step(&plan, &claim("F[x]/S", 100), 14).unwrap();
        let mut written = Vec::new();
        state.write_changed(|doc, version, _| written.push((doc.clone(), version)));
        assert!(written.contains(&(Doc::Scope(scope("F[x]")), 7)));
    }

    #[test]
    fn a_reload_replaces_what_was_changed() {
        let plan = single(false);
        let (mut state, _) = RunState::start(&plan, the_start());
        state.reload_run(Run { paused: true, ..state.run().clone() }, 5);
        assert_eq!((state.run_version(), state.run().status()), (5, Status::Paused));
        assert!(state.changed().iter().eq([&Doc::Scope(ScopePath::root())]));
    }
}
