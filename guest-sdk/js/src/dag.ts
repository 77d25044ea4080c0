import { Condition, ForEach, Repeat, type BranchesModel, type RepeatModel, type Split } from "./branches.js";
import { closure, text, type Closure } from "./check.js";
import type { Data, Output } from "./data.js";
import type { Failed } from "./failed.js";
import type { Inputs } from "./inputs.js";
import { Node, type OperationsModel } from "./node.js";

/** @internal */
export type NodeKind =
  | { operations: OperationsModel }
  | { subDag: Dag }
  | { condition: BranchesModel }
  | { forEach: BranchesModel }
  | { repeat: RepeatModel };

/** @internal */
export interface EdgeModel {
  from: string;
  to: string;
  carries: "output" | "nothing" | Closure<(data: Data) => Output>;
}

/** @internal */
export interface DagModel {
  nodes: [id: string, kind: NodeKind][];
  edges: EdgeModel[];
  inputAggregators: [node: string, aggregator: Closure<(inputs: Inputs) => Output>][];
  endAggregator?: Closure<(ends: Inputs) => Output>;
  recoverNodes: [node: string, recover: Closure<(failed: Failed) => Output>][];
  recover?: Closure<(failed: Failed) => Output>;
}

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
export class Dag {
  /** @internal */
  readonly model: DagModel = { nodes: [], edges: [], inputAggregators: [], recoverNodes: [] };

  /** A dag without nodes, to be used as a sub-dag, as a part of another dag, or as the whole flow. */
  constructor() {}

  /**
   * Adds a node that runs operations one after the other. A node without operations passes its input on.
   *
   * The id is unique within this dag: 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
   */
  node(id: string): Node {
    const operations: OperationsModel = { list: [] };
    this.add(id, { operations });
    return new Node(this, id, operations);
  }

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
  subDag(id: string, dag: Dag): void {
    if (!(dag instanceof Dag)) throw new TypeError(`sub-dag \`${id}\` needs a Dag`);
    this.add(id, { subDag: dag });
  }

  /**
   * Adds a node that runs some of its branches, of which it lists the keys. `choose` gets the node's input and returns the key of
   * the branch to run, or several: at least one, each at most once. See {@link Condition} for an example.
   */
  condition<const K extends string>(
    id: string,
    keys: readonly K[],
    choose: (data: Data) => NoInfer<K> | Iterable<NoInfer<K>>,
  ): Condition<K> {
    const dags = new Map(keys.map((key) => [text(key, `a key of condition \`${id}\``), new Dag()]));
    const model: BranchesModel = { select: closure(choose, `the closure of condition \`${id}\``), dags };
    this.add(id, { condition: model });
    return new Condition(id, model);
  }

  /**
   * Adds a node that runs one dag once for each item. `split` gets the node's input and returns the items in order, each with a
   * key: 1 to 128 bytes, unique among the items. There may be none. See {@link ForEach} for an example.
   */
  forEach(id: string, split: Split): ForEach {
    const model: BranchesModel = {
      select: closure(split, `the closure of for-each \`${id}\``),
      dags: new Map([["", new Dag()]]),
    };
    this.add(id, { forEach: model });
    return new ForEach(id, model);
  }

  /**
   * Adds a node that runs a dag again on its own result while `again` says so. `again` gets the result of each round and its
   * number, from 1, and returns whether there is another one. See {@link Repeat} for an example.
   */
  repeat(id: string, again: (data: Data, round: number) => boolean): Repeat {
    const model: RepeatModel = { again: closure(again, `the closure of repeat \`${id}\``), dag: new Dag(), most: 100, waitMs: 0 };
    this.add(id, { repeat: model });
    return new Repeat(model);
  }

  /**
   * Adds an edge: `to` runs after `from`, and gets its output unless the {@link Edge} says otherwise. The two nodes may be added
   * before or after the edge.
   */
  edge(from: string, to: string): Edge {
    const model: EdgeModel = {
      from: text(from, "the first node of an edge"),
      to: text(to, "the second node of an edge"),
      carries: "output",
    };
    this.model.edges.push(model);
    return new Edge(model);
  }

  /**
   * Merges the inputs of any node of this dag, named by predecessor in the order of the edges. {@link Node.aggregator} is the
   * short form for nodes that run operations.
   *
   * Without an aggregator, a node with one incoming data edge gets what that edge carries. A node with several gets empty data,
   * and finds its inputs in {@link Context.inputs}.
   */
  inputAggregator(node: string, aggregator: (inputs: Inputs) => Output): void {
    this.model.inputAggregators.push([text(node, "the id of a node"), closure(aggregator, `the aggregator of node \`${node}\``)]);
  }

  /** Merges the outputs of this dag's ends into its result, named by node id in the order of their declaration. */
  endAggregator(aggregator: (ends: Inputs) => Output): void {
    this.model.endAggregator = closure(aggregator, "the aggregator of a dag's ends");
  }

  /**
   * Catches the failure of a node of any kind, or of what is inside it, after all its retries. What the closure returns is the
   * node's output. If it fails, so does the node. {@link Node.recoverFrom} is the short form for nodes that run operations.
   *
   * What the node had begun is cancelled: calls in flight are cut off, and runs that were called are stopped.
   */
  recoverNode(node: string, recover: (failed: Failed) => Output): void {
    const run = closure(recover, `the closure that catches the failure of node \`${node}\``);
    this.model.recoverNodes.push([text(node, "the id of a node"), run]);
  }

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
  recoverFrom(recover: (failed: Failed) => Output): void {
    this.model.recover = closure(recover, "the closure that catches the failure of a dag");
  }

  /**
   * Copies the nodes, edges, input aggregators and recover closures of nodes that another dag has now into this one. What is
   * added to the other dag later is not copied.
   */
  append(other: Dag): void {
    this.model.nodes.push(...other.model.nodes);
    this.model.edges.push(...other.model.edges);
    this.model.inputAggregators.push(...other.model.inputAggregators);
    this.model.recoverNodes.push(...other.model.recoverNodes);
  }

  private add(id: string, kind: NodeKind): void {
    this.model.nodes.push([text(id, "the id of a node"), kind]);
  }
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
export class Edge {
  /** @internal */
  constructor(private readonly model: EdgeModel) {}

  /** Makes the edge carry nothing: it only orders the two nodes. */
  execution(): this {
    this.model.carries = "nothing";
    return this;
  }

  /** Rewrites the data that the edge carries. */
  forwarder(forward: (data: Data) => Output): this {
    const { from, to } = this.model;
    this.model.carries = closure(forward, `the forwarder of the edge from \`${from}\` to \`${to}\``);
    return this;
  }
}
