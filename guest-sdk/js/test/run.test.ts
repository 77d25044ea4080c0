// Whole runs, with functions of the test.

import assert from "node:assert/strict";
import test from "node:test";
import { type Context, Dag, type Data, type Define, type Failed, type Gathered, json, reject, Response, retry } from "faas-flow";
import { type Call, Fake, run } from "faas-flow/testing";

const appending = (suffix: string) => (data: Data) => data.text() + suffix;
const echo = (call: Call) => call.body;
/** A flow with one dag. */
const only = (describe: (dag: Dag, context: Context) => void): Define => ({ dag }, context) => void describe(dag, context);

/** An order is charged, its items are shipped one by one, and one of them may fail. */
const order: Define = (workflow, context) => {
  workflow.finally((outcome) => context.info(outcome));
  const { dag } = workflow;
  dag.node("charge").apply("charge").retry({ attempts: 3 }).recoverFrom((failed) => {
    if (failed.status === 402) return "declined";
    throw reject(String(failed));
  });
  const paid = dag.condition("paid", ["yes", "no"], (answer) => (answer.text() === "declined" ? "no" : "yes"));
  paid.branch("no").node("tell").modify(appending(", nothing was ordered"));
  const items = paid.branch("yes").forEach("items", (answer) => answer.text().split(" ").map((item) => [item, item] as [string, string]));
  items.dag.node("ship").apply("ship");
  const line = ({ key, failed }: Gathered) => `${key}: ${failed ? failed.message : "shipped"}`;
  items.tolerate(1).gather((all) => all.map(line).join(", "));
  dag.edge("charge", "paid");
};

test("functions answer, and the calls are known", () => {
  const order7 = run(order, "7").answers("charge", "tea milk").function("ship", echo);
  assert.equal(order7.result().text(), "tea: shipped, milk: shipped");
  assert.deepEqual(
    order7.calls.map((call) => `${call.node}: ${call.method} ${call.function} ${call.body.text()}`),
    ["charge: POST charge 7", "paid[yes]/items[tea]/ship: POST ship tea", "paid[yes]/items[milk]/ship: POST ship milk"],
  );
  assert.deepEqual(order7.ran, [
    "charge",
    "paid",
    "paid[yes]/items",
    "paid[yes]/items[tea]/ship",
    "paid[yes]/items[milk]/ship",
  ]);
  assert.deepEqual([order7.state, order7.failure, order7.logs], ["succeeded", undefined, [["info", "success"]]]);
  assert.equal(order7.calls[1]!.header("x-faas-flow-idempotency-key"), "test/paid[yes]/items[tea]/ship/0");
});

test("a status is caught by the call", () => {
  const declined = run(order).function("charge", new Response(402));
  assert.equal(declined.result().text(), "declined, nothing was ordered");
  assert.equal(declined.calls.length, 1);
});

test("a busy function is called again after the time for which it asks", () => {
  const busy = { status: 503, headers: [["Retry-After", "30"]] } as const;
  const patient = run(order).answers("charge", busy, { error: "broken" }, "tea").function("ship", echo);
  assert.equal(patient.result().text(), "tea: shipped");
  assert.deepEqual(patient.calls.slice(0, 3).map((call) => [call.at, call.tries]), [[0, 1], [30_000, 2], [30_200, 3]]);
  assert.equal(patient.took, 30_200);
});

test("when the tries are used up, the run fails", () => {
  const define = only((dag) => {
    dag.node("n").retry({ attempts: 2, firstDelay: "1m" }).apply("f").retry({ attempts: 2 });
  });
  const busy = run(define).function("f", { status: 500, body: "busy\n" });
  const { code, kind, path, tries } = busy.failure!;
  assert.deepEqual([code, kind, path, tries], ["FF0207", "answered", "n", 2]);
  const text = "FF0207 at n: `f` answered with status 500: busy (the retry policy of the node ran out after 2 attempts)";
  assert.deepEqual([busy.response!.status, busy.response!.body.text()], [502, `${text}\n`]);
  assert.deepEqual([busy.calls.length, busy.state, busy.took], [4, "failed", 10_200]);
  assert.throws(() => busy.result(), (error: Error) => error.message.startsWith(`the run has failed: ${text}\nthe calls that it made:`));
});

test("items may fail as often as tolerated", () => {
  const milk = (call: Call) => (call.body.text() === "milk" ? { status: 404, body: "sold out" } : "");
  const some = run(order).answers("charge", "tea milk").function("ship", milk);
  assert.equal(some.result().text(), "tea: shipped, milk: `ship` answered with status 404: sold out");
  const none = run(order).answers("charge", "tea milk").function("ship", { status: 404 });
  assert.equal(none.failure?.path, "paid[yes]/items[milk]/ship");
  assert.deepEqual(none.logs, [["info", "failure"]]);
});

test("joins, forwarders and dags give nodes their data", () => {
  const define = only((dag) => {
    const inner = new Dag();
    inner.node("a").modify(appending("a"));
    inner.node("b").modify(appending("b"));
    inner.edge("a", "b");
    dag.node("start");
    dag.subDag("S", inner);
    dag.node("alone").modify(appending("!"));
    dag.node("end").aggregator((inputs) => [...inputs].map(([name, value]) => `${name}=${value.text()}`).join(","));
    dag.edge("start", "S").forwarder((data) => data.text().toUpperCase());
    dag.edge("start", "alone").execution();
    dag.edge("S", "end");
    dag.edge("alone", "end");
  });
  const joined = run(define, "x");
  assert.equal(joined.result().text(), "S=Xab,alone=!");
  assert.deepEqual(joined.ran, ["start", "S", "S/a", "S/b", "alone", "end"]);
});

test("a repeat runs until its closure is content", () => {
  const define = only((dag, context) => {
    const rounds = dag.repeat("R", (data) => data.size < 3).most(3).wait("1h");
    rounds.dag.node("n").modify((data) => data.text() + context.node[2]);
  });
  const counted = run(define);
  assert.deepEqual([counted.result().text(), counted.took], ["123", 2 * 3_600_000]);
  const endless = run(only((dag) => void dag.repeat("R", () => true).most(2).dag.node("n")));
  assert.deepEqual([endless.failure?.code, endless.ran.length], ["FF0262", 3]);
});

test("sleeps take virtual time, and branches sleep at the same time", () => {
  const hours = (most: number) =>
    only((dag) => {
      const each = dag.forEach("F", () => [["a", "1"], ["b", "2"], ["c", "3"]] as [string, string][]).maxParallel(most);
      each.dag.node("n").sleepUntil((data) => ({ after: `${Number(data.text())}h` }));
    });
  assert.deepEqual([1, 2, 3].map((most) => run(hours(most)).took / 3_600_000), [6, 4, 3]);
  const until = only((dag) => void dag.node("n").sleepUntil((data) => ({ at: data.text() })));
  assert.equal(run(until, "2026-12-24T18:00:00+01:00").now("2026-12-24T16:00:00Z").took, 3_600_000);
  for (const moment of ["soon", "2099-01-01T00:00:00Z"]) assert.equal(run(until, moment).failure?.code, "FF0232");
});

test("a wait gets its signal or times out", () => {
  const define = only((dag) => void dag.node("n").waitFor("paid").timeout("1m").recoverFrom((failed) => failed.message));
  const paid = run(define).signalAfter("30s", "paid", "yes");
  assert.deepEqual([paid.result().text(), paid.took], ["yes", 30_000]);
  for (const late of [run(define), run(define).signalAfter("1h", "paid", "yes")]) {
    const message = "no signal `paid` came in 1 min: send it earlier, or give the wait a longer timeout";
    assert.deepEqual([late.result().text(), late.took], [message, 60_000]);
  }
});

test("the answer of a call or the body of a signal names the next signal", () => {
  const named = (data: Data) => `signed-by-${data.text()}`;
  const define: Define = ({ dag }) => {
    const wait = dag.node("n").apply("author").waitForNamed(named).timeout("1h").waitForNamed(named).timeout("1s");
    wait.recoverFrom((failed) => `${failed.input.text()}; ${failed.message}`);
  };
  const author = () => run(define).answers("author", "ada").signal("signed-by-ada", "bob");
  assert.equal(author().signal("signed-by-bob", "done").result().text(), "done");
  assert.match(author().result().text(), /^bob; no signal `signed-by-bob` came in 1 s/);
});

test("items wait for signals of their own", () => {
  const define = only((dag) => {
    const each = dag.forEach("F", () => [["a", "pay-a"], ["b", "pay-b"]] as [string, string][]);
    each.aggregator((results) => results.values().map((value) => value.text()).join(" "));
    each.dag.node("n").waitForNamed((data) => data.text());
  });
  const paid = run(define).signal("pay-b", "2").signalAfter("1h", "pay-a", "1");
  assert.deepEqual([paid.result().text(), paid.took], ["1 2", 3_600_000]);
});

test("an answer that takes too long times out", () => {
  const define = only((dag) => {
    dag.node("n").timeout(2500).apply("f").timeout("1s").retry({ attempts: 3, firstDelay: "1s", factor: 1 });
  });
  assert.equal(run(define).answers("f", { delay: "1m" }, { delay: 400 }).took, 2400);
  const late = run(define).function("f", { delay: "1m" });
  assert.deepEqual([late.failure?.code, late.took, late.response?.status], ["FF0209", 2500, 504]);
  const deadline: Define = (workflow) => {
    workflow.deadline("1h");
    workflow.dag.node("n").sleep("2h").recoverFrom(() => "");
  };
  assert.deepEqual([run(deadline).failure?.code, run(deadline).took], ["FF0210", 3_600_000]);
});

test("a request has the method, path, query and headers of the flow", () => {
  const define = only((dag) => {
    const lines = dag.node("n").apply("wc/lines").method("PUT").query("a b", "1&2").query("a b", "3").header("X-Team", "blue");
    lines.prepare((request) => request.withHeader("X-Try", "1")).request("https://rates.example.com/v1/eur?day=1").method("GET");
  });
  const made = run(define, "x").function("wc", echo).function("https://rates.example.com", "1.1");
  assert.equal(made.result().text(), "1.1");
  const [lines, rates] = made.calls as [Call, Call];
  assert.deepEqual([lines.method, lines.function, lines.path, lines.query("a b")], ["PUT", "wc/lines", "/lines", ["1&2", "3"]]);
  assert.deepEqual([lines.header("x-team"), lines.header("x-try")], ["blue", "1"]);
  assert.deepEqual([rates.function, rates.path, rates.query("day")], ["https://rates.example.com/v1/eur", "/v1/eur", ["1"]]);
});

test("media types and answers go with the data", () => {
  const define = only((dag, context) => {
    const typed = dag.node("n").modify((data) => json(data.json())).apply("f");
    typed.modify(() => {
      const seen = context.contentType;
      context.respond(201, [["Location", "/7"]]);
      context.setContentType("text/plain");
      return seen;
    });
  });
  const typed = run(define, "{}").function("f", { headers: [["Content-Type", "text/csv"]] });
  const response = typed.response!;
  assert.deepEqual([typed.result().text(), response.status], ["text/csv", 201]);
  assert.deepEqual([response.header("location"), response.header("content-type")], ["/7", "text/plain"]);
  assert.equal(typed.calls[0]!.header("content-type"), "application/json");
});

test("what a failed attempt has set is dropped, and what another node has set is seen", () => {
  const define = only((dag, context) => {
    dag.node("first").modify((data) => {
      context.set("seen", 1);
      context.label("a", "1");
      return data;
    });
    const second = dag.node("second").modify(() => {
      const seen = context.get("seen");
      context.set("seen", 2);
      context.label("a", "2");
      context.respond(500);
      throw retry(`it was ${seen}`);
    });
    second.retry({ attempts: 2 }).recoverFrom((failed) => failed.message);
    dag.edge("first", "second");
  });
  const dropped = run(define);
  assert.equal(dropped.result().text(), "it was 1");
  assert.deepEqual([dropped.value("seen"), [...dropped.labels], dropped.response?.status], [1, [["a", "1"]], 200]);
});

test("dags and nodes with branches catch what fails inside", () => {
  const caught = (where: string) => (failed: Failed) => [where, failed.path, failed.input.text(), failed.body?.text()].join(" ");
  const define = only((dag) => {
    const inner = new Dag();
    inner.node("n").modify(appending("2")).apply("f");
    dag.subDag("S", inner);
    dag.recoverNode("S", caught("node"));
    const branch = dag.condition("C", ["a"], () => "a").branch("a");
    branch.node("n").apply("f");
    branch.recoverFrom(caught("dag"));
    dag.edge("S", "C");
  });
  const result = run(define, "1").function("f", { status: 400, body: "no" }).result();
  assert.equal(result.text(), "dag C[a]/n node S/n 12 no no");
});

test("a reject of the request is the caller's fault", () => {
  const refuse = (status?: number) => (): string => {
    throw reject("no", status === undefined ? {} : { status });
  };
  const inside = only((dag) => {
    const inner = new Dag();
    inner.node("n").modify(refuse());
    dag.node("pass");
    dag.subDag("S", inner);
    dag.edge("pass", "S");
  });
  const refused = run(inside);
  assert.deepEqual([refused.response?.status, refused.failure?.code], [422, "FF0012"]);
  const later = (status?: number) => only((dag) => void dag.node("n").apply("f").modify(refuse(status)));
  assert.equal(run(later()).function("f", "").response?.status, 500);
  assert.equal(run(later(409)).function("f", "").response?.status, 409);
});

test("the failure handler gives the answer", () => {
  const states: string[] = [];
  const define: Define = (workflow, context) => {
    workflow.onFailure((failure) => {
      states.push(context.state);
      context.respond(418);
      return `sorry: ${failure}`;
    });
    workflow.finally((outcome) => void states.push(`${context.state} ${outcome}`));
    workflow.dag.node("n").modify(() => {
      throw reject("no");
    });
  };
  const { response } = run(define);
  assert.deepEqual([response?.status, response?.body.text()], [418, "sorry: FF0012 at n: no"]);
  assert.deepEqual(states, ["failed", "failed failure"]);
});

test("a run may pause", () => {
  const define: Define = (workflow) => {
    workflow.onExhausted("pause");
    workflow.dag.node("n").apply("f");
  };
  const paused = run(define).function("f", { status: 500 });
  assert.deepEqual([paused.state, paused.failure?.code, paused.response], ["paused", "FF0207", undefined]);
  assert.throws(() => paused.result(), { message: /^the run has paused, as its flow says for a node that has failed: FF0207 at n/ });
  assert.equal(run(define).function("f", { status: 400 }).state, "failed");
});

test("a condition must choose branches that exist", () => {
  const words = (data: Data) => data.text().split(" ").filter((word) => word !== "") as "a"[];
  const define = only((dag) => void dag.condition("C", ["a"], words).branch("a").node("n"));
  const codes = ["", "b", "a a"].map((data) => run(define, data).failure?.code);
  assert.deepEqual(codes, ["FF0202", "FF0201", "FF0203"]);
});

test("the fake is the request, and remembers what the flow has set", () => {
  const fake = new Fake({ query: { day: "1" }, contentType: "text/csv", values: { known: [1] }, requestId: "r1" });
  const define = only((dag, context) => {
    dag.node("n").modify(() => `${context.query("day")} ${context.contentType} ${context.get("known")} ${context.state}`).apply("f");
  });
  const asked = run(define, "x", fake).function("f", echo);
  assert.equal(asked.result().text(), "1 text/csv 1 running");
  assert.equal(asked.calls[0]!.header("X-Faas-Flow-Reqid"), "r1");
});

test("a mistake of the test says what to do", () => {
  const waits = only((dag) => void dag.node("n").waitFor("paid"));
  const cycle = only((dag) => {
    for (const id of ["a", "b", "c"]) dag.node(id);
    for (const [from, to] of ["ab", "bc", "cb"]) dag.edge(from!, to!);
  });
  const starts = only((dag) => {
    dag.node("a");
    dag.node("b");
  });
  const says = (act: () => unknown, text: string) => assert.throws(act, (error: Error) => error.message.includes(text) || assert.fail(error));
  const knows = "node `charge` calls `charge`, and the test does not say what that answers (it has answers for `ship`, `track`)";
  says(() => run(order).function("track", "").function("ship", "").result(), `${knows}: add .function("charge", …)`);
  says(() => run(waits).result(), 'node `n` waits for the signal `paid`, without a timeout, and none comes: add .signal("paid", …)');
  says(() => run(waits).signal("payed").result(), "sends the signal `payed`, for which the flow never waits: it waits for `paid`");
  const over = run(waits).signal("paid");
  over.result();
  says(() => over.signal("paid"), "the run has taken place");
  says(() => run(cycle).result(), "nodes of the flow wait for each other");
  says(() => run(starts).result(), "several starts, `a`, `b`");
  says(() => run(order).function("charge", 5 as never).result(), "`charge` must answer with data or with { status");
});
