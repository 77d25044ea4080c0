import { Data } from "../data.js";
import { Failure } from "../failure.js";
import { Failing } from "./failing.js";
import { type Changes, type Fake, OCTET_STREAM } from "./fake.js";
import type { TestFlow } from "./flow.js";

/** Data of a run and its media type. @internal */
export interface Value {
  bytes: Uint8Array;
  mediaType: string;
  /** Whether it is the body of the request, which nobody has changed on the way. */
  isRequest?: boolean;
}

/** @internal */
export type Named = [name: string, value: Value];

/** @internal */
export const NOTHING: Value = { bytes: new Uint8Array(), mediaType: OCTET_STREAM };

/** One attempt of a node, as far as it is not that of its branches. */
interface Own {
  path: string;
  before: Changes;
  /** What the present operation has got. */
  input: Uint8Array;
  /** The time limit of the attempt in milliseconds, and its end. */
  limit: number | undefined;
  until: number | undefined;
  /** Whether it has got the body of the request, and whether it has seen what a call answered. */
  ofRequest: boolean;
  hasCalled: boolean;
}

/** Calls the flow's own code, and lets virtual time pass. @internal */
export abstract class Attempts {
  /** The virtual time of what is being executed in milliseconds, counted from the beginning of the run. */
  now = 0;
  protected own!: Own;
  protected readonly fake: Fake;

  constructor(
    protected readonly flow: TestFlow,
    /** The deadline of the run in milliseconds. */
    protected readonly deadline: number | undefined,
  ) {
    this.fake = flow.fake;
  }

  /** Executes the flow's own code, or operations, and drops what they have set if they fail. */
  attempt<T>(path: string, run: () => T, limit?: number): T {
    const own = { path, input: new Uint8Array(), limit, until: undefined, ofRequest: false, hasCalled: false };
    this.own = { ...own, before: this.fake.changes() };
    this.fake.current = { ...this.fake.current, node: path, inputs: [], contentTypes: [] };
    this.commit();
    try {
      return run();
    } catch (error) {
      if (error instanceof Failing) this.fake.restore(this.own.before);
      throw error;
    }
  }

  /** Keeps what the attempt has set by now, and restarts its time limit. */
  protected commit(): void {
    this.own.before = this.fake.changes();
    this.own.until = this.own.limit === undefined ? undefined : this.now + this.own.limit;
  }

  /** Calls a closure that returns data. */
  data(of: Value, call: (data: Data) => Data): Value {
    const { bytes } = this.plain(of, call);
    return { bytes, mediaType: this.fake.returnedContentType };
  }

  /** Calls a closure with this data. */
  plain<T>(of: Value, call: (data: Data) => T): T {
    this.fake.current = { ...this.fake.current, contentType: of.mediaType };
    try {
      return call(new Data(of.bytes));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const retry = error.tag === "retry";
      const failing = new Failing(retry ? "FF0013" : "FF0012", "rejected", this.own.path, error.message, error);
      failing.retry = retry;
      failing.answer = error.status;
      if (this.own.ofRequest && !this.own.hasCalled && !retry) failing.answer ??= 422;
      throw failing.with({ input: of.bytes });
    }
  }

  aggregate(id: string, inputs: Named[]): Value {
    const { contentTypes } = this.fake.current;
    this.fake.current = { ...this.fake.current, contentTypes: inputs.map(([, { mediaType }]) => mediaType) };
    const merged = inputs.map(([name, { bytes }]) => [name, new Data(bytes)] as const);
    const value = this.data(NOTHING, () => this.flow.aggregate(id, merged));
    if (contentTypes !== undefined) this.fake.current = { ...this.fake.current, contentTypes };
    return value;
  }

  recoverFrom(id: string, failing: Failing): Value {
    return this.data(NOTHING, () => this.flow.recoverFrom(id, failing.failed));
  }

  /** Lets time pass while a node is being executed. */
  protected pass(ms: number): void {
    const { until = Infinity, path, limit, input } = this.own;
    const end = Math.min(this.now + ms, until);
    if (this.deadline !== undefined && end > this.deadline) {
      this.now = this.deadline;
      const message = "the run took longer than its deadline: raise the deadline, or look in the history of the run for what was slow";
      const failing = new Failing("FF0210", "other", "", message);
      failing.level = "run";
      throw failing;
    }
    const isLate = this.now + ms > until;
    this.now = end;
    if (isLate) {
      const failing = new Failing("FF0209", "timed-out", path, `the node took longer than its timeout of ${limit} ms`);
      [failing.level, failing.retry] = ["node", true];
      throw failing.with({ input });
    }
  }

  /** Lets time pass while nothing is held: what the node has set is committed, and its time limit does not count. */
  protected suspend(ms: number): void {
    this.own.until = undefined;
    this.pass(ms);
    this.commit();
  }
}
