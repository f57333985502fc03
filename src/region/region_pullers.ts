/**
 * The pullers on a node: those that group 0 has it run, started and stopped as that changes. The link to a
 * region is shared by its shards, and made anew when its settings change.
 */
import { bytesEqual } from "../base/bytes.ts";
import { REGION_LOOK_MS, REGION_SHARDS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";
import type { PullerState } from "../../schemas/gen/wire.ts";
import { LogShare } from "./log_share.ts";
import type { MirrorTarget } from "./mirror_target.ts";
import type { PullerAssigner } from "./puller_assigner.ts";
import { type PullerCounts, sumOfCounts } from "./puller.ts";
import type { RegionAges } from "./region_ages.ts";
import { type RegionGroup, regionNamed } from "./region_group.ts";
import { RegionKeeper } from "./region_keeper.ts";
import type { RegionLink } from "./region_link.ts";
import { ShardPuller } from "./shard_puller.ts";

/** Dependencies of {@link RegionPullers}. */
export interface RegionPullersParts {
  readonly self: number;
  readonly group: RegionGroup;
  readonly target: MirrorTarget;
  readonly ages: RegionAges;
  readonly assigner: PullerAssigner;
  /** Makes the link to a region. */
  readonly linkTo: (region: PeerRegion) => RegionLink;
  /** Returns what was ever written to the node's log, bytes. */
  readonly logWrittenBytes: () => number;
  readonly world: World;
  readonly logger: Logger;
}

/** A region that this node follows. */
interface Followed {
  /** Of its settings: another one makes another link. */
  readonly revision: number;
  readonly feed: number;
  /** Names the bans by which the link judges the region's nodes. */
  readonly bansDigest: Uint8Array;
  readonly link: RegionLink;
  readonly share: LogShare;
  readonly keeper: RegionKeeper;
  readonly shards: Map<number, ShardPuller>;
}

/** The pullers on a node. */
export class RegionPullers {
  readonly #parts: RegionPullersParts;
  readonly #followed = new Map<string, Followed>();
  /** Counts of the pullers that were stopped, of regions that are still peers. */
  readonly #ended = new Map<string, PullerCounts>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(parts: RegionPullersParts) {
    this.#parts = parts;
  }

  /** Starts to look at group 0 from time to time. */
  start(): void {
    if (this.#isStopped) return;
    this.look();
    this.#timer = this.#parts.world.scheduler.after(REGION_LOOK_MS, () => this.start());
  }

  /** Stops all pullers. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await Promise.all([...this.#followed.keys()].map((name) => this.#leave(name)));
  }

  /** Starts and stops pullers as group 0 has it now. */
  look(): void {
    const { group, assigner, ages } = this.#parts;
    const regions = group.regions();
    void assigner.run();
    ages.ask();
    for (const [name, { revision, feed, bansDigest }] of this.#followed) {
      const region = regionNamed(regions, name);
      const isSame = region?.revision === revision && region.feed === feed &&
        bytesEqual(region.bansDigest, bansDigest);
      if (!isSame) void this.#leave(name);
    }
    for (const region of regions) this.#lookAt(region);
    for (const name of this.#ended.keys()) {
      if (regionNamed(regions, name) === undefined) this.#ended.delete(name);
    }
  }

  /** Returns the states of the pullers on this node. */
  states(): PullerState[] {
    return [...this.#followed.values()].flatMap(({ shards }) =>
      [...shards.values()].map(({ state }) => state)
    );
  }

  /** Returns the counts of the pullers on this node since its start, by region. */
  counts(): ReadonlyMap<string, PullerCounts> {
    const counts = new Map(this.#ended);
    for (const [name, { shards }] of this.#followed) {
      for (const shard of shards.values()) {
        counts.set(name, sumOfCounts(shard.counts, counts.get(name)));
      }
    }
    return counts;
  }

  /** Returns the bytes received from each region that this node follows, over its present link. */
  received(): ReadonlyMap<string, number> {
    return new Map(
      Array.from(this.#followed, ([name, { link }]) => [name, link.contact.bytesReceived]),
    );
  }

  #lookAt(region: PeerRegion): void {
    const { self } = this.#parts;
    const { settings: { name, isPaused }, pullers } = region;
    const wanted = new Set(
      isPaused ? [] : pullers.flatMap(({ nodeId, shard }) => nodeId === self ? [shard] : []),
    );
    if (wanted.size === 0) return void this.#leave(name);
    const { shards, ...followed } = this.#enter(region);
    for (const [shard, puller] of shards) {
      if (!wanted.has(shard)) this.#end(name, shards, shard, puller);
    }
    for (const shard of wanted) {
      if (shards.has(shard) || shard >= REGION_SHARDS) continue;
      const puller = new ShardPuller({ ...this.#parts, ...followed, name, shard });
      shards.set(shard, puller);
      void puller.start();
    }
  }

  #enter(region: PeerRegion): Followed {
    const { settings: { name }, revision, feed, bansDigest } = region;
    const { linkTo, logWrittenBytes, group, world } = this.#parts;
    const known = this.#followed.get(name);
    if (known !== undefined) return known;
    const percentMax = () => regionNamed(group.regions(), name)?.settings.logPercentMax ?? 1;
    const share = new LogShare(logWrittenBytes, percentMax, world.monotonic.nowMs());
    const link = linkTo(region);
    const keeper = new RegionKeeper({ ...this.#parts, name, link });
    const followed = { revision, feed, bansDigest, link, share, keeper, shards: new Map() };
    keeper.start();
    this.#followed.set(name, followed);
    return followed;
  }

  async #leave(name: string): Promise<void> {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    this.#followed.delete(name);
    const { shards, link, keeper } = followed;
    keeper.stop();
    for (const [shard, puller] of shards) this.#end(name, shards, shard, puller);
    await link.close();
  }

  #end(
    name: string,
    shards: Map<number, ShardPuller>,
    shard: number,
    puller: ShardPuller,
  ): void {
    puller.stop();
    shards.delete(shard);
    this.#ended.set(name, sumOfCounts(puller.counts, this.#ended.get(name)));
  }
}
