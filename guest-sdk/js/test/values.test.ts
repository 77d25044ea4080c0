import assert from "node:assert/strict";
import test from "node:test";
import { concat, Data, Inputs, json, Request } from "faas-flow";
import { Fake, TestFlow } from "faas-flow/testing";
import { Decoder, Encoder } from "../src/utf8.ts";

test("a context remembers values, labels, answers and logs", () => {
  const fake = new Fake({ headers: { "x-limit": ["9", "10"] }, inputs: [["n1", "in"]], values: { old: "x" } });
  const flow = new TestFlow((workflow, context) => {
    workflow.syncNode().modify(() => {
      const count = (context.get<number>("count") ?? 0) + 1;
      context.set("count", count);
      context.warn(`${count} of ${context.header("X-Limit")}`);
      context.delete("old");
      context.label("order", "42");
      context.respond(201, { Location: "/orders/7" });
      return context.inputs.concat();
    });
  }, fake);
  assert.equal(flow.modify("sync/0", "").text(), "in");
  flow.modify("sync/0", "");
  assert.equal(fake.get("count"), 2);
  assert.equal(fake.get("old"), undefined);
  assert.deepEqual(fake.logs[1], ["warn", "2 of 9"]);
  assert.deepEqual([...fake.labels], [["order", "42"]]);
  assert.deepEqual([fake.response?.status, fake.response?.header("location")], [201, "/orders/7"]);
  assert.deepEqual(fake.context.headerAll("x-LIMIT"), ["9", "10"]);
  assert.match(fake.context.signalUrl("approval", "2d"), /\/signal\/approval\?/);
});

test("what json makes has its media type, unless the closure says another one", () => {
  const fake = new Fake();
  const flow = new TestFlow(({ dag }, context) => {
    dag.node("plain").modify(() => json({ a: 1 }));
    dag.node("problem").modify(() => {
      context.setContentType("application/problem+json");
      return json({ a: 1 });
    });
    dag.node("text").modify(() => "{}");
    dag.forEach("F", () => [["1", json(1)], ["2", json(2)]]).dag.node("n");
  }, fake);
  const type = (id: string) => {
    flow.modify(id, "");
    return fake.returnedContentType;
  };
  const types = [type("plain/0"), type("problem/0"), type("text/0")];
  assert.deepEqual(types, ["application/json", "application/problem+json", "application/octet-stream"]);
  flow.forEach("F/for-each", "");
  assert.equal(fake.returnedContentType, "application/json");
});

test("inputs keep their order, also of names that look like numbers", () => {
  const inputs = new Inputs([["2", "b"], ["1", "a"]]);
  assert.deepEqual(inputs.names(), ["2", "1"]);
  assert.deepEqual([...inputs].map(([name, value]) => name + value.text()), ["2b", "1a"]);
  assert.deepEqual([inputs.get("1")?.text(), inputs.get("3"), inputs.size], ["a", undefined, 2]);
  assert.equal(concat([inputs.concat(), Uint8Array.of(33)]).text(), "ba!");
});

test("a request is changed without changing it", () => {
  const request = new Request("POST", "http://example.test", [["A", "1"], ["a", "2"]], "body");
  const other = request.withoutHeader("a").withHeader("b", "3").withMethod("PUT").withBody("x").withUrl("http://b.test");
  assert.deepEqual([other.method, other.url, other.headers, other.body.text()], ["PUT", "http://b.test", [["b", "3"]], "x"]);
  assert.deepEqual([request.header("A"), request.header("b"), request.body.text()], ["1", undefined, "body"]);
});

test("text in QuickJS is encoded and decoded as everywhere", () => {
  const [encoder, decoder] = [new Encoder(), new Decoder()];
  const texts = ["", "a", "ü", "€", "\u{1f600}", "\ud800", "a\udc00b", "x".repeat(20_000) + "\u{1f600}", "\ufeffbom"];
  for (const text of texts) {
    assert.deepEqual(encoder.encode(text), new Uint8Array(new TextEncoder().encode(text)));
    assert.equal(decoder.decode(encoder.encode(text)), new TextDecoder().decode(new TextEncoder().encode(text)));
  }
  // Every sequence of up to three bytes of each class that UTF-8 tells apart.
  const classes = [0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
  const sequences = classes.flatMap((a) => classes.flatMap((b) => classes.map((c) => [a, b, c])));
  for (const bytes of sequences.map((sequence) => Uint8Array.from([...sequence, 0x80, 0x42]))) {
    assert.equal(decoder.decode(bytes), new TextDecoder().decode(bytes), String(bytes));
    assert.equal(isFatal(new Decoder("utf-8", { fatal: true }), bytes), isFatal(new TextDecoder("utf-8", { fatal: true }), bytes));
  }
});

function isFatal(decoder: { decode(bytes: Uint8Array): string }, bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return false;
  } catch {
    return true;
  }
}

test("data tells its size and keeps a byte order mark", () => {
  const data = new Data("\ufeffü");
  assert.deepEqual([data.size, data.text()], [5, "\ufeffü"]);
});
