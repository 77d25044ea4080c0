declare global {
    /** The table, as JSON. */
    var __faasFlowPlaces: string | undefined;
}
/** The place of the author's innermost call in a stack: `flow.ts:12:9`. */
export declare function placeIn(stack: string | undefined): string | undefined;
/** The author's part of a stack, one call per line, for the log. */
export declare function authorsStack(stack: string | undefined): string;
