//! Claims, leases and commits.

use faas_flow_core::definition::Branches;
use faas_flow_core::run::{ClaimToken, Doc, Effect, Event, HeldClaim, Outcome, Progress, Refusal, RunState, Work};
use faas_flow_core::testing::{Driver, branched, flow, for_each, graph, lone, node, path, payload};
use faas_flow_core::{Code, ScopePath};

/// `a`, then `b`.
fn chain() -> Driver {
    Driver::new(flow(graph(vec![node("a"), node("b")], [("a", "b")])))
}

fn renew(work: &Work, until: u64) -> Event {
    Event::Renew { path: work.path.clone(), token: work.token, until }
}

fn release(work: &Work) -> Event {
    Event::Release { path: work.path.clone(), token: work.token }
}

fn done() -> Outcome {
    Outcome::Done(payload("out"))
}

/// CLAIM-1.
#[test]
fn a_claim_is_a_change_from_ready_to_running_with_a_replica_a_lease_and_a_token() {
    let mut run = chain();
    assert_eq!(run.node("a").progress, Progress::Ready);
    assert_eq!(run.claim("b").unwrap_err(), Refusal::Stale, "it is not ready");
    let work = run.claim("a").unwrap();
    let node = run.node("a");
    let lease = node.lease.clone().unwrap();
    assert_eq!((node.progress, node.since, node.token), (Progress::Running, run.now, work.token));
    assert_eq!((&*lease.owner, lease.until), ("me", run.now + 100));
}

/// CLAIM-2.
#[test]
fn of_two_claims_at_the_same_moment_one_succeeds() {
    let (mut winner, mut loser) = (chain(), chain());
    // Both replicas claim the node, each in its own copy of the same state. The tokens are drawn at random.
    let won = winner.claim("a").unwrap();
    loser.claim("a").unwrap();
    let lost = Work { token: ClaimToken::new(77), ..won.clone() };
    // The commit of the loser conflicts, so it loads what the winner committed.
    loser.state.load_scope(winner.state.scope(&ScopePath::root()).unwrap().clone(), 1);
    assert_eq!(loser.claim("a").unwrap_err(), Refusal::Leased);
    assert_eq!(loser.report(&lost, done()).unwrap_err(), Refusal::Stale);
    loser.report(&won, done()).unwrap();
}

/// CLAIM-2: a token identifies a claim, so no number that is drawn may stand for none.
#[test]
fn every_number_makes_a_token() {
    assert!(!ClaimToken::new(0).is_none() && !ClaimToken::new(u32::MAX).is_none());
    assert_ne!(ClaimToken::new(2), ClaimToken::new(3));
    assert!(ClaimToken::NONE.is_none());
}

/// CLAIM-3.
#[test]
fn renewing_never_shortens_a_lease() {
    let mut run = chain();
    let work = run.claim("a").unwrap();
    let until = |run: &Driver| run.node("a").lease.as_ref().unwrap().until;
    let claimed = until(&run);
    run.step(renew(&work, claimed - 50)).unwrap();
    assert_eq!(until(&run), claimed);
    run.step(renew(&work, claimed + 50)).unwrap();
    assert_eq!(until(&run), claimed + 50);
    let other = Work { token: ClaimToken::new(77), ..work };
    assert_eq!(run.step(renew(&other, 1_000)).unwrap_err(), Refusal::Stale);
}

/// CLAIM-4.
#[test]
fn when_a_lease_has_run_out_another_replica_may_claim_the_node() {
    let mut run = chain();
    run.claim("a").unwrap();
    let until = run.node("a").lease.as_ref().unwrap().until;
    run.now = until - 2;
    assert_eq!((run.claim("a").unwrap_err(), run.ready()), (Refusal::Leased, vec![]));
    assert_eq!(run.state.claimable(until), [path("a")]);
    run.claim("a").unwrap();
    let lost = run.node("a").attempts[0].failure.clone().unwrap();
    assert_eq!((lost.code, lost.retry), (Code::NODE_LOST, true));
}

/// CLAIM-4.
#[test]
fn a_claim_is_replaced_only_as_it_was_seen() {
    let mut run = chain();
    let work = run.claim("a").unwrap();
    let seen = run.state.claims()[0].1;
    run.step(renew(&work, 5_000)).unwrap();
    run.now = 9_000;
    let claim =
        |lost| Event::Claim { path: path("a"), owner: "other".into(), token: ClaimToken::new(9), until: 10_000, lost };
    for lost in [None, Some(seen), Some(HeldClaim { token: ClaimToken::new(8), until: Some(5_000) })] {
        assert_eq!(run.step(claim(lost)).unwrap_err(), Refusal::Leased, "{lost:?}");
    }
    run.step(claim(Some(HeldClaim { until: Some(5_000), ..seen }))).unwrap();
}

/// CLAIM-5.
#[test]
fn only_the_current_claim_of_a_node_can_commit_its_result() {
    let mut run = chain();
    let lost = run.claim("a").unwrap();
    run.now += 200;
    let current = run.claim("a").unwrap();
    assert_eq!(run.report(&lost, done()).unwrap_err(), Refusal::Stale);
    assert_eq!(run.node("a").progress, Progress::Running);
    run.report(&current, done()).unwrap();
    assert_eq!(run.node("a").progress, Progress::Done);
}

/// CLAIM-5: branches of a lost claim are not part of the run.
#[test]
fn the_branches_of_a_lost_claim_cannot_commit() {
    let each = for_each("F", lone(), Branches { carries_nothing: true, ..Branches::default() });
    let mut run = Driver::new(flow(graph(vec![each], [])));
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    let lost = run.claim("F[x]/n").unwrap();
    run.step(Event::Pause).unwrap();
    run.rerun("F").unwrap();
    run.execute("F", branched(&[("x", "")]));
    assert_eq!(run.report(&lost, done()).unwrap_err(), Refusal::Stale);
    assert_eq!(run.claim("F[y]/n").unwrap_err(), Refusal::Stale);
    assert_eq!(run.ready(), ["F[x]/n"]);
}

/// CLAIM-6.
#[test]
fn a_released_node_may_be_claimed_at_once() {
    let mut run = chain();
    let work = run.claim("a").unwrap();
    run.step(release(&work)).unwrap();
    assert_eq!((run.ready(), run.node("a").lease.clone()), (vec!["a".to_owned()], None));
    assert_eq!(run.node("a").attempts[0].failure.as_ref().unwrap().code, Code::NODE_LOST);
    assert_eq!(run.report(&work, done()).unwrap_err(), Refusal::Stale);
    assert_eq!(run.step(release(&work)).unwrap_err(), Refusal::Stale);
    run.done("a", "");
}

/// COMMIT-1.
#[test]
fn one_document_holds_a_node_s_output_its_end_and_the_readiness_of_its_successors() {
    let mut run = chain();
    let work = run.claim("a").unwrap();
    assert_eq!((run.state.run_version(), run.state.is_stored(&ScopePath::root())), (0, false));
    run.state.committed(&Doc::Run, 3);
    run.state.committed(&Doc::Scope(ScopePath::root()), 1);
    assert_eq!((run.state.run_version(), run.state.is_stored(&ScopePath::root())), (3, true));
    assert!(run.state.changed().is_empty());
    run.report(&work, done()).unwrap();
    let mut written = Vec::new();
    run.state.write_changed(|doc, version, _| written.push((doc.clone(), version)));
    assert_eq!(written, [(Doc::Scope(ScopePath::root()), 1)]);
    assert_eq!((run.node("a").output.clone(), run.node("b").progress), (Some(payload("out")), Progress::Ready));
}

/// COMMIT-2.
#[test]
fn what_is_committed_is_not_done_again() {
    let mut run = chain();
    let work = run.claim("a").unwrap();
    run.report(&work, done()).unwrap();
    assert_eq!(run.report(&work, Outcome::Done(payload("other"))).unwrap_err(), Refusal::Stale);
    assert_eq!(run.claim("a").unwrap_err(), Refusal::Stale);
    assert_eq!(run.node("a").output, Some(payload("out")));
}

/// REPL-3.
#[test]
fn an_event_for_a_node_that_is_done_claimed_not_ready_or_paused_changes_nothing() {
    let mut run = chain();
    let before = |run: &Driver| run.state.scope(&ScopePath::root()).unwrap().clone();
    let refused = |run: &mut Driver, node: &str, refusal: Refusal| {
        let earlier = before(run);
        assert_eq!(run.claim(node).unwrap_err(), refusal);
        assert_eq!(before(run), earlier);
    };
    refused(&mut run, "b", Refusal::Stale);
    let work = run.claim("a").unwrap();
    refused(&mut run, "a", Refusal::Leased);
    run.report(&work, done()).unwrap();
    refused(&mut run, "a", Refusal::Stale);
    run.step(Event::Pause).unwrap();
    refused(&mut run, "b", Refusal::Paused);
    run.step(Event::Stop).unwrap();
    refused(&mut run, "b", Refusal::Ended);
}

/// REPL-2: the documents around a node are all that its claim needs.
#[test]
fn a_claim_needs_the_run_and_the_scopes_around_the_node() {
    let inner = graph(vec![for_each("G", lone(), Branches::default())], []);
    let mut run = Driver::new(flow(graph(vec![for_each("F", inner, Branches::default())], [])));
    run.execute("F", branched(&[("x", ""), ("y", "")]));
    run.execute("F[x]/G", branched(&[("z", "")]));
    let held: Vec<String> = run.state.loaded().iter().map(Doc::name).collect();
    assert_eq!(held, ["run", "scope:", "scope:F[x]", "scope:F[x]/G[z]", "scope:F[y]"]);
    let mut state = RunState::load(run.state.run().clone(), 1);
    for doc in Doc::around(&path("F[x]/G[z]/n")) {
        if let Doc::Scope(scope) = doc {
            state.load_scope(run.state.scope(&scope).unwrap().clone(), 1);
        }
    }
    let token = ClaimToken::new(9);
    let claim = Event::Claim { path: path("F[x]/G[z]/n"), owner: "other".into(), token, until: 99, lost: None };
    assert!(matches!(&state.step(&run.plan, &claim, 20).unwrap()[..], [Effect::Execute(_)]));
    assert_eq!(Doc::parse("scope:F[x]"), Some(Doc::Scope(ScopePath::parse("F[x]").unwrap())));
    assert_eq!((Doc::parse("run"), Doc::parse("context:k")), (Some(Doc::Run), None));
}
