// QuickJS has neither a TextEncoder nor a TextDecoder. It interprets loops, so most of the work is left to functions that it has
// in C: `escape` and `decodeURIComponent`, which know UTF-8 as it is in URLs.
/** A function is called with at most so many code units, since a call has only so many arguments. */
const PORTION = 8192;
/** Whether all characters of a text are in ASCII. */
const isAscii = (text) => !/[^\x00-\x7f]/.test(text);
/** Encodes text as UTF-8. Halves of surrogate pairs become U+FFFD, as everywhere. */
export class Encoder {
    encoding = "utf-8";
    encode(text = "") {
        text = String(text);
        return ofUnits(isAscii(text) ? text : unescape(encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"))));
    }
    encodeInto(text, into) {
        let [read, written] = [0, 0];
        for (const character of text) {
            const bytes = this.encode(character);
            if (written + bytes.length > into.length)
                break;
            into.set(bytes, written);
            written += bytes.length;
            read += character.length;
        }
        return { read, written };
    }
}
/** The code units of a text, each of which is a byte. */
function ofUnits(text) {
    const size = text.length;
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at++)
        bytes[at] = text.charCodeAt(at);
    return bytes;
}
/** Decodes UTF-8, all at once. */
export class Decoder {
    encoding = "utf-8";
    fatal;
    ignoreBOM;
    constructor(encoding = "utf-8", options = {}) {
        if (!/^(utf-?8|unicode-1-1-utf-8)$/i.test(String(encoding).trim())) {
            throw new RangeError(`a flow has no decoder for ${encoding}, only one for utf-8`);
        }
        this.fatal = options.fatal ?? false;
        this.ignoreBOM = options.ignoreBOM ?? false;
    }
    decode(input = new Uint8Array(), options = {}) {
        if (options.stream)
            throw new TypeError("a flow's TextDecoder decodes text as a whole, not as a stream");
        const bytes = input instanceof ArrayBuffer ? new Uint8Array(input) : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
        const from = !this.ignoreBOM && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
        const parts = [];
        for (let at = from; at < bytes.length; at += PORTION) {
            parts.push(String.fromCharCode.apply(null, bytes.subarray(at, at + PORTION)));
        }
        const units = parts.join("");
        if (isAscii(units))
            return units;
        try {
            return decodeURIComponent(escape(units));
        }
        catch {
            return this.decodeMalformed(bytes, from);
        }
    }
    /** Decodes bytes of which some are not UTF-8. */
    decodeMalformed(bytes, at) {
        const parts = [];
        const units = [];
        while (at < bytes.length) {
            let code = bytes[at++];
            if (code >= 0x80) {
                // The bounds of the second byte leave out overlong forms, surrogates, and what is beyond U+10FFFF.
                const more = code >= 0xc2 && code < 0xe0 ? 1 : code >= 0xe0 && code < 0xf0 ? 2 : code >= 0xf0 && code < 0xf5 ? 3 : 0;
                let least = code === 0xe0 ? 0xa0 : code === 0xf0 ? 0x90 : 0x80;
                let most = code === 0xed ? 0x9f : code === 0xf4 ? 0x8f : 0xbf;
                let read = 0;
                let whole = code & (0x3f >> more);
                for (; read < more; read++, at++) {
                    const next = bytes[at] ?? 0;
                    if (next < least || next > most)
                        break;
                    [least, most] = [0x80, 0xbf];
                    whole = (whole << 6) | (next & 0x3f);
                }
                code = more > 0 && read === more ? whole : this.malformed();
            }
            if (code > 0xffff)
                units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
            else
                units.push(code);
            if (units.length >= PORTION)
                parts.push(String.fromCharCode(...units.splice(0)));
        }
        parts.push(String.fromCharCode(...units));
        return parts.join("");
    }
    malformed() {
        if (this.fatal)
            throw new TypeError("the bytes are not UTF-8");
        return 0xfffd;
    }
}
