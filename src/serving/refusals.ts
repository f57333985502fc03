/**
 * Refused handshakes and certificate requests. They are counted by reason for the metrics, and a
 * sample is logged, on this node and not in group 0: unauthenticated clients must not be able to
 * fill the audit log or the disk.
 */
import { REFUSAL_REASONS_MAX, REFUSAL_SAMPLE_MS } from "../base/limits.ts";
import type { LogFacts, Logger } from "../base/logger.ts";
import type { MonotonicClock } from "../base/world.ts";

/** Counts and samples refusals. One instance for a node. */
export class Refusals {
  readonly #monotonic: MonotonicClock;
  readonly #logger: Logger;
  readonly #counts = new Map<string, number>();
  readonly #handshakes = new Map<string, number>();
  #sampledMs = -Infinity;

  constructor({ monotonic, logger }: { monotonic: MonotonicClock; logger: Logger }) {
    this.#monotonic = monotonic;
    this.#logger = logger;
  }

  /** Number of refusals since the start, by reason. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Number of refused handshakes since the start, by reason; included in {@link counts}. */
  get handshakes(): ReadonlyMap<string, number> {
    return this.#handshakes;
  }

  /** Counts a refused handshake; otherwise as {@link note}. */
  noteHandshake(reason: string, facts: LogFacts): void {
    countIn(this.#handshakes, reason);
    this.note("A handshake was refused", reason, facts);
  }

  /**
   * Counts a refusal, and logs it unless another was logged within the last REFUSAL_SAMPLE_MS.
   *
   * @param what log message, a sentence.
   * @param reason one of a closed set of words; beyond `REFUSAL_REASONS_MAX` all count as `other`.
   */
  note(what: string, reason: string, facts: LogFacts): void {
    const count = countIn(this.#counts, reason);
    const nowMs = this.#monotonic.nowMs();
    if (nowMs < this.#sampledMs + REFUSAL_SAMPLE_MS) return;
    this.#sampledMs = nowMs;
    this.#logger.warn(what, { ...facts, reason, count });
  }
}

/** Increments the count of a reason and returns it. */
function countIn(counts: Map<string, number>, reason: string): number {
  const key = counts.has(reason) || counts.size < REFUSAL_REASONS_MAX ? reason : "other";
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count;
}
