//! What data may be: unicode, all bytes, nothing, much, and many.

use crate::{add, join, text, words};
use faas_flow::{Context, Dag, Result, Workflow};

pub fn define(case: &str, workflow: &mut Workflow, context: &Context) -> bool {
    let dag = workflow.dag();
    let context = context.clone();
    match case {
        "unicode" => {
            let setter = context.clone();
            dag.node("n").modify(add(" \u{fc} \u{1f600} e\u{301} \u{fffd}")).apply("echo").modify(move |data| {
                setter.set_bytes("\u{fc} \u{1f600}", data)?;
                setter.info("logged: \u{fc} \u{1f600}");
                Ok("")
            });
            dag.node("m").modify(move |_| Ok(context.get_bytes("\u{fc} \u{1f600}")?.unwrap_or_default()));
            dag.edge("n", "m");
        }
        "unicode-keys" => {
            let keys = ["\u{fc}", "\u{1f600}", "a/b %[]", "plain"];
            let ways = dag.condition("C", keys, |data| Ok([text(&data)]));
            for key in keys {
                let context = context.clone();
                ways.branch(key).node("n").modify(move |data| Ok(format!("{} {}", text(&data), context.node())));
            }
        }
        "unicode-items" => {
            let items = dag.for_each("F", words).aggregator(join);
            items.dag().node("n").modify(move |_| Ok(context.node()));
        }
        "long-ids" => {
            // The ids of functions would be longer than they may be.
            let (node, key) = ("n".repeat(64), "\u{fc}".repeat(64));
            let chosen = key.clone();
            let ways = dag.condition(&node, [&key], move |_| Ok([chosen.clone()])).aggregator(join);
            ways.branch(&key).node(&node).apply("echo").receive(|response| Ok(response.into_body())).modify(add(" n"));
        }
        "binary" => through_all(&dag, context),
        "empty" => through_all(&dag, context),
        "large" => {
            dag.node("make").modify(|data| Ok(data.repeat(16 * 1024 * 1024 / data.len().max(1))));
            dag.node("call").apply("echo").modify(add("!"));
            dag.node("sum").modify(digest);
            dag.edge("make", "call");
            dag.edge("call", "sum");
        }
        "thousand-items" => {
            let items =
                dag.for_each("F", |_| Ok((0..1000).map(|n| (format!("k{n}"), n.to_string())).collect::<Vec<_>>()));
            items.aggregator(|results| digest(join(results)?)).dag().node("n").modify(add("!"));
        }
        "deep" => {
            let mut outer = dag;
            for _ in 0..28 {
                let inner = Dag::new();
                outer.sub_dag("S", &inner);
                outer = inner;
            }
            outer.node("n").modify(move |data| Ok(format!("{} {}", text(&data), context.node().len())));
        }
        "long-chain" => {
            let ids: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
            for id in &ids {
                dag.node(id).modify(add("."));
            }
            for (from, to) in ids.iter().zip(ids.iter().skip(1)) {
                dag.edge(from, to);
            }
        }
        _ => return false,
    }
    true
}

/// Data goes through a call, a value, an item, an edge and an aggregator.
fn through_all(dag: &Dag, context: Context) {
    let setter = context.clone();
    dag.node("call").apply("echo").receive(|response| Ok(response.into_body()));
    dag.node("set").modify(move |data| setter.set_bytes("value", data).map(|()| "none"));
    let items = dag.for_each("F", move |_| Ok([("only", context.get_bytes("value")?.unwrap_or_default())]));
    items.aggregator(|results| Ok(results.concat())).dag().node("n").modify(Ok);
    dag.node("forwarded").modify(digest);
    dag.edge("call", "set");
    dag.edge("set", "F");
    dag.edge("F", "forwarded").forwarder(|data| Ok(data.into_iter().rev().collect::<Vec<u8>>()));
}

/// How many bytes there are, and the FNV-1a hash of about a thousand of them.
fn digest(data: Vec<u8>) -> Result<String> {
    let step = data.len() / 1000 + 1;
    let hash = data
        .iter()
        .step_by(step)
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    Ok(format!("{} {hash:08x}", data.len()))
}
