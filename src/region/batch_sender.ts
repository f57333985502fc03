/**
 * Sends a puller's changes to the partitions of this cluster, in batches: a fence first, then one batch
 * at a time in each partition, and a bounded number in all. A few changes leave at once; while many
 * wait, a partition's batch is sent when it is worth an entry of the log. A batch is repeated until it
 * is known to be applied; a refusal that no repetition mends ends the puller.
 */
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  MIRROR_BATCHES_IN_FLIGHT_MAX,
  MIRROR_BULK_CHANGES_MIN,
  MIRROR_BULK_FULL,
  MIRROR_BULK_MS_MAX,
  MIRROR_BULK_REST_MS,
  MIRROR_CHANGES_IN_FLIGHT_BESIDE_MAX,
  MIRROR_CHANGES_IN_FLIGHT_MAX,
  MIRROR_RETRY_MS_BASE,
  MIRROR_RETRY_MS_CAP,
  MIRROR_SLOW_MS,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import { backOffMs } from "../client/retry.ts";
import { encodeMirrorBatch, encodeMirrorFence } from "../record/command.ts";
import type { ReachedCursor } from "./cursor_book.ts";
import type { LogShare } from "./log_share.ts";
import type { LoggedMirrors, MirrorTarget } from "./mirror_target.ts";
import {
  type BatchSource,
  PartitionQueue,
  type QueuedChange,
  type SentBatch,
} from "./partition_queue.ts";

/** Dependencies of a {@link BatchSender}. */
export interface BatchSenderParts {
  readonly source: BatchSource;
  readonly target: MirrorTarget;
  readonly world: World;
  readonly share: LogShare;
  /** Returns the number of the event up to which saved cursors cover all changes. */
  readonly savedThrough: () => number;
  /** Records that a batch was applied, and how many of its changes were refused. */
  readonly onApplied: (batch: SentBatch, logged: LoggedMirrors) => void;
  /** Called when the partition has no room for removals before cursors are saved. */
  readonly onCrowded: () => void;
  /** Called once, when the puller cannot go on. */
  readonly onFailed: (error: RegistryError) => void;
}

/** A batch, or a fence, on its way. */
interface Sent {
  /** The number of its changes. */
  readonly changes: number;
  /** Monotonic ms. */
  readonly sentMs: number;
}

/** The batches of one puller. */
export class BatchSender {
  readonly #parts: BatchSenderParts;
  readonly #queues: PartitionQueue[];
  /** Queues with something to send, the one that waits longest first; and those to send before them. */
  #listed: PartitionQueue[] = [];
  #full: PartitionQueue[] = [];
  /** Queues that were fenced after the latest proof of the source's state. */
  #unproven: { readonly queue: PartitionQueue; readonly fencedMs: number }[] = [];
  readonly #inFlight = new Set<Sent>();
  /** When a change was last added, monotonic ms. */
  #addedMs = 0;
  #isStopped = false;
  #timer: Timer | undefined;
  /** When the timer is due, monotonic ms. */
  #wakeMs = Infinity;
  /** Changes that wait, and bytes that wait or are on their way. */
  waiting = 0;
  bytes = 0;
  /** Whether the puller takes no more events until some are applied. */
  isPressed = false;

  constructor(parts: BatchSenderParts) {
    this.#parts = parts;
    const { partitionCount } = parts.target;
    this.#queues = Array.from({ length: partitionCount }, (_, id) => new PartitionQueue(id));
  }

  /** Adds a change for a partition; {@link flush} sends it. */
  add(partition: number, change: QueuedChange): void {
    const queue = this.#queues[partition]!;
    this.#addedMs = this.#nowMs();
    if (queue.waiting === 0) queue.sinceMs = this.#addedMs;
    queue.add(change);
    this.waiting++;
    this.bytes += change.bytes;
    this.#list(queue);
  }

  /** Saves cursors in a partition. */
  save(partition: number, cursors: readonly ReachedCursor[]): void {
    const queue = this.#queues[partition]!;
    queue.save(cursors);
    this.#list(queue);
    // They are few, and what they settle may be waited for.
    this.#list(queue, true);
    this.flush();
  }

  /** Sends what is due. */
  flush(): void {
    while (!this.#isStopped && this.#hasRoom()) {
      const queue = this.#takeDue();
      if (queue === undefined) return;
      void this.#send(queue);
    }
  }

  /** Reports whether another batch may be sent; if not because of many changes, sets a timer. */
  #hasRoom(): boolean {
    if (this.#inFlight.size >= MIRROR_BATCHES_IN_FLIGHT_MAX) return false;
    const slowMs = this.#nowMs() - MIRROR_SLOW_MS;
    let changes = 0;
    for (const sent of this.#inFlight) if (sent.sentMs > slowMs) changes += sent.changes;
    const changesMax = this.#parts.share.isAlone
      ? MIRROR_CHANGES_IN_FLIGHT_MAX
      : MIRROR_CHANGES_IN_FLIGHT_BESIDE_MAX;
    if (changes < changesMax) return true;
    this.#wake(MIRROR_SLOW_MS);
    return false;
  }

  /** Logs the fence in a partition; rejects if the puller cannot go on. */
  async fence(partition: number): Promise<void> {
    const queue = this.#queues[partition]!;
    for (let attempt = 1; !queue.isFenced; attempt++) {
      if (this.#isStopped) throw new RegistryError("canceled", "The puller was stopped");
      try {
        await this.#fence(queue);
      } catch (cause) {
        const error = toRegistryError(cause);
        if (!mayRepeat(error)) throw error;
        await this.#pause(this.#backOffMs(attempt));
      }
    }
  }

  /** Records that event `seq` proved the source's state as of a monotonic time. */
  proven(asOfMs: number, seq: number): void {
    if (this.#unproven.length === 0) return;
    this.#unproven = this.#unproven.filter(({ queue, fencedMs }) => {
      if (fencedMs > asOfMs) return true;
      queue.freshAfterFence = seq;
      return false;
    });
  }

  /** Sends nothing more. What is on its way may still be applied. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #nowMs(): number {
    return this.#parts.world.monotonic.nowMs();
  }

  /** Adds a queue to those that can be sent, unless it is on its way or listed. */
  #list(queue: PartitionQueue, isUrgent = queue.waiting >= MIRROR_BULK_FULL): void {
    if (queue.isInFlight || queue.isEmpty) return;
    if (!queue.isListed) {
      queue.isListed = true;
      this.#listed.push(queue);
    }
    if (isUrgent && !queue.isListedFull) {
      queue.isListedFull = true;
      this.#full.push(queue);
    }
  }

  /** Returns a queue whose batch is due; if there is none, sets a timer for the next one. */
  #takeDue(): PartitionQueue | undefined {
    const nowMs = this.#nowMs();
    const full = this.#takeReady(this.#full, nowMs);
    if (full !== undefined) return full;
    const isBulk = this.waiting >= MIRROR_BULK_CHANGES_MIN && !this.isPressed;
    const first = this.#takeReady(this.#listed, nowMs);
    if (first === undefined) return undefined;
    const dueMs = Math.min(
      first.sinceMs + MIRROR_BULK_MS_MAX,
      this.#addedMs + MIRROR_BULK_REST_MS,
    );
    const leftMs = isBulk ? dueMs - nowMs : 0;
    if (leftMs <= 0) return first;
    first.isListed = true;
    this.#listed.unshift(first);
    this.#wake(leftMs);
    return undefined;
  }

  /** Takes the first queue of a list that can be sent now; those that cannot go to its end. */
  #takeReady(list: PartitionQueue[], nowMs: number): PartitionQueue | undefined {
    let earliestMs = Infinity;
    for (let count = list.length; count > 0; count--) {
      const queue = list.shift()!;
      const isFull = list === this.#full;
      if (isFull) queue.isListedFull = false;
      else queue.isListed = false;
      if (queue.isInFlight || queue.isEmpty) continue;
      if (queue.notBeforeMs <= nowMs) return queue;
      earliestMs = Math.min(earliestMs, queue.notBeforeMs);
      this.#list(queue, isFull);
    }
    if (earliestMs < Infinity) this.#wake(earliestMs - nowMs);
    return undefined;
  }

  #wake(delayMs: number): void {
    const atMs = this.#nowMs() + delayMs;
    if (atMs >= this.#wakeMs) return;
    this.#timer?.cancel();
    this.#wakeMs = atMs;
    this.#timer = this.#parts.world.scheduler.after(Math.ceil(delayMs), () => {
      this.#wakeMs = Infinity;
      this.flush();
    });
  }

  /** Sends the fence of a queue, or, once it is logged, its next batch. */
  async #send(queue: PartitionQueue): Promise<void> {
    const batch = queue.isFenced ? this.#compose(queue) : undefined;
    const sent = { changes: batch?.changes.length ?? 0, sentMs: this.#nowMs() };
    queue.isInFlight = true;
    this.#inFlight.add(sent);
    try {
      if (batch === undefined) await this.#fence(queue);
      else await this.#sendBatch(queue, batch);
    } catch (cause) {
      if (!this.#isStopped) this.#failed(queue, toRegistryError(cause));
    } finally {
      queue.isInFlight = false;
      this.#inFlight.delete(sent);
      this.#list(queue);
      this.flush();
    }
  }

  async #sendBatch(queue: PartitionQueue, batch: SentBatch): Promise<void> {
    await this.#pause(this.#parts.share.take(batch.bytes, this.#nowMs()));
    if (this.#isStopped) return;
    const logged = await this.#log(queue, batch);
    if (!this.#isStopped) this.#applied(queue, logged);
  }

  #compose(queue: PartitionQueue): SentBatch {
    const before = queue.waiting;
    const batch = queue.next();
    this.waiting -= before - queue.waiting;
    queue.sinceMs = this.#nowMs();
    return batch;
  }

  async #log(queue: PartitionQueue, batch: SentBatch): Promise<LoggedMirrors> {
    const { target, source, savedThrough } = this.#parts;
    const body = queue.body(batch, source, savedThrough());
    return await target.log(queue.partition, encodeMirrorBatch(NO_HEADER, body));
  }

  #applied(queue: PartitionQueue, logged: LoggedMirrors): void {
    const batch = queue.applied();
    queue.attempts = 0;
    for (const { bytes } of batch.changes) this.bytes -= bytes;
    this.#parts.onApplied(batch, logged);
  }

  async #fence(queue: PartitionQueue): Promise<void> {
    const { target, source: { home, shard, fence } } = this.#parts;
    await target.log(queue.partition, encodeMirrorFence(NO_HEADER, { home, shard, fence }));
    if (queue.isFenced) return;
    queue.isFenced = true;
    this.#unproven.push({ queue, fencedMs: this.#nowMs() });
  }

  #failed(queue: PartitionQueue, error: RegistryError): void {
    if (!mayRepeat(error)) {
      this.stop();
      this.#parts.onFailed(error);
      return;
    }
    const before = queue.waiting;
    queue.failed(ERROR_TABLE[error.code].unapplied);
    this.waiting += queue.waiting - before;
    queue.attempts++;
    const { retryAfterMs = 0 } = error.fields;
    queue.notBeforeMs = this.#nowMs() + Math.max(retryAfterMs, this.#backOffMs(queue.attempts));
    if (error.code === "overloaded") this.#parts.onCrowded();
  }

  #backOffMs(attempt: number): number {
    const backOff = { baseMs: MIRROR_RETRY_MS_BASE, capMs: MIRROR_RETRY_MS_CAP };
    return 1 + backOffMs(attempt, backOff, this.#parts.world.entropy);
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => void this.#parts.world.scheduler.after(ms, resolve));
  }
}

/** Mirrors need no group time: time does not pass by them. */
const NO_HEADER = { timeMs: 0, unixS: 0, writer: 0 };

/** Reports whether a command may be taken when it is sent again. */
function mayRepeat({ code }: RegistryError): boolean {
  return ERROR_TABLE[code].class === "unavailable";
}
