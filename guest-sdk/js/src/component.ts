// The component's side of the contract: passes the host's calls on to the flow's closures.
//
// The flow is defined while its module is built, when no host is there, and the closures are part of the module from then on. If
// `define` asks for anything that only a run knows, it is left for later, and each instance defines the flow when it is called for
// the first time.

import host from "faas-flow:flow/context@0.2.0";
import { startClock, writeConsoleTo } from "./polyfill.js";
import { wellFormed } from "./check.js";
import { Context, type Host, type Level } from "./context.js";
import { Data } from "./data.js";
import { Failed, type FailedFacts, type Gathered } from "./failed.js";
import { Failure } from "./failure.js";
import { Flow } from "./flow.js";
import { failureOf, type Handlers } from "./handlers.js";
import { Request, Response } from "./http.js";
import { Inputs } from "./inputs.js";
import { authorsStack } from "./place.js";
import { record, type Recorded } from "./record.js";
import { replay, type HostWorkflow } from "./replay.js";
import type { Outcome } from "./workflow.js";

type Named = [string, Uint8Array][];
type HostMessage = { headers: [string, string][]; body: Uint8Array };
type HostRequest = HostMessage & { method: string; url: string };
type HostResponse = HostMessage & { status: number };
type HostFailed = Omit<FailedFacts, "input" | "body">;
type HostGathered = { key: string; ended: { tag: "ok"; val: Uint8Array } | { tag: "err"; val: HostFailed } };

/** While the module is built. The first call of the host ends it. */
let building = true;

/** The host calls, so the module is built. */
function begin(): void {
  building = false;
  startClock();
}

/** Whether `define` has asked, while the module was built, for something that only a run knows. */
let asked = false;
/** What was logged while the module was built. The host gets it whenever it asks for the definition. */
const early: [Level, string][] = [];

const context = new Context(
  new Proxy({} as Host, {
    get: (_, name: keyof Host) => (...input: unknown[]) => {
      if (!building) return (host[name] as (...input: unknown[]) => unknown)(...input);
      if (name === "log") return early.push(input as [Level, string]);
      asked = true;
      throw new Error("there is no run while the module is built: use the context in `define` and in closures only");
    },
  }),
);
writeConsoleTo((level, message) => context.log(level, message));

/** What a module exports: one object for each interface of the world `full-flow`. */
export function exportsOf(flow: unknown): Record<string, Record<string, (...input: never[]) => unknown>> {
  if (!(flow instanceof Flow)) {
    throw new TypeError("the file exports no flow: end it with `export default flow((workflow, context) => { … })`");
  }
  let recorded = recordedEarly(flow);
  const isEarly = recorded !== undefined;
  const defined = () => (recorded ??= record(flow.define, context));

  const answering =
    <I extends unknown[], O>(answer: (handlers: Handlers, ...input: I) => O) =>
    (...input: I): O => {
      begin();
      try {
        return answer(defined().handlers, ...input);
      } catch (error) {
        throw refused(failureOf(error));
      }
    };

  return {
    definition: {
      define(workflow: HostWorkflow): void {
        begin();
        try {
          // If the host asks again, it gets a definition that fits the context of this call.
          if (!isEarly) recorded = undefined;
          for (const [level, message] of early) context.log(level, message);
          replay(defined().definition, workflow);
        } catch (error) {
          throw wellFormed(failureOf(error).message);
        }
      },
    },
    handlers: {
      modify: answering((all, id: string, data: Uint8Array) => all.data("modify", id, new Data(data))),
      aggregate: answering((all, id: string, inputs: Named) => all.data("aggregate", id, named(inputs))),
      condition: answering((all, id: string, data: Uint8Array) => all.condition(id, new Data(data))),
      forEach: answering((all, id: string, data: Uint8Array) => all.forEach(id, new Data(data))),
      forward: answering((all, id: string, data: Uint8Array) => all.data("forward", id, new Data(data))),
      prepare: answering((all, id: string, { method, url, headers, body }: HostRequest) => {
        const request = all.prepare(id, new Request(method, url, headers, new Data(body)));
        return { method: request.method, url: request.url, headers: request.headers, body: request.body.bytes };
      }),
      receive: answering((all, id: string, { status, headers, body }: HostResponse) =>
        all.data("receive", id, new Response(status, headers, new Data(body))),
      ),
      recover: answering((all, id: string, failure: string) => all.data("recover", id, failure)),
      finally: answering((all, id: string, outcome: Outcome) => all.finally(id, outcome)),
    },
    recovery: {
      recoverFrom: answering((all, id: string, what: HostFailed, input: Uint8Array, body: Uint8Array | null | undefined) =>
        all.data("recover-from", id, failed({ ...what, input, body: body ?? undefined })),
      ),
    },
    gathering: { gather: answering((all, id: string, items: HostGathered[]) => all.data("gather", id, items.map(gathered))) },
    timing: { moment: answering((all, id: string, data: Uint8Array) => all.moment(id, new Data(data))) },
    repeating: {
      again: answering((all, id: string, data: Uint8Array, round: number) => all.again(id, new Data(data), round)),
    },
    signalling: { signalName: answering((all, id: string, data: Uint8Array) => all.name("signal-name", id, new Data(data))) },
    limiting: { key: answering((all, id: string, data: Uint8Array) => all.name("key", id, new Data(data))) },
  };
}

/** Defines the flow while the module is built, if that is possible. What is wrong with `define` itself ends the build. */
function recordedEarly(flow: Flow): Recorded | undefined {
  const before = early.length;
  let recorded: Recorded | undefined;
  try {
    recorded = record(flow.define, context);
  } catch (error) {
    if (!asked) throw new Error(`${failureOf(error).message}${authorsStack((error as Error | null)?.stack)}`);
  }
  if (!asked) return recorded;
  // It will log this again.
  early.length = before;
  return undefined;
}

/** A failure as the contract has it. */
function refused({ tag, message, status }: Failure): { tag: string; val: string } {
  let val = message;
  if (status !== undefined) {
    try {
      host.setRejectStatus(status);
    } catch (error) {
      val += ` (${(error as { payload?: string } | null)?.payload ?? String(error)})`;
    }
  }
  return { tag, val: wellFormed(val) };
}

function named(inputs: Named): Inputs {
  return new Inputs(inputs);
}

function failed(facts: FailedFacts): Failed {
  return new Failed(facts);
}

function gathered({ key, ended }: HostGathered): Gathered {
  return ended.tag === "ok" ? { key, result: new Data(ended.val) } : { key, failed: failed(ended.val) };
}
