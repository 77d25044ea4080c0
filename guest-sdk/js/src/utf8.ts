// QuickJS has neither a TextEncoder nor a TextDecoder. It interprets loops and regular expressions, so the work is left to functions
// that it has in C: those for URLs know UTF-8, and those for Base64 turn text into bytes and back.

declare function escape(text: string): string;
declare function unescape(text: string): string;
declare function atob(base64: string): string;
declare function btoa(units: string): string;

/** Older versions of Node, in which the SDK is tested, do not have these. */
const { fromBase64 } = Uint8Array as { fromBase64?: (base64: string) => Uint8Array };
const { toBase64 } = Uint8Array.prototype as { toBase64?: () => string };

/** The bytes of a text whose code units are bytes. */
const bytesOfUnits = (units: string): Uint8Array =>
  fromBase64?.call(Uint8Array, btoa(units)) ?? Uint8Array.from(units, (unit) => unit.charCodeAt(0));

/** The text whose code units are these bytes. */
const unitsOfBytes = (bytes: Uint8Array): string =>
  toBase64 === undefined ? Array.from(bytes, (byte) => String.fromCharCode(byte)).join("") : atob(toBase64.call(bytes));

/** Encodes text as UTF-8. Halves of surrogate pairs become U+FFFD, as everywhere. */
export class Encoder {
  readonly encoding = "utf-8";

  encode(text = ""): Uint8Array {
    text = String(text);
    let encoded;
    try {
      encoded = encodeURIComponent(text);
    } catch {
      // There is half of a surrogate pair in it.
      encoded = encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"));
    }
    return bytesOfUnits(unescape(encoded));
  }

  encodeInto(text: string, into: Uint8Array): { read: number; written: number } {
    let [read, written] = [0, 0];
    for (const character of text) {
      const bytes = this.encode(character);
      if (written + bytes.length > into.length) break;
      into.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

/** A function is called with at most so many code units, since a call has only so many arguments. */
const PORTION = 8192;

/** Decodes UTF-8, all at once. */
export class Decoder {
  readonly encoding = "utf-8";
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;

  constructor(encoding = "utf-8", options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    if (encoding !== "utf-8" && !/^(utf-?8|unicode-1-1-utf-8)$/i.test(String(encoding).trim())) {
      throw new RangeError(`a flow has no decoder for ${encoding}, only one for utf-8`);
    }
    this.fatal = options.fatal ?? false;
    this.ignoreBOM = options.ignoreBOM ?? false;
  }

  decode(input: Uint8Array | ArrayBuffer | DataView = new Uint8Array(), options: { stream?: boolean } = {}): string {
    if (options.stream) throw new TypeError("a flow's TextDecoder decodes text as a whole, not as a stream");
    const bytes =
      input instanceof ArrayBuffer ? new Uint8Array(input) : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    const from = !this.ignoreBOM && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    try {
      return decodeURIComponent(escape(unitsOfBytes(from === 0 ? bytes : bytes.subarray(from))));
    } catch {
      return this.decodeMalformed(bytes, from);
    }
  }

  /** Decodes bytes of which some are not UTF-8. */
  private decodeMalformed(bytes: Uint8Array, at: number): string {
    const parts: string[] = [];
    const units: number[] = [];
    while (at < bytes.length) {
      let code = bytes[at++]!;
      if (code >= 0x80) {
        // The bounds of the second byte leave out overlong forms, surrogates, and what is beyond U+10FFFF.
        const more = code >= 0xc2 && code < 0xe0 ? 1 : code >= 0xe0 && code < 0xf0 ? 2 : code >= 0xf0 && code < 0xf5 ? 3 : 0;
        let least = code === 0xe0 ? 0xa0 : code === 0xf0 ? 0x90 : 0x80;
        let most = code === 0xed ? 0x9f : code === 0xf4 ? 0x8f : 0xbf;
        let read = 0;
        let whole = code & (0x3f >> more);
        for (; read < more; read++, at++) {
          const next = bytes[at] ?? 0;
          if (next < least || next > most) break;
          [least, most] = [0x80, 0xbf];
          whole = (whole << 6) | (next & 0x3f);
        }
        code = more > 0 && read === more ? whole : this.malformed();
      }
      if (code > 0xffff) units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
      else units.push(code);
      if (units.length >= PORTION) parts.push(String.fromCharCode(...units.splice(0)));
    }
    parts.push(String.fromCharCode(...units));
    return parts.join("");
  }

  private malformed(): number {
    if (this.fatal) throw new TypeError("the bytes are not UTF-8");
    return 0xfffd;
  }
}
