/**
 * One partition's state machine, as the rest of the node sees it.
 *
 * (The interface comes first; the class of the same name takes its place.)
 */
import type { ApplyReply, EventSink, Position, StoredSpan } from "./reply.ts";

/** What the partitions of one node share: `new StoreShared({ bytesMax, seed })`. */
export interface StoreShared {
  /** Room for `count` more registrations? Admission asks; apply never refuses. */
  room(count: number): boolean;
  statistics(): {
    readonly agents: number;
    readonly gateways: number;
    readonly aliases: number;
    readonly tombstones: number;
    readonly recordBytes: number;
    readonly arenaBytes: number;
    readonly arenaBytesMax: number;
  };
  /** Live records by region, for metrics. */
  regionCounts(): { readonly region: string; readonly agents: number; readonly gateways: number }[];
}

/** An entry of the partition's log. */
export interface StoreEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

/** `new PartitionStore(options)`. */
export interface PartitionStoreOptions {
  readonly shared: StoreShared;
  /** The cluster's generation (group 0). */
  readonly generation: number;
  readonly sink?: EventSink;
}

/** One partition. */
export interface PartitionStore {
  /** Group time as last applied, ms. */
  readonly timeMs: number;
  readonly appliedIndex: number;
  readonly agentCount: number;
  readonly gatewayCount: number;
  readonly aliasCount: number;

  /** Applies the next entry. Never throws for what the entry holds. */
  apply(entry: StoreEntry): ApplyReply;

  // Reads. A slot is valid until the next apply.

  /** Kind 1, 2: 16 bytes of id; kind 3: the lower-case domain. -1: not there. No allocation. */
  find(kind: number, key: Uint8Array, start: number, end: number): number;
  /** Fills `into` with where the stored form stands (root pointer first), and returns it. */
  locate(slot: number, into: StoredSpan): StoredSpan;
  /** The lease's rest: by the leader's knowledge where it leads, else by the logged cover. */
  remainingMs(slot: number, nowMs: number): number;
  incarnationOf(slot: number): Position;
  /** Slots of the region's records with id after `afterId` (16 bytes), by id, at most `limit`. */
  listRegion(
    options: { kind: number; region: Uint8Array; afterId?: Uint8Array; limit: number },
  ): number[];

  // The leader's own knowledge: not replicated, lost with leadership.

  /** From the first applied entry of its own term on: leases go by the covers. */
  onBecomeLeader(nowMs: number): void;
  onLoseLeadership(): void;
  /**
   * `renewed`: answered from memory, nothing to log. `needs_extension`: propose
   * `extendCommand({ force: true })`, and once that is applied ask again.
   */
  renew(
    kind: number,
    id: Uint8Array,
    start: number,
    incarnation: Position,
    nowMs: number,
  ): "renewed" | "needs_extension" | "superseded" | "not_found" | "not_leader";
  /** When `extendCommand` or `expireCommand` next has something to say, group ms; Infinity: never. */
  nextDeadlineMs(): number;
  /** A command that extends covers that are wanted now, ready to propose; `undefined`: none. */
  extendCommand(
    options: { nowMs: number; unixS: number; force?: boolean },
  ): Uint8Array | undefined;
  /** A command that expires what is over, ready to propose; `undefined`: none. */
  expireCommand(
    options: { nowMs: number; unixS: number; limit?: number },
  ): Uint8Array | undefined;
  /** True while something could expire or be forgotten, so that the time must be logged. */
  wantsTime(): boolean;

  // Image: the same state gives the same bytes.

  /** The state in chunks of at most about 64 KiB; the state must not change in between. */
  writeImage(): Iterable<Uint8Array>;
  /** Loads an image, chunk boundaries as they come, into an empty store. */
  loadImage(chunks: Iterable<Uint8Array>): void;
  /** Gives all memory back. */
  release(): void;
}
