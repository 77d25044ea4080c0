import assert from "node:assert/strict";
import test from "node:test";
import { type Call, run, TestFlow } from "faas-flow/testing";
import branching from "./flow.ts";

const flow = new TestFlow(branching);

test("handlers are named by their position", () => {
  assert.deepEqual(flow.handlers, [
    "C/aggregate-branches",
    "C/condition",
    "C[c1]/F/aggregate-branches",
    "C[c1]/F/for-each",
    "C[c1]/F[]/n1/0",
    "C[c2]/n1/1",
    "n1/0",
  ]);
});

test("both branches are chosen", () => {
  assert.deepEqual(flow.condition("C/condition", "hi"), ["c1", "c2"]);
});

test("every item of the for-each is a copy of the data", () => {
  const items = flow.forEach("C[c1]/F/for-each", "hi").map(([key, item]) => [key, item.text()]);
  assert.deepEqual(items, [["f1", "hi"], ["f2", "hi"]]);
});

test("results are joined by key", () => {
  assert.equal(flow.aggregate("C/aggregate-branches", { c1: "a", c2: "b" }).text(), "c1=a, c2=b");
});

// The result is that of the module, which the README of dynamic-branching shows.
test("the whole flow joins items and branches", () => {
  const echo = (call: Call) => call.body;
  const whole = run(branching, "hi").function("func1", echo).function("fake-storage", echo);
  assert.equal(whole.result().text(), "c1=f1=hi n1 F/n1, f2=hi n1 F/n1, c2=hi n1 c2/n1");
  assert.deepEqual(whole.ran, ["n1", "C", "C[c1]/F", "C[c1]/F[f1]/n1", "C[c1]/F[f2]/n1", "C[c2]/n1", "n2"]);
});
