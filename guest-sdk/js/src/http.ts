import { text, whole } from "./check.js";
import { Data, type Output } from "./data.js";

/** Names and values of headers, in order. A name may occur more than once. */
export type Headers = readonly (readonly [name: string, value: string])[];

/**
 * An HTTP request that the host is about to send, as a closure of {@link Call.prepare} sees it. It is not changed: each method
 * returns another request.
 *
 * ```ts
 * import { Request } from "faas-flow";
 *
 * const request = new Request("POST", "http://example.test/orders?dry-run=1").withHeader("content-type", "text/plain");
 * request.header("Content-Type"); // "text/plain"
 * ```
 */
export class Request {
  /** A request. Flows do not need this, but their tests do. */
  constructor(
    /** The method, in upper case: `POST`. */
    readonly method: string,
    /** The absolute URL, with its query. */
    readonly url: string,
    /** Names and values of the headers, in order. */
    readonly headers: Headers = [],
    body: Output = "",
  ) {
    text(method, "the method of a request");
    text(url, "the URL of a request");
    this.body = body instanceof Data ? body : new Data(body);
  }

  /** The whole body. */
  readonly body: Data;

  /** The value of the first header with this name. Upper and lower case are the same. */
  header(name: string): string | undefined {
    return first(this.headers, name);
  }

  /** Replaces the method. */
  withMethod(method: string): Request {
    return new Request(method, this.url, this.headers, this.body);
  }

  /**
   * Replaces the URL. When the request goes to an OpenFaaS function, the host decides where that function is: it uses the query
   * and the path after the function's name, and ignores scheme, host and port.
   */
  withUrl(url: string): Request {
    return new Request(this.method, url, this.headers, this.body);
  }

  /** Adds a header. Headers of the same name are kept: remove them with {@link Request.withoutHeader} first to replace them. */
  withHeader(name: string, value: string): Request {
    return new Request(this.method, this.url, [...this.headers, header(name, value)], this.body);
  }

  /** Removes all headers with this name. Upper and lower case are the same. */
  withoutHeader(name: string): Request {
    const others = this.headers.filter(([key]) => key.toLowerCase() !== name.toLowerCase());
    return new Request(this.method, this.url, others, this.body);
  }

  /** Replaces the body. */
  withBody(body: Output): Request {
    return new Request(this.method, this.url, this.headers, body);
  }
}

/** An HTTP response as it arrived, as a closure of {@link Call.receive} sees it. */
export class Response {
  /** A response. Flows do not need this, but their tests do. */
  constructor(
    /** The status code, from 100 to 599. */
    readonly status: number,
    /** Names, in lower case, and values of the headers, in order of arrival. */
    readonly headers: Headers = [],
    body: Output = "",
  ) {
    whole(status, "the status of a response", 999);
    this.body = body instanceof Data ? body : new Data(body);
  }

  /** The whole body. */
  readonly body: Data;

  /** The value of the first header with this name. Upper and lower case are the same. */
  header(name: string): string | undefined {
    return first(this.headers, name);
  }

  /** Adds a header, whose name becomes lower case. */
  withHeader(name: string, value: string): Response {
    return new Response(this.status, [...this.headers, header(name.toLowerCase(), value)], this.body);
  }

  /** Replaces the body. */
  withBody(body: Output): Response {
    return new Response(this.status, this.headers, body);
  }
}

/** A header as the host can take it. @internal */
export function header(name: string, value: string): readonly [string, string] {
  return [text(name, "the name of a header"), text(value, `the value of header \`${name}\``)];
}

function first(headers: Headers, name: string): string | undefined {
  return headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}
