/** What {@link reject} may be told beside the message. */
export interface RejectOptions {
    /**
     * The status with which the caller of the run is answered if the run fails with this, from 400 to 499. Without it, the
     * caller gets 422 if the closure rejects the body of the request itself, and otherwise 500.
     */
    status?: number;
    /** The error that led to this one. */
    cause?: unknown;
}
/**
 * Why a closure produced no value, and whether the host should try again. Throw what {@link reject} or {@link retry} return.
 *
 * Any other exception that leaves a closure is a `reject` too: its name, its message, and the file and line where it was
 * thrown become the text of the failure, since code that runs again on the same input fails again.
 */
export declare class Failure extends Error {
    /** Whether the host tries again: as often as the retry policy of the call or node allows, or not at all. */
    readonly tag: "retry" | "reject";
    /** `Failure`. */
    readonly name: string;
    /** The status with which the caller is answered, if {@link reject} was given one. */
    readonly status: number | undefined;
}
/**
 * A failure that happens again on the next try, so the host does not retry. The message appears in the run's history, in the
 * logs and in the caller's answer, so write it for people.
 *
 * ```ts
 * import { reject, type Response } from "faas-flow";
 *
 * function found(response: Response) {
 *   if (response.status === 404) throw reject("there is no such order", { status: 404 });
 *   return response.body;
 * }
 * ```
 */
export declare function reject(message: string, options?: RejectOptions): Failure;
/** A failure that may go away by itself: the host retries as often as the retry policy of the call or node allows. */
export declare function retry(message: string): Failure;
