// The component's side of the contract: passes the host's calls on to the flow's closures.
//
// The flow is defined while its module is built, when no host is there, and the closures are part of the module from then on. If
// `define` asks for anything that only a run knows, it is left for later, and each instance defines the flow when it is called for
// the first time.
import host from "faas-flow:flow/context@0.2.0";
import { startClock, writeConsoleTo } from "./polyfill.js";
import { wellFormed } from "./check.js";
import { Context } from "./context.js";
import { Data } from "./data.js";
import { Failed } from "./failed.js";
import { Failure } from "./failure.js";
import { Flow } from "./flow.js";
import { failureOf } from "./handlers.js";
import { Request, Response } from "./http.js";
import { Inputs } from "./inputs.js";
import { authorsStack } from "./place.js";
import { record } from "./record.js";
import { replay } from "./replay.js";
/** While the module is built. The first call of the host ends it. */
let building = true;
/** The host calls, so the module is built. */
function begin() {
    building = false;
    startClock();
}
/** Whether `define` has asked, while the module was built, for something that only a run knows. */
let asked = false;
/** What was logged while the module was built. The host gets it whenever it asks for the definition. */
const early = [];
const context = new Context(new Proxy({}, {
    get: (_, name) => (...input) => {
        if (!building)
            return host[name](...input);
        if (name === "log")
            return early.push(input);
        asked = true;
        throw new Error("there is no run while the module is built: use the context in `define` and in closures only");
    },
}));
writeConsoleTo((level, message) => context.log(level, message));
/** What a module exports: one object for each interface of the world `full-flow`. */
export function exportsOf(flow) {
    if (!(flow instanceof Flow)) {
        throw new TypeError("the file exports no flow: end it with `export default flow((workflow, context) => { … })`");
    }
    let recorded = recordedEarly(flow);
    const isEarly = recorded !== undefined;
    const defined = () => (recorded ??= record(flow.define, context));
    const answering = (answer) => (...input) => {
        begin();
        try {
            return answer(defined().handlers, ...input);
        }
        catch (error) {
            throw refused(failureOf(error));
        }
    };
    return {
        definition: {
            define(workflow) {
                begin();
                try {
                    // If the host asks again, it gets a definition that fits the context of this call.
                    if (!isEarly)
                        recorded = undefined;
                    for (const [level, message] of early)
                        context.log(level, message);
                    replay(defined().definition, workflow);
                }
                catch (error) {
                    throw wellFormed(failureOf(error).message);
                }
            },
        },
        handlers: {
            modify: answering((all, id, data) => all.data("modify", id, new Data(data))),
            aggregate: answering((all, id, inputs) => all.data("aggregate", id, named(inputs))),
            condition: answering((all, id, data) => all.condition(id, new Data(data))),
            forEach: answering((all, id, data) => all.forEach(id, new Data(data))),
            forward: answering((all, id, data) => all.data("forward", id, new Data(data))),
            prepare: answering((all, id, { method, url, headers, body }) => {
                const request = all.prepare(id, new Request(method, url, headers, new Data(body)));
                return { method: request.method, url: request.url, headers: request.headers, body: request.body.bytes };
            }),
            receive: answering((all, id, { status, headers, body }) => all.data("receive", id, new Response(status, headers, new Data(body)))),
            recover: answering((all, id, failure) => all.data("recover", id, failure)),
            finally: answering((all, id, outcome) => all.finally(id, outcome)),
        },
        recovery: {
            recoverFrom: answering((all, id, what, input, body) => all.data("recover-from", id, failed({ ...what, input, body: body ?? undefined }))),
        },
        gathering: { gather: answering((all, id, items) => all.data("gather", id, items.map(gathered))) },
        timing: { moment: answering((all, id, data) => all.moment(id, new Data(data))) },
        repeating: {
            again: answering((all, id, data, round) => all.again(id, new Data(data), round)),
        },
        signalling: { signalName: answering((all, id, data) => all.name("signal-name", id, new Data(data))) },
        limiting: { key: answering((all, id, data) => all.name("key", id, new Data(data))) },
    };
}
/** Defines the flow while the module is built, if that is possible. What is wrong with `define` itself ends the build. */
function recordedEarly(flow) {
    const before = early.length;
    let recorded;
    try {
        recorded = record(flow.define, context);
    }
    catch (error) {
        if (!asked)
            throw new Error(`${failureOf(error).message}${authorsStack(error?.stack)}`);
    }
    if (!asked)
        return recorded;
    // It will log this again.
    early.length = before;
    return undefined;
}
/** A failure as the contract has it. */
function refused({ tag, message, status }) {
    let val = message;
    if (status !== undefined) {
        try {
            host.setRejectStatus(status);
        }
        catch (error) {
            val += ` (${error?.payload ?? String(error)})`;
        }
    }
    return { tag, val: wellFormed(val) };
}
function named(inputs) {
    return new Inputs(inputs);
}
function failed(facts) {
    return new Failed(facts);
}
function gathered({ key, ended }) {
    return ended.tag === "ok" ? { key, result: new Data(ended.val) } : { key, failed: failed(ended.val) };
}
