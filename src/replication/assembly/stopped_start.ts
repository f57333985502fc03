/** Waiting during the start of a node, which ends when the node is stopped. */
import { RegistryError } from "../../base/errors.ts";
import { STOPPED_START_CLOSE_MS } from "../../base/limits.ts";
import type { Scheduler } from "../../base/world.ts";

/**
 * Settles as `awaited` does, or rejects as soon as `signal` is aborted; the outcome of `awaited` is
 * ignored from then on.
 *
 * @param activity what the node is doing, as in "while it was joining".
 * @throws RegistryError `shutting_down` if `signal` is aborted.
 */
export async function unlessStopped<T>(
  awaited: Promise<T>,
  signal: AbortSignal | undefined,
  activity: string,
): Promise<T> {
  if (signal === undefined) return await awaited;
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () =>
    reject(new RegistryError("shutting_down", `The node was stopped while it was ${activity}`));
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([stopped, awaited]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/**
 * Waits until the log of a failed start is closed. If the node was stopped, it waits for a limited
 * time, because the disk may hang: nothing was acknowledged, and the next start recovers the log as
 * after a crash.
 */
export async function failedStartClosed(
  closed: Promise<void>,
  signal: AbortSignal | undefined,
  scheduler: Scheduler,
): Promise<void> {
  if (signal?.aborted !== true) return await closed;
  const late = Promise.withResolvers<void>();
  const timer = scheduler.after(STOPPED_START_CLOSE_MS, late.resolve);
  await Promise.race([closed, late.promise]).finally(() => timer.cancel());
}
