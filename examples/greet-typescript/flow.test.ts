import assert from "node:assert/strict";
import test from "node:test";
import { TestFlow } from "faas-flow/testing";
import greet from "./flow.ts";

test("greets by name", () => {
  assert.equal(new TestFlow(greet).modify("greet/0", " Adam\n").text(), "Hello, Adam!");
});

test("empty names and bytes that are not UTF-8 are rejected", () => {
  const flow = new TestFlow(greet);
  for (const bad of [" ", Uint8Array.of(0xff)]) assert.throws(() => flow.modify("greet/0", bad), { tag: "reject" });
});
