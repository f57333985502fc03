/**
 * The records that a watch delivers: some kinds, and of these a region, labels and keys; or, in a feed, all
 * records that another region may have.
 */
import { isBytesAt } from "../../base/bytes.ts";
import { RECORD_SCOPES } from "../../record/plain.ts";
import { RECORD_KINDS } from "../../record/kinds.ts";
import type { OwnedView } from "../../record/kind_row.ts";
import { KIND_AGENT, KIND_ALIAS, KIND_MIRROR } from "../../record/key.ts";
import {
  aliasCodec,
  type AliasView,
  mirrorCodec,
  type MirrorView,
} from "../../../schemas/gen/record.ts";
import type { StoredSpan } from "../../store/reply.ts";
import { MIRROR_KEY_BYTES } from "../../store/shared.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import { WATCH_EVENT_TYPES } from "../../../schemas/gen/wire.ts";
import { isDomainWithinReads, isWithinReads, type StoredReads } from "../read_limits.ts";
import { hasLabel } from "../stored_text.ts";
import type { HistoryChange } from "./history_change.ts";

/** The scope of records that other regions may have. Scopes that a later program adds stay here, too. */
const SCOPE_GLOBAL = RECORD_SCOPES.indexOf("global");

/** A filter, in the form in which it is compared with stored forms. */
export interface StoredFilter {
  readonly kinds: readonly number[];
  /** Empty: any. */
  readonly region: Uint8Array;
  /** All of them must be present. */
  readonly labels: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
  /** Ids, or the domains of aliases. Empty: any. */
  readonly keys: readonly Uint8Array[];
  /** Whether it is that of a feed: records of global scope only, and no events for lost domains. */
  readonly isFeed: boolean;
  /** Whether mirrors of other regions' records match too. */
  readonly withMirrors: boolean;
  /** Limits on what the watching peer may read; absent: none. */
  readonly reads?: StoredReads;
}

/**
 * Relation of a change to a filter: `matches` if its record matches, `left` if only the record before it
 * does.
 */
export type Concern = "none" | "matches" | "left";

/** The record of a mirror. */
export interface MirroredRecord {
  /** Kind of the record. */
  readonly kind: number;
  readonly home: string;
  readonly record: StoredSpan;
}

/** Reports whether records of a kind, or mirrors, are of the kinds of a filter. */
export function isOfKinds({ kinds, withMirrors }: StoredFilter, kind: number): boolean {
  return kinds.includes(kind) || kind === KIND_MIRROR && withMirrors;
}

/** A location of a key. */
export interface KeyPlace {
  bytes: Uint8Array;
  start: number;
  end: number;
}

/** Compares stored forms with filters. One instance serves all watches of a node. */
export class FilterMatcher {
  /** By the number of the kind. */
  readonly #records: OwnedView[] = [];
  readonly #alias: AliasView = aliasCodec.newView();
  readonly #mirror: MirrorView = mirrorCodec.newView();
  readonly #key: KeyPlace = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor() {
    for (const { number, codec } of RECORD_KINDS.rows) this.#records[number] = codec.newView();
  }

  /** Returns how a change concerns a filter, whose keys are not compared. */
  concern(filter: StoredFilter, change: HistoryChange): Concern {
    const { type, kind, record, before } = change;
    if (filter.isFeed && type === WATCH_EVENT_TYPES.domainLost) return "none";
    if (this.matches(filter, kind, record)) return "matches";
    const hadForm = hasForm(type) && before.end > before.start;
    return hadForm && this.matches(filter, kind, before) ? "left" : "none";
  }

  /** Returns the record in the stored form of a mirror. */
  recordOf({ view, bytes, start, end }: StoredSpan): MirroredRecord {
    const mirror = this.#mirror.wrap(view, bytes, start, end);
    const { kind, home, recordOffset, recordLength } = mirror;
    const record = { view, bytes, start: recordOffset, end: recordOffset + recordLength };
    return { kind, home, record };
  }

  /** Reports whether a stored form matches a filter, whose keys are not compared. */
  matches(filter: StoredFilter, kind: number, form: StoredSpan): boolean {
    const { kinds, region, labels, isFeed } = filter;
    if (kind === KIND_MIRROR) {
      const mirrored = filter.withMirrors ? this.recordOf(form) : undefined;
      return mirrored !== undefined && this.matches(filter, mirrored.kind, mirrored.record);
    }
    if (!kinds.includes(kind) || !this.isReadable(filter, kind, form)) return false;
    if (region.length === 0 && labels.length === 0 && !isFeed) return true;
    const { view, bytes, start, end } = form;
    const record = this.#records[kind]!.wrap(view, bytes, start, end);
    if (isFeed && record.scope !== SCOPE_GLOBAL) return false;
    if (region.length > 0) {
      const at = record.regionOffset;
      if (!isBytesAt(region, bytes, at, at + record.regionLength)) return false;
    }
    return labels.every(({ key, value }) => hasLabel(record, key, value));
  }

  /** Reports whether the peer of a filter may read a record, an alias or a mirror. */
  isReadable({ reads }: Pick<StoredFilter, "reads">, kind: number, form: StoredSpan): boolean {
    if (reads === undefined) return true;
    const { view, bytes, start, end } = form;
    if (kind === KIND_ALIAS) {
      return isDomainWithinReads(reads, this.#alias.wrap(view, bytes, start, end).domain);
    }
    if (kind !== KIND_MIRROR) {
      return isWithinReads(reads, kind, this.#records[kind]!.wrap(view, bytes, start, end));
    }
    const mirrored = this.recordOf(form);
    return this.isReadable({ reads }, mirrored.kind, mirrored.record);
  }

  /** Reports whether a form before a change, which may be empty, is of an agent with a domain. */
  hadDomain(kind: number, { view, bytes, start, end }: StoredSpan): boolean {
    if (kind !== KIND_AGENT || end === start) return false;
    return this.#records[kind]!.wrap(view, bytes, start, end).domainLength > 0;
  }

  /** Returns the location of the key in a stored form; it is overwritten by the next call. */
  keyOf(kind: number, { view, bytes, start, end }: StoredSpan): KeyPlace {
    const key = this.#key;
    key.bytes = bytes;
    if (kind === KIND_ALIAS) {
      const alias = this.#alias.wrap(view, bytes, start, end);
      key.start = alias.domainOffset;
      key.end = key.start + alias.domainLength;
    } else {
      const record = kind === KIND_MIRROR ? this.#mirror : this.#records[kind]!;
      key.start = record.wrap(view, bytes, start, end).idOffset;
      key.end = key.start + UUID_BYTES;
    }
    return key;
  }

  /** As {@link keyOf}, of the key in the partition's table: that of a mirror has the kind behind the id. */
  tableKeyOf(kind: number, form: StoredSpan): KeyPlace {
    const key = this.keyOf(kind, form);
    if (kind === KIND_MIRROR) key.end = key.start + MIRROR_KEY_BYTES;
    return key;
  }

  /**
   * Returns the time until the logged cover of a record ends, whole ms; 0 without a lease.
   *
   * @param timeMs the group's time.
   */
  coverLeftMs(kind: number, { view, bytes, start, end }: StoredSpan, timeMs: number): number {
    if (!RECORD_KINDS.hasLease(kind)) return 0;
    const { leaseExpiryMs } = this.#records[kind]!.wrap(view, bytes, start, end);
    return Math.min(0xffff_ffff, Math.max(0, leaseExpiryMs - timeMs));
  }

  /** Returns the index of the entry that changed a record last; of an alias 0. */
  revisionIndexOf(kind: number, { view, bytes, start, end }: StoredSpan): number {
    if (kind === KIND_ALIAS) return 0;
    return this.#records[kind]!.wrap(view, bytes, start, end).revisionIndex;
  }

  /** As {@link coverLeftMs} for the record of a change; 0 if it ended. */
  remainingMs({ type, kind, record }: HistoryChange, timeMs: number): number {
    return hasForm(type) ? this.coverLeftMs(kind, record, timeMs) : 0;
  }
}

/** Reports whether a change of a type leaves a record. */
function hasForm(type: number): boolean {
  const { put, superseded, stale, recovered } = WATCH_EVENT_TYPES;
  return type === put || type === superseded || type === stale || type === recovered;
}

/** Returns a number below 2^30 for a key, by which watches of keys are found. */
export function hashOfKey(bytes: Uint8Array, start: number, end: number): number {
  // FNV-1a: whoever chooses keys that collide makes only the watches of those keys slower.
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash >>> 2;
}
