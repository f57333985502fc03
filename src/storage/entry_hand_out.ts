/**
 * The hand-out of recovered entries: each live entry once, with ascending index and without a gap
 * within its group. Relocated entries are kept during the scan and handed out first, because all
 * other live entries of their group are newer.
 */
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { EntryRecord } from "../wal/entry_record.ts";
import type { Ledger } from "../wal/ledger.ts";
import type { SharedLogHandlers } from "./shared_log.ts";

/** A relocated entry, kept between the two passes: they are few. */
interface KeptEntry {
  readonly groupId: number;
  readonly index: number;
  readonly origin: number;
  readonly segment: number;
  readonly term: number;
  readonly kind: number;
  readonly data: Uint8Array;
}

/** Hands out the entries of one recovery; a gap is an error that is thrown. */
export class EntryHandOut {
  readonly #ledger: Ledger;
  readonly #onEntry: SharedLogHandlers["entry"];
  readonly #gapError: (what: string) => Error;
  readonly #kept: KeptEntry[] = [];
  /** Last index handed out, by group. */
  readonly #handedOut = new Map<number, number>();

  /** @param gapError returns the error for a gap. */
  constructor({ ledger, onEntry, gapError }: {
    readonly ledger: Ledger;
    readonly onEntry: SharedLogHandlers["entry"];
    readonly gapError: (what: string) => Error;
  }) {
    this.#ledger = ledger;
    this.#onEntry = onEntry;
    this.#gapError = gapError;
  }

  /** Keeps the entries of a relocation that are live so far. */
  keep(entries: EntryRecord, segment: number): void {
    const { groupId, origin } = entries;
    this.#eachLive(entries, segment, true, (index, { term, kind, data }) => {
      this.#kept.push({ groupId, index, origin, segment, term, kind, data: data.slice() });
    });
  }

  /** Hands out the kept entries that are still live. */
  handOutKept(): void {
    const kept = this.#kept.filter(({ groupId, index, origin, segment }) =>
      this.#ledger.group(groupId).isLive(index, origin, segment, true)
    );
    kept.sort((left, right) => left.groupId - right.groupId || left.index - right.index);
    for (const { groupId, index, term, kind, data } of kept) {
      if (this.#handedOut.get(groupId) === index) continue;
      this.#handOut(groupId, index, term, kind, data);
    }
    this.#kept.length = 0;
  }

  /** Hands out the live entries of an append in the segment at that position. */
  handOutRecord(record: EntryRecord, segment: number): void {
    this.#eachLive(record, segment, false, (index, { term, kind, data }) => {
      this.#handOut(record.groupId, index, term, kind, data);
    });
  }

  #eachLive(
    record: EntryRecord,
    segment: number,
    isRelocated: boolean,
    each: (index: number, entry: ReturnType<EntryRecord["entryAt"]>) => void,
  ): void {
    const { groupId, firstIndex, origin, count } = record;
    const group = this.#ledger.group(groupId);
    for (let ordinal = 0; ordinal < count; ordinal++) {
      const index = firstIndex + ordinal;
      if (group.isLive(index, origin, segment, isRelocated)) each(index, record.entryAt(ordinal));
    }
  }

  #handOut(groupId: number, index: number, term: number, kind: number, data: Uint8Array): void {
    const before = this.#handedOut.get(groupId) ?? this.#ledger.group(groupId).imageIndex;
    if (index !== before + 1) {
      throw this.#gapError(`entry ${index} of group ${groupId} follows entry ${before}`);
    }
    this.#handedOut.set(groupId, index);
    this.#onEntry(groupId as GroupId, index as LogIndex, term as Term, kind, data);
  }
}
