/**
 * A change as a history holds it. Form, little-endian: bytes in all u32, type u8, kind u8, unused
 * u16, index f64, ordinal u32, bytes of the form u32, bytes of the form before u32, unused u32, the
 * forms.
 */
import { UUID_BYTES } from "../../base/uuid.ts";
import { KIND_MIRROR } from "../../record/key.ts";
import type { StoreEvent } from "../../store/event.ts";
import { emptySpan, type StoredSpan } from "../../store/reply.ts";
import { WATCH_EVENT_TYPES } from "../../../schemas/gen/wire.ts";
import type { ChunkMemory } from "./history_chunks.ts";

const HEADER_BYTES = 32;
const TYPE_AT = 4;
const KIND_AT = 5;
const INDEX_AT = 8;
const ORDINAL_AT = 16;
const FORM_BYTES_AT = 20;
const BEFORE_BYTES_AT = 24;
/** Offset of the id in a stored form, behind the root pointer. */
const ID_AT = 8;

/** A change as it is read; one object is reused for all. */
export interface HistoryChange {
  /** One of `WATCH_EVENT_TYPES`. */
  type: number;
  kind: number;
  index: number;
  ordinal: number;
  /** The form after the change, or of types without one the form before. */
  readonly record: StoredSpan;
  /** The form before; empty if there was none. */
  readonly before: StoredSpan;
}

/** Returns a change to read into. */
export function newHistoryChange(): HistoryChange {
  const { put: type } = WATCH_EVENT_TYPES;
  return { type, kind: 0, index: 0, ordinal: 0, record: emptySpan(), before: emptySpan() };
}

/** Returns the type of the change that an event is; 0 if watches do not deliver it. */
export function typeOfEvent({ type, kind, stored, before }: StoreEvent): number {
  const { put, superseded, deregistered, expired, domainLost, stale, recovered } =
    WATCH_EVENT_TYPES;
  switch (type) {
    case "registered":
    case "updated":
    case "confirmed":
      return put;
    case "extended":
      return 0;
    case "mirrored":
      return kind === KIND_MIRROR ? put : 0;
    case "mirror_removed":
      return kind === KIND_MIRROR ? deregistered : 0;
    case "taken_over":
      return superseded;
    case "removed":
      return deregistered;
    case "expired":
      return expired;
    case "stale":
      return stale;
    case "recovered":
      return recovered;
    case "claim_dropped":
    case "released":
      return domainLost;
    case "claimed":
      // A claim that replaces another agent's takes the domain over.
      return before === undefined || isSameId(stored, before) ? put : superseded;
  }
}

/** Reports whether two stored forms have the same id: of an alias, that of its agent. */
function isSameId(left: StoredSpan, right: StoredSpan): boolean {
  for (let at = ID_AT; at < ID_AT + UUID_BYTES; at++) {
    if (left.bytes[left.start + at] !== right.bytes[right.start + at]) return false;
  }
  return true;
}

/** Returns the size of the change that an event is. */
export function changeBytes({ stored, before }: StoreEvent): number {
  const beforeBytes = before === undefined ? 0 : before.end - before.start;
  return HEADER_BYTES + stored.end - stored.start + beforeBytes;
}

/** Writes the change that an event is. */
export function writeChange(
  { bytes, view }: ChunkMemory,
  at: number,
  { kind, index, stored, before }: StoreEvent,
  type: number,
  ordinal: number,
): void {
  const formBytes = stored.end - stored.start;
  const formAt = at + HEADER_BYTES;
  let beforeBytes = 0;
  bytes.set(stored.bytes.subarray(stored.start, stored.end), formAt);
  if (before !== undefined) {
    beforeBytes = before.end - before.start;
    bytes.set(before.bytes.subarray(before.start, before.end), formAt + formBytes);
  }
  view.setUint32(at, HEADER_BYTES + formBytes + beforeBytes, true);
  view.setUint8(at + TYPE_AT, type);
  view.setUint8(at + KIND_AT, kind);
  view.setFloat64(at + INDEX_AT, index, true);
  view.setUint32(at + ORDINAL_AT, ordinal, true);
  view.setUint32(at + FORM_BYTES_AT, formBytes, true);
  view.setUint32(at + BEFORE_BYTES_AT, beforeBytes, true);
}

/** Returns the size of the change at a place. */
export function sizeOfChange({ view }: ChunkMemory, at: number): number {
  return view.getUint32(at, true);
}

/** Reports whether the change at a place is at or before a position. */
export function isAtOrBefore(
  { view }: ChunkMemory,
  at: number,
  index: number,
  ordinal: number,
): boolean {
  const found = view.getFloat64(at + INDEX_AT, true);
  return found < index || found === index && view.getUint32(at + ORDINAL_AT, true) <= ordinal;
}

/** Returns the position of the change at a place. */
export function positionOfChange(
  { view }: ChunkMemory,
  at: number,
): { readonly index: number; readonly ordinal: number } {
  return {
    index: view.getFloat64(at + INDEX_AT, true),
    ordinal: view.getUint32(at + ORDINAL_AT, true),
  };
}

/** Reads the change at a place into `change`, and returns it. */
export function readChange(
  { bytes, view }: ChunkMemory,
  at: number,
  change: HistoryChange,
): HistoryChange {
  const { record, before } = change;
  change.type = view.getUint8(at + TYPE_AT);
  change.kind = view.getUint8(at + KIND_AT);
  change.index = view.getFloat64(at + INDEX_AT, true);
  change.ordinal = view.getUint32(at + ORDINAL_AT, true);
  record.bytes = before.bytes = bytes;
  record.view = before.view = view;
  record.start = at + HEADER_BYTES;
  record.end = before.start = record.start + view.getUint32(at + FORM_BYTES_AT, true);
  before.end = before.start + view.getUint32(at + BEFORE_BYTES_AT, true);
  return change;
}
