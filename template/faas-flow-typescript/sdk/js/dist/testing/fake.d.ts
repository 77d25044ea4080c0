import { Context, type Level, type State } from "../context.js";
import { type Output } from "../data.js";
import { Response } from "../http.js";
/** Names with one value each, or with several in an array. */
export type Values = Readonly<Record<string, string | readonly string[]>>;
/** What a {@link Fake} answers. */
export interface Facts {
    /** The id of the run. By default `test`. */
    requestId?: string;
    /** The name of the flow. By default `flow`. */
    flowName?: string;
    /** The path of the current node. By default it is empty. */
    node?: string;
    /** The state of the run. By default `running`. */
    state?: State;
    /** The query parameters of the request. */
    query?: Values;
    /** The headers of the request. */
    headers?: Values;
    /** The inputs of the current node, in order. */
    inputs?: Iterable<readonly [name: string, value: Output]>;
    /** The media type of the data that the closures get. By default `application/octet-stream`. */
    contentType?: string;
    /** The media types of the values that aggregators get, in their order. By default all are `application/octet-stream`. */
    contentTypes?: readonly string[];
    /** Values of the run, which are kept as JSON. */
    values?: Readonly<Record<string, unknown>>;
}
/**
 * The context of a run in tests. It answers what a test told it to, and remembers what the flow logged and set.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { Fake } from "faas-flow/testing";
 *
 * const fake = new Fake({ headers: { "x-team": "blue" }, values: { attempts: 1 } });
 * fake.context.set("attempts", 2);
 * fake.context.warn("again");
 * assert.equal(fake.context.header("X-Team"), "blue");
 * assert.equal(fake.get("attempts"), 2);
 * assert.deepEqual(fake.logs, [["warn", "again"]]);
 * ```
 */
export declare class Fake {
    private readonly facts;
    /** The lines that the flow has logged, in order. */
    readonly logs: [level: Level, message: string][];
    /** The labels that the flow has given the run. */
    readonly labels: Map<string, string>;
    /** The status and headers that the flow has set with {@link Context.respond}, if it has. */
    response: Response | undefined;
    /** The context, as the flow gets it. */
    readonly context: Context;
    private readonly values;
    private returned;
    /** A context that answers these facts, and otherwise knows nothing. */
    constructor(facts?: Facts);
    /** Reads a JSON value that the flow, or the test, has set. */
    get<T = unknown>(key: string): T | undefined;
    /** The media type of what the flow's latest closure returned. The closure is one that {@link TestFlow} called. */
    get returnedContentType(): string;
    private host;
    /** Refuses what the host refuses. */
    private changing;
    private notDefining;
}
