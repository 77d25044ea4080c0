import { text, whole } from "./check.js";
import { Data } from "./data.js";
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
    method;
    url;
    headers;
    /** A request. Flows do not need this, but their tests do. */
    constructor(
    /** The method, in upper case: `POST`. */
    method, 
    /** The absolute URL, with its query. */
    url, 
    /** Names and values of the headers, in order. */
    headers = [], body = "") {
        this.method = method;
        this.url = url;
        this.headers = headers;
        text(method, "the method of a request");
        text(url, "the URL of a request");
        this.body = body instanceof Data ? body : new Data(body);
    }
    /** The whole body. */
    body;
    /** The value of the first header with this name. Upper and lower case are the same. */
    header(name) {
        return first(this.headers, name);
    }
    /** Replaces the method. */
    withMethod(method) {
        return new Request(method, this.url, this.headers, this.body);
    }
    /**
     * Replaces the URL. When the request goes to an OpenFaaS function, the host decides where that function is: it uses the query
     * and the path after the function's name, and ignores scheme, host and port.
     */
    withUrl(url) {
        return new Request(this.method, url, this.headers, this.body);
    }
    /** Adds a header. Headers of the same name are kept: remove them with {@link Request.withoutHeader} first to replace them. */
    withHeader(name, value) {
        return new Request(this.method, this.url, [...this.headers, header(name, value)], this.body);
    }
    /** Removes all headers with this name. Upper and lower case are the same. */
    withoutHeader(name) {
        const others = this.headers.filter(([key]) => key.toLowerCase() !== name.toLowerCase());
        return new Request(this.method, this.url, others, this.body);
    }
    /** Replaces the body. */
    withBody(body) {
        return new Request(this.method, this.url, this.headers, body);
    }
}
/** An HTTP response as it arrived, as a closure of {@link Call.receive} sees it. */
export class Response {
    status;
    headers;
    /** A response. Flows do not need this, but their tests do. */
    constructor(
    /** The status code, from 100 to 599. */
    status, 
    /** Names, in lower case, and values of the headers, in order of arrival. */
    headers = [], body = "") {
        this.status = status;
        this.headers = headers;
        whole(status, "the status of a response", 999);
        this.body = body instanceof Data ? body : new Data(body);
    }
    /** The whole body. */
    body;
    /** The value of the first header with this name. Upper and lower case are the same. */
    header(name) {
        return first(this.headers, name);
    }
    /** Adds a header, whose name becomes lower case. */
    withHeader(name, value) {
        return new Response(this.status, [...this.headers, header(name.toLowerCase(), value)], this.body);
    }
    /** Replaces the body. */
    withBody(body) {
        return new Response(this.status, this.headers, body);
    }
}
/** A header as the host can take it. @internal */
export function header(name, value) {
    return [text(name, "the name of a header"), text(value, `the value of header \`${name}\``)];
}
function first(headers, name) {
    return headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}
