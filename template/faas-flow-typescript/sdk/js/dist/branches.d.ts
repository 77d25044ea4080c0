import type { Dag } from "./dag.js";
import type { Data, Output } from "./data.js";
import { type Duration } from "./duration.js";
import type { Gathered } from "./failed.js";
import type { Inputs } from "./inputs.js";
/**
 * Splits data into items, each with a key, in an order that counts: an array of pairs, a `Map`, or a generator. A plain object
 * will not do, because keys that look like whole numbers would lose their place.
 */
export type Split = (data: Data) => Iterable<readonly [key: string, item: Output]>;
/** What conditions and for-eaches have in common. */
export declare abstract class Branches {
    /**
     * Merges the results of the branches that ran, or of all items, named by their keys, in the order in which they were chosen or
     * split. If a for-each has no items, the aggregator is not called and the node's output is empty.
     */
    aggregator(aggregator: (results: Inputs) => Output): this;
    /** Makes the branches start with empty data, and drops their results. */
    execution(): this;
    /** Limits how many branches or items run at the same time, at least 1. By default they all do. */
    maxParallel(count: number): this;
}
/**
 * The branches of a condition: one dag per key. Made by {@link Dag.condition}.
 *
 * Without an aggregator, a condition that chose exactly one branch yields the result of that branch, and a condition that chose
 * several yields nothing.
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow(({ dag }) => {
 *   const size = dag.condition("size", ["small", "large"], (data) => (data.size < 1024 ? "small" : "large"));
 *   size.branch("small").node("ship").apply("ship-parcel");
 *   size.branch("large").node("ship").apply("ship-pallet");
 * });
 * ```
 */
export declare class Condition<K extends string = string> extends Branches {
    /** The dag of the branch with this key, the same one each time. */
    branch(key: K): Dag;
}
/**
 * The branches of a for-each: one dag, which runs once for each item. Made by {@link Dag.forEach}. Without an aggregator, a
 * for-each yields nothing.
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow(({ dag }) => {
 *   const lines = dag.forEach("lines", (data) => data.text().split("\n").map((line, number) => [String(number), line]));
 *   lines.dag.node("translate").apply("translate");
 *   lines.maxParallel(4).aggregator((results) => results.concat());
 * });
 * ```
 */
export declare class ForEach extends Branches {
    /** The dag that runs for each item, the same one each time. */
    get dag(): Dag;
    /**
     * Lets this number of items fail without failing the for-each. By default none may (fail-fast).
     *
     * An item that fails and is tolerated has no result: an {@link Branches.aggregator} does not see it, and a closure of
     * {@link ForEach.gather} sees its failure. The other items continue. If one more item fails, the for-each fails.
     *
     * ```ts
     * import { flow } from "faas-flow";
     *
     * export default flow(({ dag }) => {
     *   const orders = dag.forEach("orders", (data) => Object.entries(data.json<Record<string, string>>()));
     *   orders.dag.node("ship").apply("ship");
     *   orders.tolerateShare(0.05).gather((items) =>
     *     items.map(({ key, failed }) => (failed ? `${key}: ${failed}\n` : `${key}: shipped\n`)).join(""),
     *   );
     * });
     * ```
     */
    tolerate(items: number): this;
    /**
     * Lets this share of the items fail, from 0 to 1, rounded down to whole items: `0.05` of 30 items are 1. See
     * {@link ForEach.tolerate}, which it replaces.
     */
    tolerateShare(share: number): this;
    /**
     * Merges the results of all items as {@link Branches.aggregator} does, and sees tolerated failures in their places. It takes
     * the place of an aggregator.
     */
    gather(gather: (items: Gathered[]) => Output): this;
}
/**
 * A dag that runs again on its own result. Made by {@link Dag.repeat}.
 *
 * Each time that the dag runs is a round. The first one begins with the node's input, each further one with the result of the one
 * before. The result of the last one is the node's output.
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow(({ dag }) => {
 *   const poll = dag.repeat("poll", (status) => status.text() !== "done");
 *   poll.dag.node("ask").apply("job-status");
 *   poll.most(60).wait("1m");
 * });
 * ```
 */
export declare class Repeat {
    private readonly model;
    /** The dag that each round runs, the same one each time. */
    get dag(): Dag;
    /**
     * Limits how many rounds there are, from 1 to 1,000. By default there are at most 100. If the closure wants another round after
     * the last one, the node fails.
     */
    most(rounds: number): this;
    /** Waits between two rounds, at most 30 days. By default the next one begins at once. Nothing is held during the wait. */
    wait(time: Duration): this;
}
