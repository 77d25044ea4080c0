/** What a module exports: one object for each interface of the world `full-flow`. */
export declare function exportsOf(flow: unknown): Record<string, Record<string, (...input: never[]) => unknown>>;
