import type { Context } from "./context.js";
import { Dag } from "./dag.js";
import { type Output } from "./data.js";
import { type Duration } from "./duration.js";
import type { Node } from "./node.js";
/**
 * How a run ended. `success`: it produced its result. `failure`: a node failed, the deadline passed, or the run was stopped.
 */
export type Outcome = "success" | "failure";
/**
 * What the host does when a node has failed and its retries are exhausted. `fail`, which is the default: the run fails. `pause`:
 * the run pauses, so that an operator can fix the cause and resume it. A {@link reject} still fails the run, since trying again
 * cannot help.
 */
export type Exhausted = "fail" | "pause";
/**
 * What happens with the moments of a {@link Schedule} at which no replica was running. `skip`, which is the default: nothing
 * begins for them. `one`: a run begins for the latest of them. `all`: a run begins for each of the last thousand, the oldest
 * first.
 */
export type Missed = "skip" | "one" | "all";
/**
 * What happens at a moment of a {@link Schedule} at which the previous run has not ended. `skip`, which is the default: no run
 * begins for the moment. `allow`: another run begins beside it. `queue`: the moment waits until the previous run has ended, and
 * at most a hundred wait. `replace`: the previous run is stopped.
 */
export type Overlap = "skip" | "allow" | "queue" | "replace";
/** Describes a flow, by calling the builder's methods. */
export type Define = (workflow: Workflow, context: Context) => void | undefined;
/** The flow that `define` describes: its outermost dag, and what applies to a run as a whole. */
export declare class Workflow {
    /** The outermost dag, the same one each time. Its start gets the body of the request, and its result is the run's. */
    get dag(): Dag;
    /** Replaces the outermost dag. */
    setDag(dag: Dag): void;
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
    syncNode(): Node;
    /**
     * Sets the failure handler, which is called once when the run has failed. It gets the failure's message. The run stays failed:
     * what the handler returns replaces the message in the caller's answer.
     */
    onFailure(recover: (failure: string) => Output): void;
    /**
     * Sets the finally handler, which is called once at the end of every run, however it ended, and after
     * {@link Workflow.onFailure}. If it fails, the run's outcome does not change.
     */
    finally(handler: (outcome: Outcome) => void | undefined): void;
    /** Limits the time from the start of a run to its end, at least 1 ms. A run that takes longer fails. */
    deadline(time: Duration): void;
    /** Sets what happens when a node has failed and its retries are exhausted. */
    onExhausted(then: Exhausted): void;
    /**
     * Adds a schedule, which begins a run at each of its moments: exactly one, on whichever replica. See {@link Schedule} for an
     * example.
     *
     * The name has 1 to 32 characters of `A-Z a-z 0-9 _ -` and is unique within the flow. `when` is a cron expression of five
     * fields, or of six, of which the first is the second; a nickname such as `@daily`; or an interval such as `every 10m`.
     */
    schedule(name: string, when: string): Schedule;
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
export declare class Schedule {
    private readonly model;
    /**
     * Sets the time zone of a cron expression, by its name in the IANA database: `Europe/Berlin`. By default it is UTC. An interval
     * has no time zone.
     */
    timeZone(name: string): this;
    /** Sets what happens with moments at which no replica was running. */
    missed(then: Missed): this;
    /** Sets what happens at a moment at which the previous run has not ended. */
    overlap(then: Overlap): this;
    /**
     * Sets the body of the request of each run, at most 64 KiB, and its media type, such as `application/json`. An empty media type
     * is `application/octet-stream`. By default the body is empty.
     */
    input(body: Output, mediaType: string): this;
}
