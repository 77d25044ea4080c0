//! Whole runs, with functions of the test.

use faas_flow::testing::{Answer, Call, Fake, Run, run, run_with};
use faas_flow::{
    Backoff, Context, Dag, Exhausted, Failed, Failure, FailureKind, Gathered, Inputs, Level, Result, State, Wake,
    Workflow,
};
use std::cell::RefCell;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A modifier that appends a text.
fn appending(suffix: &'static str) -> impl Fn(Vec<u8>) -> Result<Vec<u8>> {
    move |data| Ok([&*data, suffix.as_bytes()].concat())
}

fn echo(call: &Call) -> Vec<u8> {
    call.body().to_vec()
}

/// Text of what failed and where.
fn code(run: &Run<'_>) -> String {
    run.failure().map(|failed| failed.code().to_owned()).unwrap_or_default()
}

/// An order is charged, its items are shipped one by one, and one of them may fail.
fn order(workflow: &mut Workflow, context: &Context) -> Result {
    let log = context.clone();
    workflow.finally(move |outcome| {
        log.info(format!("{outcome:?}"));
        Ok(())
    });
    let dag = workflow.dag();
    dag.node("charge").apply("charge").retry(Backoff::attempts(3)).recover_from(|failed: Failed| {
        match failed.status() {
            Some(402) => Ok("declined".to_owned()),
            _ => Err(Failure::reject(failed.to_string())),
        }
    });
    let paid =
        dag.condition("paid", ["yes", "no"], |answer: Vec<u8>| Ok([if answer == b"declined" { "no" } else { "yes" }]));
    paid.branch("no").node("tell").modify(appending(", nothing was ordered"));
    let items = paid.branch("yes").for_each("items", |answer: Vec<u8>| {
        Ok(text(&answer).split_whitespace().map(|item| (item.to_owned(), item.to_owned())).collect::<Vec<_>>())
    });
    items.dag().node("ship").apply("ship");
    items.tolerate(1).gather(|items: Vec<Gathered>| {
        let line = |item: Gathered| match item.ended {
            Ok(_) => format!("{}: shipped", item.key),
            Err(failed) => format!("{}: {}", item.key, failed.message()),
        };
        Ok(items.into_iter().map(line).collect::<Vec<_>>().join(", "))
    });
    dag.edge("charge", "paid");
    Ok(())
}

#[test]
fn functions_answer_and_the_calls_are_known() {
    let run = run(order, "7").answers("charge", ["tea milk"]).function("ship", echo);
    assert_eq!(run.result(), b"tea: shipped, milk: shipped");
    let shown = |call: &Call| format!("{}: {} {} {}", call.node(), call.method(), call.function(), text(call.body()));
    assert_eq!(
        run.calls().iter().map(shown).collect::<Vec<_>>(),
        [
            "charge: POST charge 7",
            "paid[yes]/items[tea]/ship: POST ship tea",
            "paid[yes]/items[milk]/ship: POST ship milk"
        ]
    );
    assert_eq!(
        run.ran(),
        ["charge", "paid", "paid[yes]/items", "paid[yes]/items[tea]/ship", "paid[yes]/items[milk]/ship"]
    );
    assert_eq!((run.state(), run.failure()), (State::Succeeded, None));
    assert_eq!(run.logs(), [(Level::Info, "Success".to_owned())]);
    let key = run.calls()[1].header("x-faas-flow-idempotency-key");
    assert_eq!(key, Some("test/paid[yes]/items[tea]/ship/0"));
}

#[test]
fn a_status_is_caught_by_the_call() {
    let run = run(order, "").answers("charge", [Answer::new(402)]);
    assert_eq!(run.result(), b"declined, nothing was ordered");
    assert_eq!(run.calls().len(), 1);
}

#[test]
fn a_gather_closure_sees_the_status_because_of_which_the_call_of_an_item_failed() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let items = workflow.dag().for_each("items", |_: Vec<u8>| Ok(vec![("tea".to_owned(), "tea".to_owned())]));
        items.dag().node("ship").apply("ship");
        items.tolerate(1).gather(|items: Vec<Gathered>| {
            let status = |item: Gathered| item.ended.err().and_then(|failed| failed.status());
            Ok(format!("{:?}", items.into_iter().map(status).collect::<Vec<_>>()))
        });
        Ok(())
    };
    assert_eq!(run(define, "").answers("ship", [Answer::new(404)]).result(), b"[Some(404)]");
}

#[test]
fn a_busy_function_is_called_again_after_the_time_for_which_it_asks() {
    let busy = Answer::new(503).with_header("Retry-After", "30");
    let answers = [busy, Answer::unreachable("broken"), Answer::from("tea")];
    let run = run(order, "").answers("charge", answers).function("ship", echo);
    assert_eq!(run.result(), b"tea: shipped");
    let tries = run.calls().iter().take(3).map(|call| (call.tries(), call.at().as_millis())).collect::<Vec<_>>();
    assert_eq!(tries, [(1, 0), (2, 30_000), (3, 30_200)]);
    assert_eq!(run.took(), Duration::from_millis(30_200));
}

#[test]
fn when_the_tries_are_used_up_the_run_fails() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let node = workflow.dag().node("n").retry(Backoff::attempts(2).first_delay(60 * SECOND));
        node.apply("f").retry(Backoff::attempts(2));
        Ok(())
    };
    let run = run(define, "").answers("f", [Answer::new(500).with_body("busy\n")]);
    let failed = run.failure().unwrap();
    assert_eq!(
        (failed.code(), failed.kind(), failed.path(), failed.tries()),
        ("FF0207", FailureKind::Answered, "n", 2)
    );
    let message =
        "FF0207 at n: `f` answered with status 500: busy (the retry policy of the node ran out after 2 attempts)\n";
    let response = run.response().unwrap();
    assert_eq!((response.status(), text(response.body()).as_str()), (502, message));
    assert_eq!((run.calls().len(), run.state(), run.took().as_millis()), (4, State::Failed, 10_200));
}

#[test]
fn items_may_fail_as_often_as_tolerated() {
    let milk = |call: &Call| match call.body() {
        b"milk" => Answer::new(404).with_body("sold out"),
        _ => Answer::new(200),
    };
    let some = run(order, "").answers("charge", ["tea milk"]).function("ship", milk);
    assert_eq!(text(some.result()), "tea: shipped, milk: `ship` answered with status 404: sold out");
    let none = run(order, "").answers("charge", ["tea milk"]).answers("ship", [Answer::new(404)]);
    assert_eq!(none.failure().map(Failed::path), Some("paid[yes]/items[milk]/ship"));
    assert_eq!(none.logs(), [(Level::Info, "Failure".to_owned())]);
}

#[test]
fn joins_forwarders_and_dags_give_nodes_their_data() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let inner = Dag::new();
        inner.node("a").modify(appending("a"));
        inner.node("b").modify(appending("b"));
        inner.edge("a", "b");
        let dag = workflow.dag();
        dag.node("start");
        dag.sub_dag("S", &inner);
        dag.node("alone").modify(appending("!"));
        dag.node("end").aggregator(|inputs: Inputs| {
            Ok(inputs.iter().map(|(name, data)| format!("{name}={}", text(data))).collect::<Vec<_>>().join(","))
        });
        dag.edge("start", "S").forwarder(|data: Vec<u8>| Ok(data.to_ascii_uppercase()));
        dag.edge("start", "alone").execution();
        dag.edge("S", "end");
        dag.edge("alone", "end");
        Ok(())
    };
    let run = run(define, "x");
    assert_eq!(text(run.result()), "S=Xab,alone=!");
    assert_eq!(run.ran(), ["start", "S", "S/a", "S/b", "alone", "end"]);
}

#[test]
fn a_repeat_runs_until_its_closure_is_content() {
    let define = |workflow: &mut Workflow, context: &Context| {
        let rounds = workflow.dag().repeat("R", |data: Vec<u8>, _| Ok(data.len() < 3));
        let context = context.clone();
        rounds.dag().node("n").modify(move |data| Ok([text(&data).as_str(), &context.node()[2..3]].concat()));
        rounds.most(3).wait(HOUR);
        Ok(())
    };
    let counted = run(define, "");
    assert_eq!((counted.result(), counted.took()), (&b"123"[..], 2 * HOUR));
    let endless = |workflow: &mut Workflow, _: &Context| {
        let rounds = workflow.dag().repeat("R", |_: Vec<u8>, _| Ok(true));
        rounds.dag().node("n");
        rounds.most(2);
        Ok(())
    };
    let endless = run(endless, "");
    assert_eq!((code(&endless).as_str(), endless.ran().len()), ("FF0262", 3));
}

#[test]
fn sleeps_take_virtual_time_and_branches_sleep_at_the_same_time() {
    for (most, hours) in [(1, 6), (2, 4), (3, 3)] {
        let define = |workflow: &mut Workflow, _: &Context| {
            let each = workflow.dag().for_each("F", |_: Vec<u8>| Ok([("a", "1"), ("b", "2"), ("c", "3")]));
            each.dag().node("n").sleep_until(|data| Ok(Wake::after(HOUR * text(&data).parse::<u32>()?)));
            each.max_parallel(most);
            Ok(())
        };
        assert_eq!(run(define, "").took(), hours * HOUR, "{most}");
    }
    fn until(workflow: &mut Workflow, _: &Context) -> Result {
        workflow.dag().node("n").sleep_until(|data| Ok(Wake::at(text(&data))));
        Ok(())
    }
    assert_eq!(run(until, "2026-12-24T18:00:00+01:00").now("2026-12-24T16:00:00Z").took(), HOUR);
    for moment in ["soon", "2099-01-01T00:00:00Z"] {
        assert_eq!(code(&run(until, moment)), "FF0232", "{moment}");
    }
}

#[test]
fn a_wait_gets_its_signal_or_times_out() {
    fn define(workflow: &mut Workflow, _: &Context) -> Result {
        let wait = workflow.dag().node("n").wait_for("paid").timeout(60 * SECOND);
        wait.recover_from(|failed: Failed| Ok(failed.message().to_owned()));
        Ok(())
    }
    let paid = run(define, "").signal_after(30 * SECOND, "paid", "yes");
    assert_eq!((paid.result(), paid.took()), (&b"yes"[..], 30 * SECOND));
    for late in [run(define, ""), run(define, "").signal_after(HOUR, "paid", "yes")] {
        let message = "no signal `paid` came in 1 min: send it earlier, or give the wait a longer timeout";
        assert_eq!((text(late.result()).as_str(), late.took()), (message, 60 * SECOND));
    }
}

#[test]
fn items_wait_for_signals_of_their_own() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let each = workflow.dag().for_each("F", |_: Vec<u8>| Ok([("a", "pay-a"), ("b", "pay-b")]));
        each.dag().node("n").wait_for_named(|data: Vec<u8>| Ok(text(&data)));
        each.aggregator(|results: Inputs| Ok(results.values().map(text).collect::<Vec<_>>().join(" ")));
        Ok(())
    };
    let paid = run(define, "").signal("pay-b", "2").signal_after(HOUR, "pay-a", "1");
    assert_eq!((paid.result(), paid.took()), (&b"1 2"[..], HOUR));
}

#[test]
fn the_answer_of_a_call_or_the_body_of_a_signal_names_the_next_signal() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let named = |data: Vec<u8>| Ok(format!("signed-by-{}", text(&data)));
        let call = workflow.dag().node("n").apply("author");
        call.wait_for_named(named)
            .timeout(HOUR)
            .wait_for_named(named)
            .timeout(SECOND)
            .recover_from(|failed: Failed| Ok(format!("{}; {}", text(failed.input()), failed.message())));
        Ok(())
    };
    let author = |define| run(define, "").answers("author", ["ada"]).signal("signed-by-ada", "bob");
    assert_eq!(author(define).signal("signed-by-bob", "done").result(), b"done");
    let late = author(define);
    assert!(text(late.result()).starts_with("bob; no signal `signed-by-bob` came in 1 s"), "{}", text(late.result()));
}

#[test]
fn an_answer_that_takes_too_long_times_out() {
    fn define(workflow: &mut Workflow, _: &Context) -> Result {
        let node = workflow.dag().node("n").timeout(Duration::from_millis(2500));
        node.apply("f").timeout(SECOND).retry(Backoff::attempts(3).first_delay(SECOND).factor(1.0));
        Ok(())
    }
    let slow = |delay| Answer::new(200).with_delay(delay);
    let second = run(define, "").answers("f", [slow(60 * SECOND), slow(Duration::from_millis(400))]);
    assert_eq!((second.state(), second.took().as_millis()), (State::Succeeded, 2400));
    let late = run(define, "").answers("f", [slow(60 * SECOND)]);
    let status = late.response().map(faas_flow::Response::status);
    assert_eq!((code(&late).as_str(), late.took().as_millis(), status), ("FF0209", 2500, Some(504)));
    let deadline = |workflow: &mut Workflow, _: &Context| {
        workflow.deadline(HOUR);
        workflow.dag().node("n").sleep(2 * HOUR).recover_from(|_| Ok(""));
        Ok(())
    };
    let over = run(deadline, "");
    assert_eq!((code(&over).as_str(), over.took()), ("FF0210", HOUR));
}

#[test]
fn a_request_has_the_method_path_query_and_headers_of_the_flow() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let lines = workflow.dag().node("n").apply("wc/lines").method("PUT").query("a b", "1&2").query("a b", "3");
        let lines = lines.header("X-Team", "blue").prepare(|request| Ok(request.with_header("X-Try", "1")));
        lines.request("https://rates.example.com/v1/eur?day=1").method("GET");
        Ok(())
    };
    let run = run(define, "x").function("wc", echo).answers("https://rates.example.com", ["1.1"]);
    assert_eq!(run.result(), b"1.1");
    let [lines, rates] = run.calls() else { panic!("{:?}", run.calls()) };
    assert_eq!((lines.method(), lines.function(), lines.path().as_str()), ("PUT", "wc/lines", "/lines"));
    assert_eq!(lines.query("a b"), ["1&2", "3"]);
    assert_eq!((lines.header("x-team"), lines.header("x-try")), (Some("blue"), Some("1")));
    assert_eq!((rates.function(), rates.path().as_str()), ("https://rates.example.com/v1/eur", "/v1/eur"));
    assert_eq!(rates.query("day"), ["1"]);
}

#[test]
fn media_types_and_answers_go_with_the_data() {
    let define = |workflow: &mut Workflow, context: &Context| {
        let context = context.clone();
        let node = workflow.dag().node("n").modify_json(|value: serde_json::Value| Ok(value));
        node.apply("f").modify(move |_| {
            let seen = context.content_type();
            context.respond(201, &[("Location", "/7")])?;
            context.set_content_type("text/plain")?;
            Ok(seen)
        });
        Ok(())
    };
    let run = run(define, "{}").answers("f", [Answer::new(200).with_header("Content-Type", "text/csv")]);
    let response = run.response().unwrap();
    assert_eq!((run.result(), response.status()), (&b"text/csv"[..], 201));
    assert_eq!((response.header("location"), response.header("content-type")), (Some("/7"), Some("text/plain")));
    assert_eq!(run.calls()[0].header("content-type"), Some("application/json"));
}

#[test]
fn what_a_failed_attempt_has_set_is_dropped_and_what_another_node_has_set_is_seen() {
    let define = |workflow: &mut Workflow, context: &Context| {
        let dag = workflow.dag();
        let values = context.clone();
        dag.node("first").modify(move |data| {
            values.set("seen", &1)?;
            values.label("a", "1")?;
            Ok(data)
        });
        let values = context.clone();
        let second = dag.node("second").modify(move |_| -> Result<Vec<u8>> {
            let seen: u32 = values.get("seen")?.unwrap_or_default();
            values.set("seen", &2)?;
            values.label("a", "2")?;
            values.respond(500, &[])?;
            Err(Failure::retry(format!("it was {seen}")))
        });
        second.retry(Backoff::attempts(2)).recover_from(|failed: Failed| Ok(failed.message().to_owned()));
        dag.edge("first", "second");
        Ok(())
    };
    let run = run(define, "");
    assert_eq!(text(run.result()), "it was 1");
    assert_eq!(run.value::<u32>("seen"), Ok(Some(1)));
    assert_eq!(run.labels(), [("a".to_owned(), "1".to_owned())]);
    assert_eq!(run.response().map(faas_flow::Response::status), Some(200));
}

#[test]
fn dags_and_nodes_with_branches_catch_what_fails_inside() {
    let define = |workflow: &mut Workflow, _: &Context| {
        let caught = |place: &'static str| {
            move |failed: Failed| {
                let (input, body) = (text(failed.input()), text(failed.body().unwrap_or_default()));
                Ok(format!("{place} {} {input} {body}", failed.path()))
            }
        };
        let inner = Dag::new();
        inner.node("n").modify(appending("2")).apply("f");
        let dag = workflow.dag();
        dag.sub_dag("S", &inner);
        dag.recover_node("S", caught("node"));
        let branch = dag.condition("C", ["a"], |_: Vec<u8>| Ok(["a"])).branch("a");
        branch.node("n").apply("f");
        branch.recover_from(caught("dag"));
        dag.edge("S", "C");
        Ok(())
    };
    let run = run(define, "1").answers("f", [Answer::new(400).with_body("no")]);
    assert_eq!(text(run.result()), "dag C[a]/n node S/n 12 no no");
}

#[test]
fn a_reject_of_the_request_is_the_callers_fault() {
    fn refuse(_: Vec<u8>) -> Result<Vec<u8>> {
        Err(Failure::reject("no"))
    }
    let status = |run: &Run<'_>| run.response().map(faas_flow::Response::status);
    let inside = |workflow: &mut Workflow, _: &Context| {
        let inner = Dag::new();
        inner.node("n").modify(refuse);
        let dag = workflow.dag();
        dag.node("pass");
        dag.sub_dag("S", &inner);
        dag.edge("pass", "S");
        Ok(())
    };
    let refused = run(inside, "");
    assert_eq!((status(&refused), code(&refused).as_str()), (Some(422), "FF0012"));
    let later = |workflow: &mut Workflow, _: &Context| {
        workflow.dag().node("n").apply("f").modify(refuse);
        Ok(())
    };
    assert_eq!(status(&run(later, "").answers("f", [""])), Some(500));
    let said = |workflow: &mut Workflow, _: &Context| {
        let refuse = |_| -> Result<Vec<u8>> { Err(Failure::reject_with_status(409, "no")) };
        workflow.dag().node("n").apply("f").modify(refuse);
        Ok(())
    };
    assert_eq!(status(&run(said, "").answers("f", [""])), Some(409));
}

#[test]
fn the_failure_handler_gives_the_answer() {
    let define = |workflow: &mut Workflow, context: &Context| {
        let (failed, ended) = (context.clone(), context.clone());
        workflow.on_failure(move |failure: String| {
            failed.info(format!("{:?}", failed.state()));
            failed.respond(418, &[])?;
            Ok(format!("sorry: {failure}"))
        });
        workflow.finally(move |outcome| {
            ended.info(format!("{:?} {outcome:?}", ended.state()));
            Ok(())
        });
        workflow.sync_node().modify(|_| Err::<Vec<u8>, _>("no".into()));
        Ok(())
    };
    let run = run(define, "");
    let response = run.response().unwrap();
    assert_eq!((response.status(), text(response.body()).as_str()), (418, "sorry: FF0012 at sync: no"));
    let logs = run.logs().into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(logs, ["Failed", "Failed Failure"]);
}

#[test]
fn a_run_may_pause() {
    fn define(workflow: &mut Workflow, _: &Context) -> Result {
        workflow.on_exhausted(Exhausted::Pause);
        workflow.sync_node().apply("f");
        Ok(())
    }
    let paused = run(define, "").answers("f", [Answer::new(500)]);
    assert_eq!((paused.state(), code(&paused).as_str(), paused.response()), (State::Paused, "FF0207", None));
    assert_eq!(run(define, "").answers("f", [Answer::new(400)]).state(), State::Failed);
}

#[test]
fn a_condition_must_choose_branches_that_exist() {
    fn define(workflow: &mut Workflow, _: &Context) -> Result {
        let words = |data: Vec<u8>| Ok(text(&data).split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        workflow.dag().condition("C", ["a"], words).branch("a").node("n");
        Ok(())
    }
    for (data, expected) in [("", "FF0202"), ("b", "FF0201"), ("a a", "FF0203")] {
        assert_eq!(code(&run(define, data)), expected, "{data}");
    }
}

#[test]
fn the_fake_is_the_request_and_a_function_may_borrow_from_the_test() {
    let fake = Fake::new().query("day", "1").content_type("text/csv").request_id("r1").value("known", &[1]).unwrap();
    let define = |workflow: &mut Workflow, context: &Context| {
        let context = context.clone();
        let said = move |_| {
            let known: Vec<u32> = context.get("known")?.unwrap_or_default();
            Ok(format!("{:?} {} {known:?} {:?}", context.query("day"), context.content_type(), context.state()))
        };
        workflow.dag().node("n").modify(said).apply("f");
        Ok(())
    };
    let seen = RefCell::new(Vec::new());
    let run = run_with(&fake, define, "x").function("f", |call: &Call| {
        seen.borrow_mut().push(text(call.body()));
        "done"
    });
    assert_eq!(run.result(), b"done");
    assert_eq!(*seen.borrow(), [r#"["1"] text/csv [1] Running"#]);
    assert_eq!(run.calls()[0].header("X-Faas-Flow-Reqid"), Some("r1"));
    assert_eq!(fake.context().content_type(), "text/csv");
}
