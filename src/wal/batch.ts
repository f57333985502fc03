/**
 * A batch: the records that are written and synced together.
 *
 * Records are encoded as they are handed in; where they will stand is known only when the batch is
 * sealed, so sequence, position and watermark are patched then and the CRCs computed last. A sealed
 * batch begins at a page boundary and is padded with zeros to the next.
 */
import { WAL_PAYLOAD_BYTES_MAX } from "../base/limits.ts";
import { FrameWriter, type Input } from "../../schemas/runtime.ts";
import {
  type WalAppend,
  walAppendCodec,
  type WalEntry,
  walForgetCodec,
  type WalGroupState,
  type WalHardState,
  walHardStateCodec,
  type WalImage,
  walImageMarkCodec,
  walRelocateCodec,
  walSegmentHeaderCodec,
  walWatermarkCodec,
  WalWatermarkView,
} from "../../schemas/gen/wal.ts";
import {
  beginRecord,
  claimedSize,
  endRecord,
  OP,
  RECORD_HEADER_BYTES,
  RECORD_TRAILER_BYTES,
  sealRecord,
} from "./record.ts";
import { pageAlign } from "./segment.ts";

/** The largest batch that one record alone can make, padding included, above what is gathered. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** What is patched into each record of a batch. */
export interface BatchSeal {
  readonly logId: Uint8Array;
  /** Of the first record; the others count on from it. */
  readonly sequence: number;
  /** Of the first record; a multiple of `WAL_PAGE_BYTES`. */
  readonly position: number;
  readonly watermark: number;
}

/** The five fields before they are known. */
const UNSEALED = { logId: new Uint8Array(16), sequence: 0, position: 0, watermark: 0 };

/** Records on their way to the disk; used again after {@link reset}. */
export class Batch {
  readonly #out = new FrameWriter({ bytesMax: BATCH_BYTES_MAX, bytesInitial: 64 * 1024 });
  readonly #prefix = new WalWatermarkView();
  #recordCount = 0;
  /** Reused for the one entry of most appends. */
  readonly #oneEntry: Input<WalEntry>[] = [];

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Bytes so far, without padding. */
  get byteCount(): number {
    return this.#out.length;
  }

  /** Empties it. */
  reset(): void {
    this.#out.reset();
    this.#recordCount = 0;
  }

  /** Returns the size of the record that was added, as every other method that adds one. */
  append(groupId: number, firstIndex: number, entries: readonly Input<WalEntry>[]): number {
    const value: Input<WalAppend> = { ...UNSEALED, firstIndex, groupId, entries };
    const at = beginRecord(this.#out, OP.append);
    try {
      walAppendCodec.append(this.#out, value);
    } catch (error) {
      this.#out.truncate(at);
      throw error;
    }
    return this.#end(at);
  }

  /** As {@link append}, with one entry. */
  appendOne(groupId: number, index: number, entry: Input<WalEntry>): number {
    this.#oneEntry[0] = entry;
    const size = this.append(groupId, index, this.#oneEntry);
    this.#oneEntry.length = 0;
    return size;
  }

  relocate(
    groupId: number,
    firstIndex: number,
    origin: number,
    entries: readonly Input<WalEntry>[],
  ): number {
    const at = beginRecord(this.#out, OP.relocate);
    walRelocateCodec.append(this.#out, { ...UNSEALED, firstIndex, origin, groupId, entries });
    return this.#end(at);
  }

  hardState(state: Pick<WalHardState, "groupId" | "term" | "vote" | "commit">): number {
    const { groupId, term, vote, commit } = state;
    const at = beginRecord(this.#out, OP.hardState);
    walHardStateCodec.append(this.#out, { ...UNSEALED, term, vote, commit, groupId });
    return this.#end(at);
  }

  segmentHeader(segment: number, imageNumberMax: number, groups: WalGroupState[]): number {
    const at = beginRecord(this.#out, OP.segmentHeader);
    walSegmentHeaderCodec.append(this.#out, { ...UNSEALED, segment, imageNumberMax, groups });
    return this.#end(at);
  }

  /** @param installs true for an image from a leader, which ends the group's log. */
  imageMark(groupId: number, image: WalImage, installs: boolean): number {
    const at = beginRecord(this.#out, installs ? OP.imageInstall : OP.imageMark);
    walImageMarkCodec.append(this.#out, { ...UNSEALED, groupId, image });
    return this.#end(at);
  }

  forget(groupId: number): number {
    const at = beginRecord(this.#out, OP.forget);
    walForgetCodec.append(this.#out, { ...UNSEALED, groupId });
    return this.#end(at);
  }

  watermark(): number {
    const at = beginRecord(this.#out, OP.watermark);
    walWatermarkCodec.append(this.#out, UNSEALED);
    return this.#end(at);
  }

  /** Completes all records and the padding; the bytes are the batch's own until {@link reset}. */
  seal({ logId, sequence, position, watermark }: BatchSeal): Uint8Array {
    const out = this.#out;
    const end = out.length;
    const { bytes, view } = out;
    const prefix = this.#prefix;
    let at = 0;
    for (let ordinal = 0; at < end; ordinal++) {
      const size = claimedSize(view, at);
      prefix.wrap(view, bytes, at + RECORD_HEADER_BYTES, at + size - RECORD_TRAILER_BYTES);
      prefix.logId = logId;
      prefix.sequence = sequence + ordinal;
      prefix.position = position + at;
      prefix.watermark = watermark;
      sealRecord(bytes, view, at, size);
      at += size;
    }
    out.allocate(pageAlign(end) - end);
    return out.written;
  }

  #end(at: number): number {
    const size = endRecord(this.#out, at);
    if (size > WAL_PAYLOAD_BYTES_MAX) {
      this.#out.truncate(at);
      throw new RangeError(
        `Record must have at most ${WAL_PAYLOAD_BYTES_MAX} bytes: it has ${size}`,
      );
    }
    this.#recordCount++;
    return size;
  }
}
