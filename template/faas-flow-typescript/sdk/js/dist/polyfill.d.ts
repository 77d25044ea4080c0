import type { Level } from "./context.js";
/** Says where `console` writes to. */
export declare function writeConsoleTo(log: (level: Level, message: string) => void): void;
/** Says that the module is built, and a run calls it. */
export declare function startClock(): void;
