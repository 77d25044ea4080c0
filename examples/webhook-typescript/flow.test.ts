import assert from "node:assert/strict";
import test from "node:test";
import { Failed, Request, Response } from "faas-flow";
import { run, TestFlow } from "faas-flow/testing";
import webhook from "./flow.ts";

const payment = { id: "evt-1", type: "payment.failed", customer: "Ada", amount: 1250, currency: "EUR" };
const text = (changes = {}) => JSON.stringify({ ...payment, ...changes });

test("a payment is checked, and the run gets its id as a label", () => {
  const flow = new TestFlow(webhook);
  assert.deepEqual(flow.modify("check/0", text({ secret: 1 })).json(), payment);
  assert.equal(flow.fake.labels.get("payment"), "evt-1");
});

test("what is no payment is rejected", () => {
  const flow = new TestFlow(webhook);
  for (const bad of ["{", text({ id: "" }), text({ type: "payment.disputed" }), text({ amount: 0.5 })]) {
    assert.throws(() => flow.modify("check/0", bad), { tag: "reject" }, bad);
  }
});

test("the ledger gets the same key with each try", () => {
  const flow = new TestFlow(webhook);
  const request = new Request("POST", "http://ledger.test", [], text());
  assert.equal(flow.prepare("ledger/0/prepare", request).header("x-payment-id"), "evt-1");
});

test("a customer without a file is no failure, and a busy service is asked again", () => {
  const flow = new TestFlow(webhook);
  assert.equal(flow.receive("file/0/receive", new Response(404)).text(), "no such customer");
  assert.equal(flow.receive("file/0/receive", new Response(200, [], "noted")).text(), "noted");
  assert.throws(() => flow.receive("file/0/receive", new Response(503)), { tag: "retry" });
  assert.throws(() => flow.receive("file/0/receive", new Response(403)), { tag: "reject" });
});

test("the chat is told in a sentence, and its failure does no harm", () => {
  const flow = new TestFlow(webhook);
  assert.equal(flow.modify("chat/0", text()).text(), "Ada could not pay 12.50 EUR");
  const failed = new Failed({ code: "FF0208", kind: "unreachable", message: "no connection" });
  assert.equal(flow.recoverFrom("chat/1/recover-from", failed).text(), "nobody was told: no connection");
});

test("the answer says what each service did", () => {
  const handled = run(webhook, text())
    .answers("ledger", { status: 503 }, "booked\n")
    .function("customer-file", { status: 404 })
    .function("chat", { error: "no connection" });
  assert.equal(handled.response?.status, 201);
  const chat = "nobody was told: no answer from chat: no connection";
  assert.deepEqual(handled.result().json(), { ledger: "booked", file: "no such customer", chat });
  const ledger = handled.calls.filter((call) => call.function === "ledger");
  assert.deepEqual(ledger.map((call) => call.header("x-payment-id")), ["evt-1", "evt-1"]);
  assert.deepEqual([...handled.labels], [["payment", "evt-1"]]);
});

test("a ledger that stays away fails the run", () => {
  const lost = run(webhook, text()).function("ledger", { status: 503 }).function("customer-file", "noted").function("chat", "");
  assert.deepEqual([lost.failure?.path, lost.failure?.tries, lost.response?.status], ["ledger", 4, 502]);
});
