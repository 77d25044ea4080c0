//! Calls of functions and URLs: their options, what goes out and comes back, retries, and failures that are caught.

use crate::{add, join, kind, picky, refuse, shown, text, words};
use faas_flow::{Backoff, Dag, Failure, Gathered, Request, Response, Workflow};
use std::time::Duration;

pub fn define(case: &str, workflow: &mut Workflow) -> bool {
    let dag = workflow.dag();
    let second = Duration::from_secs(1);
    let thrice = Backoff::attempts(3).first_delay(Duration::from_secs(10)).factor(1.5).max_delay(12 * second);
    match case {
        "call" => drop(dag.node("n").apply("step")),
        "call-options" => {
            let call = dag.node("n").apply("env/deeper/path").method("PUT").query("q", "a b&c").query("q", "2");
            call.header("X-One", "1").header("X-Two", "caf\u{e9}");
        }
        "request" => {
            drop(dag.node("n").request("https://rates.example.com/today").method("PATCH").timeout(30 * second))
        }
        "prepare" => drop(dag.node("n").apply("env").header("X-Gone", "1").header("X-Kept", "2").prepare(prepared)),
        "receive" => drop(dag.node("n").apply("step").receive(received).retry(thrice)),
        "retry" => drop(dag.node("n").apply("step").retry(thrice)),
        "retry-on" => drop(dag.node("n").apply("step").retry(thrice).retry_on(&[404, 409])),
        "timeout" => drop(dag.node("n").apply("step").timeout(2 * second)),
        "asynchronous" => drop(dag.node("n").apply("train").asynchronous().timeout(7200 * second).modify(add("!"))),
        "recover" => drop(dag.node("n").apply("step").recover(|failure| Ok(format!("instead of: {failure}")))),
        "recover-from" => drop(dag.node("n").apply("step").retry(thrice).recover_from(shown)),
        "recover-from-unreachable" => drop(dag.node("n").apply("step").recover_from(shown)),
        "recover-otherwise" => {
            dag.node("n").apply("step").recover_from(|_| Err::<Vec<u8>, _>(Failure::reject("even worse")));
        }
        "node-retry" => {
            let node = dag.node("n").modify(add(" once"));
            node.apply("step");
            node.retry(thrice).timeout(60 * second);
        }
        "node-timeout" => {
            let node = dag.node("n");
            node.apply("step");
            node.timeout(5 * second);
        }
        "node-recover" => drop(dag.node("n").modify(refuse).recover_from(shown)),
        "recover-node" => {
            dag.sub_dag("S", &failing());
            dag.recover_node("S", shown);
            dag.node("after").modify(add(" after"));
            dag.edge("S", "after");
        }
        "recover-dag" => {
            let inner = failing();
            inner.recover_from(shown);
            dag.sub_dag("S", &inner);
        }
        "recover-flow" => {
            dag.node("n").modify(refuse);
            dag.recover_from(shown);
        }
        "recover-branch-and-items" => {
            let way = dag.condition("C", ["a", "b"], |_| Ok(["a", "b"])).aggregator(join);
            way.branch("a").node("n").modify(refuse);
            way.branch("a").recover_from(|failed| Ok(format!("caught at {}", failed.path())));
            let items = way.branch("b").for_each("F", words).aggregator(join);
            items.dag().node("n").modify(picky);
            items.dag().recover_from(|failed| Ok(format!("instead of {}", text(failed.input()))));
        }
        "tolerate" => {
            let items = dag.for_each("F", words).aggregator(join).tolerate(1);
            items.dag().node("n").modify(picky);
        }
        "tolerate-share" => {
            let items = dag.for_each("F", words).tolerate_share(0.5).gather(gathered);
            items.dag().node("n").modify(picky);
        }
        "tolerate-too-many" => {
            let items = dag.for_each("F", words).tolerate(1).gather(gathered);
            items.dag().node("n").modify(picky);
            dag.recover_node("F", |failed| Ok(format!("{} at {}", kind(&failed), failed.path())));
        }
        _ => return false,
    }
    true
}

fn failing() -> Dag {
    let inner = Dag::new();
    inner.node("a").modify(add(" a"));
    inner.node("b").modify(refuse);
    inner.edge("a", "b");
    inner
}

fn prepared(request: Request) -> faas_flow::Result<Request> {
    let body = [request.body(), request.header("x-kept").unwrap_or_default().as_bytes(), b" prepared"].concat();
    let method = if request.method() == "POST" { "PUT" } else { "POST" };
    let url = format!("{}/further?q=1", request.url());
    let request = request.with_method(method).with_url(url).with_header("X-Added", "3").without_header("x-gone");
    Ok(request.with_body(body))
}

/// A response with the status 202 is not the last one, and every other one is.
fn received(response: Response) -> faas_flow::Result<String> {
    match response.status() {
        202 => Err(Failure::retry("not yet")),
        status => Ok(format!("{status} {}: {}", response.header("X-Answer").unwrap_or("none"), text(response.body()))),
    }
}

fn gathered(items: Vec<Gathered>) -> faas_flow::Result<String> {
    let line = |item: Gathered| match item.ended {
        Ok(data) => format!("{}={}", item.key, text(&data)),
        Err(failed) => format!("{}: {} {}", item.key, failed.code(), failed.message()),
    };
    Ok(items.into_iter().map(line).collect::<Vec<_>>().join("; "))
}
