import { shown } from "./check.js";
import { reject } from "./failure.js";

/** What a closure may return as data: text, bytes, what {@link json} makes, or data that it got. */
export type Output = string | Uint8Array | Data;

/** Data as a closure gets it: bytes, with the readings that people want. */
export class Data {
  /** Data with these bytes, or with this text in UTF-8. Flows rarely need this, since they may return either as it is. */
  constructor(
    content: string | Uint8Array,
    /** The media type that the data gets when a closure returns it, if {@link json} or an author has given it one. */
    readonly mediaType?: string,
  ) {
    this.bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  }

  /** The bytes. */
  readonly bytes: Uint8Array;

  /** The number of bytes. */
  get size(): number {
    return this.bytes.length;
  }

  /** The data as text. Data that is not UTF-8 is rejected. */
  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes);
    } catch {
      throw reject("the data is not text in UTF-8");
    }
  }

  /**
   * The data as JSON. Data that is not JSON is rejected. The type is taken on trust: nothing checks that the data fits it.
   *
   * Numbers are those of JavaScript, so whole numbers beyond 2⁵³ lose digits, and the keys of objects that look like whole
   * numbers come first, in ascending order. Let such numbers be strings, or pass the data on as it is.
   */
  json<T = unknown>(): T {
    const text = this.text();
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw reject(`the data is not JSON: ${(error as Error).message}`);
    }
  }
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
export function json(value: unknown): Data {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${shown(value)} cannot be represented in JSON`);
  return new Data(text, "application/json");
}

/** Parts of data joined into one, with nothing between them. */
export function concat(parts: Iterable<Output>): Data {
  const all = [...parts].map(bytesOf);
  const joined = new Uint8Array(all.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of all) {
    joined.set(part, at);
    at += part.length;
  }
  return new Data(joined);
}

/** The bytes of what an author gave as data. @internal */
export function bytesOf(output: Output): Uint8Array {
  if (typeof output === "string") return new TextEncoder().encode(output);
  if (output instanceof Data) return output.bytes;
  if (output instanceof Uint8Array) return output;
  throw new TypeError(`data must be a string, a Uint8Array or Data, not ${shown(output)}`);
}
