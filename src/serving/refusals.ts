/**
 * Identities that were refused: handshakes and requests for certificates. Counted by reason for the
 * metrics, and now and then logged, here and not in group 0: a stranger must be able to fill neither
 * the audit log nor the disk.
 */
import { REFUSAL_REASONS_MAX, REFUSAL_SAMPLE_MS } from "../base/limits.ts";
import type { LogFacts, Logger } from "../base/logger.ts";
import type { MonotonicClock } from "../base/world.ts";

/** Counts and samples refusals. One for a node. */
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

  /** Refusals since the start, by reason. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Those of them that ended a handshake. */
  get handshakes(): ReadonlyMap<string, number> {
    return this.#handshakes;
  }

  /** As {@link note}, of somebody who wanted to prove an identity. */
  noteHandshake(reason: string, facts: LogFacts): void {
    countIn(this.#handshakes, reason);
    this.note("A handshake was refused", reason, facts);
  }

  /**
   * Counts one, and logs it unless another was logged just before.
   *
   * @param what in a sentence.
   * @param reason one of a closed set of words; beyond `REFUSAL_REASONS_MAX` all are `other`.
   */
  note(what: string, reason: string, facts: LogFacts): void {
    const count = countIn(this.#counts, reason);
    const nowMs = this.#monotonic.nowMs();
    if (nowMs < this.#sampledMs + REFUSAL_SAMPLE_MS) return;
    this.#sampledMs = nowMs;
    this.#logger.warn(what, { ...facts, reason, count });
  }
}

/** Counts one more and returns how many there are. */
function countIn(counts: Map<string, number>, reason: string): number {
  const key = counts.has(reason) || counts.size < REFUSAL_REASONS_MAX ? reason : "other";
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count;
}
