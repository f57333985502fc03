/**
 * Objects shared by the partitions of one node: the arena, the regions, the hash of the indexes,
 * counts, and the flyweight views that apply and reads reposition. They belong to one thread and
 * are not state: two nodes with the same log may differ here and nowhere else.
 */
import {
  AliasView,
  MirrorAliasView,
  MirrorView,
  RevocationView,
  TombstoneView,
} from "../../schemas/gen/record.ts";
import {
  ClaimCommandView,
  CommandView,
  ConfirmCommandView,
  ExpireCommandView,
  ExtendCommandView,
  MirrorBatchCommandView,
  PutCommandView,
  ReleaseCommandView,
  RemoveCommandView,
  ReportCommandView,
  RevokeCommandView,
} from "../../schemas/gen/command.ts";
import { FrameWriter } from "../../schemas/runtime.ts";
import { IMAGE_CHUNK_BYTES } from "../base/limits.ts";
import type { OwnedView } from "../record/kind_row.ts";
import { KIND_MAX } from "../record/key.ts";
import { type AnyKindRow, type KindTable, RECORD_KINDS } from "../record/kinds.ts";
import { SipHash } from "../ring/siphash.ts";
import { Arena, BLOCK_WORDS_MAX, WORD_BYTES } from "./arena.ts";
import type { StoreEvent } from "./event.ts";
import { PagePool } from "./page_pool.ts";
import { type RegionCount, RegionTable } from "./region_table.ts";
import { emptySpan, type StoredSpan } from "./reply.ts";

/** Size of a mirror's key: the id, and the kind of the record. */
export const MIRROR_KEY_BYTES = 18;
/** Numbers per page of slots (32 slots of three), and per page of index cells. */
export const SLOT_PAGE_NUMBERS = 96;
export const CELL_PAGE_NUMBERS = 128;
/** Maximum cost of one registration beyond its bytes: a tombstone, slots and cells. */
const OVERHEAD_BYTES = 128;
/** Usual size of a registration, for admission: a record, an alias, and their slots. */
const REGISTRATION_BYTES = 512;
/** Size of the scratch buffer for encoding: more than the largest record. */
const SCRATCH_BYTES = 64 * 1024;

const NO_BYTES = new Uint8Array(0);

/** Totals over the partitions of a node. */
export interface StoreStatistics {
  /** Live records, by the number of their kind. */
  readonly records: readonly number[];
  readonly aliases: number;
  /** Copies of other regions' records, and what their domains resolve by. */
  readonly mirrors: number;
  readonly mirrorAliases: number;
  /** Those of the records that are stale. */
  readonly stale: number;
  readonly tombstones: number;
  readonly revocations: number;
  /** Bytes of all stored forms. */
  readonly recordBytes: number;
  /** Bytes allocated from the system for them. */
  readonly arenaBytes: number;
  readonly arenaBytesMax: number;
}

/** The location of a key. */
export interface KeySpan {
  bytes: Uint8Array;
  start: number;
  end: number;
}

/** Counts maintained by all partitions together. */
export interface StoreCounts {
  /** Live records, by the number of their kind. */
  readonly records: number[];
  /** Those of them that are stale. */
  stale: number;
  aliases: number;
  mirrors: number;
  mirrorAliases: number;
  tombstones: number;
  revocations: number;
}

function newFormBefore(): StoredSpan {
  const bytes = new Uint8Array(BLOCK_WORDS_MAX * WORD_BYTES);
  return { bytes, view: new DataView(bytes.buffer), start: 0, end: 0 };
}

/** Returns counts of 0, by the number of a kind. */
export function newCounts(): number[] {
  return Array.from({ length: KIND_MAX + 1 }, () => 0);
}

/** Flyweight views by use; no two overlapping uses share one. */
export class StoreViews {
  /** By the number of the kind: on stored records, and on records in commands. */
  readonly records: readonly (OwnedView | undefined)[];
  readonly incoming: readonly (OwnedView | undefined)[];
  readonly alias = new AliasView();
  readonly aliasKey = new AliasView();
  readonly tombstone = new TombstoneView();
  readonly revocation = new RevocationView();
  readonly mirror = new MirrorView();
  readonly mirrorAlias = new MirrorAliasView();
  readonly mirrorAliasKey = new MirrorAliasView();
  readonly command = new CommandView();
  readonly put = new PutCommandView();
  readonly extend = new ExtendCommandView();
  readonly remove = new RemoveCommandView();
  readonly expire = new ExpireCommandView();
  readonly report = new ReportCommandView();
  readonly claim = new ClaimCommandView();
  readonly confirm = new ConfirmCommandView();
  readonly revoke = new RevokeCommandView();
  readonly release = new ReleaseCommandView();
  readonly mirrorBatch = new MirrorBatchCommandView();

  constructor(kinds: KindTable) {
    const newViews = () => byNumber(kinds, ({ codec }) => codec.newView());
    this.records = newViews();
    this.incoming = newViews();
  }
}

/** Returns one value for each kind, at the index of its number. */
function byNumber<T>(kinds: KindTable, make: (row: AnyKindRow) => T): (T | undefined)[] {
  return Array.from({ length: KIND_MAX + 1 }, (_, number) => {
    const row = kinds.find(number);
    return row === undefined ? undefined : make(row);
  });
}

/** An event while it is passed on. */
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The objects shared by the partitions of one node. */
export class StoreShared {
  readonly arena: Arena;
  readonly kinds: KindTable;
  readonly regions: RegionTable;
  /** Pages of slots and of index cells (see SlotTable). */
  readonly slotPages: PagePool;
  readonly cellPages: PagePool;
  readonly views: StoreViews;
  readonly hash: SipHash;
  readonly counts: StoreCounts = {
    records: newCounts(),
    stale: 0,
    aliases: 0,
    mirrors: 0,
    mirrorAliases: 0,
    tombstones: 0,
    revocations: 0,
  };
  readonly keySpan: KeySpan = { bytes: NO_BYTES, start: 0, end: 0 };
  readonly span: StoredSpan = emptySpan();
  /** The key of a mirror to find. */
  readonly mirrorKey = new Uint8Array(MIRROR_KEY_BYTES);
  readonly writer = new FrameWriter({ bytesMax: SCRATCH_BYTES });
  /** The event that is passed to the sink; valid during that call only. */
  readonly event: Mutable<StoreEvent> = {
    partition: 0,
    type: "updated",
    kind: 0,
    generation: 0,
    index: 0,
    stored: emptySpan(),
    before: undefined,
  };
  /** A form before its change, for the event of the change. */
  readonly formBefore: StoredSpan = newFormBefore();
  /** Buffer for image chunks, used by one partition after another. */
  readonly imageScratch = new Uint8Array(IMAGE_CHUNK_BYTES);
  readonly imageChunkBytes: number;

  /**
   * @param bytesMax the ceiling for all records together.
   * @param hashSeed 16 secret bytes, so that nobody can choose keys that collide.
   * @param kinds the kinds of record; a test may bring others.
   * @param imageChunkBytes approximate size of an image's chunk, at most the default.
   */
  constructor(
    { bytesMax, hashSeed, kinds = RECORD_KINDS, imageChunkBytes = IMAGE_CHUNK_BYTES }: {
      bytesMax: number;
      hashSeed: Uint8Array;
      kinds?: KindTable;
      imageChunkBytes?: number;
    },
  ) {
    this.imageChunkBytes = imageChunkBytes;
    this.kinds = kinds;
    this.regions = new RegionTable(kinds);
    this.views = new StoreViews(kinds);
    this.arena = new Arena({ bytesMax });
    this.slotPages = new PagePool(SLOT_PAGE_NUMBERS);
    this.cellPages = new PagePool(CELL_PAGE_NUMBERS);
    this.hash = new SipHash(hashSeed);
  }

  /** Reports whether `count` more registrations fit below the ceiling. Not called for renewals. */
  room(count: number): boolean {
    return this.arena.room(count * (REGISTRATION_BYTES + OVERHEAD_BYTES));
  }

  /**
   * Reports whether a new record of the region would be found by the region's number, and would not be the
   * first of one region too many.
   */
  takesRegion(region: string, regionsMax: number): boolean {
    if (this.regions.isBelow(regionsMax)) return true;
    const bytes = new TextEncoder().encode(region);
    return this.regions.find(bytes, 0, bytes.length) !== 0;
  }

  statistics(): StoreStatistics {
    const arena = this.arena.statistics();
    return {
      ...this.counts,
      records: [...this.counts.records],
      recordBytes: arena.usedBytes,
      arenaBytes: arena.chunkBytes,
      arenaBytesMax: arena.bytesMax,
    };
  }

  /**
   * Returns the counts by name, for logs: those of live records by the plural of their kind. A kind with
   * operations of its own is left out while there are no records of it.
   */
  namedCounts(): Readonly<Record<string, number>> {
    const { records, ...others } = this.counts;
    const shown = this.kinds.rows.filter(({ number, hasOwnOperations }) =>
      hasOwnOperations !== true || records[number]! > 0
    );
    const byKind = shown.map(({ plural, number }) => [plural, records[number]!] as const);
    return { ...Object.fromEntries(byKind), ...others };
  }

  /** Returns the live records by region, for metrics. */
  regionCounts(): RegionCount[] {
    return this.regions.counts();
  }
}
