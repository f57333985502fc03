/**
 * The freshness of mirrors, as every node knows it. A puller notes the time, by the clocks of its own
 * node, as of which everything of its shard is mirrored; other nodes ask its node for the age of that, and
 * count it from when they asked. So no clock of another machine is believed, and an answer that was long
 * under way makes mirrors older, never fresher. What is not known makes a region's mirrors suspended.
 */
import { type ClockReading, earlier, readClocks, sinceMs } from "../base/clock_reading.ts";
import { REGION_LOOK_MS, REGION_READINGS_MAX } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { NodeCalls } from "../serving/node_calls.ts";
import type { RegionState } from "../system/regions/region_state.ts";
import { SOURCE_AGE_UNKNOWN, wireAge } from "../wire/record_source.ts";
import type { PullerState } from "../../schemas/gen/wire.ts";

/** Dependencies of {@link RegionAges}. */
export interface RegionAgesParts {
  readonly self: number;
  /** The number of shards of each region. */
  readonly shardCount: number;
  readonly world: World;
  readonly calls: NodeCalls;
  readonly regions: () => Pick<RegionState, "all" | "of">;
}

/** The time as of which a shard is mirrored, and when that was known here. */
interface Reading {
  readonly asOf: ClockReading;
  readonly knownAt: ClockReading;
}

/** The freshness of one shard. */
interface KnownShard {
  /** Generation of the feed: what is known of another one says nothing. */
  readonly feed: number;
  latest: Reading;
  /** Earlier ones, the latest first, for reads of older state: about one a second. */
  readonly earlier: Reading[];
}

/** The last answer of a node. */
interface Answer {
  readonly askedAt: ClockReading;
  readonly pullers: readonly PullerState[];
}

/** The ages of all regions. */
export class RegionAges {
  readonly #parts: RegionAgesParts;
  readonly #shards = new Map<string, KnownShard[]>();
  readonly #answers = new Map<number, Answer>();
  readonly #asking = new Set<number>();

  constructor(parts: RegionAgesParts) {
    this.#parts = parts;
  }

  /**
   * Returns the age of a region's mirrors, ms: all its changes up to that long ago are mirrored here.
   * Undefined if it is not known.
   *
   * @param staleMs the age of the state that is read: what was mirrored since is not in it.
   */
  ageMs(region: string, staleMs = 0): number | undefined {
    const known = this.#shards.get(region);
    const feed = this.#parts.regions().of(region)?.feed;
    if (known === undefined || feed === undefined) return undefined;
    let oldestMs = 0;
    for (let shard = 0; shard < this.#parts.shardCount; shard++) {
      const one = known[shard];
      const reading = one?.feed === feed ? this.#readingOf(one, staleMs) : undefined;
      if (reading === undefined) return undefined;
      oldestMs = Math.max(oldestMs, sinceMs(this.#parts.world, reading.asOf));
    }
    return oldestMs;
  }

  /** Returns what was known of a shard some time ago. */
  #readingOf({ latest, earlier }: KnownShard, staleMs: number): Reading | undefined {
    if (staleMs === 0) return latest;
    const isOf = ({ knownAt }: Reading) => sinceMs(this.#parts.world, knownAt) >= staleMs;
    return isOf(latest) ? latest : earlier.find(isOf);
  }

  /** Returns the age of one shard, for another node; {@link SOURCE_AGE_UNKNOWN} if it is not known. */
  shardAgeMs(region: string, shard: number, feed: number): number {
    const one = this.#shards.get(region)?.[shard];
    return wireAge(one?.feed === feed ? sinceMs(this.#parts.world, one.latest.asOf) : undefined);
  }

  /** Records that everything that a shard had at that time, by this node's clocks, is mirrored. */
  fresh(region: string, shard: number, feed: number, asOf: ClockReading): void {
    let known = this.#shards.get(region);
    if (known === undefined) this.#shards.set(region, known = []);
    const latest = { asOf, knownAt: readClocks(this.#parts.world) };
    const before = known[shard];
    if (before?.feed !== feed) known[shard] = { feed, latest, earlier: [] };
    else if (before.latest.asOf.monotonicMs < asOf.monotonicMs) {
      const { earlier: readings } = before;
      const gapMs = before.latest.knownAt.monotonicMs - (readings[0]?.knownAt.monotonicMs ?? 0);
      if (readings.length === 0 || gapMs >= READING_MS) readings.unshift(before.latest);
      if (readings.length > REGION_READINGS_MAX) readings.pop();
      before.latest = latest;
    }
  }

  /** Returns the states of the pullers on another node, as it answered last; undefined if it has not. */
  pullersOf(node: number): readonly PullerState[] | undefined {
    return this.#answers.get(node)?.pullers;
  }

  /** Returns the time since the last answer of a node was asked for, ms; Infinity if there is none. */
  silentMs(node: number): number {
    const answer = this.#answers.get(node);
    return answer === undefined ? Infinity : sinceMs(this.#parts.world, answer.askedAt);
  }

  /** Asks all other nodes that follow a region, and forgets regions that are no peers. */
  ask(): void {
    const { all: regions } = this.#parts.regions();
    const nodes = new Set(regions.flatMap(({ pullers }) => pullers.map(({ nodeId }) => nodeId)));
    nodes.delete(this.#parts.self);
    for (const node of nodes) void this.#askNode(node);
    const names = new Set(regions.map(({ settings }) => settings.name));
    for (const name of this.#shards.keys()) if (!names.has(name)) this.#shards.delete(name);
    for (const node of this.#answers.keys()) if (!nodes.has(node)) this.#answers.delete(node);
  }

  async #askNode(node: number): Promise<void> {
    if (this.#asking.has(node)) return;
    this.#asking.add(node);
    const askedAt = readClocks(this.#parts.world);
    try {
      const { pullers } = await this.#parts.calls.call(node, "pullerStates", {}, ASK_MS_MAX);
      this.#answers.set(node, { askedAt, pullers });
      for (const { region, shard, feed, ageMs } of pullers) {
        if (ageMs === SOURCE_AGE_UNKNOWN || shard >= this.#parts.shardCount) continue;
        this.fresh(region, shard, feed, earlier(askedAt, ageMs));
      }
    } catch {
      // Nothing was learned: the mirrors of its regions grow older, and the node counts as silent.
    } finally {
      this.#asking.delete(node);
    }
  }
}

/** Time between two readings that are kept, ms. */
const READING_MS = 900;

/** Time for an answer, ms. */
const ASK_MS_MAX = 2 * REGION_LOOK_MS;
