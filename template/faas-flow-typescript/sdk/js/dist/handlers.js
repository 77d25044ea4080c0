// The closures of a flow by handler id, and what becomes of what they return or throw.
import { IS_ASYNC, isPromise, shown, wellFormed } from "./check.js";
import { Data } from "./data.js";
import { millis } from "./duration.js";
import { Failure } from "./failure.js";
import { Request } from "./http.js";
import { authorsStack, placeIn } from "./place.js";
/** All closures of a flow. */
export class Handlers {
    context;
    all = new Map();
    constructor(context) {
        this.context = context;
    }
    /** Keeps a closure under its id. */
    keep(id, kind, closure) {
        this.all.set(id, { kind, closure });
        return id;
    }
    /** The ids, in the order of their bytes in UTF-8, which is that of their code points. JavaScript compares UTF-16. */
    ids() {
        return [...this.all.keys()].sort(byCodePoints);
    }
    /** Calls a closure that returns data. */
    data(kind, id, input) {
        return this.call(kind, id, [input], (returned, wrong) => this.bytes([returned], wrong)[0]);
    }
    /** Calls the closure that chooses branches. */
    condition(id, data) {
        return this.call("condition", id, [data], (returned, wrong) => {
            const expected = "the key of a branch, or several";
            const keys = typeof returned === "string" ? [returned] : iterated(returned, expected, wrong);
            return keys.map((key) => words(key, expected, wrong));
        });
    }
    /** Calls the closure that splits data into items. */
    forEach(id, data) {
        return this.call("for-each", id, [data], (returned, wrong) => {
            const expected = "items, each with its key: [[key, data], …]";
            const pairs = iterated(returned, expected, wrong).map((pair) => {
                if (!Array.isArray(pair) || pair.length !== 2)
                    throw wrong(expected, pair);
                return [words(pair[0], expected, wrong), pair[1]];
            });
            const items = this.bytes(pairs.map(([, item]) => item), wrong);
            return pairs.map(([key], index) => [key, items[index]]);
        });
    }
    /** Calls the closure that prepares a request. */
    prepare(id, request) {
        return this.call("prepare", id, [request], (returned, wrong) => {
            if (!(returned instanceof Request))
                throw wrong("a Request", returned);
            return returned;
        });
    }
    /** Calls the finally handler. */
    finally(id, outcome) {
        this.call("finally", id, [outcome], (returned, wrong) => {
            if (returned !== undefined)
                throw wrong("nothing", returned);
        });
    }
    /** Calls the closure that says when a sleeping node continues. */
    moment(id, data) {
        return this.call("moment", id, [data], (returned, wrong) => {
            const { after, at } = (typeof returned === "object" && returned !== null ? returned : {});
            if (after !== undefined)
                return { tag: "after", val: millis(after, "a sleep") };
            if (at instanceof Date)
                return { tag: "at", val: at.toISOString() };
            if (typeof at === "string")
                return { tag: "at", val: wellFormed(at) };
            throw wrong('{ after: "2h" } or { at: "2026-12-24T18:00:00+01:00" }', returned);
        });
    }
    /** Calls the closure that says whether there is another round. */
    again(id, data, round) {
        return this.call("again", id, [data, round], (returned, wrong) => {
            if (typeof returned !== "boolean")
                throw wrong("true or false", returned);
            return returned;
        });
    }
    /** Calls the closure that names a signal or a key. */
    name(kind, id, data) {
        return this.call(kind, id, [data], (returned, wrong) => words(returned, "a string", wrong));
    }
    /** Calls a closure and checks what it returns. Whatever it throws becomes a failure. */
    call(kind, id, input, check) {
        const handler = this.all.get(id);
        if (!handler)
            throw new Failure("reject", `the flow has no handler \`${id}\``);
        if (handler.kind !== kind) {
            throw new Failure("reject", `handler \`${id}\` was called as \`${kind}\`, but its kind is \`${handler.kind}\``);
        }
        const { run, stack } = handler.closure;
        const wrong = (expected, returned) => {
            const what = isPromise(returned) ? IS_ASYNC : `must return ${expected}, not ${shown(returned)}`;
            const error = new TypeError(`handler \`${id}\` ${what}`);
            error.stack = stack;
            return error;
        };
        this.context.hasContentType = false;
        try {
            const returned = run(...input);
            if (isPromise(returned)) {
                // Its rejection is not looked at, so it must not end the process, which is a test.
                returned.then(undefined, () => undefined);
                throw wrong("", returned);
            }
            return check(returned, wrong);
        }
        catch (error) {
            const failure = failureOf(error, stack);
            if (failure !== error)
                this.context.log("error", `${failure.message}${authorsStack(error?.stack)}`);
            throw failure;
        }
    }
    /** The bytes of what a closure returns, after their media type has been set, if all of them have the same one. */
    bytes(outputs, wrong) {
        const types = new Set(outputs.map((output) => (output instanceof Data ? output.mediaType : undefined)));
        const bytes = outputs.map((output) => {
            if (typeof output === "string")
                return new TextEncoder().encode(output);
            if (output instanceof Data)
                return output.bytes;
            if (output instanceof Uint8Array)
                return output;
            throw wrong("a string, a Uint8Array or Data", output);
        });
        const [type] = types;
        if (types.size === 1 && type !== undefined && !this.context.hasContentType)
            this.context.setContentType(type);
        return bytes;
    }
}
/** Whatever a closure or `define` threw, as a failure that says what happened and where. */
export function failureOf(error, fallback) {
    if (error instanceof Failure)
        return error.located ? new Failure(error.tag, `${error.message}${where(error.stack, fallback)}`) : error;
    if (!(error instanceof Error))
        return new Failure("reject", `${String(error)}${where(undefined, fallback)}`);
    let text = `${error.name}: ${error.message}`;
    // A cause may, by mistake, lead back to itself.
    let cause = error.cause;
    for (let depth = 0; depth < 8 && cause !== undefined; depth++) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        if (!text.endsWith(reason))
            text += `: ${reason}`;
        cause = cause instanceof Error ? cause.cause : undefined;
    }
    return new Failure("reject", `${text}${where(error.stack, fallback)}`);
}
function where(stack, fallback) {
    const place = placeIn(stack) ?? placeIn(fallback);
    return place === undefined ? "" : ` (${place})`;
}
function iterated(value, expected, wrong) {
    const iterable = typeof value === "object" && value !== null && Symbol.iterator in value;
    if (!iterable)
        throw wrong(expected, value);
    return [...value];
}
function words(value, expected, wrong) {
    if (typeof value !== "string")
        throw wrong(expected, value);
    return wellFormed(value);
}
function byCodePoints(one, other) {
    const [a, b] = [[...one], [...other]];
    for (let at = 0; at < Math.min(a.length, b.length); at++) {
        const difference = a[at].codePointAt(0) - b[at].codePointAt(0);
        if (difference !== 0)
            return difference;
    }
    return a.length - b.length;
}
