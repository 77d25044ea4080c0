//! What a definition consists of: nodes, edges, dags within dags, waits, limits and what belongs to the whole flow.

use crate::{add, join, kind, refuse, state, text, words};
use faas_flow::{Context, Dag, Exhausted, Limit, Missed, Outcome, Overlap, Wake, Workflow};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

pub fn define(case: &str, workflow: &mut Workflow, context: &Context) -> bool {
    let dag = workflow.dag();
    match case {
        "operations" => drop(dag.node("n").modify(add(" a")).apply("echo").modify(add(" b")).modify(add(" c"))),
        "no-operations" => drop(dag.node("n")),
        "node-aggregator" => {
            diamond(&dag);
            dag.node("last").aggregator(join).modify(add(" last"));
        }
        "input-aggregator" => {
            diamond(&dag);
            let inner = Dag::new();
            inner.node("n").modify(add(" n"));
            dag.sub_dag("last", &inner);
            dag.input_aggregator("last", join);
        }
        "end-aggregator" => {
            two_ends(&dag);
            dag.end_aggregator(join);
        }
        "two-ends" => two_ends(&dag),
        "execution-edge" => {
            dag.node("a").modify(add(" a"));
            dag.node("b").modify(add("b"));
            dag.edge("a", "b").execution();
        }
        "forwarder" => {
            dag.node("a").modify(add(" a"));
            dag.node("b").modify(add(" b"));
            dag.edge("a", "b").forwarder(add(" forwarded"));
        }
        "sub-dag" => {
            dag.sub_dag("S", &chain(&["a", "b"]));
            dag.node("after").modify(add(" after"));
            dag.edge("S", "after");
        }
        "nested-sub-dags" => {
            // The same dag at two places, one of which is inside another.
            let (same, outer) = (chain(&["a", "b"]), Dag::new());
            outer.sub_dag("inner", &same);
            dag.sub_dag("outer", &outer);
            dag.sub_dag("again", &same);
            dag.edge("outer", "again");
        }
        "append" => {
            let more = chain(&["b", "c"]);
            dag.node("a").modify(add(" a"));
            dag.append(&more);
            dag.edge("a", "b");
        }
        "set-dag" => {
            dag.node("forgotten");
            workflow.set_dag(&chain(&["a", "b"]));
        }
        "condition" => {
            let way = dag.condition("C", ["yes", "no"], |data| Ok([text(&data)]));
            way.branch("yes").node("n").modify(add(" taken"));
            way.branch("no").node("n").modify(add(" refused"));
            dag.node("after").modify(add(" after"));
            dag.edge("C", "after");
        }
        "condition-of-several" => {
            let ways = dag.condition("C", ["a", "b", "c"], |_| Ok(["c", "a"])).aggregator(join).max_parallel(1);
            for key in ["a", "b", "c"] {
                ways.branch(key).node("n").modify(add(" way"));
            }
        }
        "condition-with-execution" => {
            let ways = dag.condition("C", ["a", "b"], |_| Ok(["a", "b"])).execution();
            ways.branch("a").node("n").apply("echo");
            ways.branch("b").node("n").modify(add("b")).apply("echo");
        }
        "for-each" => {
            let items = dag.for_each("F", words).aggregator(join).max_parallel(2);
            items.dag().node("n").modify(add("!"));
        }
        "for-each-with-execution" => {
            let items = dag.for_each("F", words).execution();
            items.dag().node("n").modify(add("item")).apply("echo");
            dag.node("after").modify(add("after"));
            dag.edge("F", "after");
        }
        "for-each-of-nothing" => {
            dag.for_each("F", |_| Ok(Vec::<(String, String)>::new())).aggregator(join).dag().node("n");
            dag.node("after").modify(add("after"));
            dag.edge("F", "after");
        }
        "for-each-in-a-branch" => {
            let way = dag.condition("C", ["only"], |_| Ok(["only"]));
            let items = way.branch("only").for_each("F", words).aggregator(join);
            let inner = items.dag().for_each("G", |data| Ok([("x", data.clone()), ("y", data)])).aggregator(join);
            inner.dag().node("n").modify(add("."));
        }
        "repeat" => {
            let rounds = dag.repeat("R", |_, round| Ok(round < 3)).most(5).wait(Duration::from_secs(60));
            rounds.dag().node("n").modify(add("+"));
        }
        "repeat-too-often" => drop(dag.repeat("R", |_, _| Ok(true)).most(2).dag().node("n").apply("echo")),
        "sleep" => drop(dag.node("n").modify(add(" before")).sleep(HOUR).modify(add(" after"))),
        "sleep-until" => {
            dag.node("n").sleep_until(|data| Ok(Wake::at(text(&data)))).modify(add(" at"));
            dag.node("m").sleep_until(|_| Ok(Wake::after(Duration::from_millis(1500)))).modify(add(" after"));
            dag.edge("n", "m");
        }
        "wait-for" => drop(dag.node("n").modify(add(" before")).wait_for("approval").modify(add(" after"))),
        "wait-for-named" => {
            let items = dag.for_each("F", words).aggregator(join);
            items.dag().node("n").wait_for_named(|item| Ok(format!("signed-by-{}", text(&item))));
        }
        "wait-timeout" => {
            let wait = dag.node("n").wait_for("never").timeout(48 * HOUR);
            wait.recover_from(|failed| Ok(format!("{} of {}", kind(&failed), text(failed.input()))));
        }
        "limits" => {
            let by_data = Limit::new("calls").concurrent(2).per_second(2.5).key(|data| Ok(text(&data)));
            dag.node("n")
                .limit(Limit::new("nodes").concurrent(1))
                .modify(add("n"))
                .apply("echo")
                .limit(by_data.clone());
            dag.node("m").limit(by_data).modify(add(" m"));
            dag.edge("n", "m");
        }
        "schedules" => {
            dag.node("n");
            let nightly = workflow.schedule("nightly", "0 30 2 * * *").time_zone("Europe/Berlin");
            nightly.missed(Missed::One).overlap(Overlap::Queue).input("{}", "application/json");
            workflow.schedule("poll", "every 10m").missed(Missed::All).overlap(Overlap::Replace).input(vec![0xff], "");
            workflow.schedule("daily", "@daily").missed(Missed::Skip).overlap(Overlap::Allow);
        }
        "deadline" => {
            dag.node("n").sleep(HOUR);
            workflow.deadline(Duration::from_secs(90));
        }
        "on-exhausted" => {
            dag.node("n").apply("step");
            workflow.on_exhausted(Exhausted::Pause);
        }
        "on-failure" => {
            dag.node("n").modify(refuse);
            let (failed, ended) = (context.clone(), context.clone());
            workflow.on_failure(move |failure| {
                failed.info(format!("{} with {failure}", state(&failed)));
                Ok("sorry")
            });
            workflow.finally(move |outcome| {
                let outcome = if outcome == Outcome::Success { "success" } else { "failure" };
                ended.info(format!("{outcome}, {}", state(&ended)));
                Ok(())
            });
        }
        "finally" => {
            dag.node("n").modify(add("!"));
            let context = context.clone();
            workflow.finally(move |outcome| {
                let ended = if outcome == Outcome::Success { "well" } else { "badly" };
                context.info(format!("ended {ended}, {}", state(&context)));
                Ok(())
            });
        }
        _ => return false,
    }
    true
}

/// A node before two others, which are before the node `last`.
fn diamond(dag: &Dag) {
    dag.node("first").modify(add("!"));
    for side in ["left", "right"] {
        dag.node(side).modify(add(side));
        dag.edge("first", side);
        dag.edge(side, "last");
    }
}

/// A node before two others, with which the dag ends.
fn two_ends(dag: &Dag) {
    dag.node("first");
    for end in ["b", "a"] {
        dag.node(end).modify(add(end));
        dag.edge("first", end);
    }
}

/// Two nodes, one after the other.
fn chain(ids: &[&'static str; 2]) -> Dag {
    let [first, last] = *ids;
    let dag = Dag::new();
    for id in [first, last] {
        dag.node(id).modify(add(id));
    }
    dag.edge(first, last);
    dag
}
