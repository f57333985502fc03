/**
 * The peer regions of a cluster: how each is reached and trusted, the cluster and generation accepted as
 * its feed, and the nodes that follow it.
 *
 * Fences of pullers and generations of feeds are taken from one number that only grows, also when a
 * region is removed and added again: what a partition knows of earlier ones is always lower. A cluster
 * that lost its data and is created again is another feed, and is followed only once it was accepted,
 * because its lists lack what was lost. Changes of settings name the revision that they replace.
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import {
  type AcceptFeedCommand,
  AcceptFeedCommandView,
  type AssignPullerCommand,
  AssignPullerCommandView,
  type PullerRecord,
  type PutRegionBansCommand,
  PutRegionBansCommandView,
  type PutRegionCommand,
  PutRegionCommandView,
  type RegionRecord,
  RegionRecordView,
  RemovedRegionsRecordView,
  type RemoveRegionCommand,
  RemoveRegionCommandView,
} from "../../../schemas/gen/system.ts";
import type { RegionBan } from "../../../schemas/gen/wire.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  MIRROR_SHARDS_MAX,
  PEER_REGIONS_MAX,
  REGION_BANS_DIGEST_BYTES,
  REGION_BANS_MAX,
  REGION_BUNDLE_BYTES_MAX,
  REGION_DETAIL_BYTES_MAX,
  REGION_SERVER_BYTES_MAX,
  REGION_SERVERS_MAX,
  REMOVED_REGIONS_MAX,
} from "../../base/limits.ts";
import { isNilUuid } from "../../base/uuid.ts";
import type { CommandHeader } from "../../record/command.ts";
import { checkRegion } from "../../record/validation.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { AuditState } from "../identities/audit_state.ts";
import type { MemberState } from "../members/member_state.ts";
import {
  type Effect,
  type EntryPoint,
  full,
  invalid,
  moved,
  type SubMachine,
} from "../sub_machine.ts";
import type { VersionState } from "../versions/version_state.ts";
import {
  encodeRegionRecord,
  encodeRemovedRegions,
  REGION_BANS_APPLY_VERSION,
  REGION_KINDS,
  REGIONS_APPLY_VERSION,
} from "./region_codec.ts";

const NO_CLUSTER = new Uint8Array(16);
const NO_DIGEST = new Uint8Array(0);

/** Settings of a region, which operators choose. */
export type RegionSettings = Readonly<Omit<PutRegionCommand, "replacedRevision" | "detail">>;

/** A peer region. */
export interface PeerRegion {
  readonly settings: RegionSettings;
  /** Index of the entry that set the settings: the condition of the next change. */
  readonly revision: number;
  /** The accepted cluster, all zero if none was accepted yet, and its generation. */
  readonly clusterId: Uint8Array;
  readonly generation: number;
  /** Generation of the feed: rises with each acceptance; 0 before the first. */
  readonly feed: number;
  /** The nodes that follow it, by shard. */
  readonly pullers: readonly Readonly<PullerRecord>[];
  /** The bans of its nodes, as the region has them, and the name of the list; empty: none is known. */
  readonly bans: readonly Readonly<RegionBan>[];
  readonly bansDigest: Uint8Array;
}

/** Reports whether a region has banned one of its nodes. */
export function isBannedBy(
  { bans }: Pick<PeerRegion, "bans">,
  { subject, lineage }: { readonly subject: string; readonly lineage: number },
  nowMs: number,
): boolean {
  return bans.some((ban) =>
    (ban.untilMs === 0 || ban.untilMs > nowMs) &&
    (ban.lineage === 0 ? ban.subject === subject : ban.lineage === lineage)
  );
}

/** The peer regions. */
export class RegionState implements SubMachine {
  readonly section = 11;
  readonly kinds = Object.values(REGION_KINDS);
  readonly #founding: FoundingState;
  readonly #members: MemberState;
  readonly #versions: VersionState;
  readonly #audit: AuditState;
  readonly #regions = new Map<string, PeerRegion>();
  #ordered: readonly PeerRegion[] | undefined;
  /** The fence of the removal of each region that was removed, the latest last. */
  readonly #removed = new Map<string, number>();
  #next = 1;

  constructor(
    founding: FoundingState,
    members: MemberState,
    versions: VersionState,
    audit: AuditState,
  ) {
    this.#founding = founding;
    this.#members = members;
    this.#versions = versions;
    this.#audit = audit;
  }

  /** The regions, in the order of their preference: another list after each change of one. */
  get all(): readonly PeerRegion[] {
    return this.#ordered ??= [...this.#regions.values()].sort((left, right) =>
      left.settings.preference - right.settings.preference ||
      (left.settings.name < right.settings.name ? -1 : 1)
    );
  }

  /** Returns a region; undefined if it is no peer. */
  of(name: string): PeerRegion | undefined {
    return this.#regions.get(name);
  }

  /** The removed regions, with the fence up to which their mirrors are to be dropped. */
  get removed(): ReadonlyMap<string, number> {
    return this.#removed;
  }

  /** Whether nothing was ever added. */
  get isEmpty(): boolean {
    return this.#next === 1;
  }

  apply(command: CommandView, { index }: EntryPoint): Effect | void {
    this.#ordered = undefined;
    if (this.#versions.applyVersion < REGIONS_APPLY_VERSION) {
      throw invalid(`Apply version must be at least ${REGIONS_APPLY_VERSION} for regions`);
    }
    switch (command.kind) {
      case REGION_KINDS.put:
        return this.#put(command, command.bodyInto(new PutRegionCommandView()).toPlain(), index);
      case REGION_KINDS.remove:
        return this.#remove(command, command.bodyInto(new RemoveRegionCommandView()).toPlain());
      case REGION_KINDS.acceptFeed:
        return this.#accept(command, command.bodyInto(new AcceptFeedCommandView()).toPlain());
      case REGION_KINDS.assignPuller:
        return this.#assign(command.bodyInto(new AssignPullerCommandView()).toPlain());
      case REGION_KINDS.putBans:
        return this.#putBans(command, command.bodyInto(new PutRegionBansCommandView()).toPlain());
      default:
        throw invalid("A record of a region occurs only in images");
    }
  }

  #put(command: CommandView, put: PutRegionCommand, index: number): Effect {
    const { replacedRevision, detail, ...settings } = put;
    const { name } = settings;
    this.#check(settings, detail);
    const before = this.#regions.get(name);
    const revision = before?.revision ?? 0;
    if (revision !== replacedRevision) {
      throw moved(`Region ${name} must have revision ${replacedRevision}: it has ${revision}`);
    }
    if (before === undefined && this.#regions.size >= PEER_REGIONS_MAX) {
      throw full("peer regions", PEER_REGIONS_MAX);
    }
    const fresh = {
      ...{ clusterId: NO_CLUSTER, generation: 0, feed: 0, pullers: [] },
      ...{ bans: [], bansDigest: NO_DIGEST },
    };
    this.#regions.set(name, { ...before ?? fresh, settings, revision: index });
    // Its new pullers have higher fences, and their listing sweeps the mirrors of the earlier ones.
    this.#removed.delete(name);
    if (before === undefined) this.#next++;
    this.#audit.record(command, before === undefined ? "addRegion" : "setRegion", name, detail);
    return {};
  }

  #check({ name, servers, bundle, logPercentMax }: RegionSettings, detail: string): void {
    const own = this.#founding.checkCreated().region;
    checkRegion(name, "name");
    if (name === own) throw invalid(`Region must be another one: ${name} is this cluster's own`);
    if (servers.length === 0 || servers.length > REGION_SERVERS_MAX) {
      throw invalid(`Servers must be 1 to ${REGION_SERVERS_MAX}: found ${servers.length}`);
    }
    const tooLong = servers.find((server) =>
      server.length === 0 || server.length > REGION_SERVER_BYTES_MAX
    );
    if (tooLong !== undefined) {
      throw invalid(`A server must have 1 to ${REGION_SERVER_BYTES_MAX} bytes: ${tooLong.length}`);
    }
    if (bundle.length > REGION_BUNDLE_BYTES_MAX) {
      throw invalid(`A trust bundle must have at most ${REGION_BUNDLE_BYTES_MAX} bytes`);
    }
    if (logPercentMax < 1 || logPercentMax > 100) {
      throw invalid(`Share of the log must be 1 to 100 percent: found ${logPercentMax}`);
    }
    checkDetail(detail);
  }

  #remove(command: CommandView, { name, detail }: RemoveRegionCommand): Effect {
    checkDetail(detail);
    this.#known(name);
    const fence = this.#next++;
    this.#regions.delete(name);
    for (const oldest of this.#removed.keys()) {
      if (this.#removed.size < REMOVED_REGIONS_MAX) break;
      this.#removed.delete(oldest);
    }
    this.#removed.set(name, fence);
    this.#audit.record(command, "removeRegion", name, detail);
    return { assigned: fence };
  }

  #accept(command: CommandView, accept: AcceptFeedCommand): Effect {
    const { name, clusterId, generation, isFirst, detail } = accept;
    checkDetail(detail);
    const region = this.#known(name);
    if (isNilUuid(clusterId) || generation === 0) {
      throw invalid(`Region ${name} must be a cluster with a generation: it is none`);
    }
    const isSame = region.generation === generation && bytesEqual(region.clusterId, clusterId);
    if (isFirst && region.feed !== 0 && !isSame) {
      throw moved(`Region ${name} must not have been accepted before: it was`);
    }
    if (isSame) return { assigned: region.feed };
    const feed = this.#next++;
    // Their fences are lower than those of the pullers of this feed.
    this.#regions.set(name, { ...region, clusterId, generation, feed, pullers: [] });
    this.#audit.record(command, "acceptFeed", name, detail);
    return { assigned: feed };
  }

  #assign({ name, shard, nodeId, replacedFence }: AssignPullerCommand): Effect {
    const region = this.#known(name);
    if (shard >= MIRROR_SHARDS_MAX) {
      throw invalid(`Shard must be below ${MIRROR_SHARDS_MAX}: found ${shard}`);
    }
    if (!this.#members.has(nodeId)) throw invalid(`Node ${nodeId} must be a member: it is not`);
    if (region.settings.isPaused) throw invalid(`Region ${name} must not be paused: it is`);
    const current = region.pullers.find((puller) => puller.shard === shard)?.fence ?? 0;
    if (current !== replacedFence) {
      throw moved(`Shard ${shard} of ${name} must have fence ${replacedFence}: it has ${current}`);
    }
    const fence = this.#next++;
    const pullers = [
      ...region.pullers.filter((puller) => puller.shard !== shard),
      { shard, nodeId, fence },
    ].sort((left, right) => left.shard - right.shard);
    this.#regions.set(name, { ...region, pullers });
    return { assigned: fence };
  }

  #putBans(command: CommandView, { name, digest, bans }: PutRegionBansCommand): Effect {
    if (this.#versions.applyVersion < REGION_BANS_APPLY_VERSION) {
      throw invalid(`Apply version must be at least ${REGION_BANS_APPLY_VERSION} for their bans`);
    }
    const region = this.#known(name);
    if (bans.length > REGION_BANS_MAX) {
      throw invalid(`Bans must be at most ${REGION_BANS_MAX}: found ${bans.length}`);
    }
    if (digest.length !== REGION_BANS_DIGEST_BYTES) {
      throw invalid(`Digest must have ${REGION_BANS_DIGEST_BYTES} bytes: found ${digest.length}`);
    }
    if (bytesEqual(region.bansDigest, digest)) return {};
    this.#regions.set(name, { ...region, bans, bansDigest: digest });
    this.#audit.record(command, "setRegion", name, `${bans.length} bans of its nodes`);
    return {};
  }

  #known(name: string): PeerRegion {
    const region = this.#regions.get(name);
    if (region !== undefined) return region;
    throw new RegistryError("not_found", `There is no peer region ${JSON.stringify(name)}`);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    const regions = Array.from(this.#removed, ([name, fence]) => ({ name, fence }));
    yield encodeRemovedRegions(from, { next: this.#next, regions });
    const byName = [...this.#regions.values()].sort((left, right) =>
      left.settings.name < right.settings.name ? -1 : 1
    );
    for (const { settings, ...region } of byName) {
      const put = { ...settings, replacedRevision: 0, detail: "" };
      yield encodeRegionRecord(from, { ...region, settings: put });
    }
  }

  load(command: CommandView): void {
    this.#ordered = undefined;
    if (command.kind === REGION_KINDS.removed) {
      const { next, regions } = command.bodyInto(new RemovedRegionsRecordView()).toPlain();
      this.#next = next;
      for (const { name, fence } of regions) this.#removed.set(name, fence);
    } else if (command.kind === REGION_KINDS.record) {
      const region = regionOf(command.bodyInto(new RegionRecordView()).toPlain());
      this.#regions.set(region.settings.name, region);
    } else throw invalid("An image holds records of regions");
  }

  loaded(): void {}
}

function regionOf({ settings: put, ...region }: RegionRecord): PeerRegion {
  if (put === undefined) throw invalid("A region in an image must have settings");
  const { replacedRevision: _, detail: __, ...settings } = put;
  return { ...region, settings };
}

function checkDetail(detail: string): void {
  if (detail.length <= REGION_DETAIL_BYTES_MAX) return;
  throw invalid(`Detail must have at most ${REGION_DETAIL_BYTES_MAX} characters`);
}
