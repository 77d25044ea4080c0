import { Context, type Host, type Level, type State } from "../context.js";
import { bytesOf, Data, type Output } from "../data.js";
import { Response } from "../http.js";

/** Names with one value each, or with several in an array. */
export type Values = Readonly<Record<string, string | readonly string[]>>;

/** What a {@link Fake} answers. */
export interface Facts {
  /** The id of the run. By default `test`. */
  requestId?: string;
  /** The name of the flow. By default `flow`. */
  flowName?: string;
  /** The path of the current node. By default it is empty. */
  node?: string;
  /** The state of the run. By default `running`. */
  state?: State;
  /** The query parameters of the request. */
  query?: Values;
  /** The headers of the request. */
  headers?: Values;
  /** The inputs of the current node, in order. */
  inputs?: Iterable<readonly [name: string, value: Output]>;
  /** The media type of the data that the closures get. By default `application/octet-stream`. */
  contentType?: string;
  /** The media types of the values that aggregators get, in their order. By default all are `application/octet-stream`. */
  contentTypes?: readonly string[];
  /** Values of the run, which are kept as JSON. */
  values?: Readonly<Record<string, unknown>>;
}

/** What is dropped if a node fails. @internal */
export interface Changes {
  values: Map<string, Uint8Array>;
  labels: Map<string, string>;
  response: Response | undefined;
}

/** What data is of which nothing is known. @internal */
export const OCTET_STREAM = "application/octet-stream";

/**
 * The context of a run in tests. It answers what a test told it to, and remembers what the flow logged and set.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { Fake } from "faas-flow/testing";
 *
 * const fake = new Fake({ headers: { "x-team": "blue" }, values: { attempts: 1 } });
 * fake.context.set("attempts", 2);
 * fake.context.warn("again");
 * assert.equal(fake.context.header("X-Team"), "blue");
 * assert.equal(fake.get("attempts"), 2);
 * assert.deepEqual(fake.logs, [["warn", "again"]]);
 * ```
 */
export class Fake {
  /** The lines that the flow has logged, in order. */
  readonly logs: [level: Level, message: string][] = [];
  /** The labels that the flow has given the run. */
  readonly labels = new Map<string, string>();
  /** The status and headers that the flow has set with {@link Context.respond}, if it has. */
  response: Response | undefined;
  /** The context, as the flow gets it. */
  readonly context: Context;

  private readonly values = new Map<string, Uint8Array>();
  private returned: string | undefined;
  /** @internal */
  defining = false;
  /** What the closure that is being called is told, if not the facts. @internal */
  current: Partial<Pick<Facts, "node" | "state" | "inputs" | "contentType" | "contentTypes">> = {};

  /** A context that answers these facts, and otherwise knows nothing. */
  constructor(private readonly facts: Facts = {}) {
    for (const [key, value] of Object.entries(facts.values ?? {})) this.values.set(key, bytesOf(JSON.stringify(value)));
    this.context = new Context(this.host());
  }

  /** Reads a JSON value that the flow, or the test, has set. */
  get<T = unknown>(key: string): T | undefined {
    const value = this.values.get(key);
    return value === undefined ? undefined : new Data(value).json<T>();
  }

  /** The media type of what the flow's latest closure returned. The closure is one that {@link TestFlow} called. */
  get returnedContentType(): string {
    return this.returned ?? OCTET_STREAM;
  }

  /** What the code of a node may change, to drop it if the node fails. @internal */
  changes(): Changes {
    return { values: new Map(this.values), labels: new Map(this.labels), response: this.response };
  }

  /** @internal */
  restore({ values, labels, response }: Changes): void {
    this.response = response;
    for (const [kept, all] of [[values, this.values], [labels, this.labels]] as [Map<string, unknown>, Map<string, unknown>][]) {
      all.clear();
      for (const [key, value] of kept) all.set(key, value);
    }
  }

  /** The facts that a whole run begins with. @internal */
  get request(): { id: string; contentType: string } {
    return { id: this.facts.requestId ?? "test", contentType: this.facts.contentType ?? OCTET_STREAM };
  }

  /** @internal */
  calling(current: Fake["current"] = {}): void {
    this.returned = undefined;
    this.current = current;
  }

  private host(): Host {
    const { facts } = this;
    const inputs = () => [...(this.current.inputs ?? facts.inputs ?? [])];
    return {
      requestId: () => facts.requestId ?? "test",
      flowName: () => facts.flowName ?? "flow",
      node: () => this.current.node ?? facts.node ?? "",
      state: () => this.current.state ?? facts.state ?? "running",
      query: (name) => all(facts.query, (key) => key === name),
      header: (name) => all(facts.headers, (key) => key.toLowerCase() === name.toLowerCase()),
      inputs: () => inputs().map(([name, value]) => [name, bytesOf(value)]),
      contentType: () => this.current.contentType ?? facts.contentType ?? OCTET_STREAM,
      contentTypes: () => [...(this.current.contentTypes ?? facts.contentTypes ?? inputs().map(() => OCTET_STREAM))],
      setContentType: (mediaType) => {
        this.notDefining("there is no data in `define` that could have a media type");
        if (!isMediaType(mediaType)) throw `\`${mediaType}\` is not a media type`;
        this.returned = mediaType;
      },
      respond: (status, headers) => {
        this.notDefining("there is no run in `define` that could be answered");
        if (status < 200 || status > 599 || status === 202) throw `an answer cannot have the status ${status}`;
        this.response = headers.reduce((response, [name, value]) => response.withHeader(name, value), new Response(status));
      },
      setRejectStatus: () => {},
      label: (key, value) => {
        this.notDefining("there is no run in `define` that could have a label");
        if (!/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/.test(key)) throw `\`${key}\` cannot be the key of a label`;
        if (bytesOf(value).length > 128 || /\p{Cc}/u.test(value)) {
          throw `the value of the label \`${key}\` is too long, or has control characters`;
        }
        if (this.labels.size >= 16 && !this.labels.has(key)) throw "a run has at most 16 labels";
        this.labels.set(key, value);
      },
      get: (key) => this.values.get(key),
      set: (key, value) => {
        this.changing(key);
        this.values.set(key, value);
      },
      delete: (key) => {
        this.changing(key);
        this.values.delete(key);
      },
      signalUrl: (name) => {
        this.notDefining("there is no run in `define` to which a signal could be sent");
        if (!/^[A-Za-z0-9_.-]{1,64}$/.test(name)) throw `\`${name}\` is not the name of a signal`;
        const run = `${facts.flowName ?? "flow"}/flow/${facts.requestId ?? "test"}`;
        return `https://example.org/function/${run}/signal/${name}?signature=test`;
      },
      log: (level, message) => void this.logs.push([level, message]),
    };
  }

  /** Refuses what the host refuses. */
  private changing(key: string): void {
    this.notDefining(`value \`${key}\` cannot be changed while the flow is being defined`);
    const { length } = bytesOf(key);
    if (length < 1 || length > 256) throw `value \`${key}\` has a key of ${length} bytes, not 1 to 256`;
  }

  private notDefining(reason: string): void {
    if (this.defining) throw reason;
  }
}

function all(values: Values | undefined, isWanted: (name: string) => boolean): string[] {
  return Object.entries(values ?? {}).flatMap(([name, value]) => (isWanted(name) ? [value].flat() : []) as string[]);
}

/** Whether a text looks like a media type. The host is more exact about parameters. @internal */
export function isMediaType(text: string): boolean {
  return text.length <= 255 && /^[\x20-\x7e]*$/.test(text) && /^[^\s/;]+\/[^\s/;]+ *(;|$)/.test(text);
}
