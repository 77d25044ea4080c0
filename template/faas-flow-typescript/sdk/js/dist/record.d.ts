import type { Context } from "./context.js";
import type * as plain from "./definition.js";
import { Handlers } from "./handlers.js";
import { type Define } from "./workflow.js";
/** A flow after its `define` has run. */
export interface Recorded {
    definition: plain.Definition;
    handlers: Handlers;
}
/** Runs `define`, gives every closure its id, and returns the definition together with the closures. */
export declare function record(define: Define, context: Context): Recorded;
/**
 * The id, if it is not too long; otherwise its beginning, a `~`, which no path has, and a hash of all of it. So the id of a handler
 * deep inside is valid too, and stays the same as long as the handler's place does.
 */
export declare function withinLimit(id: string): string;
