import { type Output } from "../data.js";
import { type Duration } from "../duration.js";
import { type Headers, Request } from "../http.js";
/** What a function of a test answers: data, with status 200; or more than that. A {@link Response} will do as well. */
export type Answer = Output | {
    /** The status of the response. By default 200. */
    readonly status?: number;
    /** The headers of the response. */
    readonly headers?: Headers;
    /** The body of the response. By default it is empty. */
    readonly body?: Output;
    /**
     * The virtual time that the answer takes. If it is longer than the timeout of the call, which is a minute unless the flow
     * says otherwise, the call fails.
     */
    readonly delay?: Duration;
    /** Why there is no answer: the call fails as one that cannot be made. */
    readonly error?: string;
};
/**
 * One try of a call that a run has made, as its function gets it: what is sent, with the headers that the host adds, and who
 * sends it.
 */
export declare class Call extends Request {
    /** The function as it is called, `wc` or `wc/lines`, or the URL without its query. */
    readonly function: string;
    /** The path of the node that calls: `F[f2]/charge`. */
    readonly node: string;
    /** How many tries of the call there were, with this one. */
    readonly tries: number;
    /** The virtual time of the call in milliseconds, counted from the beginning of the run. */
    readonly at: number;
    /** The path of the request, decoded: of a function, what follows its name, such as `/lines` or nothing. */
    get path(): string;
    /** All values of a query parameter of the request, decoded, in order. */
    query(name: string): string[];
}
