/**
 * The changes of all partitions, as the first replica that applied them passed them on; every other
 * one must pass on the same. Numbers and types of changes are derived here anew, not taken from the
 * histories of nodes.
 */
import { type Alias, aliasCodec } from "../../../schemas/gen/record.ts";
import { bytesEqual, toHex } from "../../../src/base/bytes.ts";
import { KIND_ALIAS } from "../../../src/record/key.ts";
import { RECORD_KINDS } from "../../../src/record/kinds.ts";
import type { OwnedRecord } from "../../../src/record/kind_row.ts";
import type { EventSink, StoreEvent } from "../../../src/store/event.ts";
import { Finding } from "../history.ts";

/** A place between the changes of a partition. */
export interface Place {
  readonly index: number;
  readonly ordinal: number;
}

/** A committed change. */
export interface TrueChange extends Place {
  readonly partition: number;
  /** As in `WatchEvent.type`. */
  readonly type: number;
  readonly kind: number;
  /** Its kind, and its id in hexadecimal, or its domain. */
  readonly key: string;
  /** The form after; of a record that ended, or lost its domain, the form before. */
  readonly form: Uint8Array;
  readonly before: Uint8Array | undefined;
  /** When a replica first applied it, true time, ms. */
  readonly appliedMs: number;
}

/** The records that a watch is about. */
export interface TrueFilter {
  readonly kinds: readonly number[];
  readonly region: string;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
  /** Keys as those of changes; none: all. */
  readonly keys: ReadonlySet<string>;
}

/** Returns a number below, equal to or above 0 as `left` is before, at or behind `right`. */
export function comparePlaces(left: Place, right: Place): number {
  return left.index - right.index || left.ordinal - right.ordinal;
}

/** Returns the key of a stored form. */
export function keyOfForm(kind: number, form: Uint8Array): string {
  return kind === KIND_ALIAS
    ? `${kind} ${aliasCodec.decode(form).domain}`
    : `${kind} ${toHex(form.subarray(8, 24))}`;
}

/** Reports whether a stored form matches a filter. */
export function matches(filter: TrueFilter, kind: number, form: Uint8Array): boolean {
  const { kinds, region, labels, keys } = filter;
  if (!kinds.includes(kind)) return false;
  if (keys.size > 0 && !keys.has(keyOfForm(kind, form))) return false;
  if (region === "" && labels.length === 0) return true;
  const record = RECORD_KINDS.row(kind).codec.decode(form) as OwnedRecord;
  const found = record.extra?.labels ?? [];
  return (region === "" || record.region === region) &&
    labels.every(({ key, value }) => found.some((one) => one.key === key && one.value === value));
}

const TYPES: Readonly<Record<StoreEvent["type"], number>> = {
  ...{ registered: 1, updated: 1, taken_over: 2, removed: 3, expired: 4, claim_dropped: 5 },
  ...{ claimed: 1, confirmed: 1, released: 5, extended: 0, mirrored: 0, mirror_removed: 0 },
  ...{ stale: 6, recovered: 7 },
};

/** Reports whether a record or alias is there after a change of a type. */
export function leavesForm(type: number): boolean {
  return type <= 2 || type >= 6;
}

/** The changes of one run. */
export class WatchTruth {
  readonly name = "histories";
  readonly #nowMs: () => number;
  /** By partition, in order. */
  readonly #changes = new Map<number, TrueChange[]>();
  #isOver = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Takes no further change: from now on there is more than one history. */
  end(): void {
    this.#isOver = true;
  }

  /** Returns the sink of a program. @param machine its address. */
  sinkOf(machine: number): EventSink {
    const last = new Map<number, { index: number; ordinal: number; hasEnded: boolean }>();
    return {
      onBegin: (partition) => void last.delete(partition),
      onEvent: (event) => {
        if (this.#isOver) return;
        const { partition, index } = event;
        const before = last.get(partition);
        const isSame = before?.index === index;
        const isOfEnd = isSame && before.hasEnded && event.type === "claim_dropped";
        const hasEnded = event.type === "removed" || event.type === "expired";
        const isOne = TYPES[event.type] !== 0 && !isOfEnd;
        const ordinal = (isSame ? before.ordinal : 0) + Number(isOne);
        last.set(partition, { index, ordinal, hasEnded });
        if (isOne) this.#take(machine, event, ordinal);
      },
    };
  }

  /** Returns the changes of a partition. */
  of(partition: number): readonly TrueChange[] {
    return this.#changes.get(partition) ?? [];
  }

  /** Returns the first change behind `from` and not behind `to` that concerns a filter. */
  firstBetween(
    partition: number,
    from: Place,
    to: Place,
    filter: TrueFilter,
    isWanted: (change: TrueChange) => boolean = () => true,
  ): TrueChange | undefined {
    return this.of(partition).find((change) =>
      comparePlaces(change, from) > 0 && comparePlaces(change, to) <= 0 &&
      concern(filter, change) !== "none" && isWanted(change)
    );
  }

  /** Returns the records and aliases that match a filter at a place: by key, their last changes. */
  stateAt(partition: number, place: Place, filter: TrueFilter): Map<string, TrueChange> {
    const state = new Map<string, TrueChange>();
    for (const change of this.of(partition)) {
      if (comparePlaces(change, place) > 0) break;
      const { type, kind, key, form } = change;
      if (type === 5 && kind !== KIND_ALIAS) continue;
      if (leavesForm(type) && matches(filter, kind, form)) state.set(key, change);
      else state.delete(key);
    }
    return state;
  }

  #take(machine: number, event: StoreEvent, ordinal: number): void {
    const { partition, kind, index, stored, before } = event;
    const changes = this.#changes.get(partition) ?? [];
    this.#changes.set(partition, changes);
    const form = stored.bytes.slice(stored.start, stored.end);
    const formBefore = before?.bytes.slice(before.start, before.end);
    const change: TrueChange = {
      ...{ partition, index, ordinal, kind, form, before: formBefore },
      type: typeOf(event.type, kind, form, formBefore),
      key: keyOfForm(kind, form),
      appliedMs: this.#nowMs(),
    };
    const last = changes.at(-1);
    if (last === undefined || comparePlaces(change, last) > 0) return void changes.push(change);
    const known = changes.find((one) => comparePlaces(one, change) === 0);
    const isSame = known?.type === change.type && known.key === change.key &&
      isSameForm(kind, known.form, form);
    if (isSame) return;
    throw new Finding(
      this.name,
      `Machine ${machine} passes on ${nameOf(change)}, which is not what others did: ` +
        (known === undefined ? "nothing" : nameOf(known)),
    );
  }
}

/** Returns how a change concerns a filter. */
export function concern(filter: TrueFilter, change: TrueChange): "none" | "matches" | "left" {
  const { type, kind, form, before } = change;
  if (matches(filter, kind, form)) return "matches";
  return leavesForm(type) && before !== undefined && matches(filter, kind, before)
    ? "left"
    : "none";
}

/** Returns the description of a change for messages. */
export function nameOf({ partition, index, ordinal, type, key }: TrueChange): string {
  return `change ${index}.${ordinal} of partition ${partition} (type ${type} of ${key})`;
}

function typeOf(
  type: StoreEvent["type"],
  kind: number,
  form: Uint8Array,
  before: Uint8Array | undefined,
): number {
  if (kind !== KIND_ALIAS || type !== "claimed" || before === undefined) return TYPES[type];
  const [now, then]: Alias[] = [aliasCodec.decode(form), aliasCodec.decode(before)];
  return bytesEqual(now!.agentId, then!.agentId) ? 1 : 2;
}

/** Extensions of covers are no changes, but stand in the forms of ends. */
function isSameForm(kind: number, left: Uint8Array, right: Uint8Array): boolean {
  if (kind === KIND_ALIAS) return bytesEqual(left, right);
  return revisionOf(kind, left) === revisionOf(kind, right);
}

/** Returns the index of the entry that changed a record last, but for extensions. */
export function revisionOf(kind: number, form: Uint8Array): number {
  return (RECORD_KINDS.row(kind).codec.decode(form) as OwnedRecord).revision.index;
}
