import type { Define } from "./workflow.js";

/** A flow, made by {@link flow}: the default export of its file. */
export class Flow {
  /** @internal */
  readonly define: Define;

  /** @internal */
  constructor(define: Define) {
    this.define = define;
  }
}

/**
 * Makes a flow of a function that describes it. What it returns is the default export of the file that is built:
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow(({ dag }) => {
 *   dag.node("clean").modify((text) => text.text().trim().toLowerCase());
 *   dag.node("count").apply("wc");
 *   dag.edge("clean", "count");
 * });
 * ```
 *
 * The function must describe the same flow each time that it gets the same context.
 */
export function flow(define: Define): Flow {
  if (typeof define !== "function") throw new TypeError("`flow` needs a function that describes the flow");
  return new Flow(define);
}
