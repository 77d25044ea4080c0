//! Every construct in one run. The flow is that of `tests/fixture-python`, for which the end-to-end tests expect the same of the
//! host.

use faas_flow::testing::{Answer, Call, run};
use faas_flow::{
    Backoff, Context, Dag, Failed, Failure, FailureKind, Gathered, Inputs, Level, Limit, Result, Wake, Workflow,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Order {
    id: u32,
}

const RESULT: [&str; 7] = [
    "call=answered",
    "wait=timed-out",
    "S=left=TIMED-OUTl,right=refused",
    "C=c=caught rejected at C[c]/n,a/b=C[a%2Fb]/n",
    "F=x:ok,y:rejected,z:ok",
    "refuse=x:ok,y:rejected,z:ok+++",
    "N=",
];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn appending(suffix: &'static str) -> impl Fn(Vec<u8>) -> Result<Vec<u8>> {
    move |data| Ok([&*data, suffix.as_bytes()].concat())
}

fn refuse(_: Vec<u8>) -> Result<Vec<u8>> {
    Err(Failure::reject("refused"))
}

fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Rejected => "rejected",
        FailureKind::Answered => "answered",
        FailureKind::TimedOut => "timed-out",
        _ => "other",
    }
}

fn kind(failed: Failed) -> Result<&'static str> {
    Ok(word(failed.kind()))
}

fn joined(separator: &'static str) -> impl Fn(Inputs) -> Result<String> {
    move |inputs| {
        let parts = inputs.iter().map(|(name, value)| format!("{name}={}", text(value)));
        Ok(parts.collect::<Vec<_>>().join(separator))
    }
}

fn define(workflow: &mut Workflow, context: &Context) -> Result {
    let dag = workflow.dag();
    let values = context.clone();
    let begin = dag.node("call").retry(Backoff::attempts(2)).timeout(ms(30_000));
    let begin = begin.limit(Limit::new("nodes").concurrent(3)).modify_json(move |order: Order| {
        values.set("order", &order)?;
        values.label("order", &order.id.to_string())?;
        Ok(serde_json::json!({ "id": order.id, "path": values.node() }))
    });
    let retry = Backoff::attempts(3).first_delay(ms(10));
    let limit = Limit::new("calls").concurrent(5).per_second(1000.0).key(|data: Vec<u8>| Ok(text(&data)));
    let call = begin.apply("echo").method("POST").header("x-a", "1").query("q", "a b").timeout(ms(10_000)).retry(retry);
    let call = call.retry_on(&[503]).limit(limit).prepare(|request| {
        let body = [request.body(), b"!"].concat();
        Ok(request.with_header("x-b", "2").with_body(body))
    });
    let call = call.receive(|response| Ok(format!("{}:{}", response.status(), text(response.body()))));
    call.apply("missing").recover(|_| Ok("recovered")).apply("missing").recover_from(kind);

    let wait = dag.node("wait").sleep(ms(10)).sleep_until(|_| Ok(Wake::after(ms(5))));
    wait.wait_for("never").timeout(ms(10)).recover_from(kind);
    let named = wait.wait_for_named(|data: Vec<u8>| Ok(format!("never-{}", text(&data))));
    named.timeout(ms(10)).recover_from(|failed: Failed| Ok(failed.into_input()));
    dag.edge("call", "wait").forwarder(|data: Vec<u8>| Ok(data.into_iter().take(2).collect::<Vec<_>>()));

    let inner = Dag::new();
    inner.node("start").modify(|data| Ok(data.to_ascii_uppercase()));
    inner.node("left").modify(appending("l"));
    inner.node("right").modify(refuse).recover_from(|failed: Failed| Ok(failed.message().to_owned()));
    inner.edge("start", "left");
    inner.edge("start", "right");
    inner.end_aggregator(joined(","));
    dag.sub_dag("S", &inner);
    dag.edge("wait", "S");

    let choice = dag.condition("C", ["a/b", "c"], |_: Vec<u8>| Ok(["c", "a/b"]));
    choice.aggregator(joined(",")).max_parallel(1);
    let node = context.clone();
    choice.branch("a/b").node("n").modify(move |_| Ok(node.node()));
    choice.branch("c").node("n").modify(refuse);
    choice
        .branch("c")
        .recover_from(|failed: Failed| Ok(format!("caught {} at {}", word(failed.kind()), failed.path())));
    dag.input_aggregator("C", |inputs: Inputs| Ok(inputs.concat()));
    dag.edge("S", "C");

    let items = dag.for_each("F", |_: Vec<u8>| Ok(["x", "y", "z"].map(|key| (key, key))));
    items.tolerate_share(0.4).gather(|items: Vec<Gathered>| {
        let part = |item: &Gathered| {
            let how = item.ended.as_ref().map_or_else(|failed| word(failed.kind()), |_| "ok");
            format!("{}:{how}", item.key)
        };
        Ok(items.iter().map(part).collect::<Vec<_>>().join(","))
    });
    items.dag().node("n").modify(|data| if data == b"y" { refuse(data) } else { Ok(data) });
    dag.edge("C", "F").execution();

    let rounds = dag.repeat("R", |_: Vec<u8>, round| Ok(round < 3));
    rounds.dag().node("n").modify(appending("+"));
    rounds.most(5).wait(ms(10));
    dag.edge("F", "R");

    dag.node("refuse").modify(refuse);
    dag.recover_node("refuse", |failed: Failed| Ok(failed.into_input()));
    dag.edge("R", "refuse");

    let nothing = dag.for_each("N", |data: Vec<u8>| Ok([("only", data)]));
    nothing.execution().dag().node("n");
    dag.edge("refuse", "N");

    let answer = context.clone();
    dag.node("end").aggregator(move |inputs: Inputs| {
        let order: Order = answer.get("order")?.ok_or("there is no order")?;
        answer.respond(201, &[("X-Order", &order.id.to_string())])?;
        joined("|")(inputs)
    });
    for last in ["call", "wait", "S", "C", "F", "refuse", "N"] {
        dag.edge(last, "end");
    }
    let log = context.clone();
    workflow.finally(move |outcome| {
        log.info(format!("ended: {outcome:?}"));
        Ok(())
    });
    workflow.on_failure(|failure: String| Ok(format!("sorry: {failure}")));
    workflow.deadline(ms(300_000));
    Ok(())
}

#[test]
fn every_construct_means_what_it_means_on_the_host() {
    let echo = |call: &Call| call.body().to_vec();
    let run = run(define, r#"{"id": 7}"#).function("echo", echo).answers("missing", [Answer::new(404)]);
    assert_eq!(text(run.result()), RESULT.join("|"));
    let response = run.response().unwrap();
    assert_eq!((response.status(), response.header("x-order")), (201, Some("7")));
    assert_eq!(run.labels(), [("order".to_owned(), "7".to_owned())]);
    let echo = run.calls()[0].request();
    assert_eq!(
        (echo.url(), text(echo.body()).as_str()),
        ("http://function/echo?q=a%20b", r#"{"id":7,"path":"call"}!"#)
    );
    assert_eq!(
        echo.headers().collect::<Vec<_>>(),
        [
            ("x-a", "1"),
            ("Content-Type", "application/json"),
            ("X-Faas-Flow-Idempotency-Key", "test/call/1"),
            ("X-Faas-Flow-Reqid", "test"),
            ("x-b", "2"),
        ]
    );
    // 10 ms and 5 ms of sleep, twice 10 ms for signals, and twice 10 ms between rounds.
    assert_eq!(run.took(), ms(55));
    assert_eq!(run.logs(), [(Level::Info, "ended: Success".to_owned())]);
}
