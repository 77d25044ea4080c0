import assert from "node:assert/strict";
import test from "node:test";
import { Dag, Failed, type Gathered, Request, Response } from "faas-flow";
import { Fake, TestFlow } from "faas-flow/testing";
import everything from "./everything.ts";

const flow = new TestFlow(everything);
const rejected = (message: string | RegExp) => (error: { tag: string; message: string }) => {
  if (typeof message === "string") assert.equal(error.message, message);
  else assert.match(error.message, message);
  return error.tag === "reject";
};

test("handlers are named by their position", () => {
  assert.deepEqual(flow.handlers, [
    "(failure)",
    "(finally)",
    "C/aggregate",
    "C/aggregate-branches",
    "C/condition",
    "C[a%2Fb]/n1/0",
    "C[c1]/(recover)",
    "C[c1]/n1/0",
    "C[c1]/n1/recover",
    "F/for-each",
    "F/gather",
    "F/recover",
    "F[]/n1/0",
    "F[]/n2/0/recover-from",
    "L/0/limit-key",
    "M/limit-key",
    "R/again",
    "R[]/n1/0",
    "S-again/(end)/aggregate",
    "S-again/n1/0",
    "S/(end)/aggregate",
    "S/n1/0",
    "T/0",
    "W/0/recover-from",
    "W/1",
    "n1->n2/forward",
    "n1/1",
    "n2/0/prepare",
    "n2/0/receive",
    "n2/0/recover",
    "n2/2",
    "n4/aggregate",
  ]);
});

test("every kind of closure is called by its id", () => {
  assert.equal(flow.modify("n2/2", "[1, 2]").text(), "3");
  assert.equal(flow.fake.returnedContentType, "application/json");
  assert.equal(flow.forward("n1->n2/forward", "x").text(), "f:x");
  assert.equal(flow.prepare("n2/0/prepare", new Request("POST", "http://example.test")).method, "PATCH");
  assert.equal(flow.receive("n2/0/receive", new Response(404, [], "b")).text(), "b");
  assert.equal(flow.recover("n2/0/recover", "late").text(), "recovered: late");
  assert.equal(flow.recover("(failure)", "late").text(), "late");
  assert.deepEqual(flow.condition("C/condition", ""), ["c1"]);
  assert.deepEqual(flow.forEach("F/for-each", "d").map(([key, item]) => [key, item.text()]), [["f1", "d"]]);
  assert.deepEqual([flow.key("L/0/limit-key", "acme"), flow.key("M/limit-key", "x")], ["acme", "x"]);
  assert.deepEqual([flow.again("R/again", "", 1), flow.again("R/again", "", 2)], [true, false]);
  assert.equal(flow.aggregate("n4/aggregate", { a: "1", b: "2" }).text(), "12");
  const failed = new Failed({ code: "FF0207", kind: "answered", path: "n1", message: "busy", input: "in" });
  assert.equal(flow.recoverFrom("C[c1]/n1/recover", failed).text(), "in");
  assert.equal(flow.recoverFrom("C[c1]/(recover)", failed).text(), "FF0207 at n1: busy");
  assert.equal(flow.recoverFrom("F[]/n2/0/recover-from", failed).text(), "FF0207");
  const items: Gathered[] = [{ key: "f", result: flow.modify("n1/1", "") }, { key: "g", failed }];
  assert.equal(flow.gather("F/gather", items).text(), "2");
  assert.deepEqual(flow.moment("T/0", ""), { after: 5 });
  assert.deepEqual(flow.moment("T/0", "2026-12-24T18:00:00Z"), { at: "2026-12-24T18:00:00Z" });
  assert.equal(flow.signalName("W/1", "Ada"), "signed-by-Ada");
  flow.finally("success");
});

test("an unknown id and one of another kind are rejected", () => {
  assert.throws(() => flow.modify("n9/0", ""), rejected("the flow has no handler `n9/0`"));
  const other = "handler `n1/1` was called as `forward`, but its kind is `modify`";
  assert.throws(() => flow.forward("n1/1", ""), rejected(other));
});

test("duplicates are recorded for the host to report", () => {
  const twice = new TestFlow(({ dag }) => {
    for (const _ of [1, 2]) {
      dag.node("n1");
      dag.edge("n1", "n2");
    }
  });
  const dag = twice.definition.dag as { nodes: unknown[]; edges: unknown[] };
  assert.deepEqual([dag.nodes.length, dag.edges.length], [2, 2]);
});

test("a dag that contains itself is rejected", () => {
  const endless = () => new TestFlow(({ dag }) => dag.forEach("F", (data) => [["f", data]]).dag.subDag("S", dag));
  assert.throws(endless, rejected(/the dag of `F\[\]\/S` contains itself: create a new dag for each level/));
});

test("define may read the request", () => {
  const { definition } = new TestFlow(everything, new Fake({ query: { token: "secret" } }));
  assert.match(JSON.stringify(definition), /"query":\[\["token","secret"\]\]/);
});

test("ids are sorted by their bytes and not as JavaScript compares strings", () => {
  // In UTF-16, the halves of the first character come before the second one.
  const keys = ["\u{10000}", "\uffff"];
  const branches = new TestFlow(({ dag }) => {
    const condition = dag.condition("C", ["x"], () => "x");
    condition.branch("x").node("n");
    for (const id of keys) dag.node(id).modify((data) => data);
  });
  assert.deepEqual(branches.handlers, ["C/condition", "\uffff/0", "\u{10000}/0"]);
});

test("an id that would be too long is shortened as in Rust", () => {
  const key = "ü".repeat(64);
  const long = new TestFlow(({ dag }) => {
    const choice = dag.condition("choice", [key], () => key);
    choice.branch(key).node("inner").modify((data) => data).modify((data) => data);
  });
  assert.deepEqual(long.handlers.length, 3);
  for (const id of long.handlers) assert.ok(Buffer.byteLength(id) <= 256, id);
  // These ends are those that the SDK for Rust gives them.
  assert.match(long.handlers[1]!, /^choice\[(%C3%BC)+%C3%~de0ecb684524b742$/);
  assert.match(long.handlers[2]!, /^choice\[(%C3%BC)+%C3%~de0ecc684524b8f5$/);
});

test("a key that a condition does not list is refused", () => {
  const misspelt = () =>
    new TestFlow(({ dag }) => {
      // @ts-expect-error The types refuse it too.
      dag.condition("C", ["small", "large"], () => "small").branch("smal");
    });
  assert.throws(misspelt, rejected(/condition `C` has no branch `smal`: it lists `small`, `large` \(.*definition\.test\.ts:/));
});

test("a dag may be put into another, which then has its nodes", () => {
  const parts = new Dag();
  parts.node("a").apply("f");
  const { definition } = new TestFlow((workflow) => workflow.setDag(parts));
  assert.match(JSON.stringify(definition), /"id":"a"/);
});
