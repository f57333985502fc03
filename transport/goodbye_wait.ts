/** The wait of a goodbye, before the side that says it closes the session. */
import { GOODBYE_WRITES_MS_MAX } from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import type { Session } from "./transport.ts";

/**
 * Waits until the session's pending writes are settled, then until the peer closes the session, for
 * `lingerMs` at most.
 *
 * @param whenWritten calls back once no write is pending; undefined if none is.
 */
export async function waitForGoodbye(
  session: Pick<Session, "closed"> & { readonly ended: boolean },
  scheduler: Scheduler,
  lingerMs: number,
  whenWritten: ((done: () => void) => void) | undefined,
): Promise<void> {
  const within = (limitMs: number, start?: (done: () => void) => void) =>
    new Promise<void>((resolve) => {
      const timer = scheduler.after(limitMs, resolve);
      const done = () => {
        timer.cancel();
        resolve();
      };
      start?.(done);
      void session.closed.then(done);
    });
  if (!session.ended && whenWritten !== undefined) await within(GOODBYE_WRITES_MS_MAX, whenWritten);
  if (!session.ended && lingerMs > 0) await within(lingerMs);
}
