/**
 * A time, as a number of milliseconds or as text with a unit: `250`, `"250ms"`, `"5s"`, `"10m"`, `"1.5h"`, `"2d"`.
 * Fractions of a millisecond are dropped.
 */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d`;

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The duration in whole milliseconds, or an error that names `what`. */
export function millis(duration: Duration, what: string): number {
  const ms = typeof duration === "number" ? duration : parsed(duration);
  if (ms === undefined || !(ms >= 0) || ms > Number.MAX_SAFE_INTEGER) {
    const shown = typeof duration === "string" ? `"${duration}"` : String(duration);
    throw new RangeError(`${what} cannot be ${shown}: give milliseconds, or a text such as "5s", "10m", "2h" or "7d"`);
  }
  return Math.trunc(ms);
}

function parsed(duration: unknown): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration)) ?? [];
  return number && unit ? Number(number) * UNITS[unit]! : undefined;
}
