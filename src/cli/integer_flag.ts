/** Flags and arguments that are integers with bounds, most of them with a default. */
import { usageFailure } from "./failure.ts";

/** The default and the bounds of a flag, `[min, max]`. */
export interface IntegerBounds {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Returns the value of a flag; its default if it is not given.
 *
 * @param name the flag without `--`.
 * @throws CliFailure `invalid_argument`.
 */
export function integerFlag(
  name: string,
  text: string | undefined,
  { default: preset, min, max }: IntegerBounds,
): number {
  if (text === undefined) return preset;
  return integerIn(`--${name}`, text, { min, max, hint: `Omit it for the default, ${preset}.` });
}

/** Returns the value of a flag or an argument that has no default. @throws as {@link integerFlag}. */
export function requiredInteger(
  name: string,
  text: string,
  { min = 1, max = INTEGER_MAX }: { readonly min?: number; readonly max?: number } = {},
): number {
  return integerIn(name, text, { min, max, hint: "Use the digits 0 to 9 alone." });
}

/** The largest integer that may be given: nine digits. */
const INTEGER_MAX = 999_999_999;

function integerIn(
  name: string,
  text: string,
  { min, max, hint }: { readonly min: number; readonly max: number; readonly hint: string },
): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= min && value <= max) return value;
  throw usageFailure(
    `${name} must be an integer in [${min}, ${max}]: found ${JSON.stringify(text)}`,
    hint,
    name.replace(/^--/, ""),
  );
}
