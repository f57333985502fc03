/**
 * Lists by region: the records of one partition in the order of their ids, and the cursor that
 * leads from page to page and from partition to partition.
 */
import { compareBytes } from "../base/bytes.ts";
import { BoundedBest } from "./bounded_best.ts";
import { KIND_MIRROR } from "../record/key.ts";
import type { OwnedView } from "../record/kind_row.ts";
import { ownState } from "../record/record_state.ts";
import { compareIds } from "./free_capacity.ts";
import { type MirrorChoice, rankOf, SUSPENDED_RANK } from "./mirrors/mirror_reads.ts";
import type { PartitionState } from "./partition_state.ts";
import { FLAG_TOMBSTONE } from "./slot_table.ts";

/** Calls `visit` for the slot of each live record of a kind in a region. */
export function forEachInRegion(
  state: PartitionState,
  kind: number,
  region: Uint8Array,
  visit: (slot: number) => void,
): void {
  const { table, shared } = state;
  const number = shared.regions.find(region, 0, region.length);
  if (number !== 0) {
    for (let slot = 0; slot < table.count; slot++) {
      if (table.matches(slot, kind, number)) visit(slot);
    }
  }
  if (shared.regions.complete) return;
  // Some records arrived when no region number was left: compare the bytes of their regions.
  for (let slot = 0; slot < table.count; slot++) {
    if (!table.matches(slot, kind, 0) || table.hasFlag(slot, FLAG_TOMBSTONE)) continue;
    const record = kind === KIND_MIRROR ? state.mirrors.recordView(slot) : state.recordView(slot);
    const found = record.regionBytes;
    if (found.length === region.length && found.every((byte, at) => byte === region[at])) {
      visit(slot);
    }
  }
}

/**
 * Calls `visit` for the slot of each mirror of a kind in a region that a read by id would serve: there is
 * no own record with its id, and the choice prefers no other mirror of it.
 */
export function forEachMirrorInRegion(
  state: PartitionState,
  kind: number,
  region: Uint8Array,
  choice: MirrorChoice,
  visit: (slot: number) => void,
): void {
  if (state.mirrors.sources.isEmpty) return;
  const found: number[] = [];
  const rank = (slot: number) => rankOf(state.mirrors.view(slot), choice);
  forEachInRegion(state, KIND_MIRROR, region, (slot) => {
    const mirror = state.mirrors.view(slot);
    if (mirror.kind !== kind) return;
    const { $bytes: bytes, idOffset: at } = mirror;
    if (state.findLive(kind, bytes, at, at + 16) !== -1) return;
    const own = rank(slot);
    if (own === Infinity) return;
    const others = state.mirrors.find(kind, bytes, at, found);
    if (others.every((other) => other === slot || rank(other) > own)) visit(slot);
  });
}

/** Selection of the records of a list. */
export interface RegionList {
  readonly kind: number;
  readonly region: Uint8Array;
  readonly afterId?: Uint8Array;
  readonly limit: number;
  /** The regions whose mirrors are listed beside own records; absent: none. */
  readonly mirrors?: MirrorChoice | undefined;
}

/**
 * Returns at most `limit` slots of a region's records with an id after `afterId`, ordered by id.
 */
export function listRegion(state: PartitionState, options: RegionList): number[] {
  const { table, shared } = state;
  const { arena } = shared;
  const idAt = (slot: number) => arena.offsetOf(table.refOf(slot)) + 8;
  const bytesOf = (slot: number) => arena.bytesOf(table.refOf(slot));
  const best = new BoundedBest<number>(
    options.limit,
    (left, right) => compareIds(bytesOf(left), idAt(left), bytesOf(right), idAt(right)),
  );
  const { afterId, kind, region, mirrors } = options;
  const add = (slot: number) => {
    if (afterId !== undefined && compareIds(bytesOf(slot), idAt(slot), afterId, 0) <= 0) return;
    best.add(slot);
  };
  forEachInRegion(state, kind, region, add);
  if (mirrors !== undefined) forEachMirrorInRegion(state, kind, region, mirrors, add);
  return best.sorted();
}

/**
 * Calls `visit` for the slot of each gateway of a kind and region that is not draining: live ones, and the
 * mirrors that the choice serves.
 */
export function forEachGateway(
  state: PartitionState,
  kind: number,
  region: Uint8Array,
  choice: MirrorChoice,
  visit: (slot: number, gateway: OwnedView, isSuspended: boolean) => void,
): void {
  forEachInRegion(state, kind, region, (slot) => {
    const gateway = state.recordView(slot);
    if (ownState(gateway.state) === 0) visit(slot, gateway, false);
  });
  const { mirrors } = state;
  forEachMirrorInRegion(state, kind, region, choice, (slot) => {
    const isSuspended = rankOf(mirrors.view(slot), choice) >= SUSPENDED_RANK;
    const gateway = mirrors.recordView(slot);
    if (ownState(gateway.state) === 0) visit(slot, gateway, isSuspended);
  });
}

/** Returns the first `limit` keys of some kinds behind `after`, in order; copies. */
export function keysAfter(
  { table, shared: { keySpan } }: PartitionState,
  { kinds, after, limit }: {
    kinds: readonly number[];
    after: Uint8Array | undefined;
    limit: number;
  },
): Uint8Array[] {
  const best = new BoundedBest<Uint8Array>(limit, compareBytes);
  for (let slot = 0; slot < table.count; slot++) {
    if (!kinds.includes(table.kindOf(slot)) || table.hasFlag(slot, FLAG_TOMBSTONE)) continue;
    const { bytes, start, end } = table.keyOf(slot, keySpan);
    const key = bytes.subarray(start, end);
    if (after !== undefined && compareBytes(key, after) <= 0) continue;
    const { worst } = best;
    if (worst === undefined || compareBytes(key, worst) < 0) best.add(key.slice());
  }
  return best.sorted();
}

const CURSOR_BYTES = 20;

/** The position at which a list continues: in a partition, after an id. */
export interface ListPosition {
  readonly partition: number;
  /** 16 bytes; all zero starts at the partition's first record. */
  readonly afterId: Uint8Array;
}

/** Encodes the cursor that a client sends back to continue a list. */
export function encodeCursor({ partition, afterId }: ListPosition): Uint8Array {
  const cursor = new Uint8Array(CURSOR_BYTES);
  new DataView(cursor.buffer).setUint32(0, partition);
  cursor.set(afterId, 4);
  return cursor;
}

/** Decodes a cursor; returns `undefined` when it is not valid. */
export function decodeCursor(
  cursor: Uint8Array,
  partitionCount: number,
): ListPosition | undefined {
  if (cursor.length === 0) return { partition: 0, afterId: new Uint8Array(16) };
  if (cursor.length !== CURSOR_BYTES) return undefined;
  const partition = new DataView(cursor.buffer, cursor.byteOffset).getUint32(0);
  return partition < partitionCount ? { partition, afterId: cursor.slice(4) } : undefined;
}
