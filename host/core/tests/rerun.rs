//! Running a part of a run again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use faas_flow_core::definition::{Branch, Branches, Carries, Dag, Edge, Node, NodeKind, Operations};
use faas_flow_core::run::{ClaimToken, Effect, Event, Outcome, Phase, Progress, Refusal, RunState, Start};
use faas_flow_core::testing::{reported, the_start};
use faas_flow_core::{BranchKey, Code, Definition, Failure, NodePath, Payload, Plan, Status};

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

fn rerun(text: &str) -> Event {
    Event::rerun_from(path(text))
}

fn operations(id: &str) -> Node {
    Node { id: id.to_owned(), kind: NodeKind::Operations(Operations::default()) }
}

fn edge(from: &str, to: &str) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), carries: Carries::Output }
}

/// `a`, then `b` and `c` side by side, then `F` with a node `n` in each branch.
fn diamond() -> Plan {
    let dag = Dag { nodes: vec![operations("n")], ..Dag::default() };
    let dags = vec![Branch { key: String::new(), dag }];
    let each = Branches { handler: "h".to_owned(), dags, carries_nothing: true, ..Branches::default() };
    let each = Node { id: "F".to_owned(), kind: NodeKind::ForEach(each) };
    let nodes = vec![operations("a"), operations("b"), operations("c"), each];
    let edges = vec![edge("a", "b"), edge("a", "c"), edge("b", "F"), edge("c", "F")];
    let dag = Dag { nodes, edges, ..Dag::default() };
    let handlers = vec!["h".to_owned()];
    let definition =
        Definition { dag, handlers, deadline_ms: Some(1_000), finally: Some("h".to_owned()), ..Default::default() };
    Plan::new(definition).unwrap()
}

struct Run {
    plan: Plan,
    state: RunState,
    claims: u32,
}

impl Run {
    fn new() -> Self {
        let plan = diamond();
        let start = Start { callback: Some("http://127.0.0.1/".to_owned()), ..the_start() };
        let (state, _) = RunState::start(&plan, start);
        Self { plan, state, claims: 0 }
    }

    fn step(&mut self, event: Event, now: u64) -> Result<Vec<Effect>, Refusal> {
        self.state.step(&self.plan, &event, now)
    }

    fn claim(&mut self, node: &str) -> ClaimToken {
        self.claims += 1;
        let token = ClaimToken::new(self.claims);
        let claim = Event::Claim { path: path(node), owner: "me".into(), token, until: 900, lost: None };
        let effects = self.step(claim, 2).unwrap();
        let [Effect::Execute(work)] = &effects[..] else { panic!("{effects:?}") };
        work.token
    }

    fn report(&mut self, node: &str, token: ClaimToken, outcome: Outcome) -> Result<Vec<Effect>, Refusal> {
        let report = reported(outcome);
        self.step(Event::Complete { path: path(node), token, report }, 3)
    }

    fn execute(&mut self, nodes: &[&str]) {
        for node in nodes {
            let token = self.claim(node);
            self.report(node, token, Outcome::Done(Payload::empty())).unwrap();
        }
    }

    fn progress(&self, node: &str) -> Progress {
        let path = path(node);
        self.state.scope(&path.scope).unwrap().node(&path.node).unwrap().progress
    }

    fn fail(&mut self, node: &str) {
        let token = self.claim(node);
        let failure = Failure::reject(Code::GUEST_REJECTED, "as the test wants");
        self.report(node, token, Outcome::Failed(failure)).unwrap();
        self.execute(&["(finally)"]);
        assert_eq!(self.state.run().status(), Status::Failed);
    }
}

#[test]
fn what_ran_beside_the_failure_goes_on_as_well() {
    let mut run = Run::new();
    run.execute(&["a"]);
    let cancelled = run.claim("b");
    run.fail("c");
    let effects = run.step(rerun("c"), 10).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(b), Effect::Dispatch(c)] if *b == path("b") && *c == path("c")));
    let done = Outcome::Done(Payload::empty());
    assert_eq!(run.report("b", cancelled, done).unwrap_err(), Refusal::Stale, "its execution was cancelled");
    run.execute(&["b", "c"]);
    assert_eq!(run.progress("F"), Progress::Ready);
}

#[test]
fn deadline_callback_and_handlers_begin_anew() {
    let mut run = Run::new();
    run.fail("a");
    run.step(Event::CallBack { until: 50 }, 10).unwrap();
    run.step(Event::CalledBack { tries: 1, failure: None, next: None }, 11).unwrap();
    run.step(rerun("a"), 500).unwrap();
    let now = run.state.run();
    assert_eq!((now.status(), now.phase, now.deadline), (Status::Running, Phase::Flow, Some(1_500)));
    assert_eq!((&now.verdict, &now.failure, &now.result, now.ended), (&None, &None, &None, None));
    assert_eq!(run.state.callback_due(), None);
    let first = run.state.run().hooks[0].token;
    run.fail("a");
    assert_eq!(run.state.callback_due(), Some(3));
    assert_ne!(run.state.run().hooks[0].token, first, "a report of the first end's handler is out of date");
}

#[test]
fn a_paused_run_goes_on_and_keeps_what_runs() {
    let mut run = Run::new();
    run.execute(&["a", "b"]);
    let token = run.claim("c");
    assert_eq!(run.step(rerun("b"), 5).unwrap_err(), Refusal::Running);
    run.step(Event::Pause, 5).unwrap();
    let effects = run.step(rerun("b"), 6).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(b)] if *b == path("b")));
    run.report("c", token, Outcome::Done(Payload::empty())).unwrap();
    assert_eq!((run.progress("c"), run.progress("F")), (Progress::Done, Progress::Waiting));
}

#[test]
fn what_cannot_be_re_run_is_refused() {
    let mut run = Run::new();
    run.execute(&["a", "b", "c"]);
    let token = run.claim("F");
    let keys = ["x", "y"].map(|key| (Some(BranchKey::new(key).unwrap()), Payload::empty()));
    run.report("F", token, Outcome::Branched(keys.to_vec())).unwrap();
    run.execute(&["F[x]/n"]);
    run.step(Event::Stop, 5).unwrap();
    assert_eq!(run.step(rerun("a"), 5).unwrap_err(), Refusal::Running, "its handlers run");
    run.execute(&["(finally)"]);
    assert_eq!(run.step(rerun("F[x]/m"), 6).unwrap_err(), Refusal::Unknown);
    assert_eq!(run.state.run().status(), Status::Stopped, "a refusal changes nothing");
    run.step(rerun("F[y]/n"), 6).unwrap();
    assert_eq!(run.state.claimable(7), [path("F[y]/n")]);
    run.step(Event::Stop, 8).unwrap();
    run.execute(&["(finally)"]);
    // From `a` on nothing of `F` is left, and its new branches are others.
    run.step(rerun("a"), 9).unwrap();
    assert_eq!(run.step(rerun("F"), 9).unwrap_err(), Refusal::Running);
    assert_eq!((run.state.claimable(10), run.state.branching()), (vec![path("a")], vec![]));
    run.step(Event::Pause, 11).unwrap();
    assert_eq!(run.step(rerun("F"), 12).unwrap_err(), Refusal::Unready);
    assert_eq!(run.step(rerun("F[y]/n"), 12).unwrap_err(), Refusal::Stale);
}
