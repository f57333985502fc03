/**
 * A clock that stands still until a test moves it, with timers that run in the order of their time
 * and, at the same time, in the order of creation. Between two timers all promises settle.
 */
import { setImmediate } from "node:timers";
import type { MonotonicClock, Scheduler, Timer } from "../../src/base/world.ts";

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Clock and scheduler in one. */
export class VirtualScheduler implements Scheduler, MonotonicClock {
  #nowMs = 0;
  #order = 0;
  readonly #planned = new Set<Planned>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const planned = { atMs: this.#nowMs + delayMs, order: this.#order++, run };
    this.#planned.add(planned);
    return { cancel: () => void this.#planned.delete(planned) };
  }

  nextTurn(run: () => void): void {
    this.after(0, run);
  }

  /** The count of pending timers. */
  get pendingCount(): number {
    return this.#planned.size;
  }

  /** Advances the clock by `ms` and runs all timers that become due. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settlePromises();
      const next = this.#next(endMs);
      if (next === undefined) break;
      this.#planned.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  #next(endMs: number): Planned | undefined {
    let best: Planned | undefined;
    for (const planned of this.#planned) {
      if (planned.atMs > endMs) continue;
      const earlier = best === undefined || planned.atMs < best.atMs ||
        (planned.atMs === best.atMs && planned.order < best.order);
      if (earlier) best = planned;
    }
    return best;
  }
}

/** Runs all promise reactions that are ready now: a macrotask comes after all of them. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
