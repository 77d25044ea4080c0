/**
 * Tests of a flow, without WebAssembly, with the test runner of Node or any other.
 *
 * {@link TestFlow} runs `define` natively and calls the closures one by one, by their handler ids. {@link Fake} is the context that
 * they see.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import test from "node:test";
 * import { Fake, TestFlow } from "faas-flow/testing";
 * import greet from "./flow.ts";
 *
 * test("greets by name", () => {
 *   const flow = new TestFlow(greet, new Fake({ query: { greeting: "Hello" } }));
 *   assert.equal(flow.modify("greet/0", "Adam").text(), "Hello, Adam!");
 * });
 * ```
 *
 * `npx faas-flow-typescript test` runs all tests in a folder.
 *
 * @packageDocumentation
 */

export { type Facts, Fake, type Values } from "./fake.js";
export { type NamedValues, TestFlow } from "./flow.js";
