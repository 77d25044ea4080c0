import { Condition, ForEach, Repeat, type Split } from "./branches.js";
import type { Data, Output } from "./data.js";
import type { Failed } from "./failed.js";
import type { Inputs } from "./inputs.js";
import { Node } from "./node.js";
/**
 * Nodes, and the edges between them.
 *
 * A dag has one start (a node without incoming edges) and no cycles. Its result is the output of its end (the node without
 * outgoing edges). A dag with several ends yields nothing, unless {@link Dag.endAggregator} merges their outputs.
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow(({ dag }) => {
 *   dag.node("split").apply("split-name");
 *   dag.node("greet").modify((name) => `Hello, ${name.text()}`);
 *   dag.node("face").apply("draw-face");
 *   dag.node("card").aggregator((inputs) => inputs.concat());
 *   dag.edge("split", "greet");
 *   dag.edge("split", "face");
 *   dag.edge("greet", "card");
 *   dag.edge("face", "card");
 * });
 * ```
 */
export declare class Dag {
    /** A dag without nodes, to be used as a sub-dag, as a part of another dag, or as the whole flow. */
    constructor();
    /**
     * Adds a node that runs operations one after the other. A node without operations passes its input on.
     *
     * The id is unique within this dag: 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
     */
    node(id: string): Node;
    /**
     * Adds a node that runs a whole dag. The start of that dag gets the node's input, and its result is the node's output. The same
     * dag may be used for several nodes.
     *
     * ```ts
     * import { Dag, flow } from "faas-flow";
     *
     * export default flow(({ dag }) => {
     *   const polish = new Dag();
     *   polish.node("resize").apply("resize");
     *   polish.node("sharpen").apply("sharpen");
     *   polish.edge("resize", "sharpen");
     *
     *   dag.subDag("polish", polish);
     *   dag.node("store").apply("store");
     *   dag.edge("polish", "store");
     * });
     * ```
     */
    subDag(id: string, dag: Dag): void;
    /**
     * Adds a node that runs some of its branches, of which it lists the keys. `choose` gets the node's input and returns the key of
     * the branch to run, or several: at least one, each at most once. See {@link Condition} for an example.
     */
    condition<const K extends string>(id: string, keys: readonly K[], choose: (data: Data) => NoInfer<K> | Iterable<NoInfer<K>>): Condition<K>;
    /**
     * Adds a node that runs one dag once for each item. `split` gets the node's input and returns the items in order, each with a
     * key: 1 to 128 bytes, unique among the items. There may be none. See {@link ForEach} for an example.
     */
    forEach(id: string, split: Split): ForEach;
    /**
     * Adds a node that runs a dag again on its own result while `again` says so. `again` gets the result of each round and its
     * number, from 1, and returns whether there is another one. See {@link Repeat} for an example.
     */
    repeat(id: string, again: (data: Data, round: number) => boolean): Repeat;
    /**
     * Adds an edge: `to` runs after `from`, and gets its output unless the {@link Edge} says otherwise. The two nodes may be added
     * before or after the edge.
     */
    edge(from: string, to: string): Edge;
    /**
     * Merges the inputs of any node of this dag, named by predecessor in the order of the edges. {@link Node.aggregator} is the
     * short form for nodes that run operations.
     *
     * Without an aggregator, a node with one incoming data edge gets what that edge carries. A node with several gets empty data,
     * and finds its inputs in {@link Context.inputs}.
     */
    inputAggregator(node: string, aggregator: (inputs: Inputs) => Output): void;
    /** Merges the outputs of this dag's ends into its result, named by node id in the order of their declaration. */
    endAggregator(aggregator: (ends: Inputs) => Output): void;
    /**
     * Catches the failure of a node of any kind, or of what is inside it, after all its retries. What the closure returns is the
     * node's output. If it fails, so does the node. {@link Node.recoverFrom} is the short form for nodes that run operations.
     *
     * What the node had begun is cancelled: calls in flight are cut off, and runs that were called are stopped.
     */
    recoverNode(node: string, recover: (failed: Failed) => Output): void;
    /**
     * Catches failures in this dag that were not caught further inside. The dag may be the outermost one, a sub-dag, a branch of
     * a condition or that of a for-each. What the closure returns is the result of the dag. If it fails, so does the dag.
     *
     * ```ts
     * import { flow, reject } from "faas-flow";
     *
     * export default flow(({ dag }) => {
     *   dag.node("charge").apply("charge");
     *   dag.node("ship").apply("ship");
     *   dag.edge("charge", "ship");
     *   dag.recoverFrom((failed) => {
     *     if (failed.status === 402) return "the card was declined";
     *     throw reject(String(failed));
     *   });
     * });
     * ```
     */
    recoverFrom(recover: (failed: Failed) => Output): void;
    /**
     * Copies the nodes, edges, input aggregators and recover closures of nodes that another dag has now into this one. What is
     * added to the other dag later is not copied.
     */
    append(other: Dag): void;
    private add;
}
/**
 * An edge between two nodes, made by {@link Dag.edge}. By default it carries the output of the first node to the second.
 *
 * ```ts
 * import { Dag } from "faas-flow";
 *
 * const dag = new Dag();
 * dag.node("fetch").apply("fetch");
 * dag.node("print").apply("print");
 * dag.node("notify").apply("notify");
 * dag.edge("fetch", "print").forwarder((data) => data.text().toUpperCase());
 * dag.edge("print", "notify").execution();
 * ```
 */
export declare class Edge {
    private readonly model;
    /** Makes the edge carry nothing: it only orders the two nodes. */
    execution(): this;
    /** Rewrites the data that the edge carries. */
    forwarder(forward: (data: Data) => Output): this;
}
