// The closures of a flow by handler id, and what becomes of what they return or throw.

import { IS_ASYNC, isPromise, shown, wellFormed, type Closure } from "./check.js";
import type { Context } from "./context.js";
import { Data, type Output } from "./data.js";
import { millis } from "./duration.js";
import type { Failed, Gathered } from "./failed.js";
import { Failure } from "./failure.js";
import { Request, type Response } from "./http.js";
import type { Inputs } from "./inputs.js";
import { authorsStack, placeIn } from "./place.js";
import type { Wake } from "./node.js";
import type { Outcome } from "./workflow.js";

/** What each kind of handler is called with. */
export interface Arguments {
  modify: [Data];
  aggregate: [Inputs];
  condition: [Data];
  "for-each": [Data];
  forward: [Data];
  prepare: [Request];
  receive: [Response];
  recover: [string];
  finally: [Outcome];
  "recover-from": [Failed];
  gather: [Gathered[]];
  moment: [Data];
  again: [Data, number];
  "signal-name": [Data];
  key: [Data];
}

/** A kind of handler. */
export type Kind = keyof Arguments;

/** When a sleeping node continues, in the form of the contract. */
export type HostWake = { tag: "after"; val: number } | { tag: "at"; val: string };

type Run = (...input: never[]) => unknown;

interface Handler {
  kind: Kind;
  closure: Closure<Run>;
}

/** Says that a closure returned something that it must not return. */
type Wrong = (expected: string, returned: unknown) => TypeError;

/** All closures of a flow. */
export class Handlers {
  private readonly all = new Map<string, Handler>();

  constructor(private readonly context: Context) {}

  /** Keeps a closure under its id. */
  keep(id: string, kind: Kind, closure: Closure<Run>): string {
    this.all.set(id, { kind, closure });
    return id;
  }

  /** The ids, in the order of their bytes in UTF-8, which is that of their code points. JavaScript compares UTF-16. */
  ids(): string[] {
    return [...this.all.keys()].sort(byCodePoints);
  }

  /** Calls a closure that returns data. */
  data(
    kind: "modify" | "aggregate" | "forward" | "receive" | "recover" | "recover-from" | "gather",
    id: string,
    input: Arguments[typeof kind][0],
  ): Uint8Array {
    return this.call(kind, id, [input] as never, (returned, wrong) => this.bytes([returned as Output], wrong)[0]!);
  }

  /** Calls the closure that chooses branches. */
  condition(id: string, data: Data): string[] {
    return this.call("condition", id, [data], (returned, wrong) => {
      const expected = "the key of a branch, or several";
      const keys = typeof returned === "string" ? [returned] : iterated(returned, expected, wrong);
      return keys.map((key) => words(key, expected, wrong));
    });
  }

  /** Calls the closure that splits data into items. */
  forEach(id: string, data: Data): [string, Uint8Array][] {
    return this.call("for-each", id, [data], (returned, wrong) => {
      const expected = "items, each with its key: [[key, data], …]";
      const pairs = iterated(returned, expected, wrong).map((pair) => {
        if (!Array.isArray(pair) || pair.length !== 2) throw wrong(expected, pair);
        return [words(pair[0], expected, wrong), pair[1]] as [string, Output];
      });
      const items = this.bytes(pairs.map(([, item]) => item), wrong);
      return pairs.map(([key], index) => [key, items[index]!]);
    });
  }

  /** Calls the closure that prepares a request. */
  prepare(id: string, request: Request): Request {
    return this.call("prepare", id, [request], (returned, wrong) => {
      if (!(returned instanceof Request)) throw wrong("a Request", returned);
      return returned;
    });
  }

  /** Calls the finally handler. */
  finally(id: string, outcome: Outcome): void {
    this.call("finally", id, [outcome], (returned, wrong) => {
      if (returned !== undefined) throw wrong("nothing", returned);
    });
  }

  /** Calls the closure that says when a sleeping node continues. */
  moment(id: string, data: Data): HostWake {
    return this.call("moment", id, [data], (returned, wrong) => {
      const { after, at } = (typeof returned === "object" && returned !== null ? returned : {}) as Partial<Wake>;
      if (after !== undefined) return { tag: "after", val: millis(after, "a sleep") };
      if (at instanceof Date) return { tag: "at", val: at.toISOString() };
      if (typeof at === "string") return { tag: "at", val: wellFormed(at) };
      throw wrong('{ after: "2h" } or { at: "2026-12-24T18:00:00+01:00" }', returned);
    });
  }

  /** Calls the closure that says whether there is another round. */
  again(id: string, data: Data, round: number): boolean {
    return this.call("again", id, [data, round], (returned, wrong) => {
      if (typeof returned !== "boolean") throw wrong("true or false", returned);
      return returned;
    });
  }

  /** Calls the closure that names a signal or a key. */
  name(kind: "signal-name" | "key", id: string, data: Data): string {
    return this.call(kind, id, [data], (returned, wrong) => words(returned, "a string", wrong));
  }

  /** Calls a closure and checks what it returns. Whatever it throws becomes a failure. */
  private call<K extends Kind, T>(
    kind: K,
    id: string,
    input: Arguments[K],
    check: (returned: unknown, wrong: Wrong) => T,
  ): T {
    const handler = this.all.get(id);
    if (!handler) throw new Failure("reject", `the flow has no handler \`${id}\``);
    if (handler.kind !== kind) {
      throw new Failure("reject", `handler \`${id}\` was called as \`${kind}\`, but its kind is \`${handler.kind}\``);
    }
    const { run, stack } = handler.closure;
    const wrong: Wrong = (expected, returned) => {
      const what = isPromise(returned) ? IS_ASYNC : `must return ${expected}, not ${shown(returned)}`;
      const error = new TypeError(`handler \`${id}\` ${what}`);
      error.stack = stack;
      return error;
    };
    this.context.hasContentType = false;
    try {
      const returned = (run as (...input: unknown[]) => unknown)(...input);
      if (isPromise(returned)) {
        // Its rejection is not looked at, so it must not end the process, which is a test.
        returned.then(undefined, () => undefined);
        throw wrong("", returned);
      }
      return check(returned, wrong);
    } catch (error) {
      const failure = failureOf(error, stack);
      if (failure !== error) this.context.log("error", `${failure.message}${authorsStack((error as Error | null)?.stack)}`);
      throw failure;
    }
  }

  /** The bytes of what a closure returns, after their media type has been set, if all of them have the same one. */
  private bytes(outputs: Output[], wrong: Wrong): Uint8Array[] {
    const types = new Set(outputs.map((output) => (output instanceof Data ? output.mediaType : undefined)));
    const bytes = outputs.map((output) => {
      if (typeof output === "string") return new TextEncoder().encode(output);
      if (output instanceof Data) return output.bytes;
      if (output instanceof Uint8Array) return output;
      throw wrong("a string, a Uint8Array or Data", output);
    });
    const [type] = types;
    if (types.size === 1 && type !== undefined && !this.context.hasContentType) this.context.setContentType(type);
    return bytes;
  }
}

/** Whatever a closure or `define` threw, as a failure that says what happened and where. */
export function failureOf(error: unknown, fallback?: string): Failure {
  if (error instanceof Failure) return error.located ? new Failure(error.tag, `${error.message}${where(error.stack, fallback)}`) : error;
  if (!(error instanceof Error)) return new Failure("reject", `${String(error)}${where(undefined, fallback)}`);
  let text = `${error.name}: ${error.message}`;
  // A cause may, by mistake, lead back to itself.
  let cause = error.cause;
  for (let depth = 0; depth < 8 && cause !== undefined; depth++) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (!text.endsWith(reason)) text += `: ${reason}`;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return new Failure("reject", `${text}${where(error.stack, fallback)}`);
}

function where(stack: string | undefined, fallback: string | undefined): string {
  const place = placeIn(stack) ?? placeIn(fallback);
  return place === undefined ? "" : ` (${place})`;
}

function iterated(value: unknown, expected: string, wrong: Wrong): unknown[] {
  const iterable = typeof value === "object" && value !== null && Symbol.iterator in value;
  if (!iterable) throw wrong(expected, value);
  return [...(value as Iterable<unknown>)];
}

function words(value: unknown, expected: string, wrong: Wrong): string {
  if (typeof value !== "string") throw wrong(expected, value);
  return wellFormed(value);
}

function byCodePoints(one: string, other: string): number {
  const [a, b] = [[...one], [...other]];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = a[at]!.codePointAt(0)! - b[at]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
