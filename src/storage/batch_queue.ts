/**
 * Batches that are not written yet: the one that gathers submissions, and full ones. Each record of
 * a batch has a submission, in the same order, that receives its outcome.
 */
import type { RegistryError } from "../base/errors.ts";
import { WAL_BATCH_BYTES, WAL_SPARE_BATCHES_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { Batch } from "../wal/batch.ts";

/** One record being written. */
export interface Submission {
  /** Size of its record, bytes. */
  readonly bytes: number;
  /**
   * Reports that the record is durable, under that sequence number, in the segment at that
   * position.
   */
  durable(sequence: number, segment: number): void;
  /** Reports that the record is not in the log. */
  failed(error: RegistryError): void;
}

/** Submission of the log's own watermark; nobody waits for it. */
const WATERMARK: Submission = { bytes: 0, durable() {}, failed() {} };

/** A batch and its submissions. */
export interface Slot {
  readonly batch: Batch;
  submissions: Submission[];
  /** Time of the first submission. */
  sinceMs: number;
  /** The next three are set when the batch is written. */
  sequence: number;
  segment: number;
  end: number;
}

/** The unwritten batches of one log, and buffers for later ones. */
export class BatchQueue {
  readonly #clock: MonotonicClock;
  #gathering = newSlot();
  #full: Slot[] = [];
  readonly #free: Slot[] = [];
  #pendingBytes = 0;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** Bytes submitted and not yet answered. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The next batch to write; `undefined` when nothing was submitted. */
  get first(): Slot | undefined {
    if (this.#full.length > 0) return this.#full[0];
    return this.#gathering.batch.recordCount > 0 ? this.#gathering : undefined;
  }

  /** Returns the batch to which the caller adds one record; {@link push} follows. */
  batch(): Batch {
    if (this.#gathering.batch.byteCount >= WAL_BATCH_BYTES) {
      this.#full.push(this.#gathering);
      this.#gathering = this.#newSlot();
    }
    return this.#gathering.batch;
  }

  /** Adds the submission whose record was just added to {@link batch}. */
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

  /** Removes and returns {@link first} for writing. */
  shift(): Slot {
    const full = this.#full.shift();
    if (full !== undefined) return full;
    const slot = this.#gathering;
    this.#gathering = this.#newSlot();
    return slot;
  }

  /** Puts a batch whose write failed back in front. */
  unshift(slot: Slot): void {
    this.#full.unshift(slot);
  }

  /** Removes and returns all batches; none of them will be written. */
  takeAll(): Slot[] {
    const slots = [...this.#full, this.#gathering];
    this.#full = [];
    this.#gathering = this.#newSlot();
    return slots;
  }

  /** Reports to all submissions of the batch that they are durable. */
  answer(slot: Slot): void {
    let sequence = slot.sequence;
    for (const submission of slot.submissions) {
      this.#pendingBytes -= submission.bytes;
      submission.durable(sequence++, slot.segment);
    }
    this.#recycle(slot);
  }

  /** Reports to all submissions of the batches that they are not in the log. */
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
    if (this.#free.length < WAL_SPARE_BATCHES_MAX) this.#free.push(slot);
  }
}

/** Reports whether the batch contains only watermarks, and so needs none above it. */
export function isWatermark({ submissions }: Slot): boolean {
  return submissions.every((submission) => submission === WATERMARK);
}

function newSlot(): Slot {
  return { batch: new Batch(), submissions: [], sinceMs: 0, sequence: 0, segment: 0, end: 0 };
}
