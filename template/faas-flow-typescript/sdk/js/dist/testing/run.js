import { text } from "../check.js";
import { bytesOf, Data } from "../data.js";
import { millis } from "../duration.js";
import { Response } from "../http.js";
import { NOTHING } from "./attempt.js";
import { answered, Call, withoutSlash } from "./call.js";
import { awaited, Engine } from "./engine.js";
import { Failing, Mistake } from "./failing.js";
import { Fake } from "./fake.js";
import { TestFlow } from "./flow.js";
/** A run has not succeeded. Its message is what the caller is answered, and the calls that the run has made. */
export class RunFailed extends Error {
    failed;
    /** `RunFailed`. */
    name = "RunFailed";
    /** @internal */
    constructor(message, 
    /** What has failed. */
    failed, cause) {
        super(message, { cause });
        this.failed = failed;
    }
}
/**
 * One run of a whole flow, made by {@link run}.
 *
 * First say what the run finds: what functions answer, which signals come. The run takes place as soon as the test asks for what
 * came of it, and only once.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { flow } from "faas-flow";
 * import { run } from "faas-flow/testing";
 *
 * const order = flow(({ dag }) => {
 *   dag.node("charge").apply("charge").retry({ attempts: 3 });
 *   dag.node("approval").waitFor("approval").timeout("2d");
 *   dag.edge("charge", "approval");
 * });
 *
 * const paid = run(order, "7")
 *   .answers("charge", { status: 503 }, "paid")
 *   .signalAfter("5h", "approval", "yes");
 * assert.equal(paid.result().text(), "yes");
 * assert.deepEqual(paid.calls.map((call) => call.body.text()), ["7", "7"]);
 * ```
 *
 * The rules are those of the host, with these simplifications. Nodes and branches are executed one after the other, and not at
 * the same time: of those that are ready, the one that would begin the earliest. Time is virtual, and passes only by sleeps, by
 * waits for signals, between tries and rounds, and by the delays of answers; waits between tries are as long as their policy
 * allows. Limits over all runs hold nothing up, nothing begins by a schedule, and a flow that is called is a function like any
 * other. To test those, use `faas-flow test`.
 */
export class Run {
    flow;
    input;
    fake;
    functions = new Map();
    signals = [];
    begins = Date.UTC(2026, 0, 1);
    ended;
    /** @internal */
    constructor(flow, input, fake) {
        this.flow = flow;
        this.input = input;
        this.fake = fake;
    }
    /**
     * Says what a function answers to a call: one such as `charge`, which stands for all its paths, or `wc/lines` for what is below
     * this path; or a URL, which stands for all below it. The longest name counts. A call for which there is no answer fails the
     * test.
     */
    function(name, answer) {
        this.before(".function");
        const answers = typeof answer === "function" ? answer : () => answer;
        this.functions.set(withoutSlash(text(name, "the name of a function")), answers);
        return this;
    }
    /**
     * Says what a function answers: to each call the next one of these answers, and to all further calls the last one. Names are as
     * for {@link Run.function}.
     */
    answers(name, ...answers) {
        if (answers.length === 0)
            throw new TypeError(`.answers for \`${name}\` needs at least one answer`);
        let next = 0;
        return this.function(name, () => answers[Math.min(next++, answers.length - 1)]);
    }
    /** Sends a signal to the run before it begins. */
    signal(name, body = "") {
        return this.signalAfter(0, name, body);
    }
    /** Sends a signal to the run at a virtual time, counted from the beginning of the run. */
    signalAfter(wait, name, body = "") {
        this.before("a signal");
        this.signals.push({ at: millis(wait, "the time of a signal"), name: text(name, "the name of a signal"), body: bytesOf(body) });
        return this;
    }
    /** Sets the moment at which the run begins, as RFC 3339 writes it. By default it is 2026-01-01T00:00:00Z. */
    now(moment) {
        this.before(".now");
        this.begins = new Date(moment).getTime();
        if (Number.isNaN(this.begins)) {
            throw new RangeError(`the run cannot begin at ${JSON.stringify(moment)}: write a moment such as 2026-12-24T18:00:00+01:00`);
        }
        return this;
    }
    /** The result of the run. A run that does not succeed throws {@link RunFailed}. */
    result() {
        const { state, result, failing, response, engine } = this.end();
        if (!failing)
            return new Data(result.bytes, result.mediaType);
        const why = state === "paused"
            ? `the run has paused, as its flow says for a node that has failed: ${failing.text}`
            : `the run has failed: ${new TextDecoder().decode(response.body.bytes).trim()}`;
        throw new RunFailed(why + listed(engine.calls), failing.failed, failing.cause ?? failing);
    }
    /** How the run ended. It is `paused` if a node has failed and its flow pauses then. */
    get state() {
        return this.end().state;
    }
    /** What has failed, with its code, its path and its message, or nothing if the run has succeeded. */
    get failure() {
        return this.end().failing?.failed;
    }
    /**
     * What the caller of the run is answered: the result, or the text of the failure, with the status and the headers that the flow
     * has set, and the media type as `content-type`. There is none if the run has paused.
     */
    get response() {
        return this.end().response;
    }
    /** The calls of functions and URLs that the run has made, each try by itself, in the order in which they were made. */
    get calls() {
        return [...this.end().engine.calls];
    }
    /** The paths of the nodes that ran, such as `F[f2]/charge`, in the order in which they began. */
    get ran() {
        return [...this.end().engine.ran];
    }
    /** How much virtual time the run took, in milliseconds. */
    get took() {
        return this.end().took;
    }
    /** The lines that the flow has logged, in order. */
    get logs() {
        this.end();
        return this.fake.logs;
    }
    /** The labels that the flow has given the run. */
    get labels() {
        this.end();
        return this.fake.labels;
    }
    /** A JSON value that the flow, or the test, has set. */
    value(key) {
        this.end();
        return this.fake.get(key);
    }
    /** Refuses what has to be said before the run. */
    before(what) {
        if (this.ended)
            throw new Mistake(`the run has taken place: say ${what} before asking for what came of it`);
    }
    end() {
        this.ended ??= this.play();
        return this.ended;
    }
    play() {
        const flow = new TestFlow(this.flow, this.fake);
        const { dag, finally: last, ...definition } = flow.plain;
        const signals = [...this.signals].sort((a, b) => a.at - b.at);
        expect(signals, awaited(dag));
        const world = { now: this.begins, signals, answer: (call) => this.answer(call) };
        const engine = new Engine(flow, definition["deadline-ms"], world);
        const ended = { state: "succeeded", result: NOTHING, failing: undefined, response: undefined, engine, took: 0 };
        this.fake.current = { state: "running" };
        try {
            const input = { bytes: bytesOf(this.input), mediaType: this.fake.request.contentType, isRequest: true };
            ended.result = engine.dag(dag, "", input);
            ended.response = this.respond(200, ended.result);
        }
        catch (failing) {
            if (!(failing instanceof Failing))
                throw failing;
            ended.failing = failing;
            ended.state = definition["on-exhausted"] === "pause" && failing.retry ? "paused" : "failed";
            if (ended.state === "failed")
                ended.response = this.failed(engine, flow, definition["on-failure"], failing);
        }
        ended.took = engine.now;
        if (last !== undefined && ended.state !== "paused")
            this.finally(engine, flow, ended.state);
        this.fake.current = {};
        return ended;
    }
    /** What the caller of the run gets. */
    respond(otherwise, { bytes, mediaType }) {
        const { status, headers } = this.fake.response ?? new Response(otherwise);
        const response = new Response(status, headers).withHeader("content-type", mediaType);
        return [204, 205, 304].includes(status) ? response : response.withBody(bytes);
    }
    /** The answer for the caller of a run that has failed, which the failure handler may give. */
    failed(engine, flow, handler, failing) {
        this.fake.current = { state: "failed" };
        this.fake.response = undefined;
        if (handler !== undefined) {
            try {
                const recover = () => engine.data(NOTHING, () => flow.recover(handler, failing.text));
                return this.respond(statusOf(failing), engine.attempt("(failure)", recover));
            }
            catch (own) {
                if (!(own instanceof Failing))
                    throw own;
                failing.with({ message: own.failed.message }).answer = own.answer ?? failing.answer;
                failing.spent = "";
            }
        }
        const body = new TextEncoder().encode(`${failing.text}\n`);
        return this.respond(statusOf(failing), { bytes: body, mediaType: "text/plain; charset=utf-8" });
    }
    /** Calls the finally handler, whose failure changes nothing. */
    finally(engine, flow, state) {
        this.fake.current = { state };
        const { response } = this.fake;
        try {
            engine.attempt("(finally)", () => engine.plain(NOTHING, () => flow.finally(state === "succeeded" ? "success" : "failure")));
        }
        catch (failing) {
            if (!(failing instanceof Failing))
                throw failing;
            this.fake.logs.push(["error", `the finally handler has failed: ${failing.failed.message}`]);
        }
        this.fake.response = response;
    }
    /** What the longest name that a call is at or below answers. */
    answer(call) {
        for (let name = call.function; name !== ""; name = name.slice(0, Math.max(name.lastIndexOf("/"), 0))) {
            const answer = this.functions.get(name);
            if (answer)
                return answered(answer(call), name);
        }
        const names = [...this.functions.keys()].sort().map((name) => `\`${name}\``).join(", ");
        const [node, name] = [call.node, JSON.stringify(call.function)];
        const advice = `add .function(${name}, …) or .answers(${name}, …) to the run`;
        const knows = `it has answers for ${names === "" ? "none" : names}`;
        throw new Mistake(`node \`${node}\` calls \`${call.function}\`, and the test does not say what that answers (${knows}): ${advice}`);
    }
}
/**
 * A run of a whole flow, whose request has this body, with functions of the test in place of those that the flow calls.
 *
 * The fake says what else the request has, and which values are set before; its content type is that of the request. Afterwards it
 * also has what the flow has logged and set.
 */
export function run(flow, input = "", fake = new Fake()) {
    return new Run(flow, input, fake);
}
/** Refuses a signal for which no node ever waits. */
function expect(signals, names) {
    if (names.includes(undefined))
        return;
    const unknown = signals.find(({ name }) => !names.includes(name));
    if (!unknown)
        return;
    const awaits = [...new Set(names)].sort().map((name) => `\`${name}\``).join(", ");
    const waits = `it waits for ${awaits === "" ? "none" : awaits}`;
    throw new Mistake(`the test sends the signal \`${unknown.name}\`, for which the flow never waits: ${waits}`);
}
/** The status with which the caller of a run that has failed is answered. */
function statusOf({ answer, code }) {
    if (answer !== undefined && answer >= 400 && answer <= 499)
        return answer;
    if (["FF0207", "FF0208", "FF0250"].includes(code))
        return 502;
    return ["FF0206", "FF0209", "FF0210", "FF0253", "FF0270"].includes(code) ? 504 : 500;
}
/** Calls, for a message. */
function listed(calls) {
    if (calls.length === 0)
        return "";
    const lines = calls.map((call) => {
        const body = JSON.stringify(new TextDecoder().decode(call.body.bytes));
        return `\n  ${call.at} ms ${call.node}: ${call.method} ${call.function} ${body}`;
    });
    return `\nthe calls that it made:${lines.join("")}`;
}
