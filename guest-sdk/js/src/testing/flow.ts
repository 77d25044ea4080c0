import { Data, type Output } from "../data.js";
import type { Definition } from "../definition.js";
import type { Failed, Gathered } from "../failed.js";
import type { Failure } from "../failure.js";
import { Flow } from "../flow.js";
import { failureOf, type Handlers } from "../handlers.js";
import type { Request, Response } from "../http.js";
import { Inputs } from "../inputs.js";
import type { Wake } from "../node.js";
import { record, type Recorded } from "../record.js";
import type { Define, Outcome } from "../workflow.js";
import { Fake } from "./fake.js";

/** Named values: an object, or pairs in an order that counts. */
export type NamedValues = Readonly<Record<string, Output>> | Iterable<readonly [name: string, value: Output]>;

/**
 * A flow whose closures can be called by their handler ids. How ids are formed is described
 * on the page of the module `faas-flow`.
 *
 * Every method that calls a closure returns what the closure returns, and throws a {@link Failure} if it fails. An id that the flow
 * does not have, or whose closure is of another kind, is a `reject`.
 */
export class TestFlow {
  /** The context that the flow sees. */
  readonly fake: Fake;
  private readonly recorded: Recorded;

  /** Runs `define`. If it fails, so does this. */
  constructor(flow: Flow | Define, fake: Fake = new Fake()) {
    this.fake = fake;
    fake.defining = true;
    try {
      this.recorded = record(flow instanceof Flow ? flow.define : flow, fake.context);
    } catch (error) {
      throw failureOf(error);
    } finally {
      fake.defining = false;
    }
  }

  /** The definition, in the JSON form that `faas-flow graph --format definition` prints. */
  get definition(): Record<string, unknown> {
    return JSON.parse(JSON.stringify(this.recorded.definition)) as Record<string, unknown>;
  }

  /** The handler ids of all closures, sorted. */
  get handlers(): string[] {
    return this.recorded.handlers.ids();
  }

  /** The recorded definition. @internal */
  get plain(): Definition {
    return this.recorded.definition;
  }

  /** Calls a modifier. */
  modify(id: string, data: Output): Data {
    return this.data((all) => all.data("modify", id, input(data)));
  }

  /** Calls an aggregator with named values. */
  aggregate(id: string, inputs: NamedValues): Data {
    return this.data((all) => all.data("aggregate", id, named(inputs)));
  }

  /** Calls the closure that chooses the branches of a condition, and returns their keys. */
  condition(id: string, data: Output): string[] {
    return this.call((all) => all.condition(id, input(data)));
  }

  /** Calls the closure that splits the input of a for-each, and returns the items with their keys. */
  forEach(id: string, data: Output): [key: string, item: Data][] {
    return this.call((all) => all.forEach(id, input(data)).map(([key, item]) => [key, new Data(item)]));
  }

  /** Calls the closure that says whether a repeat runs again, with the result of a round and its number, from 1. */
  again(id: string, data: Output, round: number): boolean {
    return this.call((all) => all.again(id, input(data), round));
  }

  /** Calls the closure that names the key of a limit for the data of a call or a node. */
  key(id: string, data: Output): string {
    return this.call((all) => all.name("key", id, input(data)));
  }

  /** Calls the forwarder of an edge. */
  forward(id: string, data: Output): Data {
    return this.data((all) => all.data("forward", id, input(data)));
  }

  /** Calls the closure that prepares the request of a call. */
  prepare(id: string, request: Request): Request {
    return this.call((all) => all.prepare(id, request));
  }

  /** Calls the closure that receives the response of a call. */
  receive(id: string, response: Response): Data {
    return this.data((all) => all.data("receive", id, response));
  }

  /** Calls the closure that recovers from the failure of a call, or the failure handler of the flow: `(failure)`. */
  recover(id: string, failure: string): Data {
    return this.data((all) => all.data("recover", id, failure));
  }

  /** Calls the closure that catches the failure of a call, a node or a dag. */
  recoverFrom(id: string, failed: Failed): Data {
    return this.data((all) => all.data("recover-from", id, failed));
  }

  /** Calls the closure that gathers the items of a for-each. */
  gather(id: string, items: Iterable<Gathered>): Data {
    return this.data((all) => all.data("gather", id, [...items]));
  }

  /** Calls the closure that names the moment until which a node sleeps. A time is in milliseconds. */
  moment(id: string, data: Output): Wake {
    return this.call((all) => {
      const wake = all.moment(id, input(data));
      return wake.tag === "after" ? { after: wake.val } : { at: wake.val };
    });
  }

  /** Calls the closure that names the signal that a node waits for. */
  signalName(id: string, data: Output): string {
    return this.call((all) => all.name("signal-name", id, input(data)));
  }

  /** Calls the finally handler of the flow. */
  finally(outcome: Outcome): void {
    this.call((all) => all.finally("(finally)", outcome));
  }

  private data(answer: (handlers: Handlers) => Uint8Array): Data {
    return new Data(this.call(answer));
  }

  private call<T>(answer: (handlers: Handlers) => T): T {
    this.fake.calling(this.fake.current);
    return answer(this.recorded.handlers);
  }
}


function input(data: Output): Data {
  return data instanceof Data ? data : new Data(data);
}

function named(values: NamedValues): Inputs {
  return new Inputs(Symbol.iterator in values ? (values as Iterable<readonly [string, Output]>) : Object.entries(values));
}
