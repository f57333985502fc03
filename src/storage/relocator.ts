/**
 * Moves the few live entries of cold groups out of an old segment: reads the segment again and
 * appends each record's live entries to the log's end, under their origin. An entry that dies in
 * the meantime does no harm, because a relocation loses to whatever is logged after it. Entries
 * that a submitted truncation is about to end are left out: logged after it, they would outlive the
 * truncation's record.
 */
import { RegistryError } from "../base/errors.ts";
import type { GroupId } from "../base/ids.ts";
import { RELOCATE_READ_BYTES } from "../base/limits.ts";
import type { Scheduler } from "../base/world.ts";
import type { GroupLedger, Ledger } from "../wal/ledger.ts";
import { type EntryRecord, forEachEntryRecord } from "../wal/entry_record.ts";
import type { WalEntry } from "../../schemas/gen/wal.ts";
import { type SegmentBlock, type SegmentExtent, SegmentReader } from "./segment_reader.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** Entries to move, of one origin, with ascending indexes from `first`; views of a block. */
export interface Relocation {
  readonly groupId: number;
  readonly first: number;
  readonly origin: number;
  readonly entries: readonly WalEntry[];
}

type Done = (error: RegistryError | undefined) => void;

/** Adds one relocation to the log; the entries are copied before it returns. */
export type Relocate = (relocation: Relocation, done: Done) => RegistryError | undefined;

/** Moves entries, one segment at a time. */
export class Relocator {
  readonly #driver: StorageDriver;
  readonly #ledger: Ledger;
  readonly #scheduler: Scheduler;
  readonly #isDoomed: (groupId: number, index: number) => boolean;
  readonly #relocate: Relocate;
  #reader: SegmentReader | undefined;
  #done: Done | undefined;
  #outstanding = 0;
  #wholeRead = false;
  #error: RegistryError | undefined;

  /** @param isDoomed returns true for an entry that a submitted append truncates. */
  constructor(
    driver: StorageDriver,
    ledger: Ledger,
    scheduler: Scheduler,
    isDoomed: (groupId: number, index: number) => boolean,
    relocate: Relocate,
  ) {
    this.#isDoomed = isDoomed;
    this.#driver = driver;
    this.#ledger = ledger;
    this.#scheduler = scheduler;
    this.#relocate = relocate;
  }

  /**
   * Moves the live entries of `groups` in `extent`; calls `done` when all are durable elsewhere.
   */
  run(extent: SegmentExtent, groups: ReadonlySet<GroupId>, done: Done): void {
    if (this.#done !== undefined) {
      throw new RangeError("Relocations must run one at a time: one is in progress");
    }
    this.#done = done;
    this.#outstanding = 0;
    this.#wholeRead = false;
    this.#error = undefined;
    this.#reader = new SegmentReader(this.#driver, [extent], {
      block: (block) => this.#block(block, groups),
      end: (failure, thrown) => {
        if (thrown !== undefined) throw thrown;
        // The segment was freed while it was read: nothing in it was live any more.
        if (failure !== undefined && failure.kind !== "not_found") {
          this.#error ??= new RegistryError("storage_unavailable", failure.message);
        }
        this.#wholeRead = true;
        this.#scheduler.nextTurn(() => this.#finishWhenDone());
      },
    }, { readBytes: RELOCATE_READ_BYTES });
    this.#reader.start();
  }

  /** Abandons the relocation in progress. */
  stop(): void {
    const done = this.#done;
    this.#reader?.stop();
    this.#reader = this.#done = undefined;
    if (done === undefined) return;
    const error = new RegistryError("shutting_down", "Log is being closed");
    this.#scheduler.nextTurn(() => done(error));
  }

  #block(block: SegmentBlock, groups: ReadonlySet<GroupId>): number {
    return forEachEntryRecord(block, (record) => {
      if (this.#error !== undefined || !groups.has(record.groupId as GroupId)) return;
      const group = this.#ledger.groups.get(record.groupId);
      if (group !== undefined) this.#record(record, group, block.extent.position);
    });
  }

  #record(record: EntryRecord, group: GroupLedger, segment: number): void {
    const { groupId, firstIndex, origin, count, relocated } = record;
    let first = 0;
    const entries: WalEntry[] = [];
    for (let ordinal = 0; ordinal < count; ordinal++) {
      const index = firstIndex + ordinal;
      if (!group.isLive(index, origin, segment, relocated)) continue;
      if (this.#isDoomed(groupId, index)) continue;
      if (entries.length === 0) first = index;
      const { term, kind, data } = record.entryAt(ordinal);
      entries.push({ term, kind, data });
    }
    if (entries.length === 0) return;
    this.#outstanding++;
    const refusal = this.#relocate({ groupId, first, origin, entries }, (error) => {
      this.#outstanding--;
      this.#error ??= error;
      this.#finishWhenDone();
    });
    if (refusal === undefined) return;
    this.#outstanding--;
    this.#error ??= refusal;
  }

  #finishWhenDone(): void {
    if (!this.#wholeRead || this.#outstanding > 0) return;
    const done = this.#done;
    this.#done = undefined;
    this.#reader = undefined;
    done?.(this.#error);
  }
}
