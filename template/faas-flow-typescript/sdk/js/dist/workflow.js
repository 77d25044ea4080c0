import { closure, oneOf, text } from "./check.js";
import { Dag } from "./dag.js";
import { bytesOf } from "./data.js";
import { millis } from "./duration.js";
/** The flow that `define` describes: its outermost dag, and what applies to a run as a whole. */
export class Workflow {
    /** @internal */
    model = { dag: new Dag(), onExhausted: "fail", schedules: [] };
    /** The outermost dag, the same one each time. Its start gets the body of the request, and its result is the run's. */
    get dag() {
        return this.model.dag;
    }
    /** Replaces the outermost dag. */
    setDag(dag) {
        if (!(dag instanceof Dag))
            throw new TypeError("`setDag` needs a Dag");
        this.model.dag = dag;
    }
    /**
     * Adds the only node of a flow that has just one, with the id `sync`. The caller of such a flow gets its result as the answer to
     * the request.
     *
     * ```ts
     * import { flow } from "faas-flow";
     *
     * export default flow((workflow) => {
     *   workflow.syncNode().apply("resize").apply("watermark");
     * });
     * ```
     */
    syncNode() {
        return this.dag.node("sync");
    }
    /**
     * Sets the failure handler, which is called once when the run has failed. It gets the failure's message. The run stays failed:
     * what the handler returns replaces the message in the caller's answer.
     */
    onFailure(recover) {
        this.model.onFailure = closure(recover, "the failure handler");
    }
    /**
     * Sets the finally handler, which is called once at the end of every run, however it ended, and after
     * {@link Workflow.onFailure}. If it fails, the run's outcome does not change.
     */
    finally(handler) {
        this.model.finally = closure(handler, "the finally handler");
    }
    /** Limits the time from the start of a run to its end, at least 1 ms. A run that takes longer fails. */
    deadline(time) {
        this.model.deadlineMs = millis(time, "a deadline");
    }
    /** Sets what happens when a node has failed and its retries are exhausted. */
    onExhausted(then) {
        this.model.onExhausted = oneOf(then, "what happens when retries are exhausted", ["fail", "pause"]);
    }
    /**
     * Adds a schedule, which begins a run at each of its moments: exactly one, on whichever replica. See {@link Schedule} for an
     * example.
     *
     * The name has 1 to 32 characters of `A-Z a-z 0-9 _ -` and is unique within the flow. `when` is a cron expression of five
     * fields, or of six, of which the first is the second; a nickname such as `@daily`; or an interval such as `every 10m`.
     */
    schedule(name, when) {
        const model = {
            name: text(name, "the name of a schedule"),
            when: text(when, `the moments of schedule \`${name}\``),
            missed: "skip",
            overlap: "skip",
        };
        this.model.schedules.push(model);
        return new Schedule(model);
    }
}
/**
 * A schedule, which begins runs of the flow. Made by {@link Workflow.schedule}.
 *
 * The request of a run that it has begun has two headers: `X-Faas-Flow-Schedule` with the schedule's name, and
 * `X-Faas-Flow-Scheduled-At` with the moment that the run is for, such as `2026-12-01T01:30:00Z`. A run that begins late, or that
 * is begun later for a moment of the past, finds its own moment there.
 *
 * ```ts
 * import { flow } from "faas-flow";
 *
 * export default flow((workflow) => {
 *   workflow.syncNode().apply("import");
 *   workflow.schedule("nightly", "0 30 2 * * *").timeZone("Europe/Berlin").missed("one");
 *   workflow.schedule("poll", "every 10m");
 * });
 * ```
 */
export class Schedule {
    model;
    /** @internal */
    constructor(model) {
        this.model = model;
    }
    /**
     * Sets the time zone of a cron expression, by its name in the IANA database: `Europe/Berlin`. By default it is UTC. An interval
     * has no time zone.
     */
    timeZone(name) {
        this.model.timeZone = text(name, "a time zone");
        return this;
    }
    /** Sets what happens with moments at which no replica was running. */
    missed(then) {
        this.model.missed = oneOf(then, "what happens with missed moments", ["skip", "one", "all"]);
        return this;
    }
    /** Sets what happens at a moment at which the previous run has not ended. */
    overlap(then) {
        this.model.overlap = oneOf(then, "what happens with overlapping runs", ["skip", "allow", "queue", "replace"]);
        return this;
    }
    /**
     * Sets the body of the request of each run, at most 64 KiB, and its media type, such as `application/json`. An empty media type
     * is `application/octet-stream`. By default the body is empty.
     */
    input(body, mediaType) {
        this.model.input = { body: bytesOf(body), mediaType: text(mediaType, "a media type") };
        return this;
    }
}
