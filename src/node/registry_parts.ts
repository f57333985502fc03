/**
 * Creates the parts of a registry and connects them, in four steps: what all parts share, the work
 * with identities, the paths that serve requests, and the work in the background.
 */
import { DEFAULT_RENEWAL_GRACE } from "../../identity/enrolment/enrolment.ts";
import { BanList } from "../../identity/trust/ban_list.ts";
import { defined } from "../base/assert.ts";
import { partitionId } from "../base/ids.ts";
import { REGION_SHARDS } from "../base/limits.ts";
import { type AccessPolicy, STRICT_POLICY } from "../record/access.ts";
import { Partitioner } from "../ring/partition.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import { RegionAges } from "../region/region_ages.ts";
import { AccessControl } from "../serving/access_control.ts";
import { AliasJanitor } from "../serving/alias_janitor.ts";
import { AttachedAgents } from "../serving/attached_agents.ts";
import { BanFeed } from "../serving/ban_feed.ts";
import { ClaimSteps } from "../serving/claim_steps.ts";
import { CredentialRedaction } from "../serving/credential_redaction.ts";
import { DomainClaims } from "../serving/domain_claims.ts";
import { delegationHandlers } from "../serving/handlers/delegations.ts";
import { identityHandlers } from "../serving/handlers/identities.ts";
import { type NodeDuties, nodeHandlers } from "../serving/handlers/node.ts";
import { mapsHandlers } from "../serving/handlers/maps.ts";
import { recordHandlers } from "../serving/handlers/records.ts";
import { relayHandlers } from "../serving/handlers/relays.ts";
import { stepHandlers } from "../serving/handlers/steps.ts";
import { watchHandlers } from "../serving/handlers/watches.ts";
import type { HeldClock } from "../serving/held_clock.ts";
import type { NodeOrder } from "../serving/identities/enrolment_service.ts";
import { NO_LINKS } from "../serving/identities/identity_links.ts";
import { IdentityService } from "../serving/identities/identity_service.ts";
import { LeaderCalls } from "../serving/leader_calls.ts";
import { type GuardedExpiry, LeaseDriver } from "../serving/lease_driver.ts";
import { ListPages } from "../serving/list_pages.ts";
import { ListPath } from "../serving/list_path.ts";
import { ListTurns } from "../serving/list_turns.ts";
import { NO_NODE_CALLS } from "../serving/node_calls.ts";
import { NodeSteps } from "../serving/node_steps.ts";
import { PartitionVersions } from "../serving/partition_versions.ts";
import { type PartitionPlace, PartitionTable } from "../serving/partitions.ts";
import { Proposer } from "../serving/proposer.ts";
import { ReadPath } from "../serving/read_path.ts";
import { RecordRights } from "../serving/record_rights.ts";
import { Refusals } from "../serving/refusals.ts";
import { ForeignRecords } from "../serving/regions/foreign_records.ts";
import { MirrorHomes } from "../serving/regions/mirror_homes.ts";
import { Registrar } from "../serving/registrar.ts";
import { RemovalNotes } from "../serving/removal_notes.ts";
import { RenewPath } from "../serving/renew_path.ts";
import { ReplyWriter } from "../serving/reply_writer.ts";
import { RequestAdmission } from "../serving/request_admission.ts";
import { RelayReads } from "../serving/relays/relay_reads.ts";
import { RelayWrites } from "../serving/relays/relay_writes.ts";
import { RequestRouter } from "../serving/request_router.ts";
import { RightsEnforcer } from "../serving/rights_enforcer.ts";
import type { GovernanceParts } from "./governance_parts.ts";
import { type RegionParts, regionParts } from "./region_parts.ts";
import { WallWatch } from "./wall_watch.ts";
import type { Histories } from "../serving/watch/histories.ts";
import { WatchHub } from "../serving/watch/watch_hub.ts";
import { WritePath } from "../serving/write_path.ts";
import type { StoreShared } from "../store/shared.ts";
import type { RegistryOptions } from "./registry_options.ts";

/** The objects that all parts of a registry share. */
export interface SharedParts {
  readonly options: RegistryOptions;
  readonly groups: ClusterGroups;
  readonly shared: StoreShared;
  readonly clock: HeldClock;
  readonly policy: AccessPolicy;
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  /** Takes steps at the leaders of other partitions, wherever they are. */
  readonly leaders: LeaderCalls;
  readonly claimSteps: ClaimSteps;
  readonly claims: DomainClaims;
  readonly versions: PartitionVersions;
  /** Freshness of other regions' mirrors. */
  readonly ages: RegionAges;
  /** The regions whose mirrors are served. */
  readonly homes: MirrorHomes;
  readonly foreign: ForeignRecords;
  readonly rights: RecordRights;
  readonly access: AccessControl;
  readonly admission: RequestAdmission;
  readonly replies: ReplyWriter;
  readonly histories: Histories;
}

/** The work with identities. */
export interface IdentityParts {
  readonly bans: BanList;
  readonly refusals: Refusals;
  readonly identities: IdentityService;
  readonly banFeed: BanFeed;
  readonly enforcer: RightsEnforcer;
  readonly notes: RemovalNotes;
  readonly wallWatch: WallWatch;
  readonly regions: RegionParts;
}

/** Creates what all parts share. */
export function sharedParts(
  options: RegistryOptions,
  { groups, shared, clock, histories }: Pick<
    SharedParts,
    "groups" | "shared" | "clock" | "histories"
  >,
): SharedParts {
  const { world, nodeId, policy = STRICT_POLICY } = options;
  const genesis = defined(groups.system.store.genesis, "A cluster was created");
  const { hashKey, partitionCount } = genesis;
  const table = new PartitionTable(
    new Partitioner(hashKey, partitionCount),
    placesOf(groups, partitionCount),
  );
  const proposer = new Proposer({ monotonic: clock, wall: world.wall });
  const leaders = new LeaderCalls({
    nodeId,
    calls: options.nodeCalls ?? NO_NODE_CALLS,
    clock,
    scheduler: world.scheduler,
    entropy: world.entropy,
  });
  const claimSteps = new ClaimSteps(table, proposer);
  const rights = new RecordRights({
    state: () => groups.system.store.identities,
    wall: world.wall,
    renewalGraceMs: (options.renewalGrace ?? DEFAULT_RENEWAL_GRACE).recordMs,
  });
  const regions = () => groups.system.store.state.regions;
  const ages = new RegionAges({
    ...{ self: nodeId, shardCount: REGION_SHARDS, world },
    calls: options.nodeCalls ?? NO_NODE_CALLS,
    regions,
  });
  const homes = new MirrorHomes({
    own: genesis.region,
    regions: () => regions().all,
    freshness: options.regionFreshness ?? ages,
    clock: world.monotonic,
  });
  return {
    options,
    groups,
    shared,
    clock,
    histories,
    policy,
    table,
    ages,
    homes,
    foreign: new ForeignRecords(homes),
    proposer,
    leaders,
    claimSteps,
    claims: new DomainClaims(table, claimSteps, leaders),
    versions: new PartitionVersions(
      proposer,
      () => groups.system.store.state.versions.applyVersion,
    ),
    rights,
    access: new AccessControl(policy, rights),
    admission: new RequestAdmission(options.ceilings, {
      records: () => recordCount(shared),
      memoryBytes: options.memoryBytes,
      room: (count) => shared.room(count),
      takesRegion: (region, regionsMax) => shared.takesRegion(region, regionsMax),
    }),
    replies: new ReplyWriter(nodeId),
  };
}

/** Creates the work with identities, and connects it with group 0. */
export function identityParts(
  parts: SharedParts,
  checkJoining: (node: NodeOrder) => void,
): IdentityParts {
  const { options, groups, clock, table, proposer, rights, leaders } = parts;
  const { world, logger, renewalGrace, bans = new BanList(), links = NO_LINKS } = options;
  const { isMember = () => false } = options;
  const refusals = new Refusals({ monotonic: clock, logger });
  const identities = new IdentityService({
    ...groups.system,
    ...world,
    monotonic: clock,
    links,
    checkJoining,
    isMember,
    bans,
    grace: renewalGrace ?? DEFAULT_RENEWAL_GRACE,
    refusals,
    logger,
  });
  const notes = new RemovalNotes(identities.group, leaders);
  const enforcer = new RightsEnforcer({
    table,
    proposer,
    rights,
    state: () => groups.system.store.identities,
    note: (...note) => notes.note(...note),
    monotonic: clock,
    wall: world.wall,
    scheduler: world.scheduler,
    logger,
  });
  const banFeed = new BanFeed({ bans, ...world, logger, records: enforcer });
  groups.system.store.watchRevocations(banFeed);
  const { wallWatch = new WallWatch(world) } = options;
  wallWatch.onStep(() => banFeed.clockStepped());
  const regions = regionParts(parts, identities.group);
  return { bans, refusals, identities, banFeed, enforcer, notes, wallWatch, regions };
}

/** Creates the paths that serve requests. */
export function requestParts(
  parts: SharedParts,
  identity: IdentityParts,
  governance: GovernanceParts["handlers"],
  node: NodeDuties,
): {
  readonly router: RequestRouter;
  readonly renewals: RenewPath;
  readonly watches: WatchHub;
} {
  const { options, groups, clock, table, proposer, leaders, claimSteps, claims } = parts;
  const { access, admission, replies, homes, foreign } = parts;
  const { identities, bans, notes } = identity;
  const { world, world: { entropy, scheduler }, logger } = options;
  const redaction = new CredentialRedaction(access.policy);
  const reads = new ReadPath(table, replies, redaction, homes);
  const pages = new ListPages(table, replies, redaction, homes);
  const renewals = new RenewPath({ table, proposer, access, entropy, foreign });
  const registrar = new Registrar({ ...parts, entropy, logger });
  const agents = new AttachedAgents({ table, proposer, leaders, scheduler });
  const watches = new WatchHub({
    ...parts,
    followers: identity.regions.followers,
    redaction,
    policy: access.policy,
    clock: world.monotonic,
    scheduler,
  });
  const steps = new NodeSteps({
    table,
    steps: claimSteps,
    claims,
    agents,
    notes,
    admission,
    bans,
    nodesOf: (partition) => groups.nodesOf(partitionId(partition)),
  });
  const records = {
    reads,
    lists: new ListPath(table, reads, replies, pages, homes),
    writes: new WritePath({ table, proposer, registrar, agents, notes, foreign }),
    renewals,
  };
  const router = new RequestRouter({
    admission,
    access,
    handlers: {
      ...recordHandlers(records),
      ...mapsHandlers(records),
      ...relayHandlers(
        new RelayWrites({ ...parts, registrar, renewals, entropy, region: homes.own }),
        new RelayReads({ ...parts, redaction, pages, wall: world.wall }),
      ),
      ...nodeHandlers(node),
      ...identityHandlers(identities),
      ...stepHandlers(steps),
      ...watchHandlers(watches, replies, table.partitioner.partitionCount),
      ...identity.regions.handlers,
      ...governance,
      ...delegationHandlers(),
    },
    turns: new ListTurns({ scheduler, clock: world.monotonic }),
    replies,
    clock,
    requestTimeoutMsDefault: options.requestTimeoutMs,
  });
  return { router, renewals, watches };
}

/** Creates the work in the background. */
export function backgroundParts(
  { options, groups, shared, clock, table, proposer, claims }: SharedParts,
  guarded: GuardedExpiry,
): { readonly leases: LeaseDriver; readonly janitor: AliasJanitor } {
  const { world: { scheduler }, logger, aliasSweepMs: sweepMs } = options;
  const { availableTime } = groups.nodes.set;
  return {
    leases: new LeaseDriver({ table, proposer, availableTime, scheduler, logger, guarded }),
    janitor: new AliasJanitor({
      table,
      claims,
      aliasCount: () => shared.counts.aliases,
      clock,
      scheduler,
      logger,
      sweepMs,
    }),
  };
}

/** Returns where each partition is. */
function placesOf(groups: ClusterGroups, partitionCount: number): PartitionPlace[] {
  return Array.from({ length: partitionCount }, (_, number) => {
    const id = partitionId(number);
    return groups.partition(id) ?? { isHere: false, id, nodes: groups.nodesOf(id), leader: 0 };
  });
}

function recordCount(shared: StoreShared): number {
  return shared.counts.records.reduce((sum, count) => sum + count, shared.counts.aliases);
}
