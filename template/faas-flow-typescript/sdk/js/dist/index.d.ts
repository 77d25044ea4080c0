/**
 * Write flows in TypeScript.
 *
 * A flow composes [OpenFaaS](https://www.openfaas.com) functions into a graph: its nodes call functions, call URLs or run the
 * flow's own code, and it branches, processes collections in parallel, and merges the results. This package compiles a flow to
 * a WebAssembly component, which the `faas-flow` host runs on a laptop or as an OpenFaaS function.
 *
 * # A whole flow
 *
 * A flow is a function that describes a dag, together with the closures that the dag names. {@link flow} makes it the default
 * export of `flow.ts`:
 *
 * ```ts
 * import { flow, reject, type Inputs } from "faas-flow";
 *
 * export default flow((workflow, context) => {
 *   const dag = workflow.dag;
 *   dag.node("clean").modify((data) => data.text().trim().toLowerCase());
 *   dag.node("count").apply("wc").retry({ attempts: 3 }).timeout("5s");
 *   dag.node("shout").modify((data) => data.text().toUpperCase());
 *   dag.node("report").aggregator(report);
 *   dag.edge("clean", "count");
 *   dag.edge("clean", "shout");
 *   dag.edge("count", "report");
 *   dag.edge("shout", "report");
 *
 *   workflow.finally((outcome) => context.info(`run ${context.requestId} ended: ${outcome}`));
 * });
 *
 * function report(inputs: Inputs) {
 *   const [shout, count] = [inputs.get("shout"), inputs.get("count")];
 *   if (!shout || !count) throw reject("a node sent nothing");
 *   return `${shout.text()}! (${count.text().trim()} words)`;
 * }
 * ```
 *
 * `npx faas-flow-typescript build flow.ts --output flow.wasm` makes the module, and `faas-flow run`, `faas-flow serve` or an image
 * runs it. The module `faas-flow/testing` tests it without WebAssembly.
 *
 * # How the builder works
 *
 * Everything that a builder method returns is a handle: keep it, and use it in any order. The host checks the whole definition when
 * it loads the module, and reports every problem at once; `faas-flow check` does the same on the command line. What cannot be part
 * of any definition, such as a number where text belongs, throws at once.
 *
 * Closures get {@link Data} and return an {@link Output}: text, bytes, or what {@link json} makes. They fail by throwing what
 * {@link reject} or {@link retry} return; any other exception is a `reject` with its message, file and line. They are never
 * `async`, which the types refuse: nodes call what takes time, with {@link Operations.apply} and {@link Operations.request}.
 *
 * Closures run in a sandbox without files, network or clock, and must not rely on what an earlier call left in memory: the next
 * node of the same run may be executed by another instance of the module, possibly on another machine. Keep values in the
 * {@link Context} instead.
 *
 * # Handler ids
 *
 * The host knows each closure by an id, which follows from the closure's position. Flows in other languages that choose the same
 * ids have the same definition.
 *
 * | closure | id |
 * |---|---|
 * | `modify`, `sleepUntil` or `waitForNamed`, as operation 1 (the second) of node `n2` | `n2/1` |
 * | `prepare`, `receive`, `recover` of the call that is operation 0 of `n2` | `n2/0/prepare`, `n2/0/receive`, `n2/0/recover` |
 * | aggregator of the inputs of a node of any kind | `n4/aggregate` |
 * | forwarder of the edge from `n1` to `n2` | `n1->n2/forward` |
 * | the closure that chooses the branches of condition `C` | `C/condition` |
 * | the closure that splits the input of for-each `F` | `F/for-each` |
 * | the closure that says whether repeat `R` runs again | `R/again` |
 * | aggregator of the results of the branches of `C` or `F` | `C/aggregate-branches`, `F/aggregate-branches` |
 * | aggregator of a dag's ends | `(end)/aggregate` |
 * | `recoverFrom` of the call, or of the wait for a signal, that is operation 0 of `n2`, of node `n2`, of a dag | `n2/0/recover-from`, `n2/recover`, `(recover)` |
 * | the closure that gathers the items of for-each `F` | `F/gather` |
 * | the key of the limit of the call that is operation 0 of `n2`, of node `n2` | `n2/0/limit-key`, `n2/limit-key` |
 * | the flow's failure handler, its finally handler | `(failure)`, `(finally)` |
 *
 * Inside a nested dag, the id starts with a prefix: `S/` in sub-dag `S`, `C[c1]/` in branch `c1` of condition `C`, `F[]/` in the dag
 * of for-each `F`, `R[]/` in the dag of repeat `R`. Prefixes add up: `C[c1]/F[]/n1/0` is in a for-each in a branch. Branch keys are
 * percent-encoded except for `A-Z a-z 0-9 _ . -`. The handlers are declared to the host in the order of their bytes.
 *
 * @packageDocumentation
 */
export { Branches, Condition, ForEach, Repeat, type Split } from "./branches.js";
export type { Synchronous } from "./check.js";
export { Context, type Level, type State } from "./context.js";
export { Dag, Edge } from "./dag.js";
export { concat, Data, json, type Output } from "./data.js";
export type { Duration } from "./duration.js";
export { Failed, type FailedFacts, type FailureKind, type Gathered } from "./failed.js";
export { Failure, reject, type RejectOptions, retry } from "./failure.js";
export { Flow, flow } from "./flow.js";
export { type Headers, Request, Response } from "./http.js";
export { Inputs } from "./inputs.js";
export { Call, Node, Operations, SignalWait, type Wake } from "./node.js";
export type { Backoff, Limit } from "./policy.js";
export { type Define, type Exhausted, type Missed, type Outcome, type Overlap, Schedule, Workflow } from "./workflow.js";
