/**
 * Tests of a flow, without WebAssembly, with the test runner of Node or any other.
 *
 * {@link run} runs a whole flow, with functions of the test in place of those that it calls. {@link TestFlow} calls the closures one
 * by one, by their handler ids. {@link Fake} is the context that they see.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import test from "node:test";
 * import { Fake, run, TestFlow } from "faas-flow/testing";
 * import greet from "./flow.ts";
 *
 * test("asks again when the function is busy", () => {
 *   const greeting = run(greet, "Adam").answers("translate", { status: 503 }, "Bonjour");
 *   assert.equal(greeting.result().text(), "Bonjour, Adam!");
 * });
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
export { type Answer, Call } from "./call.js";
export { type Facts, Fake, type Values } from "./fake.js";
export { type NamedValues, TestFlow } from "./flow.js";
export { Run, run, RunFailed } from "./run.js";
