//! The end of a run, its handlers and its callback.

use faas_flow_core::definition::Definition;
use faas_flow_core::run::{Effect, Event, Outcome, Phase, Refusal, Task};
use faas_flow_core::testing::{Driver, failed, flow, graph, lone, node, payload, sub_dag};
use faas_flow_core::{Code, Digest, Failure, Status};

fn with_handlers() -> Driver {
    let definition = flow(graph(vec![node("a"), node("b")], [("a", "b")]));
    Driver::new(Definition { on_failure: Some("h".to_owned()), finally: Some("f".to_owned()), ..definition })
}

fn failure(code: Code, message: &str) -> Outcome {
    Outcome::Failed(Failure::reject(code, message))
}

/// END-1.
#[test]
fn a_run_succeeds_with_the_result_of_its_outermost_dag() {
    let mut run = Driver::new(flow(lone()));
    let effects = run.done("n", "out");
    assert!(matches!(&effects[..], [Effect::Ended]));
    let ended = run.state.run();
    assert_eq!((ended.status(), ended.result.clone(), ended.ended), (Status::Succeeded, Some(payload("out")), Some(3)));
}

/// END-2.
#[test]
fn when_a_run_fails_work_in_flight_is_cancelled_and_its_results_are_dropped() {
    let nodes = ["a", "b", "c"].map(node).into();
    let mut run = Driver::new(flow(graph(nodes, [("a", "b"), ("a", "c")])));
    run.done("a", "");
    let work = run.claim("b").unwrap();
    let effects = run.execute("c", failed(false));
    assert!(matches!(&effects[..], [Effect::Cancel, Effect::Ended]));
    assert_eq!(run.report(&work, Outcome::Done(payload("late"))).unwrap_err(), Refusal::Ended);
    assert_eq!(run.node("b").output, None);
}

/// END-3.
#[test]
fn the_failure_handler_is_called_once_and_what_it_returns_is_the_caller_s_answer() {
    let mut run = with_handlers();
    run.execute("a", failed(false));
    assert_eq!(run.status(), Status::Running, "its handlers are still executing");
    let work = run.claim("(failure)").unwrap();
    let Task::Recover { handler, failure } = &work.task else { panic!("{:?}", work.task) };
    assert_eq!((handler.as_str(), failure.code), ("h", Code::CALL_STATUS));
    run.report(&work, Outcome::Done(payload("instead"))).unwrap();
    run.done("(finally)", "");
    assert_eq!((run.status(), run.state.run().result.clone()), (Status::Failed, Some(payload("instead"))));
}

/// END-3.
#[test]
fn the_failure_handler_is_not_called_when_a_run_was_stopped_or_has_succeeded() {
    let mut stopped = with_handlers();
    stopped.step(Event::Stop).unwrap();
    assert_eq!(stopped.ready(), ["(finally)"]);
    let mut succeeded = with_handlers();
    succeeded.done("a", "");
    succeeded.done("b", "");
    assert_eq!(succeeded.ready(), ["(finally)"]);
}

/// END-3.
#[test]
fn a_failure_handler_that_fails_replaces_the_message_and_one_that_crashes_changes_nothing() {
    for (code, message) in [
        (Code::GUEST_REJECTED, "in other words"),
        (Code::GUEST_RETRIES, "in other words"),
        (Code::GUEST_TRAPPED, "`f` answered with status 503"),
    ] {
        let mut run = with_handlers();
        run.execute("a", failed(false));
        run.execute("(failure)", failure(code, "in other words"));
        run.done("(finally)", "");
        let ended = run.state.run().failure.clone().unwrap();
        assert_eq!((ended.code, &*ended.message), (Code::CALL_STATUS, message));
        assert_eq!((run.status(), run.state.run().result.clone()), (Status::Failed, None));
    }
}

/// END-4, VAL-4.
#[test]
fn the_finally_handler_is_called_once_last_however_the_run_ended() {
    for expected in [Status::Succeeded, Status::Failed, Status::Stopped] {
        let mut run = with_handlers();
        match expected {
            Status::Stopped => drop(run.step(Event::Stop).unwrap()),
            Status::Failed => {
                run.execute("a", failed(false));
                run.done("(failure)", "");
            }
            _ => {
                run.done("a", "");
                run.done("b", "");
            }
        }
        assert_eq!(run.state.run().phase, Phase::Finally);
        let work = run.claim("(finally)").unwrap();
        let Task::Finally { handler, verdict } = &work.task else { panic!("{:?}", work.task) };
        assert_eq!((handler.as_str(), *verdict), ("f", expected));
        assert!(matches!(&run.report(&work, Outcome::Done(payload("ignored"))).unwrap()[..], [Effect::Ended]));
        assert_eq!((run.status(), run.state.run().phase), (expected, Phase::Ended));
        assert_eq!(run.claim("(finally)").unwrap_err(), Refusal::Ended);
    }
}

/// END-4.
#[test]
fn a_finally_handler_that_fails_leaves_the_outcome_of_the_run_as_it_is() {
    let mut run = with_handlers();
    run.done("a", "");
    run.done("b", "out");
    run.execute("(finally)", failure(Code::GUEST_REJECTED, "no"));
    let ended = run.state.run();
    assert_eq!(
        (ended.status(), ended.result.clone(), ended.failure.clone()),
        (Status::Succeeded, Some(payload("out")), None)
    );
}

/// END-6.
#[test]
fn a_run_ends_on_the_module_with_which_it_began() {
    let mut run = Driver::new(flow(lone()));
    run.done("n", "");
    run.rerun("n").unwrap();
    assert_eq!(run.state.run().digest, Digest::of(b"module"));
}

/// BACK-1.
#[test]
fn the_callback_is_due_when_the_run_has_ended_after_its_finally_handler() {
    let mut run = with_handlers();
    run.done("a", "");
    run.done("b", "");
    assert_eq!(run.state.callback_due(), None, "the finally handler is still executing");
    assert_eq!(run.step(Event::CallBack { until: 99 }).unwrap_err(), Refusal::Stale);
    run.done("(finally)", "");
    assert_eq!(run.state.callback_due(), Some(run.now));
}

/// A run that has ended with a callback.
fn ended() -> Driver {
    let mut run = Driver::new(flow(lone()));
    run.done("n", "");
    run
}

fn called_back(tries: u32, failed: bool, next: Option<u64>) -> Event {
    let failure = failed.then(|| Failure::retry(Code::CALL_STATUS, "the callback answered with status 500"));
    Event::CalledBack { tries, failure, next }
}

/// BACK-2.
#[test]
fn a_callback_that_fails_is_tried_again_when_its_wait_is_over() {
    let mut run = ended();
    run.step(Event::CallBack { until: 40 }).unwrap();
    run.step(called_back(1, true, Some(30))).unwrap();
    assert_eq!(run.state.callback_due(), Some(30));
    assert_eq!(run.step(Event::CallBack { until: 40 }).unwrap_err(), Refusal::Early { until: 30 });
    run.now = 29;
    let effects = run.step(Event::CallBack { until: 60 }).unwrap();
    assert!(matches!(&effects[..], [Effect::CallBack { tries: 2, .. }]));
}

/// BACK-3.
#[test]
fn a_callback_that_was_given_up_keeps_its_failure_and_is_not_tried_again() {
    let mut run = ended();
    run.step(Event::CallBack { until: 40 }).unwrap();
    run.step(called_back(1, true, None)).unwrap();
    let callback = run.state.run().callback.clone().unwrap();
    assert_eq!((callback.next, callback.delivered, callback.failure.is_some()), (None, None, true));
    run.now = 100;
    assert_eq!(run.step(Event::CallBack { until: 140 }).unwrap_err(), Refusal::Stale);
}

/// BACK-4.
#[test]
fn only_one_replica_at_a_time_sends_the_callback_and_its_loss_does_not_lose_it() {
    let mut run = ended();
    run.step(Event::CallBack { until: 40 }).unwrap();
    assert_eq!(run.step(Event::CallBack { until: 40 }).unwrap_err(), Refusal::Early { until: 40 });
    // The replica that was to send it is lost.
    run.now = 39;
    run.step(Event::CallBack { until: 80 }).unwrap();
    assert_eq!(run.step(called_back(1, false, None)).unwrap_err(), Refusal::Stale, "another delivery has begun");
    run.step(called_back(2, false, None)).unwrap();
}

/// BACK-5.
#[test]
fn a_delivered_callback_is_not_sent_again_unless_the_run_is_re_run() {
    let mut run = ended();
    run.step(Event::CallBack { until: 40 }).unwrap();
    // What its driver would wait for does not matter any more.
    run.step(called_back(1, false, Some(30))).unwrap();
    assert_eq!(run.state.callback_due(), None);
    assert_eq!(run.state.run().callback.as_ref().unwrap().delivered, Some(run.now));
    run.now = 200;
    assert_eq!(run.step(Event::CallBack { until: 240 }).unwrap_err(), Refusal::Stale);
    assert_eq!(run.step(called_back(1, true, Some(230))).unwrap_err(), Refusal::Stale);
    run.rerun("n").unwrap();
    run.done("n", "");
    assert_eq!(run.state.callback_due(), Some(run.now));
}

/// BACK-7.
#[test]
fn a_callback_that_is_over_can_be_sent_again_and_is_tried_as_often_as_at_first() {
    for failed in [true, false] {
        let mut run = ended();
        assert_eq!(run.step(Event::SendCallback).unwrap_err(), Refusal::Sending, "it is about to be sent");
        run.step(Event::CallBack { until: 40 }).unwrap();
        assert_eq!(run.step(Event::SendCallback).unwrap_err(), Refusal::Sending);
        run.step(called_back(1, failed, None)).unwrap();
        run.now = 100;
        run.step(Event::SendCallback).unwrap();
        let callback = run.state.run().callback.clone().unwrap();
        assert_eq!((callback.next, callback.delivered, callback.failure), (Some(run.now), None, None));
        let effects = run.step(Event::CallBack { until: 140 }).unwrap();
        assert!(matches!(&effects[..], [Effect::CallBack { tries: 2, earlier: 0, round: 0, .. }]), "{effects:?}");
        // What the replica of the first try says late is not about this one.
        assert_eq!(run.step(called_back(1, false, None)).unwrap_err(), Refusal::Stale);
        run.step(called_back(2, true, Some(110))).unwrap();
        run.now = 110;
        let effects = run.step(Event::CallBack { until: 160 }).unwrap();
        assert!(matches!(&effects[..], [Effect::CallBack { tries: 3, earlier: 1, .. }]), "{effects:?}");
    }
}

/// BACK-7.
#[test]
fn there_is_nothing_to_send_again_before_the_end_or_without_a_callback() {
    let mut run = Driver::new(flow(lone()));
    assert_eq!(run.step(Event::SendCallback).unwrap_err(), Refusal::Unended);
    let mut run = Driver::without_callback(flow(lone()));
    run.done("n", "");
    assert_eq!(run.step(Event::SendCallback).unwrap_err(), Refusal::NoCallback);
}

/// BACK-8.
#[test]
fn a_run_may_get_a_callback_until_it_ends_and_keeps_the_one_that_it_has() {
    let set = |url: &str| Event::SetCallback { url: url.to_owned() };
    let url = |run: &Driver| run.state.run().callback.as_ref().map(|callback| callback.url.clone());
    let mut run = Driver::without_callback(flow(lone()));
    for _ in 0..2 {
        run.step(set("http://127.0.0.1/later")).unwrap();
    }
    run.step(set("http://127.0.0.1/other")).unwrap();
    assert_eq!(url(&run).as_deref(), Some("http://127.0.0.1/later"));
    run.done("n", "");
    assert_eq!(run.state.callback_due(), Some(run.now));
    let mut run = Driver::without_callback(flow(lone()));
    run.done("n", "");
    assert_eq!(run.step(set("http://127.0.0.1/later")).unwrap_err(), Refusal::Ended);
    assert_eq!(url(&run), None);
}

/// STORE-3.
#[test]
fn a_flow_with_a_single_node_is_one_whose_only_node_has_operations() {
    let is_single = |dag| Driver::new(flow(dag)).plan.is_single_node();
    assert!(is_single(lone()));
    assert!(!is_single(graph(vec![node("a"), node("b")], [("a", "b")])));
    assert!(!is_single(graph(vec![sub_dag("S", lone())], [])));
}

/// Paths come from outside, in events. The handlers of a run belong to no branch.
#[test]
fn a_handler_of_the_run_is_executed_under_its_own_path_only() {
    let mut run = with_handlers();
    run.execute("a", failed(false));
    for elsewhere in ["C[c1]/(failure)", "a/(failure)", "(finally)", "a"] {
        assert_eq!(run.claim(elsewhere).unwrap_err(), Refusal::Ended, "{elsewhere}");
    }
    run.claim("(failure)").unwrap();
}
