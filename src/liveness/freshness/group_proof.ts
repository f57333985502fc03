/**
 * Proofs about one replica: the index up to which its group was committed, and at which moment. A replica
 * that has applied that index holds everything that was acknowledged before that moment.
 *
 * The newest assertion of each node is kept with the series of answers that it belongs to; each further
 * answer of the series repeats it, so its moment is that of the series' newest answer. Earlier
 * assertions are kept with moments of their own, for a replica that has not applied the newest index
 * yet: what was true of a moment stays true of it. No node's assertion replaces that of another one.
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

/** The replica whose proofs are kept. Its fields are read anew each time. */
export interface ProvenReplica {
  /** The last entry that it has applied. */
  readonly applied: { readonly index: number; readonly term: number };
  /** Reports whether a member of the group is on `node`. */
  hasMemberOn(node: NodeId): boolean;
}

/** The assertion of a node about one group. */
interface Asserted {
  series: ProofSeries;
  term: number;
  index: number;
  /** Whether a member of the group was seen on that node. */
  isMember: boolean;
}

/** An assertion that was replaced by a newer one. */
interface Earlier extends Asserted {
  readonly moment: Moment;
}

/** The proofs of one replica. */
export class GroupProof {
  readonly #replica: ProvenReplica;
  /** By node; two while leadership moves. */
  readonly #current: Asserted[] = [];
  /** Ordered by when they were replaced, the oldest first. */
  #earlier: Earlier[] = [];

  constructor(replica: ProvenReplica) {
    this.#replica = replica;
  }

  /** Takes what an answer of `series` asserts: `index` is committed, by the leader of `term`. */
  assert(series: ProofSeries, term: number, index: number): void {
    const known = this.#currentOf(series.node);
    if (known === undefined) {
      this.#current.push({ series, term, index, isMember: false });
      return;
    }
    this.#keep(known);
    known.series = series;
    known.term = term;
    known.index = index;
  }

  /** Takes that answers of `series` assert nothing of this group any more. */
  leave(series: ProofSeries): void {
    const known = this.#currentOf(series.node);
    if (known?.series !== series) return;
    this.#keep(known);
    this.#current.splice(this.#current.indexOf(known), 1);
  }

  /** Returns the latest moment of which the applied state is known to hold everything. */
  moment(): Moment {
    let latest = NEVER;
    for (const current of this.#current) {
      const { newest } = current.series;
      if (newest.monotonicMs > latest.monotonicMs && this.#isApplied(current)) latest = newest;
    }
    if (latest !== NEVER) return latest;
    for (let at = this.#earlier.length - 1; at >= 0; at--) {
      const earlier = this.#earlier[at]!;
      if (!earlier.series.isVoid && this.#isApplied(earlier)) return earlier.moment;
    }
    return NEVER;
  }

  /**
   * Reports whether the replica holds what is asserted. An entry of the asserted term is at or before
   * the asserted index, so a replica that has applied the index and no such entry was told what is not
   * so. Nor does a node say anything of a group without a member there.
   */
  #isApplied(asserted: Asserted): boolean {
    const { applied } = this.#replica;
    if (asserted.index > applied.index || asserted.term > applied.term) return false;
    return asserted.isMember ||= this.#replica.hasMemberOn(asserted.series.node);
  }

  #currentOf(node: NodeId): Asserted | undefined {
    for (const current of this.#current) if (current.series.node === node) return current;
    return undefined;
  }

  /** Keeps an assertion that is about to be replaced, with its moment. */
  #keep(asserted: Asserted): void {
    const moment = asserted.series.newest;
    if (moment === NEVER) return;
    const earlier = { ...asserted, moment };
    // An applied one is newer than all earlier ones, and of more use.
    if (this.#isApplied(earlier)) this.#earlier.length = 0;
    else if (this.#earlier.length >= PROOFS_KEPT) this.#prune();
    this.#earlier.push(earlier);
  }

  /** Drops what newer proofs replace; beyond the limit, every second one, which only costs age. */
  #prune(): void {
    const valid = this.#earlier.filter(({ series }) => !series.isVoid);
    const usable = valid.findLastIndex((earlier) => this.#isApplied(earlier));
    const kept = usable > 0 ? valid.slice(usable) : valid;
    this.#earlier = kept.length < PROOFS_KEPT ? kept : kept.filter((_, at) => at % 2 === 0);
  }
}
