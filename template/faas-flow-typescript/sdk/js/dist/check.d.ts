/** What a closure must not return: the flow's code has no event loop that could wait for it. */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;
/** A closure, and where in `define` it was given. */
export interface Closure<F> {
    readonly run: F;
    /** The stack of the call that gave it, to name it in errors. */
    readonly stack: string;
}
/** Text as the host can take it: without halves of surrogate pairs. */
export declare function text(value: string, what: string): string;
/** Text without halves of surrogate pairs, which UTF-8 cannot have. */
export declare function wellFormed(value: string): string;
/** A whole number from 0 to `most`. */
export declare function whole(value: number, what: string, most?: number): number;
/** A number. */
export declare function number(value: number, what: string): number;
/** One of some words. */
export declare function oneOf<T extends string>(value: T, what: string, words: readonly T[]): T;
/** A function that is not async. */
export declare function closure<F>(run: F, what: string): Closure<F>;
/** What is wrong with an async closure, and what to do instead. */
export declare const IS_ASYNC = "is async, and nothing can wait for it: a flow's code runs from start to end. Let nodes call what takes time, with `apply` or `request`";
/** A value, in a few words. */
export declare function shown(value: unknown): string;
/** Whether something is a promise, or acts as one. */
export declare function isPromise(value: unknown): value is PromiseLike<unknown>;
