//! What is wrong in a test of a whole flow fails the test, with a message that says what to do.

use faas_flow::testing::{Answer, run};
use faas_flow::{Context, Result, State, Workflow};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message with which a test fails.
fn failure(test: impl FnOnce()) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(test)).err();
    panicked.and_then(|panicked| panicked.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[track_caller]
fn says(expected: &str, test: impl FnOnce()) {
    let message = failure(test);
    assert!(message.contains(expected), "{message}");
}

fn charges(workflow: &mut Workflow, _: &Context) -> Result {
    workflow.dag().node("pay").apply("charge");
    Ok(())
}

fn waits(workflow: &mut Workflow, _: &Context) -> Result {
    workflow.dag().node("n").wait_for("paid");
    Ok(())
}

#[test]
fn a_function_without_an_answer_is_named_with_those_that_have_one() {
    let expected = "node `pay` calls `charge`, and the test does not say what that answers (it has answers for `ship`, `track`): add .function(\"charge\", …)";
    says(expected, || {
        run(charges, "").answers("track", [""]).answers("ship", [""]).result();
    });
}

#[test]
fn the_text_of_a_failure_names_the_calls_that_were_made() {
    let expected = "the run has failed: FF0207 at pay: `charge` answered with status 400: no\nthe calls that it made:\n  0ns pay: POST charge \"7\"";
    says(expected, || {
        run(charges, "7").answers("charge", [Answer::new(400).with_body("no")]).result();
    });
}

#[test]
fn a_signal_that_never_comes_is_named_and_so_is_one_for_which_nobody_waits() {
    let expected = "node `n` waits for the signal `paid`, without a timeout, and none comes: add .signal(\"paid\", …)";
    says(expected, || {
        run(waits, "").result();
    });
    let expected = "the test sends the signal `payed`, for which the flow never waits: it waits for `paid`";
    says(expected, || {
        run(waits, "").signal("payed", "").result();
    });
}

#[test]
fn what_a_run_finds_is_said_before_it() {
    says("the run has taken place: say a signal before asking for what came of it", || {
        let run = run(waits, "").signal("paid", "");
        run.result();
        drop(run.signal("paid", ""));
    });
    says("the run cannot begin at \"soon\": write a moment such as", || drop(run(waits, "").now("soon")));
    says("`answers` of `f` needs at least one answer", || drop(run(waits, "").answers("f", [""; 0])));
}

#[test]
fn a_flow_that_the_host_would_not_accept_has_no_run() {
    let cycle = |workflow: &mut Workflow, _: &Context| {
        let dag = workflow.dag();
        for node in ["a", "b", "c"] {
            dag.node(node);
        }
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "b")] {
            dag.edge(from, to);
        }
        Ok(())
    };
    says("nodes of the flow wait for each other", || assert_eq!(run(cycle, "").state(), State::Failed));
    let starts = |workflow: &mut Workflow, _: &Context| {
        workflow.dag().node("a");
        workflow.dag().node("b");
        Ok(())
    };
    says("the flow has several starts, `a`, `b`", || assert_eq!(run(starts, "").state(), State::Failed));
    let fails = |_: &mut Workflow, _: &Context| Err("there is no such team".into());
    says("the flow cannot be defined: there is no such team", || assert_eq!(run(fails, "").state(), State::Failed));
}
