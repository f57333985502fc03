/**
 * Listings of partitions of the source, and what they did not have. A partition whose changes cannot be
 * continued is listed: its records are marked as they come, and only after its complete state has come,
 * and was proven to be that of now, the mirrors without a mark are swept. A list that is empty, shorter
 * or cut off is no evidence before that. Each sweep names the change that was seen and the position of
 * the listing, so a mirror that changed since stays.
 */
import { comparePositions, type Position } from "../base/position.ts";
import type { HistoryPosition } from "../wire/watch_message.ts";
import type { MirrorChange } from "./partition_queue.ts";
import type { SeenAlias, SeenMirror } from "./mirror_target.ts";
import type { Partitioner } from "../ring/partition.ts";
import { KIND_AGENT } from "../record/key.ts";

/** The listing of one partition of the source. */
export interface Listing {
  readonly partition: number;
  /** By key of the record: the index of its claim, 0 for none. */
  readonly marks: Map<string, number>;
  /** The position as of which it is complete; undefined: it is not. */
  complete: HistoryPosition | undefined;
  /** Number of the event that completed it. */
  seq: number;
}

/** A sweep of a mirror or alias. */
export interface Sweep {
  readonly change: MirrorChange;
  /** The partition of the source, and the event that completed its listing. */
  readonly source: number;
  readonly seq: number;
}

/** The listings of one puller. */
export class Listings {
  readonly #partitioner: Partitioner;
  readonly #feed: number;
  readonly #listings = new Map<number, Listing>();

  /**
   * @param partitioner that of the source.
   * @param feed generation of the feed.
   */
  constructor(partitioner: Partitioner, feed: number) {
    this.#partitioner = partitioner;
    this.#feed = feed;
  }

  /** The partitions that are listed or not swept. */
  get partitions(): readonly number[] {
    return [...this.#listings.keys()];
  }

  /** Whether all listings are complete; true if there is none. */
  get areComplete(): boolean {
    for (const { complete } of this.#listings.values()) if (complete === undefined) return false;
    return true;
  }

  get isEmpty(): boolean {
    return this.#listings.size === 0;
  }

  /** Returns the listing of a partition; undefined if there is none. */
  of(partition: number): Listing | undefined {
    return this.#listings.get(partition);
  }

  /** Begins a listing, anew if there is one. */
  begin(partition: number): void {
    this.#listings.set(partition, { partition, marks: new Map(), complete: undefined, seq: 0 });
  }

  /** Marks a record of a partition that is listed; those of other partitions need no mark. */
  mark(partition: number, kind: number, id: Uint8Array, claim: Position): void {
    this.#listings.get(partition)?.marks.set(keyOf(kind, id), claim.index);
  }

  /** Removes the mark of a record that was removed while its partition is listed. */
  unmark(partition: number, kind: number, id: Uint8Array): void {
    this.#listings.get(partition)?.marks.delete(keyOf(kind, id));
  }

  /**
   * Records that a listing is complete as of a position, at event `seq`, unless the partition is listed
   * anew meanwhile.
   */
  complete(listing: Listing, position: HistoryPosition, seq: number): void {
    if (this.#listings.get(listing.partition) !== listing) return;
    listing.complete = position;
    listing.seq = seq;
  }

  /** Ends the listings of partitions that were swept, unless they began anew. */
  end(partitions: readonly number[]): void {
    for (const partition of partitions) {
      if (this.#listings.get(partition)?.complete !== undefined) this.#listings.delete(partition);
    }
  }

  /** Returns the sweep of a mirror; undefined if the source has the record, or it is not known. */
  sweepOf({ kind, id, feed, revision }: SeenMirror): Sweep | undefined {
    const found = this.#listed(kind, id);
    if (found === undefined || found.claim !== undefined) return undefined;
    const { source, seq, listed } = found;
    if (!this.#isCovered(feed, revision, listed)) return undefined;
    const item = { kind, id, feed, revision, listed };
    return { change: { list: "sweeps", item }, source, seq };
  }

  /** Returns the sweep of an alias; undefined if its agent holds the claim, or it is not known. */
  sweepOfAlias({ domain, agentId, claim, feed, revision }: SeenAlias): Sweep | undefined {
    const found = this.#listed(KIND_AGENT, agentId);
    if (found === undefined) return undefined;
    if (feed === this.#feed && found.claim === claim.index) return undefined;
    const { source, seq, listed } = found;
    if (!this.#isCovered(feed, revision, listed)) return undefined;
    const item = { domain, claim, feed, revision, listed };
    return { change: { list: "aliasSweeps", item }, source, seq };
  }

  #isCovered(feed: number, revision: Position, listed: Position): boolean {
    return feed < this.#feed || feed === this.#feed && comparePositions(revision, listed) <= 0;
  }

  /** Returns the complete listing that a record belongs to, and its claim there; undefined: no mark. */
  #listed(kind: number, id: Uint8Array) {
    const source = this.#partitioner.partitionOf(kind, id, 0, id.length);
    const listing = this.#listings.get(source);
    if (listing?.complete === undefined) return undefined;
    const { complete: { generation, index }, seq, marks } = listing;
    return { source, seq, listed: { generation, index }, claim: marks.get(keyOf(kind, id)) };
  }
}

/** Returns the key of a mark: the kind and the id, as text of two bytes each. */
function keyOf(kind: number, id: Uint8Array): string {
  const at = (index: number) => id[index]! << 8 | id[index + 1]!;
  // A spread of the bytes takes ten times as long.
  return String.fromCharCode(kind, at(0), at(2), at(4), at(6), at(8), at(10), at(12), at(14));
}
