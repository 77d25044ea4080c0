// What the builder takes from an author is checked when it is given, where the error can still name the author's line.

/** What a closure must not return: the flow's code has no event loop that could wait for it. */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/** A closure, and where in `define` it was given. */
export interface Closure<F> {
  readonly run: F;
  /** The stack of the call that gave it, to name it in errors. */
  readonly stack: string;
}

/** Text as the host can take it: without halves of surrogate pairs. */
export function text(value: string, what: string): string {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${shown(value)}`);
  return wellFormed(value);
}

/** Text without halves of surrogate pairs, which UTF-8 cannot have. */
export function wellFormed(value: string): string {
  // Node 18 does not have it, and is only used in tests.
  return value.toWellFormed?.() ?? value;
}

/** A whole number from 0 to `most`. */
export function whole(value: number, what: string, most = 0xffff_ffff): number {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`${what} must be a whole number from 0 to ${most}, not ${shown(value)}`);
  }
  return value;
}

/** A number. */
export function number(value: number, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new RangeError(`${what} must be a number, not ${shown(value)}`);
  }
  return value;
}

/** One of some words. */
export function oneOf<T extends string>(value: T, what: string, words: readonly T[]): T {
  if (!words.includes(value)) {
    throw new TypeError(`${what} must be one of ${words.map((word) => `"${word}"`).join(", ")}, not ${shown(value)}`);
  }
  return value;
}

/** A function that is not async. */
export function closure<F>(run: F, what: string): Closure<F> {
  if (typeof run !== "function") throw new TypeError(`${what} must be a function, not ${shown(run)}`);
  if (run.constructor.name === "AsyncFunction") throw new TypeError(`${what} ${IS_ASYNC}`);
  return { run, stack: new Error().stack ?? "" };
}

/** What is wrong with an async closure, and what to do instead. */
export const IS_ASYNC =
  "is async, and nothing can wait for it: a flow's code runs from start to end. Let nodes call what takes time, with `apply` or `request`";

/** A value, in a few words. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object") {
    if (Array.isArray(value)) return "an array";
    return isPromise(value) ? "a promise" : `an object (${value.constructor?.name ?? "without a class"})`;
  }
  return `the ${typeof value} ${String(value)}`;
}

/** Whether something is a promise, or acts as one. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
