import { Context } from "../context.js";
import { bytesOf, Data } from "../data.js";
import { Response } from "../http.js";
/** What data is of which nothing is known. @internal */
export const OCTET_STREAM = "application/octet-stream";
/**
 * The context of a run in tests. It answers what a test told it to, and remembers what the flow logged and set.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { Fake } from "faas-flow/testing";
 *
 * const fake = new Fake({ headers: { "x-team": "blue" }, values: { attempts: 1 } });
 * fake.context.set("attempts", 2);
 * fake.context.warn("again");
 * assert.equal(fake.context.header("X-Team"), "blue");
 * assert.equal(fake.get("attempts"), 2);
 * assert.deepEqual(fake.logs, [["warn", "again"]]);
 * ```
 */
export class Fake {
    facts;
    /** The lines that the flow has logged, in order. */
    logs = [];
    /** The labels that the flow has given the run. */
    labels = new Map();
    /** The status and headers that the flow has set with {@link Context.respond}, if it has. */
    response;
    /** The context, as the flow gets it. */
    context;
    values = new Map();
    returned;
    /** @internal */
    defining = false;
    /** What the closure that is being called is told, if not the facts. @internal */
    current = {};
    /** A context that answers these facts, and otherwise knows nothing. */
    constructor(facts = {}) {
        this.facts = facts;
        for (const [key, value] of Object.entries(facts.values ?? {}))
            this.values.set(key, bytesOf(JSON.stringify(value)));
        this.context = new Context(this.host());
    }
    /** Reads a JSON value that the flow, or the test, has set. */
    get(key) {
        const value = this.values.get(key);
        return value === undefined ? undefined : new Data(value).json();
    }
    /** The media type of what the flow's latest closure returned. The closure is one that {@link TestFlow} called. */
    get returnedContentType() {
        return this.returned ?? OCTET_STREAM;
    }
    /** What the code of a node may change, to drop it if the node fails. @internal */
    changes() {
        return { values: new Map(this.values), labels: new Map(this.labels), response: this.response };
    }
    /** @internal */
    restore({ values, labels, response }) {
        this.response = response;
        for (const [kept, all] of [[values, this.values], [labels, this.labels]]) {
            all.clear();
            for (const [key, value] of kept)
                all.set(key, value);
        }
    }
    /** The facts that a whole run begins with. @internal */
    get request() {
        return { id: this.facts.requestId ?? "test", contentType: this.facts.contentType ?? OCTET_STREAM };
    }
    /** @internal */
    calling(current = {}) {
        this.returned = undefined;
        this.current = current;
    }
    host() {
        const { facts } = this;
        const inputs = () => [...(this.current.inputs ?? facts.inputs ?? [])];
        return {
            requestId: () => facts.requestId ?? "test",
            flowName: () => facts.flowName ?? "flow",
            node: () => this.current.node ?? facts.node ?? "",
            state: () => this.current.state ?? facts.state ?? "running",
            query: (name) => all(facts.query, (key) => key === name),
            header: (name) => all(facts.headers, (key) => key.toLowerCase() === name.toLowerCase()),
            inputs: () => inputs().map(([name, value]) => [name, bytesOf(value)]),
            contentType: () => this.current.contentType ?? facts.contentType ?? OCTET_STREAM,
            contentTypes: () => [...(this.current.contentTypes ?? facts.contentTypes ?? inputs().map(() => OCTET_STREAM))],
            setContentType: (mediaType) => {
                this.notDefining("there is no data in `define` that could have a media type");
                if (!isMediaType(mediaType))
                    throw `\`${mediaType}\` is not a media type`;
                this.returned = mediaType;
            },
            respond: (status, headers) => {
                this.notDefining("there is no run in `define` that could be answered");
                if (status < 200 || status > 599 || status === 202)
                    throw `an answer cannot have the status ${status}`;
                this.response = headers.reduce((response, [name, value]) => response.withHeader(name, value), new Response(status));
            },
            setRejectStatus: () => { },
            label: (key, value) => {
                this.notDefining("there is no run in `define` that could have a label");
                if (!/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/.test(key))
                    throw `\`${key}\` cannot be the key of a label`;
                if (bytesOf(value).length > 128 || /\p{Cc}/u.test(value)) {
                    throw `the value of the label \`${key}\` is too long, or has control characters`;
                }
                if (this.labels.size >= 16 && !this.labels.has(key))
                    throw "a run has at most 16 labels";
                this.labels.set(key, value);
            },
            get: (key) => this.values.get(key),
            set: (key, value) => {
                this.changing(key);
                this.values.set(key, value);
            },
            delete: (key) => {
                this.changing(key);
                this.values.delete(key);
            },
            signalUrl: (name) => {
                this.notDefining("there is no run in `define` to which a signal could be sent");
                if (!/^[A-Za-z0-9_.-]{1,64}$/.test(name))
                    throw `\`${name}\` is not the name of a signal`;
                const run = `${facts.flowName ?? "flow"}/flow/${facts.requestId ?? "test"}`;
                return `https://example.org/function/${run}/signal/${name}?signature=test`;
            },
            log: (level, message) => void this.logs.push([level, message]),
        };
    }
    /** Refuses what the host refuses. */
    changing(key) {
        this.notDefining(`value \`${key}\` cannot be changed while the flow is being defined`);
        const { length } = bytesOf(key);
        if (length < 1 || length > 256)
            throw `value \`${key}\` has a key of ${length} bytes, not 1 to 256`;
    }
    notDefining(reason) {
        if (this.defining)
            throw reason;
    }
}
function all(values, isWanted) {
    return Object.entries(values ?? {}).flatMap(([name, value]) => (isWanted(name) ? [value].flat() : []));
}
/** Whether a text looks like a media type. The host is more exact about parameters. @internal */
export function isMediaType(text) {
    return text.length <= 255 && /^[\x20-\x7e]*$/.test(text) && /^[^\s/;]+\/[^\s/;]+ *(;|$)/.test(text);
}
