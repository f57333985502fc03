/** Invariants between regions, at any time and at the end. */
import { comparePositions } from "../../../src/base/position.ts";
import type { Registry } from "../../../src/node/registry.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { idOf } from "../../support/store.ts";
import { Finding } from "../history.ts";
import { forEachMirror, type SeenRecord, type SimRegion } from "./region.ts";

/** Ages are whole by the clock of a node, ms. */
const ROUNDING_MS = 2;

/** Returns the mirrors of a home on one replica, by number. */
function mirrorsOf(
  { store }: { readonly store: Parameters<typeof forEachMirror>[0] },
  home: string,
): Map<number, SeenRecord> {
  const seen = new Map<number, SeenRecord>();
  forEachMirror(store, home, (number, one) => void seen.set(number, one));
  return seen;
}

/** Returns the number of the feed of a home, as a node knows it. */
function feedOf({ groups }: Registry, home: string): number {
  return groups.system.store.state.regions.of(home)?.feed ?? 0;
}

/**
 * Checks the ages that nodes state: everything that a home had changed before is mirrored at the leaders of
 * the node. @returns the number of ages that were checked
 */
export function checkAges(regions: readonly SimRegion[], nowMs: number): number {
  let checked = 0;
  for (const region of regions) {
    for (const machine of region.machines) {
      const { registry } = machine;
      if (registry === undefined) continue;
      for (const home of regions) {
        if (home === region) continue;
        const ageMs = registry.regions.ages.ageMs(home.name);
        if (ageMs === undefined) continue;
        checked++;
        const sinceMs = nowMs - ageMs - ROUNDING_MS;
        const { partitioner } = registry.table;
        for (const place of registry.table.here()) {
          if (!place.group.isLeading || place.group.readPoint(0) === undefined) continue;
          const mirrors = mirrorsOf(place, home.name);
          const feed = feedOf(registry, home.name);
          for (const number of home.numbers) {
            const id = idOf(number);
            if (partitioner.partitionOf(KIND_AGENT, id, 0, id.length) !== place.id) continue;
            checkAge(region, home, { number, feed, mirror: mirrors.get(number), sinceMs });
          }
        }
      }
    }
  }
  return checked;
}

function checkAge(
  region: SimRegion,
  home: SimRegion,
  { number, feed, mirror, sinceMs }: {
    readonly number: number;
    /** The feed that is followed, by which its age is known. */
    readonly feed: number;
    readonly mirror: SeenRecord | undefined;
    readonly sinceMs: number;
  },
): void {
  const era = region.applied.eraOf(home.name, feed);
  if (era === undefined) return;
  const due = era.lastOf(number, ({ leaderAtMs }) => leaderAtMs <= sinceMs);
  if (due === undefined) return;
  const { position, value } = due;
  if (mirror === undefined) {
    const ended = era.lastOf(
      number,
      (change) => change.value === undefined && comparePositions(change.position, position) >= 0,
    );
    if (value === undefined || ended !== undefined) return;
  } else if (mirror.feed === feed) {
    const order = comparePositions(mirror.revision, position);
    if (value === undefined ? order > 0 : order >= 0) return;
  }
  const has = mirror === undefined
    ? "none"
    : `${mirror.revision.generation}:${mirror.revision.index} of feed ${mirror.feed}`;
  throw new Finding(
    "stated_age",
    `${region.name} states that it has everything of ${home.name} up to ${
      sinceMs.toFixed(1)
    } ms: of ` +
      `record ${number} that is ${position.generation}:${position.index} of feed ${feed}, and it ` +
      `has ${has}`,
  );
}

/** Returns why mirrors differ from their homes; undefined if none does. */
export function unconverged(regions: readonly SimRegion[]): string | undefined {
  for (const region of regions) {
    for (const machine of region.machines) {
      const { registry } = machine;
      if (registry === undefined) return `machine ${machine.address} does not run`;
      for (const home of regions) {
        if (home === region) continue;
        const { era } = home.applied;
        const followed = region.applied.eraOf(home.name, feedOf(registry, home.name));
        if (followed !== era) {
          return `machine ${machine.address} of ${region.name} follows ${home.name} as ` +
            `${followed?.name}: it is ${era.name}`;
        }
        const found = new Map<number, SeenRecord>();
        const here = new Set<number>();
        for (const place of registry.table.here()) {
          here.add(place.id);
          for (const [number, seen] of mirrorsOf(place, home.name)) found.set(number, seen);
        }
        const { partitioner } = registry.table;
        for (const number of home.numbers) {
          const id = idOf(number);
          if (!here.has(partitioner.partitionOf(KIND_AGENT, id, 0, id.length))) continue;
          const last = era.lastOf(number);
          const mirror = found.get(number);
          const isSame = last?.value === undefined
            ? mirror === undefined
            : mirror !== undefined && comparePositions(mirror.revision, last.position) === 0;
          if (isSame) continue;
          return `machine ${machine.address} of ${region.name} has of ${home.name}'s record ` +
            `${number} ${JSON.stringify(mirror?.revision)}: its home ${JSON.stringify(last)}`;
        }
        const ageMs = registry.regions.ages.ageMs(home.name);
        if (ageMs === undefined || ageMs > FRESH_MS) {
          return `machine ${machine.address} of ${region.name} knows ${home.name} as of ${ageMs} ms ago`;
        }
      }
    }
  }
  return undefined;
}

/** Two rounds of progress, two looks, and the longest round trip, ms. */
const FRESH_MS = 8_000;

/** Returns the state of all pullers, for people. */
export function describePullers(regions: readonly SimRegion[]): string {
  return regions.flatMap(({ name, machines }) =>
    machines.map(({ address, registry }) => {
      const pullers = registry?.regions.pullers?.states() ?? [];
      const states = pullers.map(({ region, shard, state, lagEntries, ageMs, error }) =>
        `${region}/${shard} ${state}, lag ${lagEntries}, age ${ageMs}${error && `, ${error}`}`
      );
      return `machine ${address} of ${name}: ${states.join("; ")}`;
    })
  ).join("\n");
}
