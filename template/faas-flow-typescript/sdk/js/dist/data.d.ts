/** What a closure may return as data: text, bytes, what {@link json} makes, or data that it got. */
export type Output = string | Uint8Array | Data;
/** Data as a closure gets it: bytes, with the readings that people want. */
export declare class Data {
    /** The media type that the data gets when a closure returns it, if {@link json} or an author has given it one. */
    readonly mediaType?: string | undefined;
    /** Data with these bytes, or with this text in UTF-8. Flows rarely need this, since they may return either as it is. */
    constructor(content: string | Uint8Array, 
    /** The media type that the data gets when a closure returns it, if {@link json} or an author has given it one. */
    mediaType?: string | undefined);
    /** The bytes. */
    readonly bytes: Uint8Array;
    /** The number of bytes. */
    get size(): number;
    /** The data as text. Data that is not UTF-8 is rejected. */
    text(): string;
    /**
     * The data as JSON. Data that is not JSON is rejected. The type is taken on trust: nothing checks that the data fits it.
     *
     * Numbers are those of JavaScript, so whole numbers beyond 2⁵³ lose digits, and the keys of objects that look like whole
     * numbers come first, in ascending order. Let such numbers be strings, or pass the data on as it is.
     */
    json<T = unknown>(): T;
}
/**
 * A value as JSON, to be returned by a closure: the media type of the data is then `application/json`, unless the closure has
 * set another one with {@link Context.setContentType}.
 *
 * ```ts
 * import { json, type Inputs } from "faas-flow";
 *
 * const report = (inputs: Inputs) => json({ total: inputs.get("count")?.json(), parts: inputs.names() });
 * ```
 */
export declare function json(value: unknown): Data;
/** Parts of data joined into one, with nothing between them. */
export declare function concat(parts: Iterable<Output>): Data;
