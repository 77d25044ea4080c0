//! What becomes of a failure of the flow's own code.

use crate::{add, refuse, shown, text};
use faas_flow::{Backoff, Context, Dag, Failure, Limit, Result, Workflow};
use std::time::Duration;

/// The kinds of functions that fail in the case `each-kind`.
const KINDS: [&str; 14] = [
    "modify",
    "aggregate",
    "condition",
    "for-each",
    "forward",
    "prepare",
    "receive",
    "recover",
    "recover-from",
    "gather",
    "again",
    "moment",
    "signal-name",
    "key",
];

pub fn define(case: &str, workflow: &mut Workflow, context: &Context) -> bool {
    let dag = workflow.dag();
    let context = context.clone();
    match case {
        "reject" => drop(dag.node("n").modify(refuse)),
        "reject-with-status" => {
            dag.node("n").modify(|_| Err::<Vec<u8>, _>(Failure::reject_with_status(404, "there is no such order")));
        }
        "retry-of-the-node" => {
            let retry = Backoff::attempts(3).first_delay(Duration::from_secs(10));
            dag.node("n")
                .modify(|data| Err::<Vec<u8>, _>(Failure::retry(format!("not now: {}", text(&data)))))
                .retry(retry);
        }
        "retry-without-a-policy" => drop(dag.node("n").modify(|_| Err::<Vec<u8>, _>(Failure::retry("not now")))),
        "crash" => drop(dag.node("n").modify(crash)),
        "crash-that-is-caught" => {
            dag.node("n").modify(crash);
            dag.recover_node("n", |failed| Ok(format!("{} at {}", text(failed.input()), failed.path())));
            dag.node("after").modify(add(" after"));
            dag.edge("n", "after");
        }
        "dropped-values" => {
            let setter = context.clone();
            dag.node("n").modify(move |_| {
                setter.set_bytes("set", "by a node that fails")?;
                setter.label("set", "by a node that fails")?;
                Err::<Vec<u8>, _>(Failure::reject("too late"))
            });
            dag.recover_node("n", shown);
            dag.node("get").modify(move |data| {
                let value = context.get_bytes("set")?;
                Ok(format!("{}; {}", text(&data), if value.is_some() { "set" } else { "not set" }))
            });
            dag.edge("n", "get");
        }
        "each-kind" => {
            let kinds = dag.condition("kind", KINDS, |data| Ok([text(&data)]));
            for kind in KINDS {
                fails(kind, &kinds.branch(kind));
            }
        }
        _ => return false,
    }
    true
}

#[allow(clippy::panic, reason = "the case is a crash")]
fn crash(_: Vec<u8>) -> Result<Vec<u8>> {
    panic!("on purpose")
}

/// Adds a node of which the function of this kind fails.
fn fails(kind: &'static str, dag: &Dag) {
    fn no<T>(kind: &'static str) -> Result<T> {
        Err(Failure::reject(format!("{kind} fails")))
    }
    match kind {
        "modify" => drop(dag.node("n").modify(move |_| no::<Vec<u8>>(kind))),
        "aggregate" => drop(dag.node("n").aggregator(move |_| no::<Vec<u8>>(kind))),
        "condition" => drop(dag.condition("n", ["a"], move |_| no::<[&str; 1]>(kind)).branch("a").node("n")),
        "for-each" => drop(dag.for_each("n", move |_| no::<[(&str, &str); 1]>(kind)).dag().node("n")),
        "forward" => {
            dag.node("first");
            dag.node("n");
            dag.edge("first", "n").forwarder(move |_| no::<Vec<u8>>(kind));
        }
        "prepare" => drop(dag.node("n").apply("echo").prepare(move |_| no(kind))),
        "receive" => drop(dag.node("n").apply("echo").receive(move |_| no::<Vec<u8>>(kind))),
        "recover" => drop(dag.node("n").apply("gone").recover(move |_| no::<Vec<u8>>(kind))),
        "recover-from" => drop(dag.node("n").apply("gone").recover_from(move |_| no::<Vec<u8>>(kind))),
        "gather" => {
            let items = dag.for_each("n", |data| Ok([("x", data)])).tolerate(1).gather(move |_| no::<Vec<u8>>(kind));
            items.dag().node("n").modify(refuse);
        }
        "again" => drop(dag.repeat("n", move |_, _| no(kind)).dag().node("n")),
        "moment" => drop(dag.node("n").sleep_until(move |_| no(kind))),
        "signal-name" => drop(dag.node("n").wait_for_named(move |_| no(kind))),
        _ => drop(dag.node("n").limit(Limit::new("l").concurrent(1).key(move |_| no::<String>(kind)))),
    }
}
