import { closure, text, whole, type Closure, type Synchronous } from "./check.js";
import type { Dag } from "./dag.js";
import { json, type Data, type Output } from "./data.js";
import { millis, type Duration } from "./duration.js";
import type { Failed } from "./failed.js";
import { header, type Request, type Response } from "./http.js";
import type { Inputs } from "./inputs.js";
import { backoff, limit, type Backoff, type BackoffModel, type Limit, type LimitModel } from "./policy.js";

/**
 * When a sleeping node continues: after a time, or at a moment as RFC 3339 writes it, such as `2026-12-24T18:00:00+01:00`. A
 * moment in the past, and a time of 0, do not sleep.
 */
export type Wake =
  | {
      /** After this time. */
      after: Duration;
      /** Not at a moment. */
      at?: undefined;
    }
  | {
      /** At this moment. */
      at: string | Date;
      /** Not after a time. */
      after?: undefined;
    };

/** @internal */
export interface CallModel {
  target: string;
  method?: string;
  headers: (readonly [string, string])[];
  query: [string, string][];
  prepare?: Closure<(request: Request) => Request>;
  receive?: Closure<(response: Response) => Output>;
  recover?: Closure<(failure: string) => Output>;
  recoverFrom?: Closure<(failed: Failed) => Output>;
  retry?: BackoffModel;
  retryOn: number[];
  timeoutMs?: number;
  asynchronous: boolean;
  limit?: LimitModel;
}

/** @internal */
export interface WaitModel {
  signal: string | Closure<(data: Data) => string>;
  timeoutMs?: number;
  recoverFrom?: Closure<(failed: Failed) => Output>;
}

/** @internal */
export type Operation =
  | { apply: CallModel }
  | { request: CallModel }
  | { modify: Closure<(data: Data) => Output> }
  | { sleep: number }
  | { sleepUntil: Closure<(data: Data) => Wake> }
  | { waitFor: WaitModel };

/** @internal */
export interface OperationsModel {
  list: Operation[];
  retry?: BackoffModel;
  timeoutMs?: number;
  limit?: LimitModel;
}

/** What adds the next operation to a node: a {@link Node} itself, and what its operations return. */
export abstract class Operations {
  /** @internal */
  constructor(
    /** @internal */ protected readonly dag: Dag,
    /** @internal */ protected readonly id: string,
    /** @internal */ protected readonly operations: OperationsModel,
  ) {}

  /**
   * Adds a call of an OpenFaaS function. The name may be followed by a path: `func1` or `func1/path`.
   *
   * If the function is a flow, the call begins a run of it, and waits for the end of that run without holding anything: its
   * result is the response, and its failure that of the call. The same call, repeated, is the same run. It is stopped if this
   * run ends without it. At most 16 runs may be nested in this way.
   *
   * For a function that takes longer than a request may, see {@link Call.asynchronous}.
   */
  apply(name: string): Call {
    return this.call(text(name, "the name of a function"), "apply");
  }

  /** Adds a request to a URL, `http` or `https`. */
  request(url: string): Call {
    return this.call(text(url, "a URL"), "request");
  }

  /** Adds a call of the flow's own code. */
  modify(modifier: (data: Data) => Output): Node {
    return this.add({ modify: closure(modifier, `the modifier of node \`${this.id}\``) });
  }

  /**
   * Adds a call of the flow's own code that reads and writes JSON. Data that is not JSON is rejected, and what the closure
   * returns has the media type `application/json`. The type of its parameter is taken on trust ({@link Data.json}).
   *
   * ```ts
   * import { Dag } from "faas-flow";
   *
   * new Dag().node("sum").modifyJson((numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0));
   * ```
   */
  modifyJson<I, O>(modifier: (value: I) => O & Synchronous<O>): Node {
    const { run, stack } = closure(modifier, `the modifier of node \`${this.id}\``);
    return this.add({ modify: { run: (data) => json(run(data.json<I>())), stack } });
  }

  /**
   * Adds a sleep: the data is passed on unchanged after this time, at most 366 days.
   *
   * A node that sleeps is stored, and nothing is held for it. Its {@link Node.timeout} does not count the sleep; the deadline
   * of the run does.
   *
   * ```ts
   * import { Dag } from "faas-flow";
   *
   * new Dag().node("reminder").sleep("2d").apply("send-mail");
   * ```
   */
  sleep(time: Duration): Node {
    return this.add({ sleep: millis(time, "a sleep") });
  }

  /**
   * Adds a sleep until a moment that a closure names for the data: one that it finds there, or a time from now. The flow's code
   * itself has no clock. A moment in the past does not sleep. One that is malformed, or more than 366 days away, fails the node.
   *
   * ```ts
   * import { Dag } from "faas-flow";
   *
   * const node = new Dag().node("ask-for-a-review");
   * node.sleepUntil((order) => ({ at: order.json<{ delivered: string }>().delivered })).apply("send-mail");
   * ```
   */
  sleepUntil(moment: (data: Data) => Wake): Node {
    return this.add({ sleepUntil: closure(moment, `the closure of \`sleepUntil\` of node \`${this.id}\``) });
  }

  /**
   * Adds a wait for a signal: a named message that is sent to the run, with `POST /flow/ID/signal/NAME`,
   * `faas-flow signal`, or an address from {@link Context.signalUrl}. The body of the signal is the output.
   *
   * Each signal is received by one node: the one that has waited for it the longest. One that is sent before a node waits for
   * it is kept until one does. Nothing is held while the node waits. Its {@link Node.timeout} does not count the wait; the
   * deadline of the run does. If the node is tried again, it keeps the signal that it has.
   *
   * The name has 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
   */
  waitFor(signal: string): SignalWait {
    return this.wait(text(signal, "the name of a signal"));
  }

  /**
   * Adds a wait as {@link Operations.waitFor} does, for the signal that a closure names for the data: so each item of a for-each
   * can wait for a signal of its own. A malformed name fails the node.
   *
   * ```ts
   * import { Dag } from "faas-flow";
   *
   * new Dag().node("signature").waitForNamed((person) => `signed-by-${person.text()}`);
   * ```
   */
  waitForNamed(name: (data: Data) => string): SignalWait {
    return this.wait(closure(name, `the closure of \`waitForNamed\` of node \`${this.id}\``));
  }

  private call(target: string, kind: "apply" | "request"): Call {
    const model: CallModel = { target, headers: [], query: [], retryOn: [], asynchronous: false };
    this.operations.list.push(kind === "apply" ? { apply: model } : { request: model });
    return new Call(this.dag, this.id, this.operations, model);
  }

  private wait(signal: WaitModel["signal"]): SignalWait {
    const model: WaitModel = { signal };
    this.operations.list.push({ waitFor: model });
    return new SignalWait(this.dag, this.id, this.operations, model);
  }

  private add(operation: Operation): Node {
    this.operations.list.push(operation);
    return new Node(this.dag, this.id, this.operations);
  }
}

/**
 * A node that runs operations one after the other, each on the output of the one before. Made by {@link Dag.node}.
 *
 * ```ts
 * import { Dag } from "faas-flow";
 *
 * const node = new Dag().node("thumbnail");
 * node.apply("resize").query("width", "80").modify((image) => image);
 * node.retry({ attempts: 3 }).timeout("30s");
 * ```
 */
export class Node extends Operations {
  /** Merges the node's inputs, named by predecessor, before its first operation. The same as {@link Dag.inputAggregator}. */
  aggregator(aggregator: (inputs: Inputs) => Output): this {
    this.dag.inputAggregator(this.id, aggregator);
    return this;
  }

  /**
   * Catches the failure of the node when its retries are exhausted. What the closure returns is the node's output. If it fails,
   * so does the node. The same as {@link Dag.recoverNode}.
   */
  recoverFrom(recover: (failed: Failed) => Output): this {
    this.dag.recoverNode(this.id, recover);
    return this;
  }

  /**
   * Sets the retry policy of the node. When an operation has failed and its own retries are exhausted, the node is tried again
   * from its first operation. By default it is tried once.
   */
  retry(policy: Backoff): this {
    this.operations.retry = backoff(policy);
    return this;
  }

  /** Limits the time that one try of the whole node may take, at least 1 ms. */
  timeout(time: Duration): this {
    this.operations.timeoutMs = millis(time, "a timeout");
    return this;
  }

  /**
   * Lets the node begin only with a permit of a limit over all runs. Each attempt holds one permit, from its first operation to
   * its end, with all sleeps and answers that come later.
   */
  limit(over: Limit): this {
    this.operations.limit = limit(over);
    return this;
  }
}

/**
 * A call of a function or URL, made by {@link Operations.apply} or {@link Operations.request}: its options, and the node's next
 * operations.
 *
 * The body of the request is the data that reached the operation. The method is `POST` unless {@link Call.method} says otherwise.
 * The output is the body of the response, provided that its status is from 200 to 299.
 *
 * ```ts
 * import { Dag } from "faas-flow";
 *
 * new Dag()
 *   .node("quote")
 *   .apply("exchange-rates")
 *   .header("accept", "application/json")
 *   .retry({ attempts: 3 })
 *   .timeout("2s")
 *   .recover(() => "{}")
 *   .modify((rates) => rates);
 * ```
 */
export class Call extends Operations {
  /** @internal */
  constructor(dag: Dag, id: string, operations: OperationsModel, private readonly model: CallModel) {
    super(dag, id, operations);
  }

  /** Sets the HTTP method. */
  method(name: string): this {
    this.model.method = text(name, "a method");
    return this;
  }

  /** Adds a header. The same name may be added several times. */
  header(name: string, value: string): this {
    this.model.headers.push(header(name, value));
    return this;
  }

  /** Adds a query parameter. The host percent-encodes name and value. */
  query(name: string, value: string): this {
    this.model.query.push([text(name, "the name of a parameter"), text(value, `the value of parameter \`${name}\``)]);
    return this;
  }

  /** Sets a closure that sees each request before it is sent, and may change it. It runs before every try. */
  prepare(prepare: (request: Request) => Request): this {
    this.model.prepare = closure(prepare, `the closure of \`prepare\` of node \`${this.id}\``);
    return this;
  }

  /**
   * Sets a closure that turns the response, whatever its status, into data.
   *
   * With it no status is a failure by itself, so none is retried. To retry, the closure throws what {@link retry} returns, and
   * the policy of {@link Call.retry} applies. {@link Call.retryOn} has no effect.
   */
  receive(receive: (response: Response) => Output): this {
    this.model.receive = closure(receive, `the closure of \`receive\` of node \`${this.id}\``);
    return this;
  }

  /**
   * Sets a closure that gets the message of the call's failure when its retries are exhausted, and turns it into data to
   * continue with, or into another failure.
   */
  recover(recover: (failure: string) => Output): this {
    this.model.recover = closure(recover, `the closure of \`recover\` of node \`${this.id}\``);
    return this;
  }

  /**
   * Sets a closure that gets the call's failure when its retries are exhausted, with the data of the operation and the body of
   * the response, and turns it into data to continue with, or into another failure. It has no effect beside {@link Call.recover}.
   */
  recoverFrom(recover: (failed: Failed) => Output): this {
    this.model.recoverFrom = closure(recover, `the closure of \`recoverFrom\` of node \`${this.id}\``);
    return this;
  }

  /**
   * Sets the retry policy of this call. By default it is tried once.
   *
   * The call is tried again after connection errors, timeouts, and a closure's {@link retry}. Unless {@link Call.receive}
   * handles the responses, it is also tried again after the statuses 408, 429 and 5xx, or after those of {@link Call.retryOn}
   * instead.
   */
  retry(policy: Backoff): this {
    this.model.retry = backoff(policy);
    return this;
  }

  /**
   * Sets the response statuses, from 100 to 599, after which {@link Call.retry} tries again. They replace the default of 408,
   * 429 and 5xx. Without any, the default stays.
   */
  retryOn(...statuses: number[]): this {
    this.model.retryOn = statuses.map((status) => whole(status, "a status", 0xffff));
    return this;
  }

  /** Limits the time that one try of this call may take, at least 1 ms. */
  timeout(time: Duration): this {
    this.model.timeoutMs = millis(time, "a timeout");
    return this;
  }

  /**
   * Calls the function through the queue of OpenFaaS, and waits for its answer without holding anything: the function may take
   * hours, and the node continues when the answer comes. Only for functions, and for `POST`.
   *
   * All other settings of this call keep their meaning: the answer, whatever its status, is the response, and
   * {@link Call.timeout} limits the time from the call to the answer.
   *
   * ```ts
   * import { Dag } from "faas-flow";
   *
   * new Dag().node("train").apply("train-model").asynchronous().timeout("6h");
   * ```
   */
  asynchronous(): this {
    this.model.asynchronous = true;
    return this;
  }

  /**
   * Lets each try of this call begin only with a permit of a limit over all runs. A call of a flow and an asynchronous call hold
   * their permit until the answer comes.
   */
  limit(over: Limit): this {
    this.model.limit = limit(over);
    return this;
  }

  /** Merges the inputs of the node: see {@link Node.aggregator}. */
  aggregator(aggregator: (inputs: Inputs) => Output): Node {
    return new Node(this.dag, this.id, this.operations).aggregator(aggregator);
  }
}

/**
 * A wait for a signal, made by {@link Operations.waitFor}: its options, and the node's next operations. The output is the body of
 * the signal.
 *
 * ```ts
 * import { Dag, json } from "faas-flow";
 *
 * new Dag()
 *   .node("approval")
 *   .waitFor("approval")
 *   .timeout("2d")
 *   .recoverFrom(() => json({ decision: "reject", comment: "nobody has answered" }))
 *   .apply("store-decision");
 * ```
 */
export class SignalWait extends Operations {
  /** @internal */
  constructor(dag: Dag, id: string, operations: OperationsModel, private readonly model: WaitModel) {
    super(dag, id, operations);
  }

  /**
   * Limits how long the node waits, from 1 ms to 366 days. By default it waits as long as the run may take. If no signal comes in
   * time, the operation fails.
   */
  timeout(time: Duration): this {
    this.model.timeoutMs = millis(time, "a timeout");
    return this;
  }

  /**
   * Sets a closure that gets the failure if no signal comes in time, with the data of the operation, and turns it into data to
   * continue with, or into another failure.
   */
  recoverFrom(recover: (failed: Failed) => Output): this {
    this.model.recoverFrom = closure(recover, `the closure of \`recoverFrom\` of node \`${this.id}\``);
    return this;
  }
}
