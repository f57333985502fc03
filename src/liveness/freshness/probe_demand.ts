/**
 * The interval at which a node probes: short enough for the smallest bound that reads asked for lately;
 * without such reads it does not probe. Clock: monotonic.
 */
import {
  PROBE_LINGER_MS,
  PROBE_MS_MAX,
  PROBE_MS_MIN,
  PROBES_PER_BOUND,
} from "../../base/limits.ts";

/** A bound is forgotten at the end of the window after the one in which it was asked for. */
const WINDOW_MS = PROBE_LINGER_MS / 2;

/** The bounds that reads of one node ask for. */
export class ProbeDemand {
  /** The smallest bounds of this window and of the one before, ms; Infinity for no read. */
  #boundMs = Infinity;
  #boundMsBefore = Infinity;
  #windowEndMs = Number.NEGATIVE_INFINITY;

  /** Records a read with a bound; returns whether it needs more probes than those before. */
  asked(maxStalenessMs: number, nowMs: number): boolean {
    if (nowMs >= this.#windowEndMs) this.#endWindow(nowMs);
    if (maxStalenessMs >= this.#boundMs) return false;
    const before = this.#intervalMs;
    this.#boundMs = maxStalenessMs;
    return this.#intervalMs < before;
  }

  /** Returns the interval of probes, ms; Infinity if none are needed. */
  intervalMs(nowMs: number): number {
    if (nowMs >= this.#windowEndMs) this.#endWindow(nowMs);
    return this.#intervalMs;
  }

  get #intervalMs(): number {
    const boundMs = Math.min(this.#boundMs, this.#boundMsBefore);
    if (boundMs === Infinity) return Infinity;
    return Math.min(PROBE_MS_MAX, Math.max(PROBE_MS_MIN, boundMs / PROBES_PER_BOUND));
  }

  #endWindow(nowMs: number): void {
    const isNext = nowMs < this.#windowEndMs + WINDOW_MS;
    this.#boundMsBefore = isNext ? this.#boundMs : Infinity;
    this.#boundMs = Infinity;
    this.#windowEndMs = nowMs + WINDOW_MS;
  }
}
