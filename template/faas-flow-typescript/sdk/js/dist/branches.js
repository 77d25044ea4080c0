import { closure, number, whole } from "./check.js";
import { millis } from "./duration.js";
/** What conditions and for-eaches have in common. */
export class Branches {
    id;
    model;
    /** @internal */
    constructor(
    /** @internal */ id, 
    /** @internal */ model) {
        this.id = id;
        this.model = model;
    }
    /**
     * Merges the results of the branches that ran, or of all items, named by their keys, in the order in which they were chosen or
     * split. If a for-each has no items, the aggregator is not called and the node's output is empty.
     */
    aggregator(aggregator) {
        this.model.aggregator = closure(aggregator, `the aggregator of the branches of \`${this.id}\``);
        return this;
    }
    /** Makes the branches start with empty data, and drops their results. */
    execution() {
        this.model.carriesNothing = true;
        return this;
    }
    /** Limits how many branches or items run at the same time, at least 1. By default they all do. */
    maxParallel(count) {
        this.model.maxParallel = whole(count, `\`maxParallel\` of \`${this.id}\``);
        return this;
    }
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
export class Condition extends Branches {
    /** The dag of the branch with this key, the same one each time. */
    branch(key) {
        const dag = this.model.dags.get(key);
        if (dag)
            return dag;
        const known = [...this.model.dags.keys()].map((key) => `\`${key}\``).join(", ");
        throw new RangeError(`condition \`${this.id}\` has no branch \`${String(key)}\`: it lists ${known}`);
    }
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
export class ForEach extends Branches {
    /** The dag that runs for each item, the same one each time. */
    get dag() {
        return this.model.dags.get("");
    }
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
    tolerate(items) {
        this.model.tolerate = { items: whole(items, `\`tolerate\` of \`${this.id}\``) };
        return this;
    }
    /**
     * Lets this share of the items fail, from 0 to 1, rounded down to whole items: `0.05` of 30 items are 1. See
     * {@link ForEach.tolerate}, which it replaces.
     */
    tolerateShare(share) {
        this.model.tolerate = { share: number(share, `\`tolerateShare\` of \`${this.id}\``) };
        return this;
    }
    /**
     * Merges the results of all items as {@link Branches.aggregator} does, and sees tolerated failures in their places. It takes
     * the place of an aggregator.
     */
    gather(gather) {
        this.model.gather = closure(gather, `the closure of \`gather\` of \`${this.id}\``);
        return this;
    }
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
export class Repeat {
    model;
    /** @internal */
    constructor(model) {
        this.model = model;
    }
    /** The dag that each round runs, the same one each time. */
    get dag() {
        return this.model.dag;
    }
    /**
     * Limits how many rounds there are, from 1 to 1,000. By default there are at most 100. If the closure wants another round after
     * the last one, the node fails.
     */
    most(rounds) {
        this.model.most = whole(rounds, "the number of rounds of a repeat");
        return this;
    }
    /** Waits between two rounds, at most 30 days. By default the next one begins at once. Nothing is held during the wait. */
    wait(time) {
        this.model.waitMs = millis(time, "the wait of a repeat");
        return this;
    }
}
