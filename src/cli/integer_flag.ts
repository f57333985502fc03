/** Flags that are integers with a default and bounds. */
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
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= min && value <= max) return value;
  throw usageFailure(
    `--${name} must be an integer in [${min}, ${max}]: found ${JSON.stringify(text)}`,
    `Omit it for the default, ${preset}.`,
    name,
  );
}
