//! Signals: named messages to a run, for which nodes wait.

use faas_flow_core::definition::{Node, NodeKind, Operation, Operations, SignalSource, WaitFor};
use faas_flow_core::run::{
    Awaited, Effect, Event, MOST_EARLY_SIGNALS, Outcome, Progress, Refusal, SentSignal, Suspended, Wait, WaitId, Work,
};
use faas_flow_core::testing::{Driver, failed, flow, graph, node, path, payload};
use faas_flow_core::{Definition, Payload, SignalName, Status};

const LIMIT: u64 = 1_000;

fn name(text: &str) -> SignalName {
    SignalName::new(text).unwrap()
}

/// A node that waits for the signal `ok`.
fn waiting(id: &str) -> Node {
    let wait = WaitFor { signal: SignalSource::Named("ok".to_owned()), timeout_ms: None, recover_from: None };
    let operations = Operations { list: vec![Operation::WaitFor(wait)], ..Operations::default() };
    Node { id: id.to_owned(), kind: NodeKind::Operations(operations) }
}

/// `a`, then `b` and `c` side by side, each of which waits for the signal `ok`, then `d`.
fn two_waiters() -> Definition {
    let nodes = vec![node("a"), waiting("b"), waiting("c"), node("d")];
    flow(graph(nodes, [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]))
}

fn wait(work: &Work) -> Outcome {
    let id = WaitId { claim: work.token, operation: 0 };
    let wait = Wait { id, of: Awaited::Signal { signal: name("ok") }, since: 2, limit: Some(LIMIT), looks: 0 };
    Outcome::Suspended(Suspended {
        data: Some(payload("so far")),
        wait: Some(Box::new(wait)),
        ..Suspended::until(LIMIT)
    })
}

fn sent(id: u64, key: Option<&str>, body: &str) -> Event {
    Event::Signal(SentSignal { name: name("ok"), id, key: key.map(str::to_owned), body: payload(body) })
}

/// The nodes that go on, by an event that was accepted.
fn dispatched(effects: &[Effect]) -> Vec<String> {
    let node = |effect: &Effect| match effect {
        Effect::Dispatch(node) => node.to_string(),
        other => panic!("{other:?}"),
    };
    effects.iter().map(node).collect()
}

fn taken(work: &Work) -> Vec<Payload> {
    work.signals.iter().map(|taken| taken.body.clone()).collect()
}

/// A run of which `b` waits, and then `c`.
fn waits() -> Driver {
    let mut driver = Driver::new(two_waiters());
    driver.done("a", "");
    for node in ["b", "c"] {
        let work = driver.claim(node).unwrap();
        assert!(driver.report(&work, wait(&work)).unwrap().is_empty());
    }
    driver
}

/// SIGNAL-1.
#[test]
fn each_signal_goes_on_in_the_node_that_has_waited_the_longest() {
    let mut driver = waits();
    assert_eq!(driver.claim("b").unwrap_err(), Refusal::Early { until: LIMIT });
    assert_eq!(dispatched(&driver.step(sent(1, None, "one")).unwrap()), ["b"]);
    assert_eq!(dispatched(&driver.step(sent(2, None, "two")).unwrap()), ["c"]);
    let work = driver.claim("b").unwrap();
    assert_eq!(taken(&work), [payload("one")]);
    assert_eq!(driver.shown("c").signals[0].signal, name("ok"));
    driver.report(&work, Outcome::Done(payload("one"))).unwrap();
    assert_eq!(taken(&driver.claim("c").unwrap()), [payload("two")]);
}

/// SIGNAL-2.
#[test]
fn signals_that_come_early_are_kept_and_taken_in_their_order() {
    let mut driver = Driver::new(two_waiters());
    assert!(driver.step(sent(1, None, "one")).unwrap().is_empty());
    assert!(driver.step(sent(2, None, "two")).unwrap().is_empty());
    assert_eq!(driver.state.keeps_signal(&name("ok"), 1), Some(true));
    driver.done("a", "");
    for (node, body) in [("c", "one"), ("b", "two")] {
        let work = driver.claim(node).unwrap();
        assert_eq!(dispatched(&driver.report(&work, wait(&work)).unwrap()), [node]);
        assert_eq!(taken(&driver.claim(node).unwrap()), [payload(body)]);
    }
    assert_eq!(driver.state.keeps_signal(&name("ok"), 1), Some(false));
}

/// SIGNAL-3: also if the first one was taken long ago, and if the sender hears nothing and sends it again.
#[test]
fn of_signals_with_one_key_one_counts() {
    let mut driver = waits();
    driver.step(sent(1, Some("k"), "one")).unwrap();
    assert_eq!(driver.step(sent(2, Some("k"), "again")).unwrap_err(), Refusal::Repeated);
    // The same signal, applied once more: its commit had no answer.
    assert!(driver.step(sent(1, Some("k"), "one")).unwrap().is_empty());
    assert_eq!(driver.ready(), ["b"]);
    assert_eq!(dispatched(&driver.step(sent(3, Some("other"), "two")).unwrap()), ["c"]);
}

/// Sends a thousand signals and two more, with the keys `k0` to `k1001`, each of which a node takes before it waits for another.
fn take_many(driver: &mut Driver) {
    for number in 0..1_002 {
        let effects = driver.step(sent(number, Some(&format!("k{number}")), "")).unwrap();
        for node in dispatched(&effects) {
            let work = driver.claim(&node).unwrap();
            driver.now = 10;
            driver.report(&work, wait(&work)).unwrap();
        }
    }
}

/// SIGNAL-8.
#[test]
fn an_address_works_once_however_many_signals_come_after() {
    let mut driver = waits();
    assert_eq!(dispatched(&driver.step(sent(5_000, Some("url:0123456789abcdef"), "")).unwrap()), ["b"]);
    let work = driver.claim("b").unwrap();
    driver.report(&work, wait(&work)).unwrap();
    take_many(&mut driver);
    assert_eq!(driver.step(sent(5_001, Some("url:0123456789abcdef"), "")).unwrap_err(), Refusal::Repeated);
    assert!(driver.step(sent(5_002, Some("k0"), "")).is_ok());
}

/// SIGNAL-3: what was taken long ago is forgotten, and so is its key.
#[test]
fn a_run_remembers_the_latest_thousand_signals() {
    let mut driver = waits();
    take_many(&mut driver);
    assert_eq!(driver.step(sent(2_000, Some("k1001"), "")).unwrap_err(), Refusal::Repeated);
    assert!(driver.step(sent(2_001, Some("k0"), "")).is_ok());
}

/// SIGNAL-4.
#[test]
fn what_nobody_can_take_is_refused() {
    let mut driver = waits();
    let other = Event::Signal(SentSignal { name: name("other"), id: 1, key: None, body: payload("") });
    assert_eq!(driver.step(other).unwrap_err(), Refusal::NeverAwaited);
    driver.step(sent(3, Some("k"), "")).unwrap();
    driver.step(Event::Stop).unwrap();
    assert_eq!(driver.step(sent(2, None, "")).unwrap_err(), Refusal::Ended);
    assert_eq!(driver.step(sent(4, Some("k"), "")).unwrap_err(), Refusal::Repeated, "its sender has heard nothing");
}

/// SIGNAL-4.
#[test]
fn a_run_keeps_a_thousand_early_signals_of_64_mib() {
    let mut driver = Driver::new(two_waiters());
    for number in 0..u64::from(MOST_EARLY_SIGNALS) {
        driver.step(sent(number, None, "")).unwrap();
    }
    assert_eq!(driver.step(sent(5_000, None, "")).unwrap_err(), Refusal::TooManySignals);
    let mut driver = Driver::new(two_waiters());
    let large = |id| {
        let body = Payload::kept("data:large", 40 << 20);
        Event::Signal(SentSignal { name: name("ok"), id, key: None, body })
    };
    driver.step(large(1)).unwrap();
    assert_eq!(driver.step(large(2)).unwrap_err(), Refusal::TooManySignals);
    // Room comes back with the node that takes one.
    driver.done("a", "");
    let work = driver.claim("b").unwrap();
    driver.report(&work, wait(&work)).unwrap();
    driver.step(large(2)).unwrap();
}

/// SIGNAL-5: the node that gives up does not take it, so that the next one does.
#[test]
fn a_signal_that_comes_too_late_is_kept_for_the_next_node() {
    let mut driver = waits();
    driver.now = LIMIT;
    let late = driver.claim("b").unwrap();
    assert_eq!(dispatched(&driver.step(sent(1, None, "late")).unwrap()), ["c"], "`b` is about to give up");
    assert!(driver.step(sent(2, None, "later")).unwrap().is_empty());
    assert!(taken(&late).is_empty());
    driver.report(&late, Outcome::Done(payload("without"))).unwrap();
    assert_eq!(driver.state.keeps_signal(&name("ok"), 2), Some(true));
}

/// SIGNAL-6.
#[test]
fn a_node_that_is_tried_again_keeps_its_signal_and_one_that_is_run_again_waits_for_another() {
    let mut driver = waits();
    driver.step(sent(1, None, "one")).unwrap();
    let work = driver.claim("b").unwrap();
    driver.report(&work, Outcome::Suspended(Suspended::until(0))).unwrap();
    let work = driver.claim("b").unwrap();
    assert_eq!((taken(&work), work.answer.is_none()), (vec![payload("one")], true));
    driver.report(&work, failed(false)).unwrap();
    assert_eq!(driver.status(), Status::Failed);
    driver.rerun("b").unwrap();
    let work = driver.claim("b").unwrap();
    assert!(taken(&work).is_empty());
    assert!(driver.report(&work, wait(&work)).unwrap().is_empty(), "it waits");
    assert_eq!(dispatched(&driver.step(sent(2, None, "another")).unwrap()), ["b"]);
}

/// SIGNAL-5: people see for what a node waits, and since when.
#[test]
fn a_node_that_waits_for_a_signal_is_shown_with_its_name() {
    let driver = waits();
    let shown = driver.shown("b");
    let waits = shown.waits_for.as_ref().map(|wait| (wait.to_string(), wait.since));
    assert_eq!((shown.progress, waits), (Progress::Ready, Some(("signal ok".to_owned(), 2))));
    assert_eq!((shown.waits_until, shown.path), (Some(LIMIT), path("b")));
}
