//! Nodes that wait for an answer from outside of the run.

use faas_flow_core::definition::Dag;
use faas_flow_core::run::{
    Awaited, Effect, Event, Outcome, Progress, Refusal, RunView, Said, Suspended, Wait, WaitId, Withdrawn, Work,
};
use faas_flow_core::testing::{Driver, failed, flow, graph, lone, node, path, payload, sub_dag};
use faas_flow_core::{RunId, Status};
use proptest::prelude::*;

const LIMIT: u64 = 1_000;

fn driver() -> Driver {
    Driver::new(flow(lone()))
}

/// The wait that a piece of work begins at its operation 1.
fn id(work: &Work) -> WaitId {
    WaitId { claim: work.token, operation: 1 }
}

/// Waits for the answer to a question, which is looked for at `until`.
fn waits(id: WaitId, until: u64) -> Outcome {
    let of = Awaited::Function { name: "slow".to_owned() };
    let wait = Wait { id, of, since: 2, limit: Some(LIMIT), looks: 0 };
    Outcome::Suspended(Suspended {
        until,
        operation: 1,
        tries: 0,
        begun: None,
        data: Some(payload("so far")),
        wait: Some(Box::new(wait)),
        asleep: None,
        failed: 0,
    })
}

fn said(text: &str) -> Said {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Said::Response { status: 200, headers, body: payload(text) }
}

fn answer(to: WaitId, text: &str) -> Event {
    Event::Answer { path: path("n"), to, said: said(text) }
}

/// What the answer says that a piece of work got.
fn answered(work: &Work) -> Option<(WaitId, Said)> {
    work.answer.as_ref().map(|answer| (answer.to, answer.said.clone()))
}

/// A run whose node waits.
fn suspended() -> (Driver, WaitId) {
    let mut driver = driver();
    let work = driver.claim("n").unwrap();
    assert!(driver.report(&work, waits(id(&work), LIMIT)).unwrap().is_empty());
    (driver, id(&work))
}

/// WAIT-2, WAIT-3.
#[test]
fn a_node_that_waits_for_an_answer_continues_with_it_where_it_was() {
    let (mut driver, asked) = suspended();
    assert_eq!((driver.ready(), driver.node("n").lease.clone()), (vec![], None));
    assert_eq!(driver.claim("n").unwrap_err(), Refusal::Early { until: LIMIT });
    let effects = driver.step(answer(asked, "at last")).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(node)] if *node == path("n")), "{effects:?}");
    assert_eq!((driver.ready(), driver.state.next_wake()), (vec!["n".to_owned()], None));
    let work = driver.claim("n").unwrap();
    assert_eq!(answered(&work), Some((asked, said("at last"))));
    assert_eq!(work.suspended.as_ref().map(|suspended| suspended.operation), Some(1));
    driver.report(&work, Outcome::Done(payload("out"))).unwrap();
    assert_eq!((driver.node("n").answer.clone(), driver.status()), (None, Status::Succeeded));
}

/// WAIT-3.
#[test]
fn an_answer_counts_once_and_only_for_the_question_that_was_asked() {
    let (mut driver, asked) = suspended();
    let other = WaitId { operation: 0, ..asked };
    assert_eq!(driver.step(answer(other, "to another operation")).unwrap_err(), Refusal::Stale);
    driver.step(answer(asked, "first")).unwrap();
    assert_eq!(driver.step(answer(asked, "second")).unwrap_err(), Refusal::Stale);
    let work = driver.claim("n").unwrap();
    assert_eq!(driver.step(answer(asked, "third")).unwrap_err(), Refusal::Stale);
    assert_eq!(answered(&work), Some((asked, said("first"))));
    // It asks again, as its policy says.
    driver.report(&work, waits(id(&work), LIMIT)).unwrap();
    assert_eq!(driver.step(answer(asked, "late")).unwrap_err(), Refusal::Stale);
    assert!(driver.step(answer(id(&work), "to the second question")).is_ok());
}

/// WAIT-3: the queue may be faster than the store.
#[test]
fn an_answer_that_comes_before_the_wait_is_stored_is_not_lost() {
    let mut driver = driver();
    let work = driver.claim("n").unwrap();
    assert!(driver.step(answer(id(&work), "early")).unwrap().is_empty());
    assert_eq!(driver.step(answer(id(&work), "again")).unwrap_err(), Refusal::Stale);
    let effects = driver.report(&work, waits(id(&work), LIMIT)).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(_)]), "{effects:?}");
    assert_eq!(answered(&driver.claim("n").unwrap()), Some((id(&work), said("early"))));
}

/// WAIT-3: a replica that takes a node over finds the answer to what a lost replica asked.
#[test]
fn an_answer_outlives_the_replica_that_asked() {
    let mut driver = driver();
    let lost = driver.claim("n").unwrap();
    driver.step(answer(id(&lost), "early")).unwrap();
    driver.now += LIMIT;
    let work = driver.claim("n").unwrap();
    assert_eq!(answered(&work), Some((id(&lost), said("early"))));
    // An answer that a node did not wait for does not become the answer to something else.
    driver.report(&work, waits(id(&work), driver.now + LIMIT)).unwrap();
    assert_eq!(driver.ready(), Vec::<String>::new());
}

fn permit(to: WaitId) -> Event {
    Event::Answer { path: path("n"), to, said: Said::Permit }
}

/// LIMIT-4: a node may wait for a permit and then ask under the same claim, and a replica may be lost in between.
#[test]
fn a_permit_answers_no_call() {
    let mut driver = driver();
    let lost = driver.claim("n").unwrap();
    driver.step(permit(id(&lost))).unwrap();
    assert_eq!(driver.step(permit(id(&lost))).unwrap_err(), Refusal::Stale);
    driver.now += LIMIT;
    let work = driver.claim("n").unwrap();
    assert_eq!(work.answer, None, "the next replica makes the call");
    // The permit comes late, when the call has been made; its answer is still to come.
    driver.step(permit(id(&work))).unwrap();
    assert!(driver.report(&work, waits(id(&work), driver.now + LIMIT)).unwrap().is_empty());
    assert_eq!(driver.step(permit(id(&work))).unwrap_err(), Refusal::Stale);
    driver.step(answer(id(&work), "at last")).unwrap();
    assert_eq!(answered(&driver.claim("n").unwrap()), Some((id(&work), said("at last"))));
}

/// WAIT-3: the permit of a try and the answer to it have the same id.
#[test]
fn an_answer_counts_that_comes_after_a_late_permit() {
    let mut driver = driver();
    let work = driver.claim("n").unwrap();
    driver.step(permit(id(&work))).unwrap();
    driver.step(answer(id(&work), "early")).unwrap();
    assert_eq!(driver.step(permit(id(&work))).unwrap_err(), Refusal::Stale);
    assert!(!driver.report(&work, waits(id(&work), LIMIT)).unwrap().is_empty());
    assert_eq!(answered(&driver.claim("n").unwrap()), Some((id(&work), said("early"))));
}

/// WAIT-4.
#[test]
fn a_node_continues_without_an_answer_when_its_time_has_come() {
    let (mut driver, asked) = suspended();
    driver.now = LIMIT;
    let work = driver.claim("n").unwrap();
    assert_eq!((answered(&work), work.suspended.unwrap().wait.map(|wait| wait.id)), (None, Some(asked)));
}

/// WAIT-3, PAUSE-1.
#[test]
fn a_paused_run_takes_answers_and_continues_when_it_is_resumed() {
    let (mut driver, asked) = suspended();
    driver.step(Event::Pause).unwrap();
    driver.step(answer(asked, "while paused")).unwrap();
    assert_eq!(driver.claim("n").unwrap_err(), Refusal::Paused);
    let effects = driver.step(Event::Resume).unwrap();
    assert!(matches!(&effects[..], [Effect::Dispatch(_)]), "{effects:?}");
    assert!(driver.claim("n").unwrap().answer.is_some());
}

/// CATCH-6: so that runs that were called can be stopped, by a replica that finds that nobody waits for them any more.
#[test]
fn what_waited_beside_a_caught_failure_is_forgotten() {
    let edges = [("a", "s"), ("a", "n"), ("s", "end"), ("n", "end")];
    let inside = graph(["a", "s", "n", "end"].map(node).into(), edges);
    let inside = Dag { recover: Some("h".to_owned()), ..inside };
    let mut driver = Driver::new(flow(graph(vec![sub_dag("S", inside)], [])));
    driver.execute("S", Outcome::Branched(vec![(None, payload(""))]));
    driver.done("S/a", "");
    let work = driver.claim("S/n").unwrap();
    driver.report(&work, waits(id(&work), LIMIT)).unwrap();
    let part = Withdrawn::Scope(path("S/n").scope);
    assert_eq!((driver.state.forgotten().len(), driver.state.has_withdrawn(&part)), (0, false));
    driver.execute("S/s", failed(false));
    let forgotten = |driver: &Driver| -> Vec<_> {
        driver.state.forgotten().into_iter().map(|(path, wait)| (path.to_string(), wait.id)).collect()
    };
    assert_eq!(forgotten(&driver), [("S/n".to_owned(), id(&work))]);
    assert!(driver.state.has_withdrawn(&part) && !driver.state.has_withdrawn(&Withdrawn::Branches(path("S"))));
    driver.step(Event::Stop).unwrap();
    assert_eq!(driver.state.awaiting().len(), 1, "a stop ends it, too");
}

/// WAIT-5.
#[test]
fn an_answer_after_the_end_changes_nothing_and_a_rerun_asks_again() {
    let (mut driver, asked) = suspended();
    driver.step(Event::Stop).unwrap();
    assert_eq!(driver.step(answer(asked, "too late")).unwrap_err(), Refusal::Ended);
    assert_eq!(driver.state.awaiting().len(), 1, "who ended the run may tell the callee");
    driver.rerun("n").unwrap();
    let work = driver.claim("n").unwrap();
    assert_eq!((work.suspended, work.answer), (None, None), "it begins anew");
}

/// WAIT-5: what waited beside the node that was run again asks again, too, at its operation.
#[test]
fn what_waited_when_a_run_ended_asks_again_in_a_rerun() {
    use faas_flow_core::testing::{edge, graph, node};
    let dag = graph(vec![node("a"), node("n"), node("b")], [("a", "n"), ("a", "b")]);
    let dag = faas_flow_core::definition::Dag { edges: vec![edge("a", "n"), edge("a", "b")], ..dag };
    let mut driver = Driver::new(flow(dag));
    driver.done("a", "out");
    let work = driver.claim("n").unwrap();
    driver.report(&work, waits(id(&work), LIMIT)).unwrap();
    driver.execute("b", faas_flow_core::testing::failed(false));
    assert_eq!(driver.status(), Status::Failed);
    driver.rerun("b").unwrap();
    assert_eq!(driver.ready(), ["b", "n"]);
    let again = driver.claim("n").unwrap();
    let place = again.suspended.as_ref().map(|suspended| (suspended.operation, suspended.wait.is_some()));
    assert_eq!(place, Some((1, false)));
}

/// WAIT-2: people see what a node waits for.
#[test]
fn a_node_that_waits_shows_for_whom_and_until_when() {
    let (driver, _) = suspended();
    let view = RunView::new(driver.state.run(), driver.state.scopes());
    assert_eq!(view.nodes[0].waits_until, Some(LIMIT));
    let shown = serde_json::to_value(&view.nodes[0].waits_for).unwrap();
    assert_eq!(shown, serde_json::json!({ "function": { "name": "slow" }, "since": 2 }));
    let run = Awaited::Run { flow: "child".to_owned(), run: RunId::new("r").unwrap() };
    assert_eq!(serde_json::to_value(run).unwrap(), serde_json::json!({ "run": { "flow": "child", "run": "r" } }));
}

/// CHILD-1: the history names the runs that a node has called, each once, also when it is run again.
#[test]
fn a_node_keeps_the_runs_that_it_has_called() {
    let calls = |work: &Work, run: &str| {
        let of = Awaited::Run { flow: "child".to_owned(), run: RunId::new(run).unwrap() };
        let wait = Wait { id: id(work), of, since: 2, limit: None, looks: 0 };
        let wait = Some(Box::new(wait));
        Outcome::Suspended(Suspended {
            until: LIMIT,
            operation: 1,
            tries: 0,
            begun: None,
            data: Some(payload("so far")),
            wait,
            asleep: None,
            failed: 0,
        })
    };
    let mut driver = driver();
    let work = driver.claim("n").unwrap();
    driver.report(&work, calls(&work, "r-1")).unwrap();
    driver.now = LIMIT;
    let look = driver.claim("n").unwrap();
    driver.report(&look, calls(&look, "r-1")).unwrap();
    driver.step(Event::Stop).unwrap();
    driver.rerun("n").unwrap();
    let work = driver.claim("n").unwrap();
    assert_eq!(work.called, 1);
    driver.report(&work, calls(&work, "r-2")).unwrap();
    let view = RunView::new(driver.state.run(), driver.state.scopes());
    let shown = serde_json::to_value(&view.nodes[0].called).unwrap();
    assert_eq!(shown, serde_json::json!([{ "flow": "child", "run": "r-1" }, { "flow": "child", "run": "r-2" }]));
}

/// What may happen to the node next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Claim,
    Wait,
    Finish,
    Answer(usize),
    Pass(u64),
    PauseAndResume,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Claim),
        3 => Just(Step::Wait),
        1 => Just(Step::Finish),
        4 => (0..4usize).prop_map(Step::Answer),
        2 => (1..200u64).prop_map(Step::Pass),
        1 => Just(Step::PauseAndResume),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// WAIT-3: in any order of claims, lost replicas, reports and answers.
    #[test]
    fn an_answer_that_is_taken_reaches_the_node_and_no_other_question(steps in steps()) {
        let mut driver = driver();
        let mut held: Option<Work> = None;
        // All questions so far, and what was taken as their answers.
        let (mut asked, mut taken) = (Vec::<WaitId>::new(), std::collections::BTreeMap::<String, String>::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Claim => if let Ok(work) = driver.claim("n") {
                    if let Some((to, Said::Response { body, .. })) = answered(&work) {
                        prop_assert_eq!(taken.get(&format!("{to:?}")), Some(&format!("{body:?}")));
                    }
                    if let Some(wait) = work.suspended.as_ref().and_then(|suspended| suspended.wait.as_ref()) {
                        let is_taken = taken.contains_key(&format!("{:?}", wait.id));
                        // A replica that had the answer may have asked again, and been answered, before it was lost.
                        prop_assert!(work.answer.is_some() || !is_taken);
                    }
                    // What looks for the answer to an earlier question asks no other.
                    if work.suspended.is_none() || work.answer.is_some() {
                        asked.push(id(&work));
                    }
                    held = Some(work);
                },
                Step::Wait => if let Some(work) = held.take() {
                    let until = driver.now + 100;
                    // Without an answer it goes on waiting for the same one.
                    let earlier = work.suspended.as_ref().and_then(|suspended| suspended.wait.as_ref());
                    let question = earlier.filter(|_| work.answer.is_none()).map_or(id(&work), |wait| wait.id);
                    let _ = driver.report(&work, waits(question, until));
                },
                Step::Finish => if let Some(work) = held.take()
                    && driver.report(&work, Outcome::Done(payload("out"))).is_ok()
                {
                    prop_assert!(driver.node("n").answer.is_none() && driver.node("n").suspended.is_none());
                    for to in &asked {
                        prop_assert_eq!(driver.step(answer(*to, "late")).unwrap_err(), Refusal::Ended);
                    }
                    return Ok(());
                },
                Step::Answer(back) => if let Some(to) = asked.len().checked_sub(back + 1).map(|at| asked[at]) {
                    let text = number.to_string();
                    if driver.step(answer(to, &text)).is_ok() {
                        let said = format!("{:?}", payload(&text));
                        prop_assert!(taken.insert(format!("{to:?}"), said).is_none(), "{to:?} was answered twice");
                    }
                },
                Step::Pass(time) => driver.now += time,
                Step::PauseAndResume => {
                    driver.step(Event::Pause).unwrap();
                    driver.step(Event::Resume).unwrap();
                }
            }
            let node = driver.node("n");
            prop_assert!(node.progress != Progress::Ready || node.lease.is_none());
        }
    }
}
