/**
 * A batch: records that are written and synced together.
 *
 * Records are encoded as they are added. Their place is known only when the batch is sealed; then
 * sequence, position and watermark are patched in, and the CRCs are computed last. A sealed batch
 * starts at a page boundary and is padded with zeros to the next one.
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

/**
 * The largest batch that a single record can cause, padding included, on top of the records already
 * gathered; in bytes.
 */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** The values patched into each record of a batch. */
export interface BatchSeal {
  readonly logId: Uint8Array;
  /** The sequence of the first record; later records count up from it. */
  readonly sequence: number;
  /** The position of the first record; a multiple of `WAL_PAGE_BYTES`. */
  readonly position: number;
  readonly watermark: number;
}

/** Placeholders for the shared fields that are patched in later. */
const UNSEALED = { logId: new Uint8Array(16), sequence: 0, position: 0, watermark: 0 };

/** Records to be written to disk; reusable after {@link reset}. */
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

  /** Empties the batch. */
  reset(): void {
    this.#out.reset();
    this.#recordCount = 0;
  }

  /** Adds an append record. Returns the size of the added record, as all methods that add one. */
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

  /** Adds an append record with one entry; see {@link append}. */
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

  /** @param installs true for an image received from a leader, which ends the group's log. */
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

  /**
   * Completes all records and the padding. The batch owns the returned bytes, valid until
   * {@link reset}.
   */
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
