/**
 * Why a closure produced no value, and whether the host should try again. Throw what {@link reject} or {@link retry} return.
 *
 * Any other exception that leaves a closure is a `reject` too: its name, its message, and the file and line where it was
 * thrown become the text of the failure, since code that runs again on the same input fails again.
 */
export class Failure extends Error {
    tag;
    /** `Failure`. */
    name = "Failure";
    /** @internal */
    constructor(
    /** Whether the host tries again: as often as the retry policy of the call or node allows, or not at all. */
    tag, message, options = {}) {
        super(message, options.cause === undefined ? undefined : { cause: options.cause });
        this.tag = tag;
        this.status = options.status;
        this.located = options.located ?? false;
    }
    /** The status with which the caller is answered, if {@link reject} was given one. */
    status;
    /** Whether its text gets the place in the author's code, because it is a mistake there. @internal */
    located;
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
export function reject(message, options) {
    return new Failure("reject", String(message), options);
}
/** A failure that may go away by itself: the host retries as often as the retry policy of the call or node allows. */
export function retry(message) {
    return new Failure("retry", String(message));
}
