import { Data, type Output } from "./data.js";
import { type Duration } from "./duration.js";
import { Inputs } from "./inputs.js";
/**
 * The state of a run. `running`: nodes are running or waiting to run. `paused`: nothing new starts until an operator resumes the
 * run. `stopped`: an operator ended the run before it was done. `succeeded`: the run ended with its result. `failed`: it failed.
 */
export type State = "running" | "paused" | "stopped" | "succeeded" | "failed";
/** The severity of a log line, from the least to the most important. */
export type Level = "trace" | "debug" | "info" | "warn" | "error";
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
export declare class Context {
    /** The id of the run, which is the `X-Faas-Flow-Reqid` of its request: 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
    get requestId(): string;
    /** The name under which the flow is deployed. */
    get flowName(): string;
    /**
     * The path of the current node within the run: `C[c1]/F[f2]/n1` is the node `n1` in the item `f2` of the for-each `F` in the
     * branch `c1` of the condition `C`. Branch keys are percent-encoded.
     */
    get node(): string;
    /**
     * The state of the run when the host called this closure: `running` in a node, `failed` in the failure handler, and in the
     * finally handler the state in which the run ended.
     */
    get state(): State;
    /** The first value of a query parameter of the request that started the run, decoded, or `undefined`. */
    query(name: string): string | undefined;
    /** All values of a query parameter, in order. */
    queryAll(name: string): string[];
    /**
     * The first value of a header of the request that started the run, or `undefined`. Upper and lower case are the same.
     *
     * Credentials such as `Authorization` and `Cookie` are not available unless the operator allows them (`keep_headers`). A value
     * that is not UTF-8 is read as ISO-8859-1.
     */
    header(name: string): string | undefined;
    /** All values of a header, in order. */
    headerAll(name: string): string[];
    /** The inputs of the current node, by predecessor, before any aggregator. */
    get inputs(): Inputs;
    /**
     * The media type of the data that this closure got: `application/json`, or `text/plain; charset=utf-8`. In a closure of
     * {@link Call.prepare} it is that of the request, in one of {@link Call.receive} that of the response.
     *
     * It is `application/octet-stream` if no media type was set for the data, and in closures that get several values or none:
     * aggregators, and those for failures and for the end of the run.
     */
    get contentType(): string;
    /**
     * Media types in the order of the values to which they belong: in an aggregator those of the values that it merges, in other
     * closures those of {@link Context.inputs}.
     */
    get contentTypes(): string[];
    /**
     * Sets the media type of the data that this closure is about to return; of each item, in the closure of a for-each. Without this
     * call it is `application/octet-stream`, or `application/json` for what {@link json} makes. Calls of functions and URLs send it
     * as `Content-Type`, and so does the answer to the caller.
     *
     * A text that is not a media type as RFC 9110 defines it, or has more than 255 bytes, is rejected, and so is the call in
     * `define`.
     */
    setContentType(mediaType: string): void;
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
    respond(status: number, headers?: Readonly<Record<string, string>> | Iterable<readonly [string, string]>): void;
    /**
     * Gives the run a label, by which people find it in lists, or replaces the value of a label that it has. It is committed with
     * the node's output, and dropped if the node fails.
     *
     * It is rejected if the key does not have 1 to 63 characters of `A-Z a-z 0-9 . _ / -` of which the first is a letter or
     * digit, if the value has more than 128 bytes or control characters, if the run would have more than 16 labels, and in
     * `define`.
     */
    label(key: string, value: string): void;
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
    signalUrl(name: string, validFor?: Duration): string;
    /**
     * Reads a JSON value that some node of this run has set, or `undefined`. The type is taken on trust ({@link Data.json}).
     *
     * A node sees its own changes at once. It sees those of other nodes after they have committed. If the host cannot read the value
     * now, the closure fails with a {@link retry}.
     */
    get<T = unknown>(key: string): T | undefined;
    /** Sets a value, as JSON, for the rest of the run. See {@link Context.setData}. */
    set(key: string, value: unknown): void;
    /** Reads the bytes of a value that some node of this run has set, or `undefined`. */
    getData(key: string): Data | undefined;
    /**
     * Sets a value for the rest of the run. The key has 1 to 256 bytes.
     *
     * The host commits the change in one step with the node's output. If the node fails, the change is dropped. In `define`, and if
     * the host refuses the key or the value, the call is rejected.
     */
    setData(key: string, value: Output): void;
    /** Deletes a value. Deleting one that does not exist is not an error. */
    delete(key: string): void;
    /** Writes a line to the host's log. The host adds the run and the node. `console.log` writes there too. */
    log(level: Level, message: string): void;
    /** Logs at the level `trace`. */
    trace(message: string): void;
    /** Logs at the level `debug`. */
    debug(message: string): void;
    /** Logs at the level `info`. */
    info(message: string): void;
    /** Logs at the level `warn`. */
    warn(message: string): void;
    /** Logs at the level `error`. */
    error(message: string): void;
}
