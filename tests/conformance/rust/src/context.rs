//! Each function of the context.

use crate::{join, state, text};
use faas_flow::{Context, Result, Workflow};
use std::time::Duration;

pub fn define(case: &str, workflow: &mut Workflow, context: &Context) -> bool {
    let dag = workflow.dag();
    let context = context.clone();
    match case {
        "facts" => {
            dag.node("n").modify(move |_| {
                let (run, flow, node) = (context.request_id(), context.flow_name(), context.node());
                let (query, none) = (context.query("a b").join(","), context.query("none").len());
                let (team, hidden) = (context.header("x-team").join(","), context.header("authorization").len());
                let state = state(&context);
                Ok(format!("{run} {flow} {node} {state} query {query} {none} header {team} {hidden}"))
            });
        }
        "facts-in-define" => {
            // The definition itself depends on the request.
            let (id, times) = (context.query("id").concat(), context.header("x-times").concat());
            dag.node(&id).sleep(Duration::from_secs(times.parse().unwrap_or_default()));
        }
        "values" => {
            let (setter, other) = (context.clone(), context.clone());
            dag.node("set").modify(move |data| {
                setter.set_bytes("kept", data.clone())?;
                setter.set_bytes("empty", "")?;
                setter.set_bytes("dropped", data)?;
                let own = setter.get_bytes("kept")?.unwrap_or_default();
                Ok(own)
            });
            dag.node("drop").modify(move |data| {
                other.delete("dropped")?;
                other.delete("never")?;
                Ok(data)
            });
            dag.node("get").modify(move |_| {
                let shown = |key: &str| -> Result<String> {
                    Ok(context.get_bytes(key)?.map_or("none".to_owned(), |value| format!("<{}>", text(&value))))
                };
                Ok([shown("kept")?, shown("empty")?, shown("dropped")?, shown("never")?].join(" "))
            });
            dag.edge("set", "drop");
            dag.edge("drop", "get");
        }
        "json" => {
            dag.node("n").modify_json(|numbers: Vec<u32>| Ok(numbers.iter().sum::<u32>()));
            dag.node("m").modify(move |data| Ok(format!("{} as {}", text(&data), context.content_type())));
            dag.edge("n", "m");
        }
        "inputs" => {
            dag.node("first");
            for side in ["left", "right"] {
                let context = context.clone();
                dag.node(side).modify(move |data| {
                    context.set_content_type(format!("text/{side}"))?;
                    Ok([&data, side.as_bytes()].concat())
                });
                dag.edge("first", side);
                dag.edge(side, "last");
            }
            dag.edge("first", "last");
            dag.node("last").modify(move |data| {
                let (inputs, types) = (join(context.inputs())?, context.content_types().join(", "));
                Ok(format!("{} bytes, {}, {types}", data.len(), text(&inputs)))
            });
        }
        "content-types" => {
            let (setter, joiner) = (context.clone(), context.clone());
            dag.node("n").modify(move |_| {
                let got = setter.content_type();
                setter.set_content_type("text/html; charset=utf-8")?;
                Ok(got)
            });
            dag.node("m").aggregator(move |inputs| {
                let (own, types) = (joiner.content_type(), joiner.content_types().join(", "));
                joiner.set_content_type("text/csv")?;
                Ok(format!("{}|{own}|{types}", text(&inputs.concat())))
            });
            dag.node("last").modify(move |data| Ok(format!("{}|{}", text(&data), context.content_type())));
            dag.edge("n", "m");
            dag.edge("m", "last");
        }
        "respond" => {
            dag.node("n").modify(move |data| {
                context.respond(201, &[("Location", "/orders/7"), ("X-Order", "7")])?;
                Ok(data)
            });
        }
        "labels" => {
            dag.node("n").modify(move |data| {
                context.label("order", "41")?;
                context.label("order", &text(&data))?;
                context.label("by/n", "\u{fc}")?;
                Ok(data)
            });
        }
        "signal-url" => {
            dag.node("n").modify(move |_| {
                let (week, hour) =
                    (context.signal_url("approval")?, context.signal_url_for("paid", Duration::from_secs(3600))?);
                Ok(format!("{} {}", cut(&week), cut(&hour)))
            });
        }
        "log" => {
            dag.node("n").modify(move |data| {
                let line = text(&data);
                context.debug(format!("debug {line}"));
                context.info(format!("info {line}"));
                context.warn(format!("warn {line}"));
                context.error(format!("error {line}"));
                Ok(data)
            });
        }
        "refused-content-type" => {
            drop(dag.node("n").modify(move |data| context.set_content_type("text").map(|()| data)))
        }
        "refused-answer" => drop(dag.node("n").modify(move |data| context.respond(99, &[]).map(|()| data))),
        "refused-label" => drop(dag.node("n").modify(move |data| context.label("no key", "").map(|()| data))),
        "refused-value" => drop(dag.node("n").modify(move |data| context.set_bytes("", "").map(|()| data))),
        "refused-signal" => drop(dag.node("n").modify(move |_| context.signal_url("no name"))),
        _ => return false,
    }
    true
}

/// An address without what is signed in it.
fn cut(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}
