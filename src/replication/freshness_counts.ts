/** Counts of a node's reads with a bound on their age, for metrics and its status. They only increase. */

/** Upper bounds of the buckets of proven ages, ms; one more bucket has no bound. */
export const AGE_BOUNDS_MS: readonly number[] = [
  ...[5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 100, 150, 200, 500],
  ...[1_000, 2_000, 4_000, 10_000, 60_000],
];

/** Why a follower did not permit a read with a bound. */
export type FreshnessMiss = "too_old" | "no_proof" | "leases_off" | "no_leader" | "no_answer";

/** The counts of one node. A part of an answer counts as a read of its own. */
export class FreshnessCounts {
  readonly #ages = new Float64Array(AGE_BOUNDS_MS.length + 1);
  #agesSumMs = 0;
  /** Reads that were not permitted: with the leader as the hint, and without one. */
  readonly redirected = new Map<FreshnessMiss, number>();
  readonly refused = new Map<FreshnessMiss, number>();

  /** Counts a read that was permitted with a proven age. */
  served(ageMs: number): void {
    let bucket = 0;
    while (bucket < AGE_BOUNDS_MS.length && ageMs > AGE_BOUNDS_MS[bucket]!) bucket++;
    this.#ages[bucket]!++;
    this.#agesSumMs += ageMs;
  }

  /** Counts a read that was not permitted. */
  missed(miss: FreshnessMiss, isRedirected: boolean): void {
    const counts = isRedirected ? this.redirected : this.refused;
    counts.set(miss, (counts.get(miss) ?? 0) + 1);
  }

  /** The reads that were permitted, by bucket. */
  get ages(): readonly number[] {
    return [...this.#ages];
  }

  /** The sum of their ages, ms. */
  get agesSumMs(): number {
    return this.#agesSumMs;
  }

  get servedCount(): number {
    return this.#ages.reduce((sum, count) => sum + count, 0);
  }

  get redirectedCount(): number {
    return sumOf(this.redirected);
  }

  get refusedCount(): number {
    return sumOf(this.refused);
  }

  /** Returns the bound of the bucket below which `part` of the ages are, ms; 0 without reads. */
  ageAt(part: number): number {
    let left = this.servedCount * part;
    if (left === 0) return 0;
    const at = this.#ages.findIndex((count) => (left -= count) <= 0);
    return AGE_BOUNDS_MS[at] ?? AGE_BOUNDS_MS.at(-1)!;
  }
}

function sumOf(counts: ReadonlyMap<FreshnessMiss, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
