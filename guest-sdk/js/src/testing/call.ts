import { bytesOf, Data, type Output } from "../data.js";
import { type Duration, millis } from "../duration.js";
import { type Headers, Request, Response } from "../http.js";
import { shown } from "../check.js";

/** What a function of a test answers: data, with status 200; or more than that. A {@link Response} will do as well. */
export type Answer =
  | Output
  | {
      /** The status of the response. By default 200. */
      readonly status?: number;
      /** The headers of the response. */
      readonly headers?: Headers;
      /** The body of the response. By default it is empty. */
      readonly body?: Output;
      /**
       * The virtual time that the answer takes. If it is longer than the timeout of the call, which is a minute unless the flow
       * says otherwise, the call fails.
       */
      readonly delay?: Duration;
      /** Why there is no answer: the call fails as one that cannot be made. */
      readonly error?: string;
    };

/**
 * One try of a call that a run has made, as its function gets it: what is sent, with the headers that the host adds, and who
 * sends it.
 */
export class Call extends Request {
  /** The function as it is called, `wc` or `wc/lines`, or the URL without its query. */
  readonly function: string;
  /** The path of the node that calls: `F[f2]/charge`. */
  readonly node: string;
  /** How many tries of the call there were, with this one. */
  readonly tries: number;
  /** The virtual time of the call in milliseconds, counted from the beginning of the run. */
  readonly at: number;

  /** @internal */
  constructor(request: Request, facts: { function: string; node: string; tries: number; at: number }) {
    super(request.method, request.url, request.headers, request.body);
    this.function = facts.function;
    this.node = facts.node;
    this.tries = facts.tries;
    this.at = facts.at;
  }

  /** The path of the request, decoded: of a function, what follows its name, such as `/lines` or nothing. */
  get path(): string {
    const [path] = pathAndQuery(this.url);
    return decoded(this.function.includes("://") ? path : tail(path), "+");
  }

  /** All values of a query parameter of the request, decoded, in order. */
  query(name: string): string[] {
    const parameters = pathAndQuery(this.url)[1].split("&").map((parameter) => parameter.split(/=(.*)/s));
    return parameters.filter(([key = ""]) => decoded(key) === name).map(([, value = ""]) => decoded(value));
  }
}

/** The name by which a call is answered: the function with the path of the request, or the URL without its query. @internal */
export function subject(target: string, url: string, isUrl: boolean): string {
  if (isUrl) return withoutSlash(url.replace(/[?#].*$/s, ""));
  return target.replace(/[/?#].*$/s, "") + withoutSlash(tail(pathAndQuery(url)[0]));
}

/** A name without the slash at its end. @internal */
export function withoutSlash(name: string): string {
  return name.replace(/\/$/, "");
}

/** Percent-encodes a name or value of a query parameter, as the host does. @internal */
export function encoded(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** The path of an absolute URL, and its query. */
function pathAndQuery(url: string): [path: string, query: string] {
  const [, path = "", query = ""] = /^(?:[^/?#]*:\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/s.exec(url) ?? [];
  return [path, query];
}

/** A text without its percent-encoding. A plus is a space in a query, and a plus elsewhere. */
function decoded(text: string, plus = " "): string {
  const spaced = text.replaceAll("+", plus);
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/** What follows the first segment of a path: `/lines` of `/wc/lines`. */
function tail(path: string): string {
  const rest = path.replace(/^\//, "");
  return rest.includes("/") ? rest.slice(rest.indexOf("/")) : "";
}

/** An answer with all that it may have. @internal */
export interface Answered {
  response: Response;
  delay: number;
  error: string | undefined;
}

/** Reads an answer that a test gives. @internal */
export function answered(answer: Answer, name: string): Answered {
  if (typeof answer === "string" || answer instanceof Uint8Array || answer instanceof Data) {
    return { response: new Response(200, [], bytesOf(answer)), delay: 0, error: undefined };
  }
  if (typeof answer !== "object" || answer === null || answer instanceof Promise) {
    throw new TypeError(`\`${name}\` must answer with data or with { status, headers, body, delay, error }, not ${shown(answer)}`);
  }
  const { status = 200, headers = [], body = "", delay = 0, error } = answer;
  const response = headers.reduce((all, [key, value]) => all.withHeader(key, value), new Response(status, [], bytesOf(body)));
  return { response, delay: millis(delay, "the delay of an answer"), error };
}

const MOST_MS = 24 * 3600 * 1000;

/** The wait that a response asks for, in milliseconds: a day at most. @internal */
export function retryAfter(response: Response, now: number): number {
  const value = response.header("retry-after")?.trim() ?? "";
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, MOST_MS);
  const until = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(until) ? 0 : Math.min(Math.max(until - now, 0), MOST_MS);
}
