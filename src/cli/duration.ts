/**
 * Durations as people type and read them. A number alone is in seconds unless a unit follows.
 * Durations are whole milliseconds; parts of one are refused.
 */
import { usageFailure } from "./failure.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  "": 1_000,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Units for display, the largest first. */
const SHOWN: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
];

/**
 * Parses a duration such as `30`, `0.5`, `250ms`, `5m` and returns it in milliseconds.
 *
 * @param bounds allowed range, ms, `[min, max]`.
 * @param name name of the flag, for the message.
 * @throws CliFailure `invalid_argument`.
 */
export function parseDuration(
  text: string,
  name: string,
  bounds: { readonly min: number; readonly max: number },
): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d|)$/.exec(text);
  const exactMs = match === null ? NaN : Number(match[1]) * UNITS_MS[match[2]!]!;
  const ms = Math.round(exactMs);
  // A product such as 1.001 s is whole but for the rounding of the factors.
  const isWhole = Math.abs(exactMs - ms) < 1e-6 * Math.max(1, ms);
  if (!(isWhole && ms >= bounds.min && ms <= bounds.max)) {
    throw usageFailure(
      `${name} must be a duration from ${formatDuration(bounds.min)} to ` +
        `${formatDuration(bounds.max)}: found ${JSON.stringify(text)}`,
      "Pass a number of seconds, or a number with a unit: 250ms, 30s, 5m, 2h; in whole milliseconds.",
      name.replace(/^--/, ""),
    );
  }
  return ms;
}

/**
 * Formats a duration with its two largest units: `250 ms`, `2.4 s`, `30 s`, `5 m 10 s`, `2 d 3 h`.
 */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${Number((ms / 1_000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1_000) * 1_000;
  for (const [index, [unit, unitMs]] of SHOWN.entries()) {
    if (seconds < unitMs) continue;
    const [lowerUnit, lowerMs] = SHOWN[index + 1] ?? ["s", 1_000];
    const count = Math.floor(seconds / unitMs);
    const rest = Math.floor((seconds - count * unitMs) / lowerMs);
    return rest === 0 ? `${count} ${unit}` : `${count} ${unit} ${rest} ${lowerUnit}`;
  }
  return `${seconds / 1_000} s`;
}
