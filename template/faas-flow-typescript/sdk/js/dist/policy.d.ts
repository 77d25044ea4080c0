import type { Data } from "./data.js";
import { type Duration } from "./duration.js";
/**
 * A retry policy: how often to try, and how long to wait in between.
 *
 * Before try *n* (the second and later ones) the host waits `min(maxDelay, firstDelay × factor^(n-2))`, less a random share of
 * up to one half, so that many runs that failed together are not tried again together.
 *
 * ```ts
 * import { Dag } from "faas-flow";
 *
 * // Waits of up to 1 s, 3 s and 9 s between four tries.
 * new Dag().node("pay").apply("charge-card").retry({ attempts: 4, firstDelay: "1s", factor: 3 });
 * ```
 *
 * The host checks the ranges below when it loads the flow, and reports values outside of them.
 */
export interface Backoff {
    /** The number of tries, including the first: 1 to 100. */
    attempts: number;
    /** The wait before the second try. By default 100 ms. */
    firstDelay?: Duration;
    /** The factor by which each further wait is longer than the one before: 1 to 100. By default 2. */
    factor?: number;
    /** The longest wait: up to one day. By default 10 s. */
    maxDelay?: Duration;
}
/**
 * A limit over all runs: how many calls or nodes may be in flight at a time, and how many may begin in a second. It needs at
 * least one of `concurrent` and `perSecond`.
 *
 * ```ts
 * import { Dag, type Limit } from "faas-flow";
 *
 * const dag = new Dag();
 * // At most ten calls of the payment function a second, over all runs of the flow.
 * dag.node("charge").apply("payment").limit({ name: "payments", perSecond: 10 });
 * // At most two trainings at a time for each tenant.
 * const trainings: Limit = { name: "trainings", concurrent: 2, key: (order) => order.json<{ tenant: string }>().tenant };
 * dag.node("train").apply("train-model").asynchronous().limit(trainings);
 * ```
 *
 * The name belongs to the flow. If the operator defines a limit with this name, it counts over all flows, and the operator's
 * figures replace those of the flow. Everything in a flow that names the same limit must give it the same figures.
 *
 * Permits are granted in the order in which they are asked for, and whatever waits for one holds nothing meanwhile. The host
 * checks the ranges below when it loads the flow.
 */
export interface Limit {
    /** The name: 1 to 64 characters of `A-Z a-z 0-9 _ . -`. */
    name: string;
    /** How many may be in flight at a time, at least 1. */
    concurrent?: number;
    /** How many may begin in a second, from 0.001 to 1,000,000. */
    perSecond?: number;
    /**
     * Names a key for the data of the call or the node, such as a tenant: at most 256 bytes. Each key has the whole limit to
     * itself.
     */
    key?: (data: Data) => string;
}
