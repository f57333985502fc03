/**
 * Mirrors as reads and pullers find them. Which one of several a read serves is decided by a choice
 * among the regions, which knows what this node prefers and how fresh each one is; that is no state. A
 * slot is valid until the next apply.
 */
import type { MirrorAliasView, MirrorView } from "../../../schemas/gen/record.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import { KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../record/key.ts";
import type { OwnedView } from "../../record/kind_row.ts";
import type { PartitionState } from "../partition_state.ts";
import type { StoredSpan } from "../reply.ts";
import type { MirrorSourceState } from "./mirror_sources.ts";

/** Lowest rank of suspended regions, whose mirrors may be out of date. */
export const SUSPENDED_RANK = 64;

/** A preference among regions. */
export interface MirrorChoice {
  /**
   * Returns the rank of the region whose name is at `[start, end)`: the lowest is served; Infinity: none
   * of its mirrors is. See {@link SUSPENDED_RANK}.
   */
  rankOf(bytes: Uint8Array, start: number, end: number): number;
}

/** Reads of one partition's mirrors. */
export class MirrorReads {
  readonly #state: () => PartitionState;
  readonly #found: number[] = [];

  /** @param state returns the current state, which images replace. */
  constructor(state: () => PartitionState) {
    this.#state = state;
  }

  /**
   * Forgets how far the feeds of other regions were followed, and by whom, in a state that is rebuilt from
   * images of several moments. A cursor may cover changes that the mirrors of another partition lack. A
   * fence may be one that group 0 has lost and assigns again: the batches of its new puller would count as
   * repeated. Former pullers stay refused, as their fences must be logged before their batches.
   *
   * Group 0 may have lost the generation of a feed, too, and would assign its number again, or a lower one.
   * Mirrors of such a feed come to be of feed 0, which is before all: they are served, and the next
   * complete listing judges each of them.
   *
   * @param feedOf returns the feed of a region as group 0 has it.
   */
  forgetPullers(feedOf: (home: string) => number): void {
    const { mirrors, table } = this.#state();
    mirrors.sources.forgetPullers();
    for (const source of mirrors.sources.all) {
      const feed = feedOf(source.home);
      if (source.feed > feed) source.begin(feed);
    }
    for (let slot = 0; slot < table.count; slot++) {
      const kind = table.kindOf(slot);
      if (kind !== KIND_MIRROR && kind !== KIND_MIRROR_ALIAS) continue;
      const view = kind === KIND_MIRROR ? mirrors.view(slot) : mirrors.aliasView(slot);
      if (view.feed > feedOf(view.home)) view.feed = 0;
    }
  }

  /** The regions that have mirrors here, or had. */
  get homes(): string[] {
    return this.#state().mirrors.sources.all.map(({ home }) => home);
  }

  /** Whether no region has mirrors here, so that a search for one can be left out. */
  get isEmpty(): boolean {
    return this.#state().mirrors.sources.isEmpty;
  }

  /** Reports whether the slot holds a mirror. */
  isMirror(slot: number): boolean {
    return this.#state().table.kindOf(slot) === KIND_MIRROR;
  }

  /** Returns the shared view on a mirror's slot; any use of a partition of the node repositions it. */
  view(slot: number): MirrorView {
    return this.#state().mirrors.view(slot);
  }

  /** Returns the shared view on an alias' slot; any use of a partition of the node repositions it. */
  aliasView(slot: number): MirrorAliasView {
    return this.#state().mirrors.aliasView(slot);
  }

  /** Returns the shared view on the record of a mirror. */
  recordView(slot: number): OwnedView {
    return this.#state().mirrors.recordView(slot);
  }

  /** Sets `into` to the location of the stored form of a mirror's record. */
  locate(slot: number, into: StoredSpan): StoredSpan {
    return this.#state().mirrors.locateRecord(slot, into);
  }

  /**
   * Returns the slot of the mirror of a record that the choice ranks best; -1 if it serves none.
   *
   * @param id 16 bytes at `at`.
   */
  find(kind: number, id: Uint8Array, at: number, choice: MirrorChoice): number {
    const { mirrors } = this.#state();
    let best = -1;
    let bestRank = Infinity;
    for (const slot of mirrors.find(kind, id, at, this.#found)) {
      const rank = rankOf(mirrors.view(slot), choice);
      if (rank >= bestRank) continue;
      best = slot;
      bestRank = rank;
    }
    return best;
  }

  /** Returns the rank of a mirror's slot. */
  rankOf(slot: number, choice: MirrorChoice): number {
    return rankOf(this.view(slot), choice);
  }

  /** Returns the slot of a region's mirror of a record; -1 if there is none. */
  findOf(kind: number, id: Uint8Array, home: string): number {
    const { mirrors } = this.#state();
    const source = mirrors.sources.find(home);
    return source === undefined ? -1 : mirrors.findOf(source, kind, id, 0);
  }

  /** Returns the slots of the mirrors with a key of the table (MIRROR_KEY_BYTES), until the next call. */
  slotsOf(key: Uint8Array): readonly number[] {
    return this.#state().mirrors.find(key[UUID_BYTES]!, key, 0, this.#found);
  }

  /** Returns the slots of the aliases of a domain that the choice serves, the best first. */
  aliases(domain: Uint8Array, start: number, end: number, choice: MirrorChoice): number[] {
    const { mirrors } = this.#state();
    const rank = (slot: number) => rankOf(mirrors.aliasView(slot), choice);
    return mirrors.findAliases(domain, start, end, this.#found)
      .filter((slot) => rank(slot) < Infinity)
      .sort((left, right) => rank(left) - rank(right));
  }

  /** Returns what the partition knows of the feed of a region; undefined if it has none. */
  source(home: string): MirrorSourceState | undefined {
    return this.#state().mirrors.sources.find(home);
  }
}

/** Returns the rank of the home of a mirror or an alias. */
export function rankOf(view: MirrorView | MirrorAliasView, choice: MirrorChoice): number {
  const start = view.homeOffset;
  return choice.rankOf(view.$bytes, start, start + view.homeLength);
}
