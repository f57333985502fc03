/**
 * A page of a list under construction: the records, and the permissions by which they were read.
 *
 * Partitions are read in several turns, and what was read of a follower grows older until the page is
 * answered. Receipts state the ages at that time, so ages are determined anew then, and a page of which a
 * part is older by then than the request accepts is refused.
 */
import type { RecordReply } from "../../schemas/gen/wire.ts";
import type { ByteSource, Input } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { Moment } from "../liveness/mod.ts";
import type { RecordKind } from "../record/kinds.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { Partition } from "./partitions.ts";
import type { ReadSource } from "./regions/mirror_homes.ts";

const NO_CURSOR = new Uint8Array(0);

/** A partition that was read, with a permission of its own. */
export interface ReadPart {
  readonly partition: Partition;
  readonly point: ReadPoint;
}

/** A page. */
export interface ListPage {
  readonly kind: RecordKind;
  readonly peer: AuthenticatedPeer;
  readonly items: Input<RecordReply>[];
  /** The parts that have items. */
  readonly shown: ReadPart[];
  /** A part for each moment from which the age of some part counts; it need not have items. */
  readonly aged: Map<Moment | undefined, ReadPart>;
  /** The origins of the items that are mirrors, by index. */
  readonly sources: Map<number, ReadSource>;
  bytes: number;
  /** Number of leading items whose bytes are copies. */
  kept: number;
  nextCursor: Uint8Array;
}

/** Returns an empty page. */
export function newPage(kind: RecordKind, peer: AuthenticatedPeer): ListPage {
  return {
    ...{ kind, peer, items: [], shown: [], aged: new Map(), sources: new Map() },
    ...{ bytes: 0, kept: 0, nextCursor: NO_CURSOR },
  };
}

/** Notes that a part was read, which may have no items. */
export function noteRead({ aged }: ListPage, { partition, point }: ReadPart): void {
  if (point.ageBoundMs === 0 || aged.has(point.provenAt)) return;
  aged.set(point.provenAt, { partition, point: { ...point } });
}

/**
 * Returns the parts that have items, and the oldest part in any case, with their ages by now: that a
 * partition has no record of the region is part of the answer, and has an age too.
 *
 * @throws RegistryError `too_stale` if a part is older than `maxStalenessMs`.
 */
export function partsNow({ aged, shown }: ListPage, maxStalenessMs: number): readonly ReadPart[] {
  const parts = shown.map(agedNow);
  let oldest: ReadPart | undefined;
  for (const part of aged.values()) {
    const now = agedNow(part);
    if (now.point.ageBoundMs > (oldest?.point.ageBoundMs ?? 0)) oldest = now;
  }
  if (oldest === undefined) return parts;
  if (oldest.point.ageBoundMs > maxStalenessMs) throw tooOld(oldest, maxStalenessMs);
  const isShown = parts.some(({ partition }) => partition === oldest.partition);
  return isShown ? parts : [...parts, oldest];
}

function agedNow({ partition, point }: ReadPart): ReadPart {
  if (point.ageBoundMs === 0) return { partition, point };
  return { partition, point: { ...point, ageBoundMs: partition.group.ageNowMs(point) } };
}

function tooOld({ partition, point }: ReadPart, maxStalenessMs: number): RegistryError {
  return new RegistryError(
    "too_stale",
    `A list must be at most ${maxStalenessMs} ms old when it is answered: partition ${partition.id} ` +
      `was ${point.ageBoundMs} ms old by then`,
  );
}

/**
 * Copies the records of a page that are still in the store, which may move them in another turn.
 */
export function keepItems(page: ListPage): void {
  const { items, kept } = page;
  let bytes = 0;
  for (let index = kept; index < items.length; index++) bytes += spanBytes(items[index]!.record);
  const copies = new Uint8Array(bytes);
  let at = 0;
  for (let index = kept; index < items.length; index++) {
    const { record, remainingMs } = items[index]!;
    const start = at;
    const source = record instanceof Uint8Array
      ? record
      : record.bytes.subarray(record.start, record.end);
    copies.set(source, at);
    at += source.length;
    items[index] = { record: { bytes: copies, start, end: at }, remainingMs };
  }
  page.kept = items.length;
}

/** Returns the number of bytes of a part of a reply. */
export function spanBytes(source: ByteSource | undefined): number {
  if (source === undefined) return 0;
  return source instanceof Uint8Array ? source.length : source.end - source.start;
}
