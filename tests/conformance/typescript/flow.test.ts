// Compares what the flow defines, without a host, with what was recorded.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Fake, TestFlow } from "faas-flow/testing";
import flow from "./flow.ts";

const recorded: Record<string, unknown> = JSON.parse(readFileSync("../definitions.json", "utf8"));

for (const [name, expected] of Object.entries(recorded)) {
  test(`${name} has the definition that was recorded`, () => {
    const fake = new Fake({ query: { case: name, id: "seven" }, headers: { "X-Times": "90" } });
    assert.deepEqual(new TestFlow(flow, fake).definition, expected);
  });
}
