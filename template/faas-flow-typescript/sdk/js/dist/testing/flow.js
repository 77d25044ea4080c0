import { Data } from "../data.js";
import { Flow } from "../flow.js";
import { failureOf } from "../handlers.js";
import { Inputs } from "../inputs.js";
import { record } from "../record.js";
import { Fake } from "./fake.js";
/**
 * A flow whose closures can be called by their handler ids. How ids are formed is described
 * on the page of the module `faas-flow`.
 *
 * Every method that calls a closure returns what the closure returns, and throws a {@link Failure} if it fails. An id that the flow
 * does not have, or whose closure is of another kind, is a `reject`.
 */
export class TestFlow {
    /** The context that the flow sees. */
    fake;
    recorded;
    /** Runs `define`. If it fails, so does this. */
    constructor(flow, fake = new Fake()) {
        this.fake = fake;
        fake.defining = true;
        try {
            this.recorded = record(flow instanceof Flow ? flow.define : flow, fake.context);
        }
        catch (error) {
            throw failureOf(error);
        }
        finally {
            fake.defining = false;
        }
    }
    /** The definition, in the JSON form that `faas-flow graph --format definition` prints. */
    get definition() {
        return JSON.parse(JSON.stringify(this.recorded.definition));
    }
    /** The handler ids of all closures, sorted. */
    get handlers() {
        return this.recorded.handlers.ids();
    }
    /** The recorded definition. @internal */
    get plain() {
        return this.recorded.definition;
    }
    /** Calls a modifier. */
    modify(id, data) {
        return this.data((all) => all.data("modify", id, input(data)));
    }
    /** Calls an aggregator with named values. */
    aggregate(id, inputs) {
        return this.data((all) => all.data("aggregate", id, named(inputs)));
    }
    /** Calls the closure that chooses the branches of a condition, and returns their keys. */
    condition(id, data) {
        return this.call((all) => all.condition(id, input(data)));
    }
    /** Calls the closure that splits the input of a for-each, and returns the items with their keys. */
    forEach(id, data) {
        return this.call((all) => all.forEach(id, input(data)).map(([key, item]) => [key, new Data(item)]));
    }
    /** Calls the closure that says whether a repeat runs again, with the result of a round and its number, from 1. */
    again(id, data, round) {
        return this.call((all) => all.again(id, input(data), round));
    }
    /** Calls the closure that names the key of a limit for the data of a call or a node. */
    key(id, data) {
        return this.call((all) => all.name("key", id, input(data)));
    }
    /** Calls the forwarder of an edge. */
    forward(id, data) {
        return this.data((all) => all.data("forward", id, input(data)));
    }
    /** Calls the closure that prepares the request of a call. */
    prepare(id, request) {
        return this.call((all) => all.prepare(id, request));
    }
    /** Calls the closure that receives the response of a call. */
    receive(id, response) {
        return this.data((all) => all.data("receive", id, response));
    }
    /** Calls the closure that recovers from the failure of a call, or the failure handler of the flow: `(failure)`. */
    recover(id, failure) {
        return this.data((all) => all.data("recover", id, failure));
    }
    /** Calls the closure that catches the failure of a call, a node or a dag. */
    recoverFrom(id, failed) {
        return this.data((all) => all.data("recover-from", id, failed));
    }
    /** Calls the closure that gathers the items of a for-each. */
    gather(id, items) {
        return this.data((all) => all.data("gather", id, [...items]));
    }
    /** Calls the closure that names the moment until which a node sleeps. A time is in milliseconds. */
    moment(id, data) {
        return this.call((all) => {
            const wake = all.moment(id, input(data));
            return wake.tag === "after" ? { after: wake.val } : { at: wake.val };
        });
    }
    /** Calls the closure that names the signal that a node waits for. */
    signalName(id, data) {
        return this.call((all) => all.name("signal-name", id, input(data)));
    }
    /** Calls the finally handler of the flow. */
    finally(outcome) {
        this.call((all) => all.finally("(finally)", outcome));
    }
    data(answer) {
        return new Data(this.call(answer));
    }
    call(answer) {
        this.fake.calling(this.fake.current);
        return answer(this.recorded.handlers);
    }
}
function input(data) {
    return data instanceof Data ? data : new Data(data);
}
function named(values) {
    return new Inputs(Symbol.iterator in values ? values : Object.entries(values));
}
