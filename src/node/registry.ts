/**
 * The registry without its network: opens the node's groups, and connects the paths that serve
 * requests. All dependencies are passed in, so that it runs the same in production
 * and in the simulator; node.ts connects it to transport, identity and HTTP.
 */
import type { JoinClusterReply, JoinClusterRequest, StatusReply } from "../../schemas/gen/wire.ts";
import { defined } from "../base/assert.ts";
import { bytesEqual } from "../base/bytes.ts";
import { nodeId, partitionId } from "../base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { AccessPolicy } from "../record/access.ts";
import { encodePutMember } from "../record/command.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../record/key.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import { EventFeed } from "../store/event_feed.ts";
import { StoreShared } from "../store/shared.ts";
import type { Genesis, Member } from "../system/system_store.ts";
import { APPLY_VERSION_MAX } from "../system/versions/features.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import type { AliasJanitor } from "../serving/alias_janitor.ts";
import type { BackupImages } from "../serving/backup_images.ts";
import type { BanFeed } from "../serving/ban_feed.ts";
import type { Checkpoints } from "../serving/governance/checkpoints.ts";
import { EntryWaiters } from "../serving/governance/entry_waiters.ts";
import { DepartureAdministration } from "../serving/departure_administration.ts";
import type { NodeDuties } from "../serving/handlers/node.ts";
import { HeldClock } from "../serving/held_clock.ts";
import type { IdentityService } from "../serving/identities/identity_service.ts";
import type { ExpiryGuard } from "../serving/expiry/expiry_guard.ts";
import type { LeaseDriver } from "../serving/lease_driver.ts";
import { checkDescribesItself } from "../serving/node_subject.ts";
import type { PartitionTable } from "../serving/partitions.ts";
import type { Proposer } from "../serving/proposer.ts";
import { Rebalancing } from "../serving/rebalancing.ts";
import type { Refusals } from "../serving/refusals.ts";
import type { RenewPath } from "../serving/renew_path.ts";
import type { ReplyWriter } from "../serving/reply_writer.ts";
import type { RequestAdmission } from "../serving/request_admission.ts";
import type { RequestRouter } from "../serving/request_router.ts";
import type { RightsEnforcer } from "../serving/rights_enforcer.ts";
import { Histories } from "../serving/watch/histories.ts";
import type { WatchHub } from "../serving/watch/watch_hub.ts";
import { backupImages } from "./backed_up_groups.ts";
import { ClusterLog } from "./cluster_log.ts";
import { clusterMap } from "./cluster_map.ts";
import { ClusterView } from "./cluster_view.ts";
import { upgradeStatus } from "./upgrade_view.ts";
import type { WallWatch } from "./wall_watch.ts";
import { ClusterGroups, systemApplied } from "../replication/assembly/cluster_groups.ts";
import { PlaneImages } from "../replication/assembly/plane_images.ts";
import { Joining } from "../replication/placement/joining.ts";
import { PlacementWork } from "../replication/placement/placement_work.ts";
import type { PeerLinks } from "../replication/group_host.ts";
import { pendingMoves } from "./pending_moves.ts";
import type { RegionParts } from "./region_parts.ts";
import type { RunningNode } from "./running_node.ts";
import { type ExpiryParts, expiryParts } from "./expiry_parts.ts";
import { type GovernanceParts, governanceParts } from "./governance_parts.ts";
import { backgroundParts, identityParts, requestParts, sharedParts } from "./registry_parts.ts";
import type { RegistryOptions } from "./registry_options.ts";

/** An open registry. */
export class Registry {
  /** The parameters that were fixed when the cluster was created. */
  readonly cluster: Genesis;
  /** The node's groups. */
  readonly groups: ClusterGroups;
  readonly table: PartitionTable;
  readonly router: RequestRouter;
  readonly replies: ReplyWriter;
  /** The clock of groups and requests. */
  readonly clock: HeldClock;
  readonly admission: RequestAdmission;
  readonly shared: StoreShared;
  readonly log: SharedLog;
  readonly janitor: AliasJanitor;
  readonly leases: LeaseDriver;
  /** Keeps records when too many end at once. */
  readonly expiry: ExpiryGuard;
  readonly renewals: RenewPath;
  readonly watches: WatchHub;
  readonly identities: IdentityService;
  /** Counts and samples of the identities that this node refused. */
  readonly refusals: Refusals;
  /** The banned identities, from group 0; a ban ends their sessions. */
  readonly bans: BanList;
  /** The relaxations of the access rules by the operator. */
  readonly policy: AccessPolicy;
  /** Tells what depends on the wall clock when the clock was set. */
  readonly wallWatch: WallWatch;
  /** The cluster as this node sees it, for operators. */
  readonly view: ClusterView;
  /** The work with other regions. */
  readonly regions: RegionParts;
  /** Signs checkpoints of the governed log, once the node has its identity. */
  readonly checkpoints: Checkpoints;
  readonly agreeOnSigners: RunningNode["agreeOnSigners"];
  /** Takes nodes into the cluster. */
  readonly joining: Joining;
  /** This node's part of the placement. */
  readonly placement: PlacementWork;
  readonly #banFeed: BanFeed;
  readonly #rights: RightsEnforcer;
  readonly #options: RegistryOptions;
  readonly #proposer: Proposer;
  /** Images that backups read. */
  readonly #images: BackupImages;
  /** Undefined at a node that has no peers. */
  readonly #clusterLog: ClusterLog | undefined;
  readonly #governance: GovernanceParts;

  private constructor(options: RegistryOptions, opened: Opened) {
    const { groups, shared, clock, feed } = opened;
    this.#options = options;
    this.groups = groups;
    this.shared = shared;
    this.clock = clock;
    this.log = groups.nodes.log;
    this.cluster = defined(groups.system.store.genesis, "A cluster was created");
    const parts = sharedParts(options, opened);
    this.table = parts.table;
    this.policy = parts.policy;
    this.admission = parts.admission;
    this.replies = parts.replies;
    this.#proposer = parts.proposer;
    const identity = identityParts(parts, (node) => this.joining.check(node));
    this.bans = identity.bans;
    this.refusals = identity.refusals;
    this.identities = identity.identities;
    this.wallWatch = identity.wallWatch;
    this.#banFeed = identity.banFeed;
    this.#rights = identity.enforcer;
    this.regions = identity.regions;
    this.#images = backupImages(options, groups, identity.identities);
    const expiry = expiryParts(parts, identity.identities.group);
    this.expiry = expiry.guarded.guard;
    const governance = this.#governance = governanceParts(options, opened);
    this.checkpoints = governance.checkpoints;
    this.agreeOnSigners = governance.agreeOnSigners;
    const { router, renewals, watches } = requestParts(parts, identity, governance.handlers, {
      status: () => this.status(),
      ringMap: () => this.ringMap(),
      clusterStatus: () => this.view.status(),
      partitionStatus: (partition) => this.view.partition(partition),
      join: (request, requester) => this.#join(request, requester),
      reportedPlacement: (report, from) => this.placement.runner.reported(report, from),
      proposeSystem: (from, request, deadlineMs) =>
        this.identities.group.proposeFor(from, request, deadlineMs),
      systemReadPoint: () => this.identities.group.readPoint(),
      ...this.#reshaping(expiry),
    });
    this.router = router;
    this.renewals = renewals;
    this.watches = watches;
    const { world, logger, placement } = options;
    this.view = new ClusterView({
      self: options.nodeId,
      groups,
      ringMap: () => this.ringMap(),
      version: () => options.facts().version,
      peers: options.peerStatus ?? (() => []),
    });
    this.#clusterLog = options.peerStatus === undefined ? undefined : new ClusterLog({
      facts: this.view.logFacts(),
      logger,
      clock: world.monotonic,
      scheduler: world.scheduler,
    });
    this.joining = new Joining(groups, world.wall);
    this.placement = new PlacementWork({
      groups,
      self: nodeId(options.nodeId),
      world,
      logger,
      onPlace: (place) => this.table.put(place),
      ...(placement ?? NO_PLACEMENT),
      ban: (node) => this.identities.administration.banRemoved(node),
    });
    ({ leases: this.leases, janitor: this.janitor } = backgroundParts(parts, expiry.guarded));
    feed.followTypes(["claimed", "claim_dropped"], this.janitor);
  }

  /** Whether this start created the cluster. */
  get created(): boolean {
    return this.groups.created;
  }

  /** Returns the duties by which operators change the cluster's shape, steer it, and copy it. */
  #reshaping({ permits, status: expiryStatus }: ExpiryParts): OperatorDuties {
    const { nodeId, placement } = this.#options;
    const { group } = this.identities;
    return {
      ...{ permits, expiryStatus },
      images: this.#images,
      upgradeStatus: () => upgradeStatus(this.groups, this.#options),
      departures: new DepartureAdministration({
        group,
        isConnected: (node) => node === nodeId || placement?.isConnected(node) === true,
        systemVoters: () => this.view.status().systemVoters,
        timeMs: () => this.groups.system.group.timeMs(),
      }),
      rebalancing: new Rebalancing({
        group,
        nodesOf: (partition) => this.groups.nodesOf(partitionId(partition)),
        moves: () => pendingMoves(this.placement.runner.pending(), this.groups, this.shared),
      }),
    };
  }

  /**
   * Recovers the log, leads every group, and creates the cluster if there is none.
   *
   * @throws RegistryError `corrupt`, `locked`, `storage_unavailable`; `invalid_configuration` if the
   * partition count differs from the cluster's.
   */
  static async open(options: RegistryOptions): Promise<Registry> {
    return new Registry(options, await openGroups(options));
  }

  /** The number of entries appended to all groups' logs since they were opened. */
  get entriesAppended(): number {
    return this.groups.entriesAppended;
  }

  /** The number of log entries written for renewals since the start. */
  get extensionsProposed(): number {
    return this.leases.extensionsProposed + this.renewals.extensionsProposed;
  }

  /** The number of regions in which an operator holds expiry; a hold of all counts as one. */
  get expiryHolds(): number {
    const { group, store } = this.groups.system;
    return store.state.expiry.holdsAt(group.timeMs());
  }

  /** Returns the governed plane for the metrics; undefined if it is not here. */
  governedSnapshot(): ReturnType<GovernanceParts["snapshot"]> {
    return this.#governance.snapshot();
  }

  /** Starts the background work: expiry, extension, repair and compaction. */
  start(): void {
    this.leases.start();
    this.janitor.start();
    this.#banFeed.start();
    this.#rights.start();
    this.regions.dropper.start();
    this.regions.pullers?.start();
    this.wallWatch.start();
    this.groups.nodes.startCompaction();
    this.#governance.start();
    this.placement.start();
    this.#clusterLog?.start();
  }

  async #join(
    request: JoinClusterRequest,
    requester: AuthenticatedPeer,
  ): Promise<JoinClusterReply> {
    const { members } = this.groups.system.store.state;
    checkDescribesItself(request, requester, { clusterId: this.cluster.clusterId, members });
    const reply = await this.joining.join(request);
    this.placement.hurry();
    return reply;
  }

  /** Returns the ring map by which clients route. */
  ringMap(): RingMap {
    const { store } = this.groups.system;
    const { nodeId } = this.#options;
    const map = defined(clusterMap(store, this.table, nodeId), "A cluster was created");
    // Lost numbers are assigned again, so the epoch includes the raised generation.
    const generation = Math.max(map.epoch.generation, this.log.generation);
    return { ...map, epoch: { ...map.epoch, generation } };
  }

  /**
   * Logs this node's addresses, pins and apply version if they changed; the ring map changes with them.
   */
  async putMember(description: Omit<Member, "applyVersionMax">): Promise<void> {
    const member = { ...description, applyVersionMax: APPLY_VERSION_MAX };
    const { store, group } = this.groups.system;
    if (store.members.some((known) => sameMember(known, member))) return;
    const header = {
      timeMs: group.timeMs(),
      unixS: this.#proposer.unixS(),
      writer: 0,
    };
    const proposed = await group.propose(
      encodePutMember(header, member),
      REQUEST_TIMEOUT_MS_DEFAULT,
    );
    systemApplied(proposed);
    // What waits for this node's program may begin.
    this.placement.hurry();
  }

  /** Returns the status of the registry, for operators. */
  status(): StatusReply {
    const statistics = this.shared.statistics();
    const { members, held, leading, leaderless } = this.view.counts();
    const peers = this.#options.peerStatus?.() ?? [];
    const reads = this.groups.nodes.set.counts.freshness;
    return {
      nodeId: this.#options.nodeId,
      partitionCount: this.cluster.partitionCount,
      clusterId: this.cluster.clusterId,
      agents: statistics.records[KIND_AGENT]!,
      gateways: statistics.records[KIND_GATEWAY]!,
      aliases: statistics.aliases,
      stale: statistics.stale,
      recordBytes: statistics.recordBytes,
      logBytes: this.log.stats().segmentBytes,
      region: this.cluster.region,
      members,
      connected: 1 + peers.filter(({ isConnected }) => isConnected).length,
      held,
      leading,
      leaderless,
      followerReads: reads.servedCount,
      followerReadsRedirected: reads.redirectedCount,
      followerReadsRefused: reads.refusedCount,
      followerReadAgeMsP50: reads.ageAt(0.5),
      followerReadAgeMsP99: reads.ageAt(0.99),
      ...this.#options.facts(),
    };
  }

  /** Answers requests in progress and closes the log; resolves when the folder is free. */
  async close(): Promise<void> {
    this.#clusterLog?.stop();
    this.placement.stop();
    this.leases.stop();
    this.janitor.stop();
    this.wallWatch.stop();
    this.#banFeed.stop();
    this.#rights.stop();
    this.regions.dropper.stop();
    this.#images.stop();
    await this.#governance.stop();
    await this.regions.pullers?.stop();
    await this.groups.close();
  }
}

/** The duties by which operators change the cluster. */
type OperatorDuties = Pick<
  NodeDuties,
  "departures" | "rebalancing" | "images" | "upgradeStatus" | "permits" | "expiryStatus"
>;

/** A registry's groups, and what was made for them. */
interface Opened {
  readonly groups: ClusterGroups;
  readonly clock: HeldClock;
  readonly shared: StoreShared;
  /** Passes on the stores' events. */
  readonly feed: EventFeed;
  readonly histories: Histories;
  /** Requests that wait for entries of the governed log. */
  readonly waiters: EntryWaiters;
  readonly images: PlaneImages;
}

async function openGroups(options: RegistryOptions): Promise<Opened> {
  const { world, logger, ceilings, storage, markStorage, logLimits, logEvents, signal } = options;
  const { region, partitionCount } = options;
  const hashSeed = new Uint8Array(16);
  world.entropy.fill(hashSeed);
  const shared = new StoreShared({ bytesMax: ceilings.memoryBytesMax, hashSeed });
  const clock = new HeldClock(world.monotonic);
  const feed = new EventFeed();
  const histories = new Histories();
  feed.follow(histories);
  options.follow?.(feed);
  const waiters = new EntryWaiters(world.scheduler);
  let images: PlaneImages | undefined = undefined;
  const groups = await ClusterGroups.open({
    nodeId: nodeId(options.nodeId),
    world,
    clock,
    logger,
    log: {
      storage,
      acceptDataLoss: options.acceptDataLoss === true,
      ...(markStorage === undefined ? {} : { markStorage }),
      ...(logLimits === undefined ? {} : { limits: logLimits }),
    },
    logEvents,
    peers: options.peers ?? NO_PEERS,
    ...(options.leases === undefined ? {} : { leases: options.leases }),
    ...(options.joined === undefined ? {} : { joined: options.joined }),
    ...(options.told === undefined ? {} : { told: options.told }),
    ...(options.connect === undefined ? {} : { connect: options.connect }),
    shared,
    sink: feed,
    onGovernedEntries: () => {
      waiters.changed();
      images?.grown();
    },
    region,
    partitionCount,
    ...(signal === undefined ? {} : { signal }),
  });
  images = new PlaneImages(groups.nodes, world.scheduler);
  return { groups, clock, shared, feed, histories, waiters, images };
}

function sameMember(left: Member, right: Member): boolean {
  return left.nodeId === right.nodeId && left.applyVersionMax === right.applyVersionMax &&
    bytesEqual(left.pin, right.pin) &&
    bytesEqual(left.nextPin, right.nextPin) && left.addresses.length === right.addresses.length &&
    left.addresses.every((address, index) => {
      const other = right.addresses[index]!;
      return address.transport === other.transport && address.host === other.host &&
        address.port === other.port;
    });
}

/** The ways of placement at a node that has no peers. */
const NO_PLACEMENT: NonNullable<RegistryOptions["placement"]> = {
  report: () => Promise.resolve(),
  mayLead: () => false,
  isConnected: () => false,
};

/** The links of a node that has no peers. */
const NO_PEERS: PeerLinks = {
  send: () => {},
  sendImage: () => {},
};
