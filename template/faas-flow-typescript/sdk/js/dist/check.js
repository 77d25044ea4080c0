// What the builder takes from an author is checked when it is given, where the error can still name the author's line.
/** Text as the host can take it: without halves of surrogate pairs. */
export function text(value, what) {
    if (typeof value !== "string")
        throw new TypeError(`${what} must be a string, not ${shown(value)}`);
    return wellFormed(value);
}
/** Text without halves of surrogate pairs, which UTF-8 cannot have. */
export function wellFormed(value) {
    // Node 18 does not have it, and is only used in tests.
    return value.toWellFormed?.() ?? value;
}
/** A whole number from 0 to `most`. */
export function whole(value, what, most = 0xffff_ffff) {
    if (!Number.isInteger(value) || value < 0 || value > most) {
        throw new RangeError(`${what} must be a whole number from 0 to ${most}, not ${shown(value)}`);
    }
    return value;
}
/** A number. */
export function number(value, what) {
    if (typeof value !== "number" || !Number.isFinite(value)) {
        throw new RangeError(`${what} must be a number, not ${shown(value)}`);
    }
    return value;
}
/** One of some words. */
export function oneOf(value, what, words) {
    if (!words.includes(value)) {
        throw new TypeError(`${what} must be one of ${words.map((word) => `"${word}"`).join(", ")}, not ${shown(value)}`);
    }
    return value;
}
/** A function that is not async. */
export function closure(run, what) {
    if (typeof run !== "function")
        throw new TypeError(`${what} must be a function, not ${shown(run)}`);
    if (run.constructor.name === "AsyncFunction")
        throw new TypeError(`${what} ${IS_ASYNC}`);
    return { run, stack: new Error().stack ?? "" };
}
/** What is wrong with an async closure, and what to do instead. */
export const IS_ASYNC = "is async, and nothing can wait for it: a flow's code runs from start to end. Let nodes call what takes time, with `apply` or `request`";
/** A value, in a few words. */
export function shown(value) {
    if (value === undefined || value === null)
        return String(value);
    if (typeof value === "string")
        return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    if (typeof value === "function")
        return "a function";
    if (typeof value === "object") {
        if (Array.isArray(value))
            return "an array";
        return isPromise(value) ? "a promise" : `an object (${value.constructor?.name ?? "without a class"})`;
    }
    return `the ${typeof value} ${String(value)}`;
}
/** Whether something is a promise, or acts as one. */
export function isPromise(value) {
    return typeof value === "object" && value !== null && typeof value.then === "function";
}
