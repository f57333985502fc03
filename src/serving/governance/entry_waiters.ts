/** Requests that wait for the next entry of the governed log, each with a time limit. */
import { RegistryError } from "../../base/errors.ts";
import { GOVERNED_WAITERS_MAX } from "../../base/limits.ts";
import type { Scheduler, Timer } from "../../base/world.ts";

interface Waiter {
  readonly isOver: () => boolean;
  readonly end: () => void;
  readonly timer: Timer;
}

/** The waiting requests of a node. */
export class EntryWaiters {
  readonly #scheduler: Scheduler;
  readonly #waiters = new Set<Waiter>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The number of requests that wait. */
  get count(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves once `isOver` holds after a change, or after `ms`.
   *
   * @throws RegistryError `overloaded` if too many wait.
   */
  async wait(isOver: () => boolean, ms: number): Promise<void> {
    if (this.#waiters.size >= GOVERNED_WAITERS_MAX) {
      const message = `At most ${GOVERNED_WAITERS_MAX} requests may wait for entries`;
      throw new RegistryError("overloaded", message, { retryAfterMs: 1_000 });
    }
    await new Promise<void>((resolve) => {
      const end = () => {
        waiter.timer.cancel();
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { isOver, end, timer: this.#scheduler.after(ms, end) };
      this.#waiters.add(waiter);
    });
  }

  /** Tells that the log has grown or was replaced. */
  changed(): void {
    for (const waiter of this.#waiters) if (waiter.isOver()) waiter.end();
  }

  /** Ends all. */
  close(): void {
    for (const { end } of this.#waiters) end();
  }
}
