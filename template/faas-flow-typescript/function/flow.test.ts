// `faas-cli build` runs these tests.

import assert from "node:assert/strict";
import test from "node:test";
import { run } from "faas-flow/testing";
import greet from "./flow.ts";

test("greets by name", () => {
  assert.equal(run(greet, "Adam\n").result().text(), "Hello, Adam!");
});

// Once the flow calls functions, say what they answer: run(greet, "Adam").answers("translate", "Bonjour").
test("an empty name is rejected", () => {
  assert.equal(run(greet, " ").response?.status, 422);
});
