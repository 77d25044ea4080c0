// Every construct in one run. The flow is that of tests/fixture-python, for which the end-to-end tests expect the same of the host.

import assert from "node:assert/strict";
import test from "node:test";
import { Dag, type Data, type Define, type Failed, type Inputs, reject } from "faas-flow";
import { run } from "faas-flow/testing";

const RESULT = [
  "call=answered",
  "wait=timed-out",
  "S=left=TIMED-OUTl,right=refused",
  "C=c=caught rejected at C[c]/n,a/b=C[a%2Fb]/n",
  "F=x:ok,y:rejected,z:ok",
  "refuse=x:ok,y:rejected,z:ok+++",
  "N=",
].join("|");

const refuse = (): string => {
  throw reject("refused");
};
const kind = (failed: Failed) => failed.kind;
const joined = (inputs: Inputs) => [...inputs].map(([name, value]) => `${name}=${value.text()}`).join(",");

const define: Define = (workflow, context) => {
  const { dag } = workflow;
  const limit = { name: "calls", concurrent: 5, perSecond: 1000, key: (data: Data) => data.text() };
  const begin = dag.node("call").retry({ attempts: 2 }).timeout("30s").limit({ name: "nodes", concurrent: 3 });
  const call = begin
    .modifyJson((order: { id: number }) => {
      context.set("order", order);
      context.label("order", String(order.id));
      return { id: order.id, path: context.node };
    })
    .apply("echo");
  call.method("POST").header("x-a", "1").query("q", "a b").timeout("10s").retry({ attempts: 3, firstDelay: 10 }).retryOn(503);
  call.limit(limit).prepare((request) => request.withHeader("x-b", "2").withBody(`${request.body.text()}!`));
  call.receive((response) => `${response.status}:${response.body.text()}`);
  call.apply("missing").recover(() => "recovered").apply("missing").recoverFrom(kind);

  const wait = dag.node("wait").sleep(10).sleepUntil(() => ({ after: 5 })).waitFor("never").timeout(10).recoverFrom(kind);
  wait.waitForNamed((data) => `never-${data.text()}`).timeout(10).recoverFrom((failed) => failed.input);
  dag.edge("call", "wait").forwarder((data) => data.text().slice(0, 2));

  const inner = new Dag();
  inner.node("start").modify((data) => data.text().toUpperCase());
  inner.node("left").modify((data) => `${data.text()}l`);
  inner.node("right").modify(refuse).recoverFrom((failed) => failed.message);
  inner.edge("start", "left");
  inner.edge("start", "right");
  inner.endAggregator(joined);
  dag.subDag("S", inner);
  dag.edge("wait", "S");

  const choice = dag.condition("C", ["a/b", "c"], () => ["c", "a/b"]).aggregator(joined).maxParallel(1);
  choice.branch("a/b").node("n").modify(() => context.node);
  choice.branch("c").node("n").modify(refuse);
  choice.branch("c").recoverFrom((failed) => `caught ${failed.kind} at ${failed.path}`);
  dag.inputAggregator("C", (inputs) => inputs.concat());
  dag.edge("S", "C");

  const items = dag.forEach("F", () => ["x", "y", "z"].map((key) => [key, key] as [string, string]));
  items.tolerateShare(0.4).gather((all) => all.map(({ key, failed }) => `${key}:${failed?.kind ?? "ok"}`).join(","));
  items.dag.node("n").modify((data) => (data.text() === "y" ? refuse() : data));
  dag.edge("C", "F").execution();

  const rounds = dag.repeat("R", (_, round) => round < 3).most(5).wait(10);
  rounds.dag.node("n").modify((data) => `${data.text()}+`);
  dag.edge("F", "R");

  dag.node("refuse").modify(refuse);
  dag.recoverNode("refuse", (failed) => failed.input);
  dag.edge("R", "refuse");

  dag.forEach("N", (data) => [["only", data]]).execution().dag.node("n");
  dag.edge("refuse", "N");

  dag.node("end").aggregator((inputs) => {
    context.respond(201, [["X-Order", String(context.get<{ id: number }>("order")?.id)]]);
    return [...inputs].map(([name, value]) => `${name}=${value.text()}`).join("|");
  });
  for (const last of ["call", "wait", "S", "C", "F", "refuse", "N"]) dag.edge(last, "end");
  workflow.finally((outcome) => context.info(`ended: ${outcome}`));
  workflow.onFailure((failure) => `sorry: ${failure}`);
  workflow.deadline("5m");
};

test("every construct means what it means on the host", () => {
  const all = run(define, '{"id": 7}').function("echo", (call) => call.body).function("missing", { status: 404 });
  assert.equal(all.result().text(), RESULT);
  assert.deepEqual([all.response?.status, all.response?.header("x-order"), [...all.labels]], [201, "7", [["order", "7"]]]);
  const [echo] = all.calls;
  assert.deepEqual([echo!.url, echo!.body.text()], ["http://function/echo?q=a%20b", '{"id":7,"path":"call"}!']);
  assert.deepEqual(echo!.headers, [
    ["x-a", "1"],
    ["Content-Type", "application/json"],
    ["X-Faas-Flow-Idempotency-Key", "test/call/1"],
    ["X-Faas-Flow-Reqid", "test"],
    ["x-b", "2"],
  ]);
  // 10 ms and 5 ms of sleep, twice 10 ms for signals, and twice 10 ms between rounds.
  assert.equal(all.took, 55);
  assert.deepEqual(all.logs, [["info", "ended: success"]]);
});
