// `faas-cli build` runs these tests.

import assert from "node:assert/strict";
import test from "node:test";
import { TestFlow } from "faas-flow/testing";
import greet from "./flow.ts";

const flow = new TestFlow(greet);

test("greets by name", () => {
  assert.equal(flow.modify("greet/0", "Adam\n").text(), "Hello, Adam!");
});

test("an empty name is rejected", () => {
  assert.throws(() => flow.modify("greet/0", " "), { tag: "reject" });
});
