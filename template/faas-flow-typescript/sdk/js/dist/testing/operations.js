import { Request } from "../http.js";
import { Attempts, NOTHING } from "./attempt.js";
import { Call, encoded, retryAfter, subject } from "./call.js";
import { duration, Failing, Mistake } from "./failing.js";
import { isMediaType, OCTET_STREAM } from "./fake.js";
/** The time limit of a try without one of its own, and of an asynchronous call. */
const CALL_TIMEOUT = 60_000;
const ANSWER_TIMEOUT = 24 * 3600 * 1000;
/** How long a node may be held while it waits between two tries. */
const LONGEST_WAIT = 5_000;
const LONGEST_SLEEP = 366 * 24 * 3600 * 1000;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
/** Executes the operations of nodes. @internal */
export class OperationsOfNodes extends Attempts {
    world;
    calls = [];
    /** The signals that nodes have taken, by path and operation. They keep them in further attempts. */
    taken = new Map();
    constructor(flow, deadline, world) {
        super(flow, deadline);
        this.world = world;
    }
    /** Attempts a node as often as its retry policy allows. */
    operations(path, node, gather) {
        for (let attempt = 1;; attempt++) {
            try {
                const run = () => {
                    let value = gather();
                    if (node.limit?.key !== undefined)
                        this.limit(node.limit.key, value);
                    node.list.forEach((operation, index) => {
                        this.own.input = value.bytes;
                        value = this.operation(path, index, operation, value);
                    });
                    return value;
                };
                return this.attempt(path, run, node["timeout-ms"]);
            }
            catch (failing) {
                if (!(failing instanceof Failing) || failing.level === "run")
                    throw failing;
                failing.level = "node";
                if (!failing.allows(node.retry, attempt)) {
                    failing.last(node.retry, "node", attempt);
                    throw failing;
                }
                this.own.until = undefined;
                this.pass(failing.wait(node.retry, attempt));
            }
        }
    }
    /** Asks for the key of a limit, which holds nothing up here. */
    limit(id, value) {
        try {
            this.plain(value, (data) => this.flow.key(id, data));
        }
        catch (failing) {
            if (failing instanceof Failing)
                failing.level = "node";
            throw failing;
        }
    }
    operation(path, index, operation, value) {
        if ("modify" in operation)
            return this.data(value, (data) => this.flow.modify(operation.modify, data));
        if ("sleep" in operation)
            return this.sleep(operation.sleep, value);
        if ("sleep-until" in operation)
            return this.sleepUntil(path, operation["sleep-until"], value);
        if ("wait-for" in operation)
            return this.waitFor(path, index, operation["wait-for"], value);
        const isUrl = "request" in operation;
        return this.call({ path, index, call: isUrl ? operation.request : operation.apply, isUrl }, value);
    }
    sleep(ms, value) {
        if (ms > 0)
            this.suspend(ms);
        return value;
    }
    sleepUntil(path, id, value) {
        const wake = this.plain(value, (data) => this.flow.moment(id, data));
        let ms;
        const wrong = (message) => new Failing("FF0232", "other", path, message).with({ input: value.bytes });
        if ("at" in wake && wake.at !== undefined) {
            const at = String(wake.at);
            const moment = RFC_3339.test(at) ? Date.parse(at.toUpperCase()) : NaN;
            if (Number.isNaN(moment)) {
                throw wrong(`\`${at}\` is not a moment as RFC 3339 writes it, such as \`2026-12-24T18:00:00+01:00\``);
            }
            ms = moment - this.world.now - this.now;
        }
        else {
            ms = Number(wake.after);
        }
        if (ms > LONGEST_SLEEP) {
            const most = duration(LONGEST_SLEEP);
            throw wrong(`the node would sleep for ${duration(ms)}, but at most ${most} (366 days) are possible`);
        }
        return this.sleep(ms, value);
    }
    waitFor(path, index, wait, value) {
        const name = this.signalOf(path, wait, value);
        const place = `${path}/${index}`;
        const taken = this.taken.get(place);
        if (taken)
            return { bytes: taken.body, mediaType: OCTET_STREAM };
        const limit = wait["timeout-ms"];
        const { signals } = this.world;
        const at = signals.findIndex((sent) => sent.name === name);
        if (at >= 0 && signals[at].at <= this.now + (limit ?? Infinity)) {
            const [sent] = signals.splice(at, 1);
            this.suspend(Math.max(sent.at - this.now, 0));
            this.taken.set(place, sent);
            return { bytes: sent.body, mediaType: OCTET_STREAM };
        }
        if (limit === undefined && this.deadline === undefined) {
            const advice = `add .signal(${JSON.stringify(name)}, …) to the run`;
            throw new Mistake(`node \`${path}\` waits for the signal \`${name}\`, without a timeout, and none comes: ${advice}`);
        }
        this.suspend(limit ?? Infinity);
        const message = `no signal \`${name}\` came in ${duration(limit)}: send it earlier, or give the wait a longer timeout`;
        const failing = new Failing("FF0270", "timed-out", path, message).with({ input: value.bytes });
        if (wait["recover-from"] === undefined)
            throw failing;
        return this.recovering(value, () => this.recoverFrom(wait["recover-from"], failing));
    }
    /** Recovers from the failure of an operation. If that fails, it is the operation that has failed, with the data that it had got. */
    recovering(value, recover) {
        try {
            return recover();
        }
        catch (failing) {
            throw failing instanceof Failing ? failing.with({ input: value.bytes }) : failing;
        }
    }
    signalOf(path, { signal }, value) {
        if ("named" in signal)
            return signal.named;
        const name = this.plain(value, (data) => this.flow.signalName(signal.handler, data));
        if (/^[A-Za-z0-9_.-]{1,64}$/.test(name))
            return name;
        const message = `signal name \`${name}\` is malformed: 1 to 64 characters out of A-Z a-z 0-9 _ . -`;
        throw new Failing("FF0275", "other", path, message).with({ input: value.bytes });
    }
    /** Makes a call, with the tries that its policy allows. */
    call(of, value) {
        const { retry, recover, "recover-from": recoverFrom } = of.call;
        for (let tries = 1;; tries++) {
            try {
                return this.try(of, tries, value);
            }
            catch (failing) {
                if (!(failing instanceof Failing) || failing.level !== "operation")
                    throw failing;
                failing.with({ input: value.bytes });
                if (failing.allows(retry, tries)) {
                    const wait = failing.wait(retry, tries);
                    if (wait > LONGEST_WAIT)
                        this.suspend(wait);
                    else
                        this.pass(wait);
                    continue;
                }
                failing.last(retry, "call", tries);
                this.own.hasCalled = true;
                return this.recovering(value, () => {
                    if (recover !== undefined)
                        return this.data(NOTHING, () => this.flow.recover(recover, failing.pathless));
                    if (recoverFrom !== undefined)
                        return this.recoverFrom(recoverFrom, failing);
                    throw failing;
                });
            }
        }
    }
    /** One try of a call. */
    try(of, number, value) {
        const { path, call, isUrl } = of;
        if (call.limit?.key !== undefined)
            this.limit(call.limit.key, value);
        let request = this.request(of, value);
        if (call.prepare !== undefined) {
            const of = { bytes: request.body.bytes, mediaType: mediaTypeOf(request) };
            request = this.plain(of, () => this.flow.prepare(call.prepare, request));
        }
        const name = subject(call.target, request.url, isUrl);
        const made = new Call(request, { function: name, node: path, tries: number, at: this.now });
        this.calls.push(made);
        if (call.asynchronous)
            this.commit();
        let response;
        try {
            response = this.answered(of, this.world.answer(made));
        }
        finally {
            this.own.hasCalled = true;
        }
        const answer = { bytes: response.body.bytes, mediaType: mediaTypeOf(response) };
        if (call.receive !== undefined)
            return this.data(answer, () => this.flow.receive(call.receive, response));
        const { status } = response;
        if (status === 202 && !isUrl) {
            const advice = "have it answer when it is done, and call it with `.asynchronous()` if that takes long";
            const message = `\`${call.target}\` answered with status 202, so its result is not in the answer: ${advice}`;
            throw new Failing("FF0250", "answered", path, message);
        }
        if (status >= 200 && status <= 299)
            return answer;
        const message = `\`${call.target}\` answered with status ${status}${quoted(response)}`;
        const failing = new Failing("FF0207", "answered", path, message).with({ status, body: response.body });
        const statuses = call["retry-on"] ?? [];
        failing.retry = statuses.length > 0 ? statuses.includes(status) : status === 408 || status === 429 || status >= 500;
        if (failing.retry)
            failing.retryAfter = retryAfter(response, this.world.now + this.now);
        throw failing;
    }
    /** The response that an answer is, once its time has passed. */
    answered({ path, call }, { response, delay, error }) {
        const pass = (ms) => (call.asynchronous ? this.suspend(ms) : this.pass(ms));
        const limit = call["timeout-ms"] ?? (call.asynchronous ? ANSWER_TIMEOUT : CALL_TIMEOUT);
        pass(Math.min(delay, limit));
        let failing;
        if (delay > limit && call.asynchronous) {
            failing = new Failing("FF0253", "timed-out", path, `\`${call.target}\` did not answer within ${duration(limit)}`);
        }
        else if (delay > limit) {
            failing = new Failing("FF0206", "timed-out", path, `\`${call.target}\` did not answer within ${limit} ms`);
        }
        else if (error !== undefined) {
            failing = new Failing("FF0208", "unreachable", path, `no answer from ${call.target}: ${error}`);
        }
        if (failing === undefined)
            return response;
        failing.retry = true;
        throw failing;
    }
    /** What a call sends before the flow's code changes it. */
    request({ path, index, call, isUrl }, { bytes, mediaType }) {
        let url = isUrl ? call.target : `http://function/${call.target}`;
        const query = call.query ?? [];
        if (query.length > 0)
            url = url.replace(/#.*$/s, "");
        for (const [name, value] of query) {
            url += `${url.includes("?") ? "&" : "?"}${encoded(name)}=${encoded(value)}`;
        }
        const headers = (call.headers ?? []).map(([name, value]) => [name, value]);
        const isSet = headers.some(([name]) => name.toLowerCase() === "content-type");
        if (!isSet && (bytes.length > 0 || mediaType !== OCTET_STREAM))
            headers.push(["Content-Type", mediaType]);
        const { id } = this.fake.request;
        headers.push(["X-Faas-Flow-Idempotency-Key", `${id}/${path}/${index}`], ["X-Faas-Flow-Reqid", id]);
        return new Request(call.method ?? "POST", url, headers, bytes);
    }
}
/** What a message says that its body is. */
function mediaTypeOf(message) {
    const type = message.header("content-type");
    return type !== undefined && isMediaType(type) ? type : OCTET_STREAM;
}
/** The beginning of a body, as messages have it. */
function quoted(response) {
    const text = [...new TextDecoder().decode(response.body.bytes).trim()].slice(0, 500).join("");
    return text === "" ? "" : `: ${text}`;
}
