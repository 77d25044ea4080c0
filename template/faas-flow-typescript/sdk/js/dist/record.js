// Turns what an author's `define` built into plain data and closures with ids.
import { Handlers } from "./handlers.js";
import { Workflow } from "./workflow.js";
import { isPromise, IS_ASYNC } from "./check.js";
/** Runs `define`, gives every closure its id, and returns the definition together with the closures. */
export function record(define, context) {
    const workflow = new Workflow();
    const returned = define(workflow, context);
    if (isPromise(returned)) {
        returned.then(undefined, () => undefined);
        throw new TypeError(`\`define\` ${IS_ASYNC}`);
    }
    const recorder = new Recorder(context);
    const model = workflow.model;
    const dag = recorder.dag("", model.dag);
    const definition = {
        dag,
        "on-failure": recorder.name("(failure)", "recover", model.onFailure),
        finally: recorder.name("(finally)", "finally", model.finally),
        "deadline-ms": model.deadlineMs,
        "on-exhausted": model.onExhausted === "pause" ? "pause" : undefined,
        schedules: some(model.schedules.map(schedule)),
    };
    definition.handlers = some(recorder.handlers.ids());
    return { definition, handlers: recorder.handlers };
}
class Recorder {
    handlers;
    /** The dags that enclose the current one, to detect a dag that contains itself. */
    enclosing = [];
    constructor(context) {
        this.handlers = new Handlers(context);
    }
    name(id, kind, closure) {
        return closure && this.handlers.keep(withinLimit(id), kind, closure);
    }
    dag(prefix, dag) {
        if (this.enclosing.includes(dag)) {
            throw new RangeError(`the dag of \`${prefix.replace(/\/$/, "")}\` contains itself: create a new dag for each level`);
        }
        this.enclosing.push(dag);
        const { nodes, edges, inputAggregators, endAggregator, recoverNodes, recover } = dag.model;
        const recorded = {
            nodes: nodes.map(([id, kind]) => ({ id, ...this.node(prefix + id, kind) })),
            edges: some(edges.map((edge) => this.edge(prefix, edge))),
            "aggregate-inputs": some(inputAggregators.map(([node, run]) => ({
                node,
                aggregator: this.name(`${prefix}${node}/aggregate`, "aggregate", run),
            }))),
            "aggregate-ends": this.name(`${prefix}(end)/aggregate`, "aggregate", endAggregator),
            "recover-nodes": some(recoverNodes.map(([node, run]) => ({ node, recover: this.name(`${prefix}${node}/recover`, "recover-from", run) }))),
            recover: this.name(`${prefix}(recover)`, "recover-from", recover),
        };
        this.enclosing.pop();
        return recorded;
    }
    node(path, kind) {
        if ("operations" in kind)
            return { operations: this.operations(path, kind.operations) };
        if ("subDag" in kind)
            return { "sub-dag": this.dag(`${path}/`, kind.subDag) };
        if ("condition" in kind)
            return { condition: this.branches(path, "condition", kind.condition) };
        if ("forEach" in kind)
            return { "for-each": this.branches(path, "for-each", kind.forEach) };
        return { repeat: this.repeat(path, kind.repeat) };
    }
    operations(path, model) {
        return {
            list: model.list.map((operation, index) => this.operation(`${path}/${index}`, operation)),
            retry: backoff(model.retry),
            "timeout-ms": model.timeoutMs,
            limit: this.limit(path, model.limit),
        };
    }
    operation(path, operation) {
        if ("apply" in operation)
            return { apply: this.call(path, operation.apply) };
        if ("request" in operation)
            return { request: this.call(path, operation.request) };
        if ("modify" in operation)
            return { modify: this.name(path, "modify", operation.modify) };
        if ("sleep" in operation)
            return operation;
        if ("sleepUntil" in operation)
            return { "sleep-until": this.name(path, "moment", operation.sleepUntil) };
        return { "wait-for": this.waitFor(path, operation.waitFor) };
    }
    call(path, model) {
        return {
            target: model.target,
            method: model.method,
            headers: some(model.headers),
            query: some(model.query),
            prepare: this.name(`${path}/prepare`, "prepare", model.prepare),
            receive: this.name(`${path}/receive`, "receive", model.receive),
            recover: this.name(`${path}/recover`, "recover", model.recover),
            "recover-from": this.name(`${path}/recover-from`, "recover-from", model.recoverFrom),
            retry: backoff(model.retry),
            "retry-on": some(model.retryOn),
            "timeout-ms": model.timeoutMs,
            asynchronous: model.asynchronous || undefined,
            limit: this.limit(path, model.limit),
        };
    }
    waitFor(path, model) {
        const { signal } = model;
        return {
            signal: typeof signal === "string" ? { named: signal } : { handler: this.name(path, "signal-name", signal) },
            "timeout-ms": model.timeoutMs,
            "recover-from": this.name(`${path}/recover-from`, "recover-from", model.recoverFrom),
        };
    }
    limit(path, model) {
        if (!model)
            return undefined;
        const { name, concurrent, perSecond, key } = model;
        return { name, concurrent, "per-second": perSecond, key: this.name(`${path}/limit-key`, "key", key) };
    }
    branches(path, kind, model) {
        return {
            handler: this.name(`${path}/${kind}`, kind, model.select),
            dags: [...model.dags].map(([key, dag]) => ({ key, dag: this.dag(`${path}[${encode(key)}]/`, dag) })),
            aggregator: this.name(`${path}/aggregate-branches`, "aggregate", model.aggregator),
            "carries-nothing": model.carriesNothing || undefined,
            "max-parallel": model.maxParallel,
            tolerate: model.tolerate,
            gather: this.name(`${path}/gather`, "gather", model.gather),
        };
    }
    repeat(path, model) {
        return {
            handler: this.name(`${path}/again`, "again", model.again),
            dag: this.dag(`${path}[]/`, model.dag),
            most: model.most,
            "wait-ms": model.waitMs || undefined,
        };
    }
    edge(prefix, { from, to, carries }) {
        if (carries === "output")
            return { from, to };
        if (carries === "nothing")
            return { from, to, carries };
        return { from, to, carries: { forwarded: this.name(`${prefix}${from}->${to}/forward`, "forward", carries) } };
    }
}
function schedule({ name, when, timeZone, missed, overlap, input }) {
    return {
        name,
        when,
        "time-zone": timeZone,
        missed,
        overlap,
        input: input && { body: textOrBytes(input.body), "media-type": input.mediaType || undefined },
    };
}
function backoff(policy) {
    if (!policy)
        return undefined;
    const { attempts, firstDelayMs, factor, maxDelayMs } = policy;
    return { attempts, "first-delay-ms": firstDelayMs, factor, "max-delay-ms": maxDelayMs };
}
/** A list, or nothing if it is empty. */
function some(list) {
    return list.length === 0 ? undefined : list;
}
/** Bytes as a text if they are UTF-8, and otherwise as a list of numbers. */
function textOrBytes(bytes) {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    }
    catch {
        return [...bytes];
    }
}
/** The most bytes that the contract allows in a handler's id. */
const LONGEST_ID = 256;
/**
 * The id, if it is not too long; otherwise its beginning, a `~`, which no path has, and a hash of all of it. So the id of a handler
 * deep inside is valid too, and stays the same as long as the handler's place does.
 */
export function withinLimit(id) {
    const bytes = new TextEncoder().encode(id);
    if (bytes.length <= LONGEST_ID)
        return id;
    // FNV-1a with 64 bits.
    let hash = 0xcbf29ce484222325n;
    for (const byte of bytes)
        hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
    let end = LONGEST_ID - 17;
    // Not within a character: the bytes after its first one begin with the bits 10.
    while ((bytes[end] & 0xc0) === 0x80)
        end--;
    return `${new TextDecoder().decode(bytes.subarray(0, end))}~${hash.toString(16).padStart(16, "0")}`;
}
/** Percent-encodes a branch key, as in the host's node paths. @internal */
export function encode(key) {
    const encoded = Array.from(new TextEncoder().encode(key), (byte) => {
        const character = String.fromCharCode(byte);
        return /[A-Za-z0-9_.-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    });
    return encoded.join("");
}
