/**
 * Eras of a region: it is one cluster in one generation, until its disks are lost, or it is made anew from
 * what is left, which raises the generation. Positions of two eras say nothing about each other.
 */
import { agentCodec } from "../../../schemas/gen/record.ts";
import { comparePositions, type Position } from "../../../src/base/position.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import type { PartitionStore } from "../../../src/store/store.ts";

/** A change of a record at its home. */
export interface HomeChange {
  readonly position: Position;
  /** The value of a record of global scope; undefined if it ended, or is of another scope. */
  readonly value: number | undefined;
  /** When the first machine had applied it, true time, ms. */
  readonly atMs: number;
  /** When a leader first had applied it; Infinity until then. */
  leaderAtMs: number;
}

/** Cluster and generation, as regions accept them. */
export interface EraName {
  readonly clusterId: Uint8Array;
  readonly generation: number;
}

/** The changes of one era. */
export class Era {
  /** Cluster and generation as text; undefined until the cluster is founded. */
  name: string | undefined;
  /** Agents by their numbers: their changes, in the order in which they became known. */
  readonly changes = new Map<number, HomeChange[]>();

  constructor(name?: EraName) {
    if (name !== undefined) this.name = nameOf(name);
  }

  /** Notes a change, the first time with the time now. @param isLed whether a leader has applied it. */
  changed(
    number: number,
    { position, value }: Pick<HomeChange, "position" | "value">,
    { nowMs, isLed }: { readonly nowMs: number; readonly isLed: boolean },
  ): void {
    let changes = this.changes.get(number);
    if (changes === undefined) this.changes.set(number, changes = []);
    let change = changes.find((one) => comparePositions(one.position, position) === 0);
    if (change === undefined) {
      changes.push(change = { position, value, atMs: nowMs, leaderAtMs: Infinity });
    }
    if (isLed) change.leaderAtMs = Math.min(change.leaderAtMs, nowMs);
  }

  /** Notes the records that the cluster begins with. */
  carried(stores: Iterable<PartitionStore>, nowMs: number): void {
    for (const store of stores) {
      store.forEachSlot(KIND_AGENT, (slot) => {
        const { id, revision, scope, port } = store.agentView(slot).toPlain();
        const change = { position: revision, value: scope === 0 ? port : undefined };
        this.changed(numberOf(id), change, { nowMs, isLed: true });
      });
    }
  }

  /** Returns the change at a position. */
  at(number: number, position: Position): HomeChange | undefined {
    return this.changes.get(number)
      ?.find((change) => comparePositions(change.position, position) === 0);
  }

  /** Returns the last of a record's changes that satisfy a condition; undefined if none does. */
  lastOf(number: number, isMeant: (change: HomeChange) => boolean = () => true) {
    let last: HomeChange | undefined;
    for (const change of this.changes.get(number) ?? []) {
      if (!isMeant(change)) continue;
      if (last === undefined || comparePositions(change.position, last.position) > 0) last = change;
    }
    return last;
  }

  /** Reports whether a record ended, or left the scope, after a position, or since a time. */
  hasEnded(
    number: number,
    { after, sinceMs = -Infinity }: { readonly after?: Position; readonly sinceMs?: number },
  ): boolean {
    return this.changes.get(number)?.some(({ position, value, atMs }) =>
      value === undefined && atMs >= sinceMs &&
      (after === undefined || comparePositions(position, after) > 0)
    ) ?? false;
  }
}

/** Returns a cluster and its generation as text. */
export function nameOf({ clusterId, generation }: EraName): string {
  return `${formatUuid(clusterId)} generation ${generation}`;
}

/** Returns the number of a record of the load. */
export function numberOf(id: Uint8Array): number {
  return new DataView(id.buffer, id.byteOffset).getUint32(12);
}

/** A stored form of an agent, as far as other regions matter. */
export interface SeenForm extends Pick<HomeChange, "value"> {
  readonly number: number;
  readonly revision: Position;
  readonly scope: number;
}

/** Decodes a stored form of an agent. */
export function formOf(bytes: Uint8Array): SeenForm {
  const { id, revision, scope, port } = agentCodec.decode(bytes);
  return { number: numberOf(id), revision, scope, value: scope === 0 ? port : undefined };
}
