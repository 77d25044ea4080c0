//! Nodes that sleep because the flow says so.

use faas_flow_core::run::{Event, Outcome, Progress, Refusal, RunView, Suspended};
use faas_flow_core::testing::{Driver, failed, flow, graph, lone, node, path, payload};
use faas_flow_core::{Definition, Status};

const MOMENT: u64 = 1_000;

/// Sleeps until the moment, and goes on with operation 1.
fn sleeps() -> Outcome {
    let data = Some(payload("so far"));
    let asleep = Some(2);
    Outcome::Suspended(Suspended {
        until: MOMENT,
        operation: 1,
        tries: 0,
        begun: None,
        data,
        wait: None,
        asleep,
        failed: 0,
    })
}

/// A run of one node, which sleeps.
fn asleep(definition: Definition) -> Driver {
    let mut driver = Driver::new(definition);
    let work = driver.claim("n").unwrap();
    assert!(driver.report(&work, sleeps()).unwrap().is_empty());
    driver
}

/// SLEEP-1, SLEEP-3.
#[test]
fn a_node_sleeps_until_its_moment_and_goes_on_behind_the_sleep() {
    let mut driver = asleep(flow(lone()));
    assert_eq!((driver.node("n").lease.clone(), driver.state.next_wake()), (None, Some(MOMENT)), "nobody holds it");
    assert_eq!(driver.claim("n").unwrap_err(), Refusal::Early { until: MOMENT });
    driver.now = MOMENT;
    let work = driver.claim("n").unwrap();
    let place = work.suspended.as_ref().map(|suspended| (suspended.operation, suspended.data.clone()));
    assert_eq!(place, Some((1, Some(payload("so far")))));
    driver.report(&work, Outcome::Done(payload("out"))).unwrap();
    assert_eq!((driver.status(), &driver.node("n").suspended), (Status::Succeeded, &None));
}

/// SLEEP-3: people see since when and until when it sleeps, and nothing of that before and after.
#[test]
fn a_node_that_sleeps_is_shown_as_sleeping() {
    let mut driver = asleep(flow(lone()));
    let shown = |driver: &Driver| {
        let view = driver.shown("n");
        (view.progress, view.sleeps_since, view.waits_until, view.retrying().is_some())
    };
    assert_eq!(shown(&driver), (Progress::Ready, Some(2), Some(MOMENT), false));
    driver.now = MOMENT;
    driver.claim("n").unwrap();
    assert_eq!(shown(&driver), (Progress::Running, None, None, false));
    driver.step(Event::Stop).unwrap();
    assert_eq!(shown(&driver), (Progress::Cancelled, None, None, false));
}

/// SLEEP-4, FAIL-9.
#[test]
fn the_deadline_passes_during_a_sleep() {
    let mut driver = asleep(Definition { deadline_ms: Some(500), ..flow(lone()) });
    driver.now = 501;
    driver.step(Event::Deadline).unwrap();
    assert_eq!(driver.status(), Status::Failed);
}

/// SLEEP-5, PAUSE-1.
#[test]
fn a_pause_does_not_stop_the_clock_of_a_sleep() {
    let mut driver = asleep(flow(lone()));
    driver.step(Event::Pause).unwrap();
    driver.now = MOMENT;
    assert_eq!((driver.ready(), driver.claim("n").unwrap_err()), (vec![], Refusal::Paused));
    driver.step(Event::Resume).unwrap();
    assert_eq!(driver.ready(), ["n"], "its moment has passed meanwhile");
    let mut driver = asleep(flow(lone()));
    driver.step(Event::Pause).unwrap();
    driver.step(Event::Resume).unwrap();
    assert_eq!((driver.ready(), driver.state.next_wake()), (vec![], Some(MOMENT)), "it sleeps on");
}

/// SLEEP-5, STOP-1.
#[test]
fn a_stop_ends_a_sleep_and_a_rerun_of_the_node_sleeps_anew() {
    let mut driver = asleep(flow(lone()));
    driver.step(Event::Stop).unwrap();
    assert_eq!((driver.status(), driver.state.next_wake()), (Status::Stopped, None));
    driver.rerun("n").unwrap();
    let work = driver.claim("n").unwrap();
    assert_eq!(work.suspended, None, "from its first operation");
    driver.report(&work, sleeps()).unwrap();
    assert_eq!(driver.ready(), Vec::<String>::new());
}

/// SLEEP-5: beside the node from which the run goes on.
#[test]
fn a_sleep_that_the_end_of_the_run_cut_off_goes_on_until_its_moment() {
    let mut driver = Driver::new(flow(graph(vec![node("a"), node("n"), node("b")], [("a", "n"), ("a", "b")])));
    driver.done("a", "out");
    driver.execute("n", sleeps());
    driver.execute("b", failed(false));
    assert_eq!((driver.status(), driver.state.next_wake()), (Status::Failed, None));
    driver.rerun("b").unwrap();
    assert_eq!((driver.ready(), driver.state.next_wake()), (vec!["b".to_owned()], Some(MOMENT)));
    driver.now = MOMENT;
    assert_eq!(driver.claim("n").unwrap().suspended.map(|suspended| suspended.operation), Some(1));
}

/// SLEEP-1: a replica that is lost after the sleep does not make the node sleep again.
#[test]
fn who_takes_a_node_over_after_its_sleep_goes_on_behind_it() {
    let mut driver = asleep(flow(lone()));
    driver.now = MOMENT;
    driver.claim("n").unwrap();
    driver.now += 200;
    let again = driver.claim("n").unwrap();
    assert_eq!(again.suspended.map(|suspended| suspended.operation), Some(1));
    let view = RunView::new(driver.state.run(), driver.state.scopes());
    assert_eq!((&view.nodes[0].path, view.nodes[0].sleeps_since), (&path("n"), None));
}

/// SLEEP-7: one replica's clock is ahead, another one's was set back meanwhile.
#[test]
fn a_sleep_is_over_when_the_clock_of_the_replica_that_looks_says_so() {
    let mut driver = asleep(flow(lone()));
    driver.now = 1;
    assert_eq!(driver.claim("n").unwrap_err(), Refusal::Early { until: MOMENT });
    driver.now = MOMENT + 3_600_000;
    assert!(driver.claim("n").is_ok());
}
