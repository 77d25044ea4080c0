// What QuickJS does not have, or what a flow must not have, before any of the author's code runs.

import { wellFormed } from "./check.js";
import { Decoder, Encoder } from "./utf8.js";
import type { Level } from "./context.js";

const global = globalThis as Record<string, unknown>;
global.TextEncoder ??= Encoder;
global.TextDecoder ??= Decoder;

let write: (level: Level, message: string) => void = () => {};

/** Says where `console` writes to. */
export function writeConsoleTo(log: (level: Level, message: string) => void): void {
  write = log;
}

const line = (level: Level) => (...values: unknown[]) => write(level, wellFormed(values.map(inspected).join(" ")));

global.console = {
  log: line("info"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
  debug: line("debug"),
  trace: line("trace"),
  assert: (condition: unknown, ...values: unknown[]) => {
    if (!condition) line("error")("assertion failed:", ...values);
  },
};

function inspected(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Map) return `Map ${inspected([...value])}`;
  if (value instanceof Set) return `Set ${inspected([...value])}`;
  try {
    return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? String(value);
  } catch {
    return String(value);
  }
}

function missing(name: string, instead: string): () => never {
  return () => {
    throw new Error(`a flow has no ${name}: ${instead}`);
  };
}

const EFFECTS = "let a node do it, with `apply` or `request`";
const TIMERS = "let a node wait, with `sleep`, `sleepUntil` or `repeat`";
for (const name of ["fetch", "XMLHttpRequest", "WebSocket", "require"]) global[name] ??= missing(name, EFFECTS);
for (const name of ["setTimeout", "setInterval", "setImmediate"]) global[name] = missing(name, TIMERS);
for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) global[name] = () => {};
const random = (name: string) => missing(`crypto.${name}`, "take random values from the request or from a function");
global.crypto = { getRandomValues: random("getRandomValues"), randomUUID: random("randomUUID") };

// The host's clock stands still at the start of the run. While the module is built, the time is the one that the host has for
// `define` in every language.
const BUILT_AT = 946_684_800_000;
let building = true;
/** When this instance was first called. Before that, the clock was that of the machine on which the module was built. */
let started = 0;

/** Says that the module is built, and a run calls it. */
export function startClock(): void {
  if (!building) return;
  building = false;
  started = system?.now() ?? 0;
}

const SystemDate = Date;
const now = (): number => (building ? BUILT_AT : SystemDate.now());
function FlowDate(this: unknown, ...parts: unknown[]): unknown {
  if (new.target === undefined) return new SystemDate(now()).toString();
  return Reflect.construct(SystemDate, parts.length === 0 ? [now()] : parts, new.target);
}
FlowDate.prototype = SystemDate.prototype;
FlowDate.prototype.constructor = FlowDate as unknown as DateConstructor;
FlowDate.now = now;
FlowDate.parse = SystemDate.parse;
FlowDate.UTC = SystemDate.UTC;
Object.defineProperty(FlowDate, "name", { value: "Date" });
Object.defineProperty(FlowDate, "length", { value: 7 });
global.Date = FlowDate;

const system = global.performance as { now(): number } | undefined;
const elapsed = (): number => (building ? 0 : system!.now() - started);
if (system !== undefined) Object.defineProperty(global, "performance", { value: { now: elapsed }, configurable: true, writable: true });
