/**
 * The changes on their way to one partition of this cluster: those that wait, and the batch that was
 * sent. Batches are numbered without a gap, and one is sent at a time. One whose outcome is unknown is
 * sent again as it is, because it may have been applied under its number.
 */
import type {
  MirrorAliasItem,
  MirrorAliasSweep,
  MirrorBatchCommand,
  MirrorPut,
  MirrorRemoval,
  MirrorSweep,
} from "../../schemas/gen/command.ts";
import type { Input } from "../../schemas/runtime.ts";
import { defined } from "../base/assert.ts";
import { MIRROR_BATCH_BYTES_MAX, MIRROR_BATCH_ITEMS_MAX } from "../base/limits.ts";
import type { ReachedCursor } from "./cursor_book.ts";
import type { Received } from "./received_order.ts";

/** A change for one partition, with the list of the command that it belongs to. */
export type MirrorChange =
  | { readonly list: "puts"; readonly item: Input<MirrorPut> }
  | { readonly list: "removals"; readonly item: Input<MirrorRemoval> }
  | { readonly list: "sweeps"; readonly item: Input<MirrorSweep> }
  | { readonly list: "aliases" | "aliasRemovals"; readonly item: Input<MirrorAliasItem> }
  | { readonly list: "aliasSweeps"; readonly item: Input<MirrorAliasSweep> };

/** A change that waits. */
export interface QueuedChange {
  readonly change: MirrorChange;
  /** Its share of a command, bytes, roughly. */
  readonly bytes: number;
  /** The event that it is a part of. */
  readonly received: Received;
  /** Number of the event after which a saved cursor covers it. */
  readonly coveredSeq: number;
}

/** A batch that was sent. */
export interface SentBatch {
  readonly number: number;
  readonly changes: readonly QueuedChange[];
  readonly cursors: readonly ReachedCursor[];
  readonly bytes: number;
}

/** Origin of the batches of a puller. */
export interface BatchSource {
  readonly home: string;
  readonly shard: number;
  readonly fence: number;
  readonly feed: number;
}

/** A batch that may have left tombstones, and the event that a saved cursor must cover to settle it. */
interface Buried {
  readonly number: number;
  readonly seq: number;
}

/** Size of a cursor in a command, bytes. */
const CURSOR_BYTES = 24;

/** The changes for one partition. */
export class PartitionQueue {
  readonly partition: number;
  isFenced = false;
  isInFlight = false;
  /** Whether the sender lists it among the queues with something to send, and among those to send first. */
  isListed = false;
  isListedFull = false;
  /** When its first change began to wait, monotonic ms. */
  sinceMs = 0;
  /** Failed attempts in a row, and the time before which no other one is made. */
  attempts = 0;
  notBeforeMs = 0;
  /** Number of the event that proved the source's state as of after the fence; undefined: none yet. */
  freshAfterFence: number | undefined;
  #waiting: QueuedChange[] = [];
  #cursors: ReachedCursor[] = [];
  #sent: SentBatch | undefined;
  /** Whether the batch that was sent may have been applied. */
  #isUnknown = false;
  #applied = 0;
  #buried: Buried[] = [];

  constructor(partition: number) {
    this.partition = partition;
  }

  /** The number of changes that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether there is anything to send. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#cursors.length === 0 && this.#sent === undefined;
  }

  add(change: QueuedChange): void {
    this.#waiting.push(change);
  }

  /** Adds cursors to be saved. They are sent before the changes that wait. */
  save(cursors: readonly ReachedCursor[]): void {
    this.#cursors.push(...cursors);
  }

  /** Returns the batch to send: the one sent before, if it is to be repeated, or the next one. */
  next(): SentBatch {
    if (this.#sent !== undefined) return this.#sent;
    const cursors = this.#cursors.splice(0, MIRROR_BATCH_ITEMS_MAX);
    let bytes = cursors.length * CURSOR_BYTES;
    let count = 0;
    // Cursors go alone: they settle removals, for which there may be no room before.
    while (cursors.length === 0 && count < Math.min(this.#waiting.length, MIRROR_BATCH_ITEMS_MAX)) {
      const size = this.#waiting[count]!.bytes;
      if (count > 0 && bytes + size > MIRROR_BATCH_BYTES_MAX) break;
      bytes += size;
      count++;
    }
    const changes = this.#waiting.splice(0, count);
    return this.#sent = { number: this.#applied + 1, changes, cursors, bytes };
  }

  /** Returns the body of a batch. `savedThrough`: see `CursorBook`. */
  body(
    { number, changes, cursors }: SentBatch,
    source: BatchSource,
    savedThrough: number,
  ): Input<MirrorBatchCommand> {
    const body = {
      ...source,
      number,
      settled: this.#settled(savedThrough),
      settledEarlier: this.freshAfterFence !== undefined && this.freshAfterFence <= savedThrough,
      puts: [] as Input<MirrorPut>[],
      removals: [] as Input<MirrorRemoval>[],
      sweeps: [] as Input<MirrorSweep>[],
      aliases: [] as Input<MirrorAliasItem>[],
      aliasRemovals: [] as Input<MirrorAliasItem>[],
      aliasSweeps: [] as Input<MirrorAliasSweep>[],
      cursors: cursors.map(({ cursor }) => cursor),
    };
    for (const { change: { list, item } } of changes) (body[list] as unknown[]).push(item);
    return body;
  }

  /** Returns the number of the batch up to which no change can come again. */
  #settled(savedThrough: number): number {
    let count = 0;
    while (count < this.#buried.length && this.#buried[count]!.seq <= savedThrough) count++;
    if (count > 0) this.#buried = this.#buried.slice(count);
    return (this.#buried[0]?.number ?? this.#applied + 1) - 1;
  }

  /** Records that the batch that was sent is applied, and returns it. */
  applied(): SentBatch {
    const sent = defined(this.#sent, "A batch was sent");
    this.#sent = undefined;
    this.#isUnknown = false;
    this.#applied = sent.number;
    let seq = 0;
    for (const { change: { list }, coveredSeq } of sent.changes) {
      if (list === "removals" || list === "sweeps") seq = Math.max(seq, coveredSeq);
    }
    if (seq > 0) this.#buried.push({ number: sent.number, seq });
    return sent;
  }

  /**
   * Records that the last attempt to send the batch failed. If no attempt can have had an effect, it is
   * composed again; a refusal says nothing about the attempts before.
   */
  failed(isUnapplied: boolean): void {
    if (this.#sent === undefined) return;
    if (!isUnapplied || this.#isUnknown) {
      this.#isUnknown = true;
      return;
    }
    const { changes, cursors } = this.#sent;
    this.#sent = undefined;
    this.#waiting = [...changes, ...this.#waiting];
    this.#cursors = [...cursors, ...this.#cursors];
  }
}
