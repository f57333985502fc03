/**
 * Batches before they are written: the one that gathers what is submitted, and those that are full.
 * Each record of a batch has a submission, in the same order, that is told how it ended.
 */
import type { RegistryError } from "../base/errors.ts";
import { WAL_BATCH_BYTES, WAL_WRITTEN_BATCHES_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { Batch } from "../wal/batch.ts";

/** One record on its way. */
export interface Submission {
  /** Size of its record. */
  readonly bytes: number;
  /** It is durable: under that sequence number, in the segment that begins at that position. */
  durable(sequence: number, segment: number): void;
  /** It is not in the log. */
  failed(error: RegistryError): void;
}

/** The log's own watermark, which answers nobody. */
const WATERMARK: Submission = { bytes: 0, durable() {}, failed() {} };

/** A batch and whom it answers. */
export interface Slot {
  readonly batch: Batch;
  submissions: Submission[];
  /** When the first of them came. */
  sinceMs: number;
  /** Set when it is written. */
  sequence: number;
  segment: number;
  end: number;
}

/** The batches of one log that are not written yet, and memory for those to come. */
export class BatchQueue {
  readonly #clock: MonotonicClock;
  #gathering = newSlot();
  #full: Slot[] = [];
  readonly #free: Slot[] = [];
  #pendingBytes = 0;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** Bytes submitted and not answered. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The batch that is to be written next; `undefined`: nothing was submitted. */
  get first(): Slot | undefined {
    if (this.#full.length > 0) return this.#full[0];
    return this.#gathering.batch.recordCount > 0 ? this.#gathering : undefined;
  }

  /** The batch to add one record to; {@link push} follows. */
  batch(): Batch {
    if (this.#gathering.batch.byteCount >= WAL_BATCH_BYTES) {
      this.#full.push(this.#gathering);
      this.#gathering = this.#newSlot();
    }
    return this.#gathering.batch;
  }

  /** Takes the submission whose record was just added to {@link batch}. */
  push(submission: Submission): void {
    const { submissions } = this.#gathering;
    if (submissions.length === 0) this.#gathering.sinceMs = this.#clock.nowMs();
    submissions.push(submission);
    this.#pendingBytes += submission.bytes;
  }

  /** Adds a watermark. */
  pushWatermark(): void {
    this.#gathering.batch.watermark();
    this.push(WATERMARK);
  }

  /** Takes {@link first} out, to be written. */
  shift(): Slot {
    const full = this.#full.shift();
    if (full !== undefined) return full;
    const slot = this.#gathering;
    this.#gathering = this.#newSlot();
    return slot;
  }

  /** Puts a batch back in front, whose write failed. */
  unshift(slot: Slot): void {
    this.#full.unshift(slot);
  }

  /** Takes all out, none of which will be written. */
  takeAll(): Slot[] {
    const slots = [...this.#full, this.#gathering];
    this.#full = [];
    this.#gathering = this.#newSlot();
    return slots;
  }

  /** All of the batch is durable. */
  answer(slot: Slot): void {
    let sequence = slot.sequence;
    for (const submission of slot.submissions) {
      this.#pendingBytes -= submission.bytes;
      submission.durable(sequence++, slot.segment);
    }
    this.#recycle(slot);
  }

  /** Nothing of the batches is in the log. */
  fail(slots: readonly Slot[], error: RegistryError): void {
    for (const slot of slots) {
      for (const submission of slot.submissions) {
        this.#pendingBytes -= submission.bytes;
        submission.failed(error);
      }
      this.#recycle(slot);
    }
  }

  #newSlot(): Slot {
    return this.#free.pop() ?? newSlot();
  }

  #recycle(slot: Slot): void {
    slot.submissions = [];
    slot.batch.reset();
    if (this.#free.length < WAL_WRITTEN_BATCHES_MAX + 2) this.#free.push(slot);
  }
}

/** True for a batch of nothing but watermarks, which needs none above it. */
export function isWatermark({ submissions }: Slot): boolean {
  return submissions.every((submission) => submission === WATERMARK);
}

function newSlot(): Slot {
  return { batch: new Batch(), submissions: [], sinceMs: 0, sequence: 0, segment: 0, end: 0 };
}
