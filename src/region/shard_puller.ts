/**
 * Follows one shard of a region for as long as group 0 has this node do so: one run after another, each
 * under a fence that it obtains itself. A fence is never used by two runs, also not after a restart,
 * because batches of the former run may still be on their way. A region that cannot be reached, or is not
 * the accepted one, is tried again with a growing pause; nothing else waits for that.
 */
import { bytesEqual } from "../base/bytes.ts";
import { ERROR_TABLE, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  PULLER_ERROR_LENGTH_MAX,
  REGION_RETRY_MS_BASE,
  REGION_RETRY_MS_CAP,
  REGION_SHARDS,
  REGION_STATUS_MS,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { isNilUuid } from "../base/uuid.ts";
import { sinceMs } from "../base/clock_reading.ts";
import type { Timer, World } from "../base/world.ts";
import { backOffMs } from "../client/retry.ts";
import { encodeAcceptFeed, encodeAssignPuller } from "../system/regions/region_codec.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";
import { wireAge } from "../wire/record_source.ts";
import type { PullerState } from "../../schemas/gen/wire.ts";
import type { LogShare } from "./log_share.ts";
import type { MirrorTarget } from "./mirror_target.ts";
import { Puller, type PullerCounts, sumOfCounts } from "./puller.ts";
import type { RegionAges } from "./region_ages.ts";
import { type RegionGroup, regionNamed } from "./region_group.ts";
import type { RegionLink, SourceStatus } from "./region_link.ts";

/** Dependencies of a {@link ShardPuller}. */
export interface ShardPullerParts {
  readonly name: string;
  readonly shard: number;
  readonly self: number;
  readonly group: RegionGroup;
  readonly link: RegionLink;
  readonly target: MirrorTarget;
  readonly ages: RegionAges;
  readonly share: LogShare;
  readonly world: World;
  readonly logger: Logger;
}

/** The puller of one shard on this node. */
export class ShardPuller {
  readonly #parts: ShardPullerParts;
  /** Counts of the runs that ended. */
  #counts: PullerCounts = { resyncs: 0, refused: 0, changes: 0, entries: 0 };
  #run: Puller | undefined;
  #fence = 0;
  /** The cluster that the region reports, if it is not the accepted one. */
  #refused: SourceStatus | undefined;
  #error: RegistryError | undefined;
  #attempts = 0;
  #isStopped = false;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;

  constructor(parts: ShardPullerParts) {
    this.#parts = parts;
  }

  /** Starts; the returned promise resolves after {@link stop}, and never rejects. */
  async start(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#follow();
        this.#attempts = 0;
      } catch (cause) {
        this.#failed(toRegistryError(cause));
      }
      if (!this.#isStopped) await this.#wait();
    }
  }

  /** Stops following. */
  stop(): void {
    this.#isStopped = true;
    this.#run?.stop();
    this.#pause?.timer.cancel();
    this.#pause?.end();
  }

  /** Returns the counts since the start. */
  get counts(): PullerCounts {
    return sumOfCounts(this.#counts, this.#run?.counts);
  }

  /** Returns the state, for other nodes and operators. */
  get state(): PullerState {
    const { name, shard, ages, link, world } = this.#parts;
    const { lastContact, lastError } = link.contact;
    const lag = this.#run?.lag ?? { entries: 0, bytes: 0 };
    const { resyncs, refused } = this.counts;
    const feed = this.#region?.feed ?? 0;
    const error = this.#error ?? lastError;
    return {
      region: name,
      shard,
      feed,
      fence: this.#fence,
      lagEntries: lag.entries,
      lagBytes: lag.bytes,
      resyncs,
      refused,
      ageMs: ages.shardAgeMs(name, shard, feed),
      contactAgeMs: wireAge(lastContact && sinceMs(world, lastContact)),
      seenGeneration: this.#refused?.generation ?? 0,
      seenClusterId: this.#refused?.clusterId ?? NO_CLUSTER,
      state: this.#phase,
      error: error === undefined
        ? ""
        : `${error.code}: ${error.message}`.slice(0, PULLER_ERROR_LENGTH_MAX),
    };
  }

  get #phase(): string {
    if (this.#refused !== undefined) return "refused";
    if (this.#run === undefined || !this.#parts.link.contact.isConnected) return "connecting";
    return this.#run.isSyncing ? "syncing" : "following";
  }

  get #region(): PeerRegion | undefined {
    return regionNamed(this.#parts.group.regions(), this.#parts.name);
  }

  async #follow(): Promise<void> {
    const { link } = this.#parts;
    const status = await link.status(REGION_STATUS_MS);
    const region = this.#region;
    if (this.#isStopped || region === undefined) return;
    if (isNilUuid(region.clusterId)) return await this.#acceptFirst(status);
    const isAccepted = bytesEqual(region.clusterId, status.clusterId) &&
      region.generation === status.generation;
    this.#refused = isAccepted ? undefined : status;
    if (!isAccepted) throw notAccepted(region, status);
    const fence = await this.#claim(region);
    if (fence === undefined || this.#isStopped) return;
    await this.#runOnce(region, status, fence);
  }

  /** Accepts the cluster at the first contact, after which group 0 assigns the shards anew. */
  async #acceptFirst({ clusterId, generation }: SourceStatus): Promise<void> {
    const { group, name } = this.#parts;
    const accept = { name, clusterId, generation, isFirst: true, detail: "first contact" };
    await group.propose((header) => encodeAcceptFeed(header, accept));
  }

  /** Obtains a fence; undefined if group 0 has another node follow the shard. */
  async #claim({ pullers }: PeerRegion): Promise<number | undefined> {
    const { group, name, shard, self: nodeId } = this.#parts;
    const assigned = pullers.find((puller) => puller.shard === shard);
    if (assigned?.nodeId !== nodeId) return undefined;
    const claim = { name, shard, nodeId, replacedFence: assigned.fence };
    return await group.propose((header) => encodeAssignPuller(header, claim));
  }

  async #runOnce(region: PeerRegion, accepted: SourceStatus, fence: number): Promise<void> {
    const { name, shard, link, target, world, share, ages, logger } = this.#parts;
    const { feed, settings } = region;
    this.#fence = fence;
    this.#error = undefined;
    const run = this.#run = new Puller({
      source: { home: name, shard, fence, feed },
      accepted,
      shardCount: REGION_SHARDS,
      bytesPerSecondMax: settings.bytesPerSecondMax,
      ...{ link, target, world, share },
      onFresh: (asOf) => {
        this.#attempts = 0;
        this.#error = undefined;
        ages.fresh(name, shard, feed, asOf);
      },
    });
    logger.info("Following a region", { region: name, shard, fence });
    try {
      await run.run();
    } finally {
      this.#counts = this.counts;
      this.#run = undefined;
    }
  }

  #failed(error: RegistryError): void {
    const { name: region, shard, logger } = this.#parts;
    const { code, message } = error;
    // Each attempt fails in the same way until somebody mends it.
    const isKnown = ERROR_TABLE[code].class === "unavailable" || this.#error?.message === message;
    this.#error = error;
    logger[isKnown ? "debug" : "warn"]("A region is not followed", {
      ...{ region, shard, code, message },
    });
  }

  async #wait(): Promise<void> {
    const { world: { scheduler, entropy } } = this.#parts;
    const backOff = { baseMs: REGION_RETRY_MS_BASE, capMs: REGION_RETRY_MS_CAP };
    const delayMs = 1 + backOffMs(++this.#attempts, backOff, entropy);
    await new Promise<void>((end) => {
      this.#pause = { timer: scheduler.after(delayMs, end), end };
    });
    this.#pause = undefined;
  }
}

const NO_CLUSTER = new Uint8Array(16);

function notAccepted({ settings, generation }: PeerRegion, seen: SourceStatus): RegistryError {
  return new RegistryError(
    "wrong_cluster",
    `Region ${settings.name} must be the accepted cluster of generation ${generation}: it is ` +
      `another one, or of generation ${seen.generation}. If it was re-created, accept it with ` +
      `crs region accept-generation ${settings.name}`,
  );
}
