// Calls of functions and URLs: their options, what goes out and comes back, retries, and failures that are caught.

import { type Backoff, concat, Dag, type Gathered, reject, type Request, type Response, retry } from "faas-flow";
import { add, join, picky, refuse, shown, words, type Cases } from "./parts.ts";

const thrice: Backoff = { attempts: 3, firstDelay: "10s", factor: 1.5, maxDelay: "12s" };

function failing(): Dag {
  const inner = new Dag();
  inner.node("a").modify(add(" a"));
  inner.node("b").modify(refuse);
  inner.edge("a", "b");
  return inner;
}

function prepared(request: Request): Request {
  const method = request.method === "POST" ? "PUT" : "POST";
  const changed = request.withMethod(method).withUrl(`${request.url}/further?q=1`);
  const body = concat([request.body, request.header("x-kept") ?? "", " prepared"]);
  return changed.withHeader("X-Added", "3").withoutHeader("x-gone").withBody(body);
}

/** A response with the status 202 is not the last one, and every other one is. */
function received(response: Response): string {
  if (response.status === 202) throw retry("not yet");
  return `${response.status} ${response.header("X-Answer") ?? "none"}: ${response.body.text()}`;
}

function gathered(items: Gathered[]): string {
  const line = ({ key, result, failed }: Gathered) =>
    failed ? `${key}: ${failed.code} ${failed.message}` : `${key}=${result.text()}`;
  return items.map(line).join("; ");
}

export const calls: Cases = {
  call: (dag) => dag.node("n").apply("step"),
  "call-options"(dag) {
    const call = dag.node("n").apply("env/deeper/path").method("PUT").query("q", "a b&c").query("q", "2");
    call.header("X-One", "1").header("X-Two", "café");
  },
  request: (dag) => dag.node("n").request("https://rates.example.com/today").method("PATCH").timeout("30s"),
  prepare: (dag) => dag.node("n").apply("env").header("X-Gone", "1").header("X-Kept", "2").prepare(prepared),
  receive: (dag) => dag.node("n").apply("step").receive(received).retry(thrice),
  retry: (dag) => dag.node("n").apply("step").retry(thrice),
  "retry-on": (dag) => dag.node("n").apply("step").retry(thrice).retryOn(404, 409),
  timeout: (dag) => dag.node("n").apply("step").timeout("2s"),
  asynchronous: (dag) => dag.node("n").apply("train").asynchronous().timeout("2h").modify(add("!")),
  recover: (dag) => dag.node("n").apply("step").recover((failure) => `instead of: ${failure}`),
  "recover-from": (dag) => dag.node("n").apply("step").retry(thrice).recoverFrom(shown),
  "recover-from-unreachable": (dag) => dag.node("n").apply("step").recoverFrom(shown),
  "recover-otherwise"(dag) {
    dag.node("n").apply("step").recoverFrom(() => {
      throw reject("even worse");
    });
  },
  "node-retry"(dag) {
    const node = dag.node("n").modify(add(" once"));
    node.apply("step");
    node.retry(thrice).timeout("1m");
  },
  "node-timeout"(dag) {
    const node = dag.node("n");
    node.apply("step");
    node.timeout("5s");
  },
  "node-recover": (dag) => dag.node("n").modify(refuse).recoverFrom(shown),
  "recover-node"(dag) {
    dag.subDag("S", failing());
    dag.recoverNode("S", shown);
    dag.node("after").modify(add(" after"));
    dag.edge("S", "after");
  },
  "recover-dag"(dag) {
    const inner = failing();
    inner.recoverFrom(shown);
    dag.subDag("S", inner);
  },
  "recover-flow"(dag) {
    dag.node("n").modify(refuse);
    dag.recoverFrom(shown);
  },
  "recover-branch-and-items"(dag) {
    const way = dag.condition("C", ["a", "b"], () => ["a", "b"]).aggregator(join);
    way.branch("a").node("n").modify(refuse);
    way.branch("a").recoverFrom(({ path }) => `caught at ${path}`);
    const items = way.branch("b").forEach("F", words).aggregator(join);
    items.dag.node("n").modify(picky);
    items.dag.recoverFrom(({ input }) => `instead of ${input.text()}`);
  },
  tolerate: (dag) => dag.forEach("F", words).aggregator(join).tolerate(1).dag.node("n").modify(picky),
  "tolerate-share": (dag) => dag.forEach("F", words).tolerateShare(0.5).gather(gathered).dag.node("n").modify(picky),
  "tolerate-too-many"(dag) {
    dag.forEach("F", words).tolerate(1).gather(gathered).dag.node("n").modify(picky);
    dag.recoverNode("F", ({ kind, path }) => `${kind} at ${path}`);
  },
};
