/**
 * A time, as a number of milliseconds or as text with a unit: `250`, `"250ms"`, `"5s"`, `"10m"`, `"1.5h"`, `"2d"`.
 * Fractions of a millisecond are dropped.
 */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d`;
/** The duration in whole milliseconds, or an error that names `what`. */
export declare function millis(duration: Duration, what: string): number;
