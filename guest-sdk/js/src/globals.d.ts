// What the SDK's own code uses of what QuickJS, with the SDK, and Node both have.

declare class TextEncoder {
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  constructor(encoding?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}

interface ImportMeta {
  url?: string;
}

/** The host's interface `context`, which a module imports. */
declare module "faas-flow:flow/context@0.2.0" {
  const host: import("./context.js").Host;
  export default host;
}
