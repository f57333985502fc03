/**
 * Assertions for bugs, always on. A failed assertion stops the smallest thing that can be stopped
 * whole (a session, a group); it is never a caller's mistake and never an operating condition.
 */

/** A broken invariant of this program. Whoever owns the smallest stoppable part catches it. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Throws {@link InvariantError} with `message` unless `condition` holds.
 *
 * @param message a function where the text is put together and the assertion is made all the time.
 */
export function assert(
  condition: boolean,
  message: string | (() => string),
): asserts condition {
  if (!condition) throw new InvariantError(typeof message === "string" ? message : message());
}

/** Returns `value`, which by an invariant is there. */
export function defined<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new InvariantError(message);
  return value;
}

/** The branch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new InvariantError(`Unreachable value: ${String(value)}`);
}
