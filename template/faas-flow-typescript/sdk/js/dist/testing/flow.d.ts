import { Data, type Output } from "../data.js";
import type { Failed, Gathered } from "../failed.js";
import { Flow } from "../flow.js";
import type { Request, Response } from "../http.js";
import type { Wake } from "../node.js";
import type { Define, Outcome } from "../workflow.js";
import { Fake } from "./fake.js";
/** Named values: an object, or pairs in an order that counts. */
export type NamedValues = Readonly<Record<string, Output>> | Iterable<readonly [name: string, value: Output]>;
/**
 * A flow whose closures can be called by their handler ids. How ids are formed is described
 * on the page of the module `faas-flow`.
 *
 * Every method that calls a closure returns what the closure returns, and throws a {@link Failure} if it fails. An id that the flow
 * does not have, or whose closure is of another kind, is a `reject`.
 */
export declare class TestFlow {
    /** The context that the flow sees. */
    readonly fake: Fake;
    private readonly recorded;
    /** Runs `define`. If it fails, so does this. */
    constructor(flow: Flow | Define, fake?: Fake);
    /** The definition, in the JSON form that `faas-flow graph --format definition` prints. */
    get definition(): Record<string, unknown>;
    /** The handler ids of all closures, sorted. */
    get handlers(): string[];
    /** Calls a modifier. */
    modify(id: string, data: Output): Data;
    /** Calls an aggregator with named values. */
    aggregate(id: string, inputs: NamedValues): Data;
    /** Calls the closure that chooses the branches of a condition, and returns their keys. */
    condition(id: string, data: Output): string[];
    /** Calls the closure that splits the input of a for-each, and returns the items with their keys. */
    forEach(id: string, data: Output): [key: string, item: Data][];
    /** Calls the closure that says whether a repeat runs again, with the result of a round and its number, from 1. */
    again(id: string, data: Output, round: number): boolean;
    /** Calls the closure that names the key of a limit for the data of a call or a node. */
    key(id: string, data: Output): string;
    /** Calls the forwarder of an edge. */
    forward(id: string, data: Output): Data;
    /** Calls the closure that prepares the request of a call. */
    prepare(id: string, request: Request): Request;
    /** Calls the closure that receives the response of a call. */
    receive(id: string, response: Response): Data;
    /** Calls the closure that recovers from the failure of a call, or the failure handler of the flow: `(failure)`. */
    recover(id: string, failure: string): Data;
    /** Calls the closure that catches the failure of a call, a node or a dag. */
    recoverFrom(id: string, failed: Failed): Data;
    /** Calls the closure that gathers the items of a for-each. */
    gather(id: string, items: Iterable<Gathered>): Data;
    /** Calls the closure that names the moment until which a node sleeps. A time is in milliseconds. */
    moment(id: string, data: Output): Wake;
    /** Calls the closure that names the signal that a node waits for. */
    signalName(id: string, data: Output): string;
    /** Calls the finally handler of the flow. */
    finally(outcome: Outcome): void;
    private data;
    private call;
}
