// Branches that are chosen at run time: a condition, with a for-each in one of its branches.

import { encode } from "./utf8.js";

export const definition = {
  define(flow) {
    flow.handlers(Object.values(code).flatMap(Object.keys).sort());

    const dag = flow.dag();
    dag.node("n1").modify("n1/0");

    const branches = dag.condition("C", "C/condition");
    const items = branches.branch("c1").forEach("F", "C[c1]/F/for-each");
    items.each().node("n1").modify("C[c1]/F[]/n1/0");
    items.aggregate("C[c1]/F/aggregate-branches");
    const c2 = branches.branch("c2").node("n1");
    c2.apply("func1");
    c2.modify("C[c2]/n1/1");
    branches.aggregate("C/aggregate-branches");

    dag.node("n2").apply("fake-storage");
    dag.edge("n1", "C", { tag: "output" });
    dag.edge("C", "n2", { tag: "output" });
  },
};

// The flow's handlers, by kind and by the ids that the definition uses.
const code = {
  modify: {
    "n1/0": append(" n1"),
    "C[c1]/F[]/n1/0": append(" F/n1"),
    "C[c2]/n1/1": append(" c2/n1"),
  },
  condition: {
    "C/condition": () => ["c1", "c2"],
  },
  forEach: {
    "C[c1]/F/for-each": (data) => ["f1", "f2"].map((key) => [key, data]),
  },
  aggregate: {
    "C/aggregate-branches": join,
    "C[c1]/F/aggregate-branches": join,
  },
};

export const handlers = {
  modify: (id, data) => find("modify", id)(data),
  condition: (id, data) => find("condition", id)(data),
  forEach: (id, data) => find("forEach", id)(data),
  aggregate: (id, inputs) => find("aggregate", id)(inputs),
};

function find(kind, id) {
  const run = code[kind][id];
  if (!run) throw { tag: "reject", val: `the flow has no handler \`${id}\`` };
  return run;
}

function append(suffix) {
  return (data) => concat([data, encode(suffix)]);
}

function join(inputs) {
  return concat(inputs.flatMap(([key, data], index) => [encode(`${index ? ", " : ""}${key}=`), data]));
}

function concat(parts) {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)));
}
