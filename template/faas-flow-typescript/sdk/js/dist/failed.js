import { Data } from "./data.js";
/**
 * A failure after all retries, as closures that catch failures see it: those of {@link Node.recoverFrom},
 * {@link Call.recoverFrom}, {@link Dag.recoverFrom}, {@link Dag.recoverNode} and {@link ForEach.gather}.
 *
 * Shown as text, it reads as the host writes it: `FF0207 at charge: function charge answered with status 402`.
 */
export class Failed {
    /** The error code, such as `FF0207`. */
    code;
    /** What kind of failure it is. */
    kind;
    /** The status of the response, from 100 to 599, if a call failed because of it. */
    status;
    /** The text of the failure, for people. */
    message;
    /** The path of the node that failed: `F[f2]/charge`. */
    path;
    /** How many tries of the call, or attempts of the node, there were. At least 1. */
    tries;
    /**
     * The input of the failed operation, or of the failed node if none of its operations had begun. Empty in a closure of
     * {@link ForEach.gather}.
     */
    input;
    /** The body of the response, if a call failed because of its status. None in a closure of {@link ForEach.gather}. */
    body;
    /** A failure. Flows do not need this, but their tests do. */
    constructor(facts) {
        this.code = facts.code;
        this.kind = facts.kind;
        this.status = facts.status ?? undefined;
        this.message = facts.message ?? "";
        this.path = facts.path ?? "";
        this.tries = facts.tries ?? 1;
        const data = (output) => (output instanceof Data ? output : new Data(output));
        this.input = data(facts.input ?? "");
        this.body = facts.body === undefined ? undefined : data(facts.body);
    }
    /** The code, the path and the message. */
    toString() {
        return this.path === "" ? `${this.code}: ${this.message}` : `${this.code} at ${this.path}: ${this.message}`;
    }
}
