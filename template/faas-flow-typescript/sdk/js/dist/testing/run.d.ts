import type { Level } from "../context.js";
import { Data, type Output } from "../data.js";
import { type Duration } from "../duration.js";
import type { Failed } from "../failed.js";
import type { Flow } from "../flow.js";
import { Response } from "../http.js";
import type { Define } from "../workflow.js";
import { type Answer, Call } from "./call.js";
import { Fake } from "./fake.js";
/** A run has not succeeded. Its message is what the caller is answered, and the calls that the run has made. */
export declare class RunFailed extends Error {
    /** What has failed. */
    readonly failed: Failed;
    /** `RunFailed`. */
    readonly name = "RunFailed";
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
export declare class Run {
    private readonly flow;
    private readonly input;
    private readonly fake;
    private readonly functions;
    private readonly signals;
    private begins;
    private ended;
    /**
     * Says what a function answers to a call: one such as `charge`, which stands for all its paths, or `wc/lines` for what is below
     * this path; or a URL, which stands for all below it. The longest name counts. A call for which there is no answer fails the
     * test.
     */
    function(name: string, answer: Answer | ((call: Call) => Answer)): this;
    /**
     * Says what a function answers: to each call the next one of these answers, and to all further calls the last one. Names are as
     * for {@link Run.function}.
     */
    answers(name: string, ...answers: [Answer, ...Answer[]]): this;
    /** Sends a signal to the run before it begins. */
    signal(name: string, body?: Output): this;
    /** Sends a signal to the run at a virtual time, counted from the beginning of the run. */
    signalAfter(wait: Duration, name: string, body?: Output): this;
    /** Sets the moment at which the run begins, as RFC 3339 writes it. By default it is 2026-01-01T00:00:00Z. */
    now(moment: string | Date): this;
    /** The result of the run. A run that does not succeed throws {@link RunFailed}. */
    result(): Data;
    /** How the run ended. It is `paused` if a node has failed and its flow pauses then. */
    get state(): "succeeded" | "failed" | "paused";
    /** What has failed, with its code, its path and its message, or nothing if the run has succeeded. */
    get failure(): Failed | undefined;
    /**
     * What the caller of the run is answered: the result, or the text of the failure, with the status and the headers that the flow
     * has set, and the media type as `content-type`. There is none if the run has paused.
     */
    get response(): Response | undefined;
    /** The calls of functions and URLs that the run has made, each try by itself, in the order in which they were made. */
    get calls(): Call[];
    /** The paths of the nodes that ran, such as `F[f2]/charge`, in the order in which they began. */
    get ran(): string[];
    /** How much virtual time the run took, in milliseconds. */
    get took(): number;
    /** The lines that the flow has logged, in order. */
    get logs(): [level: Level, message: string][];
    /** The labels that the flow has given the run. */
    get labels(): Map<string, string>;
    /** A JSON value that the flow, or the test, has set. */
    value<T = unknown>(key: string): T | undefined;
    /** Refuses what has to be said before the run. */
    private before;
    private end;
    private play;
    /** What the caller of the run gets. */
    private respond;
    /** The answer for the caller of a run that has failed, which the failure handler may give. */
    private failed;
    /** Calls the finally handler, whose failure changes nothing. */
    private finally;
    /** What the longest name that a call is at or below answers. */
    private answer;
}
/**
 * A run of a whole flow, whose request has this body, with functions of the test in place of those that the flow calls.
 *
 * The fake says what else the request has, and which values are set before; its content type is that of the request. Afterwards it
 * also has what the flow has logged and set.
 */
export declare function run(flow: Flow | Define, input?: Output, fake?: Fake): Run;
