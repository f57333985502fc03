/**
 * Assertions for bugs, always enabled. A failed assertion stops the smallest unit that can be
 * stopped as a whole (a session, a group). Assertions are never used for caller mistakes or
 * operating conditions.
 */

/** A broken invariant of this program. The owner of the smallest stoppable unit catches it. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Throws {@link InvariantError} with `message` unless `condition` holds.
 *
 * @param message a function defers building the text, for assertions that run often.
 */
export function assert(
  condition: boolean,
  message: string | (() => string),
): asserts condition {
  if (!condition) throw new InvariantError(typeof message === "string" ? message : message());
}

/** Returns `value`; throws {@link InvariantError} when it is null or undefined. */
export function defined<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new InvariantError(message);
  return value;
}

/** Marks a branch that the types rule out; throws {@link InvariantError} when it is reached. */
export function unreachable(value: never): never {
  throw new InvariantError(`Unreachable value: ${String(value)}`);
}
