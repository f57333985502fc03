/** Waiting during the start of a node, which ends when the node is stopped. */
import { RegistryError } from "../../base/errors.ts";
import { GROUP_RETRY_MS, STOPPED_START_CLOSE_MS } from "../../base/limits.ts";
import type { Scheduler, World } from "../../base/world.ts";
import type { RaftGroup } from "../group.ts";

/** What a node is doing, as in "while it was starting". */
export const ACTIVITY = "starting";
/** The time limit for leading all groups at a start, ms: two syncs of a very slow disk. */
const START_MS_MAX = 60_000;

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
 * Waits until a group permits reads here, for a minute at most. Its leader may change meanwhile, or be away.
 *
 * @throws RegistryError the group's last refusal; `shutting_down` if `signal` is aborted.
 */
export async function untilReadable(
  group: Pick<RaftGroup<unknown>, "readBarrier">,
  { signal, world: { monotonic, scheduler } }: {
    readonly signal?: AbortSignal;
    readonly world: Pick<World, "monotonic" | "scheduler">;
  },
): Promise<void> {
  const untilMs = monotonic.nowMs() + START_MS_MAX;
  for (;;) {
    const permitted = group.readBarrier(0, untilMs - monotonic.nowMs());
    const point = await unlessStopped(permitted, signal, ACTIVITY);
    if (!(point instanceof RegistryError)) return;
    const isLast = monotonic.nowMs() + GROUP_RETRY_MS >= untilMs;
    if (point.code !== "not_leader" || isLast) throw point;
    const { promise: passed, resolve } = Promise.withResolvers<void>();
    const timer = scheduler.after(GROUP_RETRY_MS, resolve);
    await unlessStopped(passed, signal, ACTIVITY).finally(() => timer.cancel());
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
