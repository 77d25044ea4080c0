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
export declare class Request {
    /** The method, in upper case: `POST`. */
    readonly method: string;
    /** The absolute URL, with its query. */
    readonly url: string;
    /** Names and values of the headers, in order. */
    readonly headers: Headers;
    /** A request. Flows do not need this, but their tests do. */
    constructor(
    /** The method, in upper case: `POST`. */
    method: string, 
    /** The absolute URL, with its query. */
    url: string, 
    /** Names and values of the headers, in order. */
    headers?: Headers, body?: Output);
    /** The whole body. */
    readonly body: Data;
    /** The value of the first header with this name. Upper and lower case are the same. */
    header(name: string): string | undefined;
    /** Replaces the method. */
    withMethod(method: string): Request;
    /**
     * Replaces the URL. When the request goes to an OpenFaaS function, the host decides where that function is: it uses the query
     * and the path after the function's name, and ignores scheme, host and port.
     */
    withUrl(url: string): Request;
    /** Adds a header. Headers of the same name are kept: remove them with {@link Request.withoutHeader} first to replace them. */
    withHeader(name: string, value: string): Request;
    /** Removes all headers with this name. Upper and lower case are the same. */
    withoutHeader(name: string): Request;
    /** Replaces the body. */
    withBody(body: Output): Request;
}
/** An HTTP response as it arrived, as a closure of {@link Call.receive} sees it. */
export declare class Response {
    /** The status code, from 100 to 599. */
    readonly status: number;
    /** Names, in lower case, and values of the headers, in order of arrival. */
    readonly headers: Headers;
    /** A response. Flows do not need this, but their tests do. */
    constructor(
    /** The status code, from 100 to 599. */
    status: number, 
    /** Names, in lower case, and values of the headers, in order of arrival. */
    headers?: Headers, body?: Output);
    /** The whole body. */
    readonly body: Data;
    /** The value of the first header with this name. Upper and lower case are the same. */
    header(name: string): string | undefined;
    /** Adds a header, whose name becomes lower case. */
    withHeader(name: string, value: string): Response;
    /** Replaces the body. */
    withBody(body: Output): Response;
}
