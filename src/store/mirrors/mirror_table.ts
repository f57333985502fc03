/**
 * The mirrors and their aliases among the slots of a partition. Mirrors of one record by several
 * regions have the same key and lie side by side (`SlotTable.findEach`), and so do the aliases of one
 * domain.
 */
import type { MirrorAliasView, MirrorView } from "../../../schemas/gen/record.ts";
import { isBytesAt } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../record/key.ts";
import type { OwnedView } from "../../record/kind_row.ts";
import { emptySpan, type StoredSpan } from "../reply.ts";
import { MIRROR_KEY_BYTES, type StoreShared } from "../shared.ts";
import type { SlotTable } from "../slot_table.ts";
import { type MirrorOrder, MirrorSources, type MirrorSourceState } from "./mirror_sources.ts";

/** Returns the order of the last change of a mirror or alias. */
export function orderOf(
  { feed, revisionGeneration: generation, revisionIndex: index }: MirrorView | MirrorAliasView,
): MirrorOrder {
  return { feed, revision: { generation, index } };
}

/** The mirrors of one partition. */
export class MirrorTable {
  readonly sources = new MirrorSources();
  readonly #shared: StoreShared;
  readonly #table: SlotTable;
  readonly #found: number[] = [];

  constructor(shared: StoreShared, table: SlotTable) {
    this.#shared = shared;
    this.#table = table;
  }

  /** Returns the shared view on a mirror's slot. */
  view(slot: number): MirrorView {
    const { bytes, view, start, end } = this.#locate(slot);
    return this.#shared.views.mirror.wrap(view, bytes, start, end);
  }

  /** Returns the shared view on the slot of an alias of another region. */
  aliasView(slot: number): MirrorAliasView {
    const { bytes, view, start, end } = this.#locate(slot);
    return this.#shared.views.mirrorAlias.wrap(view, bytes, start, end);
  }

  /** Sets `into` to the location of the record in a mirror's slot. */
  locateRecord(slot: number, into: StoredSpan): StoredSpan {
    const { recordOffset, recordLength } = this.view(slot);
    const { bytes, view } = this.#shared.span;
    into.bytes = bytes;
    into.view = view;
    into.start = recordOffset;
    into.end = recordOffset + recordLength;
    return into;
  }

  /**
   * Returns the shared view on the record of a mirror's slot.
   *
   * @throws RegistryError `malformed` if it is of no known kind.
   */
  recordView(slot: number): OwnedView {
    const { kind } = this.view(slot);
    const record = this.#shared.views.records[kind];
    if (record === undefined) {
      throw new RegistryError("malformed", `A mirror must be of a known kind: found ${kind}`);
    }
    const { bytes, view, start, end } = this.locateRecord(slot, this.#record);
    return record.wrap(view, bytes, start, end);
  }

  readonly #record = emptySpan();

  /**
   * Fills `into` with the slots of the mirrors of a record, of all regions.
   *
   * @param id 16 bytes at `at`.
   */
  find(kind: number, id: Uint8Array, at: number, into: number[]): number[] {
    const { mirrorKey } = this.#shared;
    for (let index = 0; index < 16; index++) mirrorKey[index] = id[at + index]!;
    mirrorKey[16] = kind;
    return this.#table.findEach(KIND_MIRROR, mirrorKey, 0, MIRROR_KEY_BYTES, into);
  }

  /** Fills `into` with the slots of the aliases of a domain, of all regions. */
  findAliases(domain: Uint8Array, start: number, end: number, into: number[]): number[] {
    return this.#table.findEach(KIND_MIRROR_ALIAS, domain, start, end, into);
  }

  /** Returns the slot of a region's mirror of a record; -1 if there is none. */
  findOf(source: MirrorSourceState, kind: number, id: Uint8Array, at: number): number {
    for (const slot of this.find(kind, id, at, this.#found)) {
      if (isOf(this.view(slot), source)) return slot;
    }
    return -1;
  }

  /** Returns the slot of a region's alias of a domain; -1 if there is none. */
  findAliasOf(
    source: MirrorSourceState,
    domain: Uint8Array,
    start: number,
    end: number,
  ): number {
    for (const slot of this.findAliases(domain, start, end, this.#found)) {
      if (isOf(this.aliasView(slot), source)) return slot;
    }
    return -1;
  }

  /**
   * Accounts for a mirror or alias that came (`by` 1) or goes (`by` -1).
   *
   * @throws RegistryError `malformed`; then nothing was counted.
   */
  count(slot: number, by: 1 | -1): void {
    const { counts, regions } = this.#shared;
    if (this.#table.kindOf(slot) === KIND_MIRROR_ALIAS) {
      const source = this.#sourceOf(this.aliasView(slot));
      counts.mirrorAliases += by;
      source.aliasCount += by;
      return;
    }
    const source = this.#sourceOf(this.view(slot));
    if (by === 1) {
      const { regionOffset: start, regionLength } = this.recordView(slot);
      this.#table.setRegion(slot, start, start + regionLength);
    }
    counts.mirrors += by;
    source.mirrorCount += by;
    regions.addMirror(this.#table.regionOf(slot), by);
  }

  /** Returns the source of a mirror or alias, adding it if there is none. */
  #sourceOf(view: MirrorView | MirrorAliasView): MirrorSourceState {
    const start = view.homeOffset;
    return this.sources.findAt(view.$bytes, start, start + view.homeLength) ??
      this.sources.source(view.home);
  }

  #locate(slot: number): StoredSpan {
    const { arena, span } = this.#shared;
    const ref = this.#table.refOf(slot);
    const start = arena.offsetOf(ref);
    span.bytes = arena.bytesOf(ref);
    span.view = arena.viewOf(ref);
    span.start = start;
    span.end = start + this.#table.wordsOf(slot) * 8;
    return span;
  }
}

/** Reports whether a mirror or alias belongs to a region. */
function isOf(
  { $bytes, homeOffset, homeLength }: MirrorView | MirrorAliasView,
  { homeBytes }: MirrorSourceState,
): boolean {
  return isBytesAt(homeBytes, $bytes, homeOffset, homeOffset + homeLength);
}
