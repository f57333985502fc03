/**
 * Changes that regions have applied, and the mirrors that those permit. Each change of a record at its home
 * is noted as the first machine applies it, and each change of a mirror is checked against them as the
 * first machine of its region applies that:
 *
 * - *residency*: a mirror is of global scope, and the home had that form at that revision;
 * - *never newer*: the home has applied the revision that a mirror has, in the era that was accepted as the
 *   mirror's feed;
 * - *order*: no change of a mirror is at or before an earlier one of the same feed, or of a former feed;
 * - *evidence*: a mirror is removed only after its home ended the record, or took it out of the scope; or
 *   if another era was accepted, which did not have the record since;
 * - *complete listing*: if its home's era has no end of the record, everything that is there was mirrored
 *   before.
 */
import { mirrorCodec } from "../../../schemas/gen/record.ts";
import { comparePositions, type Position } from "../../../src/base/position.ts";
import { KIND_AGENT, KIND_MIRROR } from "../../../src/record/key.ts";
import type { EventSink, StoreEvent } from "../../../src/store/event.ts";
import type { PartitionStore } from "../../../src/store/store.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { Finding } from "../history.ts";
import { Era, type EraName, formOf, nameOf, numberOf } from "./era.ts";

/** A mirror as its region last changed it. */
interface MirroredAs {
  readonly feed: number;
  readonly revision: Position;
}

/** A feed: the era of its home that was accepted, and when that was known here. */
interface AcceptedFeed {
  readonly era: Era;
  readonly atMs: number;
}

/** The mirrors that a region has of others, while it is one cluster in one generation. */
class Mirrored {
  /** By home and number: the last change. Ones that were removed stay. */
  readonly mirrors = new Map<string, MirroredAs>();
  /** By home: its feeds by their numbers. */
  readonly feeds = new Map<string, Map<number, AcceptedFeed>>();
  /** By partition: the entry up to which changes of mirrors were checked, and its last event. */
  readonly checked = new Map<number, { index: number; ordinal: number }>();
}

/** The changes of one region. */
export class RegionTruth {
  readonly name: string;
  readonly eras: Era[] = [new Era()];
  readonly #regions: ReadonlyMap<string, RegionTruth>;
  readonly #nowMs: () => number;
  #mirrored = new Mirrored();
  mirrored = 0;
  removed = 0;
  /** Mirrors that were removed because another era was accepted, which has no end of them. */
  swept = 0;

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

  /** The era now, of which a cluster may not be founded yet. */
  get era(): Era {
    return this.eras.at(-1)!;
  }

  /** Begins an era of a cluster that is founded anew. */
  lost(): void {
    this.#begin(new Era());
  }

  /** Begins an era of a cluster that was made anew from what is left of it. */
  remade(name: EraName, stores: readonly PartitionStore[]): void {
    const era = new Era(name);
    era.carried(stores, this.#nowMs());
    this.#begin(era);
    for (const store of stores) {
      store.forEachSlot(KIND_MIRROR, (slot) => {
        const { home, id, feed, revisionGeneration: generation, revisionIndex: index } = store
          .mirrors
          .view(slot);
        const key = `${home} ${numberOf(id)}`;
        this.#mirrored.mirrors.set(key, { feed, revision: { generation, index } });
      });
    }
  }

  #begin(era: Era): void {
    // What was interrupted is made once more.
    if (era.name !== undefined && this.era.name === era.name) this.eras.pop();
    this.eras.push(era);
    this.#mirrored = new Mirrored();
  }

  /** A machine has founded the cluster. */
  founded(name: EraName): void {
    const { era } = this;
    if (era.name !== undefined && era.name !== nameOf(name)) {
      throw new Finding("one_founding", `${this.name} is ${era.name}: it was founded once more`);
    }
    era.name = nameOf(name);
  }

  /** Notes the clusters that this region has accepted. */
  accepted(regions: readonly PeerRegion[]): void {
    for (const { settings: { name: home }, feed, clusterId, generation } of regions) {
      const feeds = this.#mirrored.feeds.get(home) ?? new Map<number, AcceptedFeed>();
      this.#mirrored.feeds.set(home, feeds);
      if (feed === 0 || feeds.has(feed)) continue;
      const name = nameOf({ clusterId, generation });
      const era = this.#regions.get(home)?.eras.find((one) => one.name === name);
      if (era === undefined) {
        throw new Finding(
          "accepted_era",
          `${this.name} has accepted ${name} as ${home}: it never was`,
        );
      }
      feeds.set(feed, { era, atMs: this.#nowMs() });
    }
  }

  /** Returns the era of a home that was accepted as a feed. */
  eraOf(home: string, feed: number): Era | undefined {
    return this.#mirrored.feeds.get(home)?.get(feed)?.era;
  }

  /** Returns the sink for the events of one program. @param leads whether it leads a partition now. */
  sinkOf(leads: (partition: number) => boolean): EventSink {
    const last = new Map<number, { index: number; ordinal: number }>();
    const { era } = this;
    return {
      onBegin: (partition) => void last.delete(partition),
      onEvent: (event) => {
        const before = last.get(event.partition);
        const ordinal = before?.index === event.index ? before.ordinal + 1 : 1;
        const place = { index: event.index, ordinal };
        last.set(event.partition, place);
        if (event.kind === KIND_MIRROR) this.#mirror(event, place);
        else if (event.kind === KIND_AGENT) this.#record(era, event, leads(event.partition));
      },
    };
  }

  #record(era: Era, { type, stored, generation, index }: StoreEvent, isLed: boolean): void {
    const { bytes, start, end } = stored;
    const { number, revision, value } = formOf(bytes.slice(start, end));
    const seen = { nowMs: this.#nowMs(), isLed };
    switch (type) {
      case "registered":
      case "updated":
      case "taken_over":
        return era.changed(number, { position: revision, value }, seen);
      case "removed":
      case "expired":
        return era.changed(number, { position: { generation, index }, value: undefined }, seen);
    }
  }

  #mirror(event: StoreEvent, { index, ordinal }: { index: number; ordinal: number }): void {
    const { partition, type, stored } = event;
    const checked = this.#mirrored.checked.get(partition);
    const isNew = checked === undefined || index > checked.index ||
      index === checked.index && ordinal > checked.ordinal;
    if (!isNew) return;
    this.#mirrored.checked.set(partition, { index, ordinal });
    const { bytes, start, end } = stored;
    const { home, id, feed, revision, record } = mirrorCodec.decode(bytes.slice(start, end));
    const number = numberOf(id);
    const what = `${this.name}'s mirror of ${home}'s record ${number} of feed ${feed} at ` +
      `${revision.generation}:${revision.index}`;
    if (type !== "mirrored") return this.#remove(home, number, { feed, revision }, what);
    const era = this.eraOf(home, feed);
    if (era === undefined) {
      throw new Finding("residency", `${what}: no such feed was accepted`);
    }
    this.mirrored++;
    const change = era.at(number, revision);
    const { scope, value } = formOf(record);
    if (change === undefined) {
      throw new Finding("never_newer", `${what} is newer than its home, which is ${era.name}`);
    }
    if (scope !== 0 || change.value !== value) {
      const found = `scope ${scope}, value ${value}`;
      throw new Finding("residency", `${what} is ${found}: its home had ${change.value}`);
    }
    this.#inOrder(`${home} ${number}`, { feed, revision }, what);
  }

  #remove(home: string, number: number, { feed, revision }: MirroredAs, what: string): void {
    this.removed++;
    if (this.eraOf(home, feed)?.hasEnded(number, { after: revision })) return;
    const later = [...this.#mirrored.feeds.get(home) ?? []].filter(([other]) => other > feed);
    if (later.some(([, { era, atMs }]) => era.hasEnded(number, { sinceMs: atMs }))) return;
    const lacking = later.filter(([, { era, atMs }]) =>
      era.lastOf(number, (change) => change.atMs <= atMs)?.value === undefined
    );
    if (lacking.length === 0) throw new Finding("evidence", `${what} was removed without any`);
    this.swept++;
    const unlisted = lacking.map(([other, accepted]) => this.#unlisted(home, other, accepted));
    if (unlisted.includes(undefined)) return;
    throw new Finding(
      "complete_listing",
      `${what} was removed before record ${unlisted.at(-1)}, which ${home} has, was mirrored`,
    );
  }

  /** Returns a record that a home has had since it was accepted, and that was not mirrored since. */
  #unlisted(home: string, feed: number, { era, atMs }: AcceptedFeed): number | undefined {
    for (const number of era.changes.keys()) {
      const known = era.lastOf(number, (change) => change.atMs <= atMs);
      const isConstant = known?.value !== undefined &&
        !era.hasEnded(number, { after: known.position });
      const mirror = this.#mirrored.mirrors.get(`${home} ${number}`);
      if (isConstant && (mirror === undefined || mirror.feed < feed)) return number;
    }
    return undefined;
  }

  #inOrder(key: string, mirrored: MirroredAs, what: string): void {
    const before = this.#mirrored.mirrors.get(key);
    const isLater = before === undefined || mirrored.feed > before.feed ||
      mirrored.feed === before.feed && comparePositions(mirrored.revision, before.revision) > 0;
    if (!isLater) {
      const { generation, index } = before.revision;
      const at = `feed ${before.feed} at ${generation}:${index}`;
      throw new Finding("order", `${what} came after that of ${at}`);
    }
    this.#mirrored.mirrors.set(key, mirrored);
  }
}
