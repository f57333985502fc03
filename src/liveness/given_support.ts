/**
 * Support given to another node: the supported epoch, and its end. It is kept in memory only; after
 * a restart `Liveness.mayVote` takes its place.
 *
 * Support lasts for a fixed time from the receipt of a beat. Once a caller has seen that it lapsed,
 * it is withdrawn for good: that epoch and all earlier ones are refused forever. The caller that
 * saw the lapse may have voted since, and the other node may still hold promises under the old
 * epoch.
 */

/**
 * The outcome of a request for support. `granted`: under an epoch that was not supported before.
 */
export type GrantOutcome = "granted" | "extended" | "refused";

/** The support given to one other node. */
export class GivenSupport {
  readonly #supportMs: number;
  #epoch = 0;
  #untilMs = Number.NEGATIVE_INFINITY;
  #granted = 0;
  #refused = 0;

  constructor(supportMs: number) {
    this.#supportMs = supportMs;
  }

  /** Returns the epoch supported at `nowMs`; 0 for none. A lapse seen here is final. */
  epochAt(nowMs: number): number {
    if (this.#epoch !== 0 && nowMs >= this.#untilMs) this.withdraw();
    return this.#epoch;
  }

  /** Reports whether `epoch` is supported at `nowMs`. Has no side effects; for observers. */
  isGivenAt(epoch: number, nowMs: number): boolean {
    return epoch === this.#epoch && nowMs < this.#untilMs;
  }

  /** The end of the support given now; -Infinity if none is. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** The sequence of the other node's beat from which the support runs; 0 if none is given. */
  get granted(): number {
    return this.#granted;
  }

  /** The highest epoch that will never be supported (again). */
  get refused(): number {
    return this.#refused;
  }

  /** Supports `epoch`, requested by beat `sequence` at `nowMs`, unless it is refused. */
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

  /** Ends the support for good. Reports whether there was any. */
  withdraw(): boolean {
    if (this.#epoch === 0) return false;
    this.#refused = this.#epoch;
    this.#epoch = 0;
    this.#granted = 0;
    this.#untilMs = Number.NEGATIVE_INFINITY;
    return true;
  }
}
