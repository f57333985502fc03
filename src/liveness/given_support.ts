/**
 * The supporter's side: which epoch of another node this one supports, and until when. It lives in
 * memory only; after a restart `Liveness.mayVote` stands in for it.
 *
 * Support lasts for a fixed time from the receipt of a beat. Once anybody saw that it lapsed it is
 * withdrawn for good: that epoch, and every one before it, is refused for ever. For whoever saw the
 * lapse may have voted meanwhile, and the other node may still hold promises under the old epoch.
 */

/** What became of a wish for support. `granted`: under an epoch that was not supported before. */
export type GrantOutcome = "granted" | "extended" | "refused";

/** Support for one other node. */
export class GivenSupport {
  readonly #supportMs: number;
  #epoch = 0;
  #untilMs = Number.NEGATIVE_INFINITY;
  #granted = 0;
  #refused = 0;

  constructor(supportMs: number) {
    this.#supportMs = supportMs;
  }

  /** The epoch supported at `nowMs`; 0: none. A lapse that is seen here is final. */
  epochAt(nowMs: number): number {
    if (this.#epoch !== 0 && nowMs >= this.#untilMs) this.withdraw();
    return this.#epoch;
  }

  /** Whether `epoch` is supported at `nowMs`, without any consequence: for who looks on. */
  isGivenAt(epoch: number, nowMs: number): boolean {
    return epoch === this.#epoch && nowMs < this.#untilMs;
  }

  /** The sequence of the other's beat that the support runs from; 0: none is given. */
  get granted(): number {
    return this.#granted;
  }

  /** The highest epoch that is never supported (again). */
  get refused(): number {
    return this.#refused;
  }

  /** Supports `epoch`, as beat `sequence` asked at `nowMs`, unless it is refused. */
  grant(epoch: number, sequence: number, nowMs: number): GrantOutcome {
    const current = this.epochAt(nowMs);
    if (epoch <= this.#refused) return "refused";
    if (epoch < current) {
      this.#refused = epoch;
      return "refused";
    }
    this.#untilMs = nowMs + this.#supportMs;
    this.#granted = sequence;
    if (epoch === current) return "extended";
    this.#refused = Math.max(this.#refused, current);
    this.#epoch = epoch;
    return "granted";
  }

  /** Ends the support for good. Returns whether there was any. */
  withdraw(): boolean {
    if (this.#epoch === 0) return false;
    this.#refused = this.#epoch;
    this.#epoch = 0;
    this.#granted = 0;
    this.#untilMs = Number.NEGATIVE_INFINITY;
    return true;
  }
}
