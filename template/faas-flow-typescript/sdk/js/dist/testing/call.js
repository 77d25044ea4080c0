import { bytesOf, Data } from "../data.js";
import { millis } from "../duration.js";
import { Request, Response } from "../http.js";
import { shown } from "../check.js";
/**
 * One try of a call that a run has made, as its function gets it: what is sent, with the headers that the host adds, and who
 * sends it.
 */
export class Call extends Request {
    /** The function as it is called, `wc` or `wc/lines`, or the URL without its query. */
    function;
    /** The path of the node that calls: `F[f2]/charge`. */
    node;
    /** How many tries of the call there were, with this one. */
    tries;
    /** The virtual time of the call in milliseconds, counted from the beginning of the run. */
    at;
    /** @internal */
    constructor(request, facts) {
        super(request.method, request.url, request.headers, request.body);
        this.function = facts.function;
        this.node = facts.node;
        this.tries = facts.tries;
        this.at = facts.at;
    }
    /** The path of the request, decoded: of a function, what follows its name, such as `/lines` or nothing. */
    get path() {
        const [path] = pathAndQuery(this.url);
        return decoded(this.function.includes("://") ? path : tail(path), "+");
    }
    /** All values of a query parameter of the request, decoded, in order. */
    query(name) {
        const parameters = pathAndQuery(this.url)[1].split("&").map((parameter) => parameter.split(/=(.*)/s));
        return parameters.filter(([key = ""]) => decoded(key) === name).map(([, value = ""]) => decoded(value));
    }
}
/** The name by which a call is answered: the function with the path of the request, or the URL without its query. @internal */
export function subject(target, url, isUrl) {
    if (isUrl)
        return withoutSlash(url.replace(/[?#].*$/s, ""));
    return target.replace(/[/?#].*$/s, "") + withoutSlash(tail(pathAndQuery(url)[0]));
}
/** A name without the slash at its end. @internal */
export function withoutSlash(name) {
    return name.replace(/\/$/, "");
}
/** Percent-encodes a name or value of a query parameter, as the host does. @internal */
export function encoded(text) {
    return Array.from(new TextEncoder().encode(text), (byte) => {
        const character = String.fromCharCode(byte);
        return /[A-Za-z0-9]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    }).join("");
}
/** The path of an absolute URL, and its query. */
function pathAndQuery(url) {
    const [, path = "", query = ""] = /^(?:[^/?#]*:\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/s.exec(url) ?? [];
    return [path, query];
}
/** A text without its percent-encoding. A plus is a space in a query, and a plus elsewhere. */
function decoded(text, plus = " ") {
    const spaced = text.replaceAll("+", plus);
    try {
        return decodeURIComponent(spaced);
    }
    catch {
        return spaced;
    }
}
/** What follows the first segment of a path: `/lines` of `/wc/lines`. */
function tail(path) {
    const rest = path.replace(/^\//, "");
    return rest.includes("/") ? rest.slice(rest.indexOf("/")) : "";
}
/** Reads an answer that a test gives. @internal */
export function answered(answer, name) {
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
export function retryAfter(response, now) {
    const value = response.header("retry-after")?.trim() ?? "";
    if (/^\d+$/.test(value))
        return Math.min(Number(value) * 1000, MOST_MS);
    const until = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/.test(value) ? Date.parse(value) : NaN;
    return Number.isNaN(until) ? 0 : Math.min(Math.max(until - now, 0), MOST_MS);
}
