/**
 * Changes that regions have applied, and the mirrors that those permit. Each change of a record at its home
 * is noted as the first machine applies it, and each change of a mirror is checked against them as the
 * first machine of its region applies that:
 *
 * - *residency*: a mirror is of global scope, and the home had that form at that revision;
 * - *never newer*: the home has applied the revision that a mirror has;
 * - *order*: no change of a mirror is at or before an earlier one of the same feed;
 * - *evidence*: a mirror is removed only after its home ended the record, or took it out of the scope.
 */
import { agentCodec, mirrorCodec } from "../../../schemas/gen/record.ts";
import { comparePositions, type Position } from "../../../src/base/position.ts";
import { KIND_AGENT, KIND_MIRROR } from "../../../src/record/key.ts";
import type { EventSink, StoreEvent } from "../../../src/store/event.ts";
import { Finding } from "../history.ts";

/** A change of a record at its home. */
export interface HomeChange {
  readonly position: Position;
  /** The value of a record of global scope; undefined if it ended, or is of another scope. */
  readonly value: number | undefined;
  /** When a leader first had applied it, true time, ms; Infinity until then. */
  leaderAtMs: number;
}

/** A mirror as its region last changed it. */
interface MirroredAs {
  readonly feed: number;
  readonly revision: Position;
}

/** The changes of one region. */
export class RegionTruth {
  readonly name: string;
  /** Agents by their numbers: their changes, in order. */
  readonly changes = new Map<number, HomeChange[]>();
  readonly #regions: ReadonlyMap<string, RegionTruth>;
  readonly #nowMs: () => number;
  /** By home and number. */
  readonly #mirrors = new Map<string, MirroredAs>();
  /** By partition: the entry up to which changes of mirrors were checked, and its last event. */
  readonly #checked = new Map<number, { index: number; ordinal: number }>();
  mirrored = 0;
  removed = 0;

  constructor(
    name: string,
    { regions, nowMs }: {
      readonly regions: ReadonlyMap<string, RegionTruth>;
      readonly nowMs: () => number;
    },
  ) {
    this.name = name;
    this.#regions = regions;
    this.#nowMs = nowMs;
  }

  /** Returns the sink for the events of one machine. @param leads whether it leads a partition now. */
  sinkOf(leads: (partition: number) => boolean): EventSink {
    const last = new Map<number, { index: number; ordinal: number }>();
    return {
      onBegin: (partition) => void last.delete(partition),
      onEvent: (event) => {
        const before = last.get(event.partition);
        const ordinal = before?.index === event.index ? before.ordinal + 1 : 1;
        const place = { index: event.index, ordinal };
        last.set(event.partition, place);
        if (event.kind === KIND_MIRROR) this.#mirror(event, place);
        else if (event.kind === KIND_AGENT) this.#record(event, leads(event.partition));
      },
    };
  }

  #record({ type, stored, generation, index }: StoreEvent, isLed: boolean): void {
    const { bytes, start, end } = stored;
    const agent = agentCodec.decode(bytes.slice(start, end));
    const number = numberOf(agent.id);
    let change: HomeChange;
    switch (type) {
      case "registered":
      case "updated":
      case "taken_over":
        change = {
          position: agent.revision,
          value: agent.scope === 0 ? agent.port : undefined,
          leaderAtMs: Infinity,
        };
        break;
      case "removed":
      case "expired":
        change = { position: { generation, index }, value: undefined, leaderAtMs: Infinity };
        break;
      default:
        return;
    }
    let changes = this.changes.get(number);
    if (changes === undefined) this.changes.set(number, changes = []);
    const known = changes.find(({ position }) => comparePositions(position, change.position) === 0);
    if (known === undefined) changes.push(change);
    if (isLed) (known ?? change).leaderAtMs = Math.min((known ?? change).leaderAtMs, this.#nowMs());
  }

  #mirror(event: StoreEvent, { index, ordinal }: { index: number; ordinal: number }): void {
    const { partition, type, stored } = event;
    const checked = this.#checked.get(partition);
    const isNew = checked === undefined || index > checked.index ||
      index === checked.index && ordinal > checked.ordinal;
    if (!isNew) return;
    this.#checked.set(partition, { index, ordinal });
    const { bytes, start, end } = stored;
    const { home, id, feed, revision, record } = mirrorCodec.decode(bytes.slice(start, end));
    const truth = this.#regions.get(home);
    const number = numberOf(id);
    const what = `${this.name}'s mirror of ${home}'s record ${number} at ` +
      `${revision.generation}:${revision.index}`;
    if (truth === undefined) throw new Finding("residency", `${what}: there is no such region`);
    const changes = truth.changes.get(number) ?? [];
    const change = changes.find(({ position }) => comparePositions(position, revision) === 0);
    if (type === "mirrored") {
      this.mirrored++;
      const { scope, port } = agentCodec.decode(record);
      if (change === undefined) throw new Finding("never_newer", `${what} is newer than its home`);
      if (scope !== 0 || change.value !== port) {
        const found = `scope ${scope}, value ${port}`;
        throw new Finding("residency", `${what} is ${found}: its home had ${change.value}`);
      }
      this.#inOrder(`${home} ${number}`, { feed, revision }, what);
    } else {
      this.removed++;
      const evidence = changes.find(({ position, value }) =>
        value === undefined && comparePositions(position, revision) > 0
      );
      if (evidence === undefined) throw new Finding("evidence", `${what} was removed without any`);
    }
  }

  #inOrder(key: string, mirrored: MirroredAs, what: string): void {
    const before = this.#mirrors.get(key);
    const isLater = before === undefined || mirrored.feed > before.feed ||
      mirrored.feed === before.feed && comparePositions(mirrored.revision, before.revision) > 0;
    if (!isLater) {
      const { generation, index } = before.revision;
      throw new Finding("order", `${what} came after that at ${generation}:${index}`);
    }
    this.#mirrors.set(key, mirrored);
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
}

/** Returns the number of a record of the load. */
export function numberOf(id: Uint8Array): number {
  return new DataView(id.buffer, id.byteOffset).getUint32(12);
}
