/** Encodes text as UTF-8. Halves of surrogate pairs become U+FFFD, as everywhere. */
export declare class Encoder {
    readonly encoding = "utf-8";
    encode(text?: string): Uint8Array;
    encodeInto(text: string, into: Uint8Array): {
        read: number;
        written: number;
    };
}
/** Decodes UTF-8, all at once. */
export declare class Decoder {
    readonly encoding = "utf-8";
    readonly fatal: boolean;
    readonly ignoreBOM: boolean;
    constructor(encoding?: string, options?: {
        fatal?: boolean;
        ignoreBOM?: boolean;
    });
    decode(input?: Uint8Array | ArrayBuffer | DataView, options?: {
        stream?: boolean;
    }): string;
    /** Decodes bytes of which some are not UTF-8. */
    private decodeMalformed;
    private malformed;
}
