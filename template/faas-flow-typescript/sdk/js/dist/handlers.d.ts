import { type Closure } from "./check.js";
import type { Context } from "./context.js";
import { Data } from "./data.js";
import type { Failed, Gathered } from "./failed.js";
import { Failure } from "./failure.js";
import { Request, type Response } from "./http.js";
import type { Inputs } from "./inputs.js";
import type { Outcome } from "./workflow.js";
/** What each kind of handler is called with. */
export interface Arguments {
    modify: [Data];
    aggregate: [Inputs];
    condition: [Data];
    "for-each": [Data];
    forward: [Data];
    prepare: [Request];
    receive: [Response];
    recover: [string];
    finally: [Outcome];
    "recover-from": [Failed];
    gather: [Gathered[]];
    moment: [Data];
    again: [Data, number];
    "signal-name": [Data];
    key: [Data];
}
/** A kind of handler. */
export type Kind = keyof Arguments;
/** When a sleeping node continues, in the form of the contract. */
export type HostWake = {
    tag: "after";
    val: number;
} | {
    tag: "at";
    val: string;
};
type Run = (...input: never[]) => unknown;
/** All closures of a flow. */
export declare class Handlers {
    private readonly context;
    private readonly all;
    constructor(context: Context);
    /** Keeps a closure under its id. */
    keep(id: string, kind: Kind, closure: Closure<Run>): string;
    /** The ids, in the order of their bytes in UTF-8, which is that of their code points. JavaScript compares UTF-16. */
    ids(): string[];
    /** Calls a closure that returns data. */
    data(kind: "modify" | "aggregate" | "forward" | "receive" | "recover" | "recover-from" | "gather", id: string, input: Arguments[typeof kind][0]): Uint8Array;
    /** Calls the closure that chooses branches. */
    condition(id: string, data: Data): string[];
    /** Calls the closure that splits data into items. */
    forEach(id: string, data: Data): [string, Uint8Array][];
    /** Calls the closure that prepares a request. */
    prepare(id: string, request: Request): Request;
    /** Calls the finally handler. */
    finally(id: string, outcome: Outcome): void;
    /** Calls the closure that says when a sleeping node continues. */
    moment(id: string, data: Data): HostWake;
    /** Calls the closure that says whether there is another round. */
    again(id: string, data: Data, round: number): boolean;
    /** Calls the closure that names a signal or a key. */
    name(kind: "signal-name" | "key", id: string, data: Data): string;
    /** Calls a closure and checks what it returns. Whatever it throws becomes a failure. */
    private call;
    /** The bytes of what a closure returns, after their media type has been set, if all of them have the same one. */
    private bytes;
}
/** Whatever a closure or `define` threw, as a failure that says what happened and where. */
export declare function failureOf(error: unknown, fallback?: string): Failure;
export {};
