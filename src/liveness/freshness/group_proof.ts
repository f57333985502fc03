/**
 * Proofs about one replica: the index up to which its group was committed, and at which moment. A replica
 * that has applied that index holds everything that was acknowledged before that moment.
 *
 * The newest assertion is kept with the series of answers that it belongs to; each further answer of
 * the series repeats it, so its moment is that of the series' newest answer. Earlier assertions are
 * kept with moments of their own, for a replica that has not applied the newest index yet: what was
 * true of a moment stays true of it.
 */
import { PROOFS_KEPT } from "../../base/limits.ts";
import type { NodeId } from "../../base/ids.ts";
import { type Moment, NEVER } from "./proof_clock.ts";

/** The answers of one node in one epoch. */
export class ProofSeries {
  readonly node: NodeId;
  /** The run of that node, and the number of the full list that the answers began with. */
  readonly run: number;
  readonly list: number;
  /** The last counter taken. */
  counter = 0;
  /** When the probe was sent that the newest answer answers. */
  #newest: Moment = NEVER;
  #isVoid = false;

  constructor(node: NodeId, run: number, list: number) {
    this.node = node;
    this.run = run;
    this.list = list;
  }

  /** The moment of which all its assertions hold; {@link NEVER} if it is void. */
  get newest(): Moment {
    return this.#isVoid ? NEVER : this.#newest;
  }

  /** Whether nothing of it may be relied on. */
  get isVoid(): boolean {
    return this.#isVoid;
  }

  /** Moves it on to the moment of a further answer; never back. */
  advance(moment: Moment): void {
    if (moment.monotonicMs > this.#newest.monotonicMs) this.#newest = moment;
  }

  /** Ends it: none of its assertions counts any more. */
  void(): void {
    this.#isVoid = true;
  }
}

/** An assertion that was replaced by a newer one. */
interface Earlier {
  readonly series: ProofSeries;
  readonly index: number;
  readonly moment: Moment;
}

/** The proofs of one replica. */
export class GroupProof {
  readonly #appliedIndex: () => number;
  #series: ProofSeries | undefined;
  #term = 0;
  #index = 0;
  /** Ordered by moment and index, the oldest first. */
  #earlier: Earlier[] = [];

  /** @param appliedIndex returns the index that the replica has applied. */
  constructor(appliedIndex: () => number) {
    this.#appliedIndex = appliedIndex;
  }

  /** Takes what an answer of `series` asserts: `index` is committed, by the leader of `term`. */
  assert(series: ProofSeries, term: number, index: number): void {
    const known = this.#series;
    // A former leader's answer may come later than one of its successor.
    if (known !== undefined && !known.isVoid && term < this.#term) return;
    this.#keep();
    this.#series = series;
    this.#term = term;
    this.#index = index;
  }

  /** Takes that answers of `series` assert nothing of this group any more. */
  leave(series: ProofSeries): void {
    if (this.#series !== series) return;
    this.#keep();
    this.#series = undefined;
  }

  /** Returns the latest moment of which the applied state is known to hold everything. */
  moment(appliedIndex: number): Moment {
    const series = this.#series;
    if (series !== undefined && this.#index <= appliedIndex) {
      const { newest } = series;
      if (newest !== NEVER) return newest;
    }
    for (let at = this.#earlier.length - 1; at >= 0; at--) {
      const earlier = this.#earlier[at]!;
      if (earlier.index <= appliedIndex && !earlier.series.isVoid) return earlier.moment;
    }
    return NEVER;
  }

  /** Keeps the newest assertion, with its moment. */
  #keep(): void {
    const series = this.#series;
    if (series === undefined || series.newest === NEVER) return;
    // An applied one is newer than all earlier ones, and of more use.
    if (this.#index <= this.#appliedIndex()) this.#earlier.length = 0;
    else if (this.#earlier.length >= PROOFS_KEPT) this.#prune();
    this.#earlier.push({ series, index: this.#index, moment: series.newest });
  }

  /** Drops what newer proofs replace; beyond the limit, every second one, which only costs age. */
  #prune(): void {
    const applied = this.#appliedIndex();
    const valid = this.#earlier.filter(({ series }) => !series.isVoid);
    const usable = valid.findLastIndex(({ index }) => index <= applied);
    const kept = usable > 0 ? valid.slice(usable) : valid;
    this.#earlier = kept.length < PROOFS_KEPT ? kept : kept.filter((_, at) => at % 2 === 0);
  }
}
