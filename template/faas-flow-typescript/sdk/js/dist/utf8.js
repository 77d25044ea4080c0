// QuickJS has neither a TextEncoder nor a TextDecoder.
/** Encodes text as UTF-8. Halves of surrogate pairs become U+FFFD, as everywhere. */
export class Encoder {
    encoding = "utf-8";
    encode(text = "") {
        text = String(text);
        const bytes = new Uint8Array(text.length * 3);
        let size = 0;
        for (let at = 0; at < text.length; at++) {
            let code = text.charCodeAt(at);
            if (code < 0x80) {
                bytes[size++] = code;
                continue;
            }
            if (code >= 0xd800 && code < 0xe000) {
                const next = text.charCodeAt(at + 1);
                const isPair = code < 0xdc00 && next >= 0xdc00 && next < 0xe000;
                code = isPair ? 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00) : 0xfffd;
                if (isPair)
                    at++;
            }
            if (code < 0x800)
                bytes[size++] = 0xc0 | (code >> 6);
            else {
                if (code < 0x10000)
                    bytes[size++] = 0xe0 | (code >> 12);
                else {
                    bytes[size++] = 0xf0 | (code >> 18);
                    bytes[size++] = 0x80 | ((code >> 12) & 0x3f);
                }
                bytes[size++] = 0x80 | ((code >> 6) & 0x3f);
            }
            bytes[size++] = 0x80 | (code & 0x3f);
        }
        return bytes.slice(0, size);
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
        const parts = [];
        // Text is made of code units in portions, since a call has only so many arguments.
        const units = [];
        let at = !this.ignoreBOM && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
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
            if (units.length >= 8192)
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
