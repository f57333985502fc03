/**
 * A common view of append and relocation records: entries of a group from an index on, with the
 * sequence number of the append that first logged them. Used for the second pass over bytes that a
 * scan has already validated: frames are walked, CRCs are not computed again.
 */
import { WalAppendView, type WalEntryView, WalRelocateView } from "../../schemas/gen/wal.ts";
import { WAL_PAGE_BYTES } from "../base/limits.ts";
import {
  inspectRecord,
  OP,
  RECORD_HEADER_BYTES,
  RECORD_INCOMPLETE,
  RECORD_INVALID,
  RECORD_TRAILER_BYTES,
  recordOp,
} from "./record.ts";

/** A flyweight over a record with entries; moved to the next record after the visit. */
export class EntryRecord {
  readonly #append = new WalAppendView();
  readonly #relocate = new WalRelocateView();
  #current: WalAppendView | WalRelocateView = this.#append;
  groupId = 0;
  firstIndex = 0;
  /** Sequence number of the append that first logged the entries. */
  origin = 0;
  count = 0;
  relocated = false;
  /** Size of the record including its frame, in bytes. */
  size = 0;

  /** Moves to the payload `[start, end)` of a record. Returns false if its op has no entries. */
  wrap(
    op: number,
    view: DataView,
    bytes: Uint8Array,
    { start, end }: { readonly start: number; readonly end: number },
  ): boolean {
    if (op === OP.append) {
      const append = this.#append.wrap(view, bytes, start, end);
      this.#current = append;
      this.relocated = false;
      this.origin = append.sequence;
    } else if (op === OP.relocate) {
      const relocate = this.#relocate.wrap(view, bytes, start, end);
      this.#current = relocate;
      this.relocated = true;
      this.origin = relocate.origin;
    } else {
      return false;
    }
    this.groupId = this.#current.groupId;
    this.firstIndex = this.#current.firstIndex;
    this.count = this.#current.entries.count;
    this.size = end - start + RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;
    return true;
  }

  /** Returns an entry, `[0, count)`, in place; the next call moves it. */
  entryAt(ordinal: number): WalEntryView {
    return this.#current.entries.at(ordinal);
  }
}

/** A range of validated bytes. */
export interface ValidatedBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
  /** Position of the byte at `start`. */
  readonly position: number;
}

/**
 * Visits each record with entries in `[start, end)` and returns how many bytes were processed; the
 * rest is the start of a record that continues beyond `end`.
 */
export function forEachEntryRecord(
  { bytes, view, start, end, position }: ValidatedBytes,
  visit: (record: EntryRecord) => void,
): number {
  const record = new EntryRecord();
  let at = start;
  while (at < end) {
    const size = inspectRecord(view, at, end);
    if (size === RECORD_INCOMPLETE && bytes[at] !== 0) break;
    if (size === RECORD_INCOMPLETE || size === RECORD_INVALID) {
      // Validated bytes that are not a record are padding up to the next page.
      at = Math.min(end, at + WAL_PAGE_BYTES - (position + at - start) % WAL_PAGE_BYTES);
      continue;
    }
    const payload = { start: at + RECORD_HEADER_BYTES, end: at + size - RECORD_TRAILER_BYTES };
    if (record.wrap(recordOp(view, at), view, bytes, payload)) visit(record);
    at += size;
  }
  return at - start;
}
