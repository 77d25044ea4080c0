import { Data, type Output } from "./data.js";
/**
 * What kind of failure it is:
 *
 * - `rejected`: the flow's code has rejected its data, or asked for a retry when none was left.
 * - `answered`: a call was answered with an error status, or with an answer that cannot be used.
 * - `unreachable`: a call could not be made, because there was no connection or no such function.
 * - `timed-out`: a call, a node or an answer took too long.
 * - `crashed`: the flow's code crashed or exceeded a limit.
 * - `child`: a flow that was called did not succeed.
 * - `other`: anything else.
 */
export type FailureKind = "rejected" | "answered" | "unreachable" | "timed-out" | "crashed" | "child" | "other";
/** What is known of a failure: see {@link Failed}. */
export interface FailedFacts {
    /** The error code, such as `FF0207`. */
    code: string;
    /** What kind of failure it is. */
    kind: FailureKind;
    /** The status of the response, from 100 to 599, if a call failed because of it. */
    status?: number;
    /** The text of the failure, for people. */
    message?: string;
    /** The path of the node that failed: `F[f2]/charge`. */
    path?: string;
    /** How many tries of the call, or attempts of the node, there were. At least 1. */
    tries?: number;
    /** The input of the failed operation. */
    input?: Output;
    /** The body of the response, if a call failed because of its status. */
    body?: Output;
}
/**
 * A failure after all retries, as closures that catch failures see it: those of {@link Node.recoverFrom},
 * {@link Call.recoverFrom}, {@link Dag.recoverFrom}, {@link Dag.recoverNode} and {@link ForEach.gather}.
 *
 * Shown as text, it reads as the host writes it: `FF0207 at charge: function charge answered with status 402`.
 */
export declare class Failed {
    /** The error code, such as `FF0207`. */
    readonly code: string;
    /** What kind of failure it is. */
    readonly kind: FailureKind;
    /** The status of the response, from 100 to 599, if a call failed because of it. */
    readonly status: number | undefined;
    /** The text of the failure, for people. */
    readonly message: string;
    /** The path of the node that failed: `F[f2]/charge`. */
    readonly path: string;
    /** How many tries of the call, or attempts of the node, there were. At least 1. */
    readonly tries: number;
    /**
     * The input of the failed operation, or of the failed node if none of its operations had begun. Empty in a closure of
     * {@link ForEach.gather}.
     */
    readonly input: Data;
    /** The body of the response, if a call failed because of its status. None in a closure of {@link ForEach.gather}. */
    readonly body: Data | undefined;
    /** A failure. Flows do not need this, but their tests do. */
    constructor(facts: FailedFacts);
    /** The code, the path and the message. */
    toString(): string;
}
/** One item of a for-each and how it ended, as a closure of {@link ForEach.gather} sees it: it has a `result`, or it has `failed`. */
export type Gathered = {
    /** The key of the item. */
    readonly key: string;
    /** The result of the item. */
    readonly result: Data;
    /** It has not failed. */
    readonly failed?: undefined;
} | {
    /** The key of the item. */
    readonly key: string;
    /** It has no result. */
    readonly result?: undefined;
    /** Why the item has no result, which the for-each tolerates. */
    readonly failed: Failed;
};
