// Whatever an author does wrong is a failure that says what, and where in the author's file.

import assert from "node:assert/strict";
import test from "node:test";
import { Data, type Define, flow, json, reject, retry } from "faas-flow";
import { Fake, TestFlow } from "faas-flow/testing";

/** The failure of a flow whose only node runs this closure. */
function failing(modifier: (data: Data) => unknown, data = ""): { tag: string; message: string; status?: number } {
  const flow = new TestFlow(({ dag }) => void dag.node("n").modify(modifier as (data: Data) => string));
  return thrown(() => flow.modify("n/0", data));
}

function thrown(call: () => unknown): { tag: string; message: string; status?: number } {
  try {
    call();
  } catch (error) {
    return error as { tag: string; message: string };
  }
  throw new Error("nothing was thrown");
}

const HERE = String.raw`test/faults\.test\.ts:\d+:\d+`;
const at = (text: string) => new RegExp(`^${text} \\(${HERE}\\)$`);

test("an exception is a reject with its name, its message, file and line", () => {
  const { tag, message } = failing((data) => (data as unknown as { a: { b: string } }).a.b);
  assert.equal(tag, "reject");
  assert.match(message, at("TypeError: Cannot read properties of undefined \\(reading 'b'\\)"));
});

test("the causes of an exception are part of the message", () => {
  const { message } = failing(() => {
    throw new RangeError("no such order", { cause: new Error("7 is unknown") });
  });
  assert.match(message, at("RangeError: no such order: 7 is unknown"));
});

test("what is thrown and is no exception names the closure", () => {
  const { tag, message } = failing(() => {
    throw "text";
  });
  assert.equal(tag, "reject");
  assert.match(message, at("text"));
});

test("an author's own failure is what the author has written", () => {
  const own = failing(() => {
    throw reject("no such order", { status: 404 });
  });
  assert.deepEqual([own.tag, own.message, own.status], ["reject", "no such order", 404]);
  const again = failing(() => {
    throw retry("the warehouse is closed");
  });
  assert.deepEqual([again.tag, again.message], ["retry", "the warehouse is closed"]);
});

test("data that is not text or not JSON is rejected", () => {
  const text = new TestFlow(({ dag }) => void dag.node("n").modify((data) => data.text()));
  assert.equal(thrown(() => text.modify("n/0", Uint8Array.of(0xff))).message, "the data is not text in UTF-8");
  const sum = new TestFlow(({ dag }) => void dag.node("n").modifyJson((value: number) => value + 1));
  assert.match(thrown(() => sum.modify("n/0", "{")).message, /^the data is not JSON: /);
});

test("an answer of a wrong type is refused, and names the closure", () => {
  const wrong: [unknown, string][] = [
    [undefined, "undefined"],
    [5, "the number 5"],
    [{}, "an object \\(Object\\)"],
    [["a"], "an array"],
  ];
  for (const [value, shown] of wrong) {
    const { message } = failing(() => value);
    assert.match(message, at("TypeError: handler `n/0` must return a string, a Uint8Array or Data, not " + shown));
  }
  const flow = new TestFlow(({ dag }) => {
    dag.condition("C", ["a"], () => 5 as never).branch("a").node("n");
    dag.forEach("F", () => ({ a: "b" }) as never).dag.node("n");
    dag.forEach("G", () => [["a"]] as never).dag.node("n");
    dag.repeat("R", () => "yes" as never).dag.node("n");
    dag.node("p").apply("f").prepare(() => ({}) as never).modify((data) => data);
    dag.node("m").sleepUntil(() => ({}) as never);
    dag.node("s").waitForNamed(() => 5 as never);
  });
  const expect = (call: () => unknown, text: string) => assert.match(thrown(call).message, at(`TypeError: handler ${text}`));
  expect(() => flow.condition("C/condition", ""), "`C/condition` must return the key of a branch, or several, not the number 5");
  expect(() => flow.forEach("F/for-each", ""), "`F/for-each` must return items, each with its key: .*, not an object \\(Object\\)");
  expect(() => flow.forEach("G/for-each", ""), "`G/for-each` must return items, each with its key: .*, not an array");
  expect(() => flow.again("R/again", "", 1), '`R/again` must return true or false, not "yes"');
  expect(() => flow.moment("m/0", ""), "`m/0` must return .* or .*, not an object \\(Object\\)");
  expect(() => flow.signalName("s/0", ""), "`s/0` must return a string, not the number 5");
  const request = { method: "POST", url: "http://example.test", headers: [] } as never;
  expect(() => flow.prepare("p/0/prepare", request), "`p/0/prepare` must return a Request, not an object \\(Object\\)");
});

test("an async closure is refused when the flow is defined", () => {
  const define: Define = ({ dag }) => {
    // @ts-expect-error The types refuse it too.
    dag.node("n").modify(async (data: Data) => data.text());
  };
  const { tag, message } = thrown(() => new TestFlow(define));
  assert.equal(tag, "reject");
  assert.match(message, at("TypeError: the modifier of node `n` is async, and nothing can wait for it: .*"));
});

test("a promise that is returned is refused, also one that is rejected", async () => {
  for (const promise of [Promise.resolve("a"), Promise.reject(new Error("b"))]) {
    assert.match(failing(() => promise).message, at("TypeError: handler `n/0` is async, and nothing can wait for it: .*"));
  }
  // Nobody is told of a rejection that nobody has looked at.
  await new Promise((done) => setImmediate(done));
});

test("define must not be async, and its exceptions are failures", () => {
  const asynchronous = (async () => {}) as never;
  assert.match(thrown(() => new TestFlow(asynchronous)).message, /^TypeError: `define` is async/);
  const broken: Define = ({ dag }) => void dag.node((undefined as unknown as { id: string }).id);
  assert.match(thrown(() => new TestFlow(broken)).message, at("TypeError: Cannot read properties of undefined .*"));
});

test("values that no definition can have are refused where they are given", () => {
  const refused = (define: Define, text: string) => assert.match(thrown(() => new TestFlow(define)).message, at(text));
  refused(({ dag }) => void dag.node(5 as never), "TypeError: the id of a node must be a string, not the number 5");
  refused(({ dag }) => void dag.node("n").modify("x" as never), 'TypeError: the modifier of node `n` must be a function, not "x"');
  refused(({ dag }) => void dag.node("n").sleep("5 s" as never), 'RangeError: a sleep cannot be "5 s": .*');
  refused(({ dag }) => void dag.node("n").timeout(-1), "RangeError: a timeout cannot be -1: .*");
  const fraction: Define = ({ dag }) => void dag.forEach("F", () => []).maxParallel(1.5);
  refused(fraction, "RangeError: `maxParallel` of `F` must be a whole number from 0 to 4294967295, not the number 1.5");
  refused((workflow) => workflow.onExhausted("stop" as never), 'TypeError: what happens when .* "fail", "pause", not "stop"');
  assert.throws(() => flow(5 as never), /`flow` needs a function/);
});

test("what the host refuses is a failure with the line that asked for it", () => {
  const sets: Define = (_, context) => context.set("a", 1);
  const { tag, message } = thrown(() => new TestFlow(sets));
  assert.equal(tag, "reject");
  assert.match(message, at("value `a` cannot be changed while the flow is being defined"));
  const types = new TestFlow(({ dag }, context) => {
    dag.node("n").modify((data) => {
      context.setContentType("text");
      return data;
    });
  });
  assert.match(thrown(() => types.modify("n/0", "")).message, at("`text` is not a media type"));
});

test("an exception is logged with the author's part of its stack", () => {
  const fake = new Fake();
  const inner = () => {
    throw new Error("broken");
  };
  const flow = new TestFlow(({ dag }) => void dag.node("n").modify(() => inner()), fake);
  thrown(() => flow.modify("n/0", ""));
  assert.equal(fake.logs.length, 1);
  const [level, message] = fake.logs[0]!;
  assert.equal(level, "error");
  assert.match(message, new RegExp(`^Error: broken \\(${HERE}\\)\n    at inner \\(${HERE}\\)\n    at .*${HERE}`));
});

test("a value that JSON cannot represent is refused", () => {
  const { message } = failing(() => json(undefined));
  assert.match(message, at("TypeError: undefined cannot be represented in JSON"));
});
