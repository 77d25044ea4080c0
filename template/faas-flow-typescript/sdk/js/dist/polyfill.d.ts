import type { Level } from "./context.js";
/** Says where `console` writes to. */
export declare function writeConsoleTo(log: (level: Level, message: string) => void): void;
