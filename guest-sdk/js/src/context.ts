import { oneOf, shown, text, wellFormed, whole } from "./check.js";
import { Data, type Output, bytesOf } from "./data.js";
import { millis, type Duration } from "./duration.js";
import { Failure } from "./failure.js";
import { header } from "./http.js";
import { Inputs } from "./inputs.js";

/**
 * The state of a run. `running`: nodes are running or waiting to run. `paused`: nothing new starts until an operator resumes the
 * run. `stopped`: an operator ended the run before it was done. `succeeded`: the run ended with its result. `failed`: it failed.
 */
export type State = "running" | "paused" | "stopped" | "succeeded" | "failed";

/** The severity of a log line, from the least to the most important. */
export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** The context as the contract has it. Functions that may fail throw. @internal */
export interface Host {
  requestId(): string;
  flowName(): string;
  node(): string;
  state(): State;
  query(name: string): string[];
  header(name: string): string[];
  inputs(): [string, Uint8Array][];
  contentType(): string;
  contentTypes(): string[];
  setContentType(mediaType: string): void;
  respond(status: number, headers: (readonly [string, string])[]): void;
  setRejectStatus(status: number): void;
  label(key: string, value: string): void;
  get(key: string): Uint8Array | null | undefined;
  set(key: string, value: Uint8Array): void;
  delete(key: string): void;
  signalUrl(name: string, validMs: number | null): string;
  log(level: Level, message: string): void;
}

/**
 * Facts about the current run, values that last as long as the run, and the log.
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow(({ dag }, context) => {
 *   dag.node("count").modify((data) => {
 *     context.set("lines", data.text().split("\n").length);
 *     return data;
 *   });
 *   dag.node("report").modify(() => `${context.get<number>("lines") ?? 0} lines`);
 *   dag.edge("count", "report");
 * });
 * ```
 *
 * # In `define`
 *
 * `define` may read the context, for example to add a query parameter of the request to a call. The host then asks for the
 * definition at the start of every run and keeps it with the run, and the flow is defined again in each instance. If `define`
 * does nothing with the context but log, and hand it on to closures, the flow is defined when it is built, which is faster.
 *
 * While `define` runs there is no current node: {@link Context.node} and {@link Context.inputs} are empty, and values cannot be
 * changed.
 */
export class Context {
  /** @internal */
  constructor(/** @internal */ private readonly host: Host) {}

  /** Whether the current closure has said itself what it returns. @internal */
  hasContentType = false;

  /** The id of the run, which is the `X-Faas-Flow-Reqid` of its request: 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
  get requestId(): string {
    return this.host.requestId();
  }

  /** The name under which the flow is deployed. */
  get flowName(): string {
    return this.host.flowName();
  }

  /**
   * The path of the current node within the run: `C[c1]/F[f2]/n1` is the node `n1` in the item `f2` of the for-each `F` in the
   * branch `c1` of the condition `C`. Branch keys are percent-encoded.
   */
  get node(): string {
    return this.host.node();
  }

  /**
   * The state of the run when the host called this closure: `running` in a node, `failed` in the failure handler, and in the
   * finally handler the state in which the run ended.
   */
  get state(): State {
    return this.host.state();
  }

  /** The first value of a query parameter of the request that started the run, decoded, or `undefined`. */
  query(name: string): string | undefined {
    return this.queryAll(name)[0];
  }

  /** All values of a query parameter, in order. */
  queryAll(name: string): string[] {
    return this.host.query(text(name, "the name of a parameter"));
  }

  /**
   * The first value of a header of the request that started the run, or `undefined`. Upper and lower case are the same.
   *
   * Credentials such as `Authorization` and `Cookie` are not available unless the operator allows them (`keep_headers`). A value
   * that is not UTF-8 is read as ISO-8859-1.
   */
  header(name: string): string | undefined {
    return this.headerAll(name)[0];
  }

  /** All values of a header, in order. */
  headerAll(name: string): string[] {
    return this.host.header(text(name, "the name of a header"));
  }

  /** The inputs of the current node, by predecessor, before any aggregator. */
  get inputs(): Inputs {
    return new Inputs(this.host.inputs());
  }

  /**
   * The media type of the data that this closure got: `application/json`, or `text/plain; charset=utf-8`. In a closure of
   * {@link Call.prepare} it is that of the request, in one of {@link Call.receive} that of the response.
   *
   * It is `application/octet-stream` if no media type was set for the data, and in closures that get several values or none:
   * aggregators, and those for failures and for the end of the run.
   */
  get contentType(): string {
    return this.host.contentType();
  }

  /**
   * Media types in the order of the values to which they belong: in an aggregator those of the values that it merges, in other
   * closures those of {@link Context.inputs}.
   */
  get contentTypes(): string[] {
    return this.host.contentTypes();
  }

  /**
   * Sets the media type of the data that this closure is about to return; of each item, in the closure of a for-each. Without this
   * call it is `application/octet-stream`, or `application/json` for what {@link json} makes. Calls of functions and URLs send it
   * as `Content-Type`, and so does the answer to the caller.
   *
   * A text that is not a media type as RFC 9110 defines it, or has more than 255 bytes, is rejected, and so is the call in
   * `define`.
   */
  setContentType(mediaType: string): void {
    asked("reject", () => this.host.setContentType(text(mediaType, "a media type")));
    this.hasContentType = true;
  }

  /**
   * Sets the status and headers with which the caller of the run is answered.
   *
   * In a node they belong to the result of the run. If the node fails, they are dropped; if several nodes set them, those that
   * were committed last count; and if the run fails, none do. In the failure handler they belong to what the handler returns. For
   * the media type of the answer, use {@link Context.setContentType}.
   *
   * ```ts
   * import { flow } from "faas-flow";
   *
   * export default flow((workflow, context) => {
   *   workflow.syncNode().apply("store-order").modify((id) => {
   *     context.respond(201, { Location: `/orders/${id.text()}` });
   *     return "";
   *   });
   * });
   * ```
   *
   * It is rejected if the status is not from 200 to 599 or is 202, if a header is malformed or not one that a flow may set, if there
   * are more than 32 headers or 8,192 bytes of them, in `define`, and in the finally handler.
   */
  respond(status: number, headers: Readonly<Record<string, string>> | Iterable<readonly [string, string]> = []): void {
    const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
    const checked = pairs.map(([name, value]) => header(name, value));
    asked("reject", () => this.host.respond(whole(status, "a status", 0xffff), checked));
  }

  /**
   * Gives the run a label, by which people find it in lists, or replaces the value of a label that it has. It is committed with
   * the node's output, and dropped if the node fails.
   *
   * It is rejected if the key does not have 1 to 63 characters of `A-Z a-z 0-9 . _ / -` of which the first is a letter or
   * digit, if the value has more than 128 bytes or control characters, if the run would have more than 16 labels, and in
   * `define`.
   */
  label(key: string, value: string): void {
    asked("reject", () => this.host.label(text(key, "the key of a label"), text(value, `the value of label \`${key}\``)));
  }

  /**
   * An address with which anyone who knows it can send one signal of this name to this run: it is signed, works once, needs
   * no token, and expires after 7 days, or after another time of at most 366 days. A browser that opens it gets a page with which
   * to approve or reject, and to comment; the signal's body is then `{"decision":"approve","comment":"…"}`.
   *
   * If a node asks several times, also when it is tried again, only one of the addresses that it gets can be used. Other nodes
   * get other addresses.
   *
   * It is rejected if the name is malformed, in `define`, and if the host does not know at which address it can be reached (its
   * configuration key `public_url`).
   */
  signalUrl(name: string, validFor?: Duration): string {
    const ms = validFor === undefined ? null : millis(validFor, "the validity of an address");
    return asked("reject", () => this.host.signalUrl(text(name, "the name of a signal"), ms));
  }

  /**
   * Reads a JSON value that some node of this run has set, or `undefined`. The type is taken on trust ({@link Data.json}).
   *
   * A node sees its own changes at once. It sees those of other nodes after they have committed. If the host cannot read the value
   * now, the closure fails with a {@link retry}.
   */
  get<T = unknown>(key: string): T | undefined {
    return this.getData(key)?.json<T>();
  }

  /** Sets a value, as JSON, for the rest of the run. See {@link Context.setData}. */
  set(key: string, value: unknown): void {
    const json = JSON.stringify(value);
    if (json === undefined) throw new TypeError(`${shown(value)} cannot be represented in JSON`);
    this.setData(key, json);
  }

  /** Reads the bytes of a value that some node of this run has set, or `undefined`. */
  getData(key: string): Data | undefined {
    const value = asked("retry", () => this.host.get(text(key, "the key of a value")));
    return value === undefined || value === null ? undefined : new Data(value);
  }

  /**
   * Sets a value for the rest of the run. The key has 1 to 256 bytes.
   *
   * The host commits the change in one step with the node's output. If the node fails, the change is dropped. In `define`, and if
   * the host refuses the key or the value, the call is rejected.
   */
  setData(key: string, value: Output): void {
    asked("reject", () => this.host.set(text(key, "the key of a value"), bytesOf(value)));
  }

  /** Deletes a value. Deleting one that does not exist is not an error. */
  delete(key: string): void {
    asked("reject", () => this.host.delete(text(key, "the key of a value")));
  }

  /** Writes a line to the host's log. The host adds the run and the node. `console.log` writes there too. */
  log(level: Level, message: string): void {
    oneOf(level, "a level", ["trace", "debug", "info", "warn", "error"]);
    this.host.log(level, wellFormed(String(message)));
  }

  /** Logs at the level `trace`. */
  trace(message: string): void {
    this.log("trace", message);
  }

  /** Logs at the level `debug`. */
  debug(message: string): void {
    this.log("debug", message);
  }

  /** Logs at the level `info`. */
  info(message: string): void {
    this.log("info", message);
  }

  /** Logs at the level `warn`. */
  warn(message: string): void {
    this.log("warn", message);
  }

  /** Logs at the level `error`. */
  error(message: string): void {
    this.log("error", message);
  }
}

/** Asks the host, and turns its error into a failure. Reading may work later; changing was refused, and will be again. */
function asked<T>(tag: "retry" | "reject", ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof Error && !("payload" in error)) throw error;
    const reason = typeof error === "string" ? error : String((error as { payload?: unknown } | null)?.payload ?? error);
    throw new Failure(tag, reason, { located: true });
  }
}
