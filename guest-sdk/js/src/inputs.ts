import { concat, Data, type Output } from "./data.js";

/**
 * The values that an aggregator merges, each with a name.
 *
 * The inputs of a node are named by the predecessor that sent them and come in the order in which the edges were declared.
 * The results of branches are named by the branch's key and come in the order in which the branches were chosen or split.
 * Neither order depends on which finished first.
 *
 * ```ts
 * import { type Inputs, reject } from "faas-flow";
 *
 * function report(inputs: Inputs) {
 *   const total = inputs.get("total");
 *   if (!total) throw reject("node `total` sent nothing");
 *   return `${total.text()} from ${inputs.names().join(", ")}`;
 * }
 * ```
 */
export class Inputs implements Iterable<[name: string, value: Data]> {
  /** @internal */
  readonly entries: readonly (readonly [string, Data])[];

  /** Named values, in order. Flows do not need this, but their tests do. */
  constructor(entries: Iterable<readonly [name: string, value: Output]>) {
    this.entries = [...entries].map(([name, value]) => [name, value instanceof Data ? value : new Data(value)]);
  }

  /** The value with this name, if there is one. */
  get(name: string): Data | undefined {
    return this.entries.find(([key]) => key === name)?.[1];
  }

  /** The names, in order. */
  names(): string[] {
    return this.entries.map(([name]) => name);
  }

  /** The values, in order. */
  values(): Data[] {
    return this.entries.map(([, value]) => value);
  }

  /** All values joined into one, in order, with nothing between them. */
  concat(): Data {
    return concat(this.values());
  }

  /** The number of values. */
  get size(): number {
    return this.entries.length;
  }

  /** Names and values, in order: `for (const [name, value] of inputs)`. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: Data]> {
    for (const [name, value] of this.entries) yield [name, value];
  }
}
