// What a definition consists of: nodes, edges, dags within dags, waits, limits and what belongs to the whole flow.

import { Dag, type Data, type Limit } from "faas-flow";
import { add, join, refuse, words, type Cases } from "./parts.ts";

/** A node before two others, which are before the node `last`. */
function diamond(dag: Dag): void {
  dag.node("first").modify(add("!"));
  for (const side of ["left", "right"]) {
    dag.node(side).modify(add(side));
    dag.edge("first", side);
    dag.edge(side, "last");
  }
}

/** A node before two others, with which the dag ends. */
function twoEnds(dag: Dag): void {
  dag.node("first");
  for (const end of ["b", "a"]) {
    dag.node(end).modify(add(end));
    dag.edge("first", end);
  }
}

/** Two nodes, one after the other. */
function chain(first: string, last: string): Dag {
  const dag = new Dag();
  for (const id of [first, last]) dag.node(id).modify(add(id));
  dag.edge(first, last);
  return dag;
}

export const constructs: Cases = {
  operations: (dag) => dag.node("n").modify(add(" a")).apply("echo").modify(add(" b")).modify(add(" c")),
  "no-operations": (dag) => dag.node("n"),
  "node-aggregator"(dag) {
    diamond(dag);
    dag.node("last").aggregator(join).modify(add(" last"));
  },
  "input-aggregator"(dag) {
    diamond(dag);
    const inner = new Dag();
    inner.node("n").modify(add(" n"));
    dag.subDag("last", inner);
    dag.inputAggregator("last", join);
  },
  "end-aggregator"(dag) {
    twoEnds(dag);
    dag.endAggregator(join);
  },
  "two-ends": twoEnds,
  "execution-edge"(dag) {
    dag.node("a").modify(add(" a"));
    dag.node("b").modify(add("b"));
    dag.edge("a", "b").execution();
  },
  forwarder(dag) {
    dag.node("a").modify(add(" a"));
    dag.node("b").modify(add(" b"));
    dag.edge("a", "b").forwarder(add(" forwarded"));
  },
  "sub-dag"(dag) {
    dag.subDag("S", chain("a", "b"));
    dag.node("after").modify(add(" after"));
    dag.edge("S", "after");
  },
  "nested-sub-dags"(dag) {
    // The same dag at two places, one of which is inside another.
    const [same, outer] = [chain("a", "b"), new Dag()];
    outer.subDag("inner", same);
    dag.subDag("outer", outer);
    dag.subDag("again", same);
    dag.edge("outer", "again");
  },
  append(dag) {
    const more = chain("b", "c");
    dag.node("a").modify(add(" a"));
    dag.append(more);
    dag.edge("a", "b");
  },
  "set-dag"(dag, workflow) {
    dag.node("forgotten");
    workflow.setDag(chain("a", "b"));
  },
  condition(dag) {
    const way = dag.condition("C", ["yes", "no"], (data) => data.text() as "yes" | "no");
    way.branch("yes").node("n").modify(add(" taken"));
    way.branch("no").node("n").modify(add(" refused"));
    dag.node("after").modify(add(" after"));
    dag.edge("C", "after");
  },
  "condition-of-several"(dag) {
    const keys = ["a", "b", "c"];
    const ways = dag.condition("C", keys, () => ["c", "a"]).aggregator(join).maxParallel(1);
    for (const key of keys) ways.branch(key).node("n").modify(add(" way"));
  },
  "condition-with-execution"(dag) {
    const ways = dag.condition("C", ["a", "b"], () => ["a", "b"]).execution();
    ways.branch("a").node("n").apply("echo");
    ways.branch("b").node("n").modify(add("b")).apply("echo");
  },
  "for-each": (dag) => dag.forEach("F", words).aggregator(join).maxParallel(2).dag.node("n").modify(add("!")),
  "for-each-with-execution"(dag) {
    dag.forEach("F", words).execution().dag.node("n").modify(add("item")).apply("echo");
    dag.node("after").modify(add("after"));
    dag.edge("F", "after");
  },
  "for-each-of-nothing"(dag) {
    dag.forEach("F", () => []).aggregator(join).dag.node("n");
    dag.node("after").modify(add("after"));
    dag.edge("F", "after");
  },
  "for-each-in-a-branch"(dag) {
    const way = dag.condition("C", ["only"], () => "only");
    const items = way.branch("only").forEach("F", words).aggregator(join);
    const twice = (data: Data) => [["x", data], ["y", data]] as [string, Data][];
    items.dag.forEach("G", twice).aggregator(join).dag.node("n").modify(add("."));
  },
  repeat: (dag) => dag.repeat("R", (_, round) => round < 3).most(5).wait("1m").dag.node("n").modify(add("+")),
  "repeat-too-often": (dag) => dag.repeat("R", () => true).most(2).dag.node("n").apply("echo"),
  sleep: (dag) => dag.node("n").modify(add(" before")).sleep("1h").modify(add(" after")),
  "sleep-until"(dag) {
    dag.node("n").sleepUntil((data) => ({ at: data.text() })).modify(add(" at"));
    dag.node("m").sleepUntil(() => ({ after: 1500 })).modify(add(" after"));
    dag.edge("n", "m");
  },
  "wait-for": (dag) => dag.node("n").modify(add(" before")).waitFor("approval").modify(add(" after")),
  "wait-for-named"(dag) {
    const items = dag.forEach("F", words).aggregator(join);
    items.dag.node("n").waitForNamed((item) => `signed-by-${item.text()}`);
  },
  "wait-timeout"(dag) {
    const wait = dag.node("n").waitFor("never").timeout("2d");
    wait.recoverFrom(({ kind, input }) => `${kind} of ${input.text()}`);
  },
  limits(dag) {
    const byData: Limit = { name: "calls", concurrent: 2, perSecond: 2.5, key: (data) => data.text() };
    dag.node("n").limit({ name: "nodes", concurrent: 1 }).modify(add("n")).apply("echo").limit(byData);
    dag.node("m").limit(byData).modify(add(" m"));
    dag.edge("n", "m");
  },
  schedules(dag, workflow) {
    dag.node("n");
    const nightly = workflow.schedule("nightly", "0 30 2 * * *").timeZone("Europe/Berlin");
    nightly.missed("one").overlap("queue").input("{}", "application/json");
    workflow.schedule("poll", "every 10m").missed("all").overlap("replace").input(Uint8Array.of(0xff), "");
    workflow.schedule("daily", "@daily").missed("skip").overlap("allow");
  },
  deadline(dag, workflow) {
    dag.node("n").sleep("1h");
    workflow.deadline("90s");
  },
  "on-exhausted"(dag, workflow) {
    dag.node("n").apply("step");
    workflow.onExhausted("pause");
  },
  "on-failure"(dag, workflow, context) {
    dag.node("n").modify(refuse);
    workflow.onFailure((failure) => {
      context.info(`${context.state} with ${failure}`);
      return "sorry";
    });
    workflow.finally((outcome) => context.info(`${outcome}, ${context.state}`));
  },
  finally(dag, workflow, context) {
    dag.node("n").modify(add("!"));
    workflow.finally((outcome) => context.info(`ended ${outcome === "success" ? "well" : "badly"}, ${context.state}`));
  },
};
