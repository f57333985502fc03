/**
 * Commits batches to the active segment: seals a batch, has it written and synced, and then records
 * it in the tail mark (`src/wal/log_mark.ts`).
 */
import type { RegistryError } from "../base/errors.ts";
import type { ActiveSegment } from "./active_segment.ts";
import type { Slot } from "./batch_queue.ts";
import { unmarkedError } from "./log_mark_keeper.ts";
import type { MarkFile } from "./mark_file.ts";
import type { StorageFailure } from "./storage.ts";

/** The outcome; `unsynced` is a failed sync, after which the state of the disk is unknown. */
export type CommitOutcome =
  | { readonly kind: "durable" }
  | { readonly kind: "unwritten" | "unsynced"; readonly failure: StorageFailure };

const DURABLE: CommitOutcome = { kind: "durable" };

/** The place of a batch in the log. */
export interface BatchPlace {
  /** Sequence number of its first record. */
  readonly sequence: number;
  readonly position: number;
  /** Position up to which the log is synced. */
  readonly watermark: number;
}

/** Commits the batches of one log, one at a time. */
export class BatchCommitter {
  readonly #logId: Uint8Array;
  readonly #generation: number;
  readonly #segment: ActiveSegment;
  readonly #tail: MarkFile;
  readonly #onUnmarked: (error: RegistryError) => void;
  #isUnmarked = false;

  /**
   * @param tail the file of the tail mark.
   * @param onUnmarked called once per series of batches whose tail mark could not be written.
   */
  constructor({ logId, generation, segment, tail, onUnmarked }: {
    readonly logId: Uint8Array;
    readonly generation: number;
    readonly segment: ActiveSegment;
    readonly tail: MarkFile;
    readonly onUnmarked: (error: RegistryError) => void;
  }) {
    this.#logId = logId;
    this.#generation = generation;
    this.#segment = segment;
    this.#tail = tail;
    this.#onUnmarked = onUnmarked;
  }

  /** Sets the place of `slot` and commits it. Returns its size; the bytes stay in use until `done`. */
  commit(
    slot: Slot,
    { sequence, position, watermark }: BatchPlace,
    done: (outcome: CommitOutcome) => void,
  ): number {
    const logId = this.#logId;
    const bytes = slot.batch.seal({ logId, sequence, position, watermark });
    slot.sequence = sequence;
    slot.segment = this.#segment.position;
    slot.end = position + bytes.length;
    const mark = this.#tail.next({
      logId,
      sequence: sequence + slot.batch.recordCount - 1,
      position: slot.end,
      generation: this.#generation,
      closed: false,
    });
    this.#segment.commit(position, bytes, mark, (failure) => done(this.#outcome(failure)));
    return bytes.length;
  }

  #outcome(failure: StorageFailure | undefined): CommitOutcome {
    const wasUnmarked = this.#isUnmarked;
    switch (failure?.step) {
      case undefined:
        if (failure !== undefined) return { kind: "unwritten", failure };
        this.#isUnmarked = false;
        this.#tail.written();
        return DURABLE;
      case "write":
        return { kind: "unwritten", failure };
      case "sync":
        return { kind: "unsynced", failure };
      case "mark":
        // The batch is durable, and stays so: only the detection of its loss is missing.
        this.#isUnmarked = true;
        if (!wasUnmarked) this.#onUnmarked(unmarkedError(failure));
        return DURABLE;
    }
  }
}
