// What becomes of a failure of the flow's own code.

import { reject, retry, type Dag } from "faas-flow";
import { add, refuse, shown, type Cases } from "./parts.ts";

/** Adds a node of which the function of a kind fails. */
const KINDS: Record<string, (dag: Dag, fails: () => never) => void> = {
  modify: (dag, fails) => dag.node("n").modify(fails),
  aggregate: (dag, fails) => dag.node("n").aggregator(fails),
  condition: (dag, fails) => dag.condition("n", ["a"], fails).branch("a").node("n"),
  "for-each": (dag, fails) => dag.forEach("n", fails).dag.node("n"),
  forward(dag, fails) {
    dag.node("first");
    dag.node("n");
    dag.edge("first", "n").forwarder(fails);
  },
  prepare: (dag, fails) => dag.node("n").apply("echo").prepare(fails),
  receive: (dag, fails) => dag.node("n").apply("echo").receive(fails),
  recover: (dag, fails) => dag.node("n").apply("gone").recover(fails),
  "recover-from": (dag, fails) => dag.node("n").apply("gone").recoverFrom(fails),
  gather: (dag, fails) => dag.forEach("n", (data) => [["x", data]]).tolerate(1).gather(fails).dag.node("n").modify(refuse),
  again: (dag, fails) => dag.repeat("n", fails).dag.node("n"),
  moment: (dag, fails) => dag.node("n").sleepUntil(fails),
  "signal-name": (dag, fails) => dag.node("n").waitForNamed(fails),
  key: (dag, fails) => dag.node("n").limit({ name: "l", concurrent: 1, key: fails }),
};

function crash(): never {
  throw new Error("on purpose");
}

export const failures: Cases = {
  reject: (dag) => dag.node("n").modify(refuse),
  "reject-with-status"(dag) {
    dag.node("n").modify(() => {
      throw reject("there is no such order", { status: 404 });
    });
  },
  "retry-of-the-node"(dag) {
    const node = dag.node("n").modify((data) => {
      throw retry(`not now: ${data.text()}`);
    });
    node.retry({ attempts: 3, firstDelay: "10s" });
  },
  "retry-without-a-policy"(dag) {
    dag.node("n").modify(() => {
      throw retry("not now");
    });
  },
  crash: (dag) => dag.node("n").modify(crash),
  "crash-that-is-caught"(dag) {
    dag.node("n").modify(crash);
    dag.recoverNode("n", ({ input, path }) => `${input.text()} at ${path}`);
    dag.node("after").modify(add(" after"));
    dag.edge("n", "after");
  },
  "dropped-values"(dag, _, context) {
    dag.node("n").modify(() => {
      context.setData("set", "by a node that fails");
      context.label("set", "by a node that fails");
      throw reject("too late");
    });
    dag.recoverNode("n", shown);
    dag.node("get").modify((data) => `${data.text()}; ${context.getData("set") ? "set" : "not set"}`);
    dag.edge("n", "get");
  },
  "each-kind"(dag) {
    const branches = dag.condition("kind", Object.keys(KINDS), (data) => data.text());
    for (const [kind, add] of Object.entries(KINDS)) {
      add(branches.branch(kind), () => {
        throw reject(`${kind} fails`);
      });
    }
  },
};
