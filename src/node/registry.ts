/**
 * The registry without its network: opens the node's groups, and connects the paths that serve
 * requests. All dependencies are passed in, so that it runs the same in production
 * and in the simulator; node.ts connects it to transport, identity and HTTP.
 */
import type { StatusReply } from "../../schemas/gen/wire.ts";
import { defined } from "../base/assert.ts";
import { bytesEqual } from "../base/bytes.ts";
import { nodeId, partitionId } from "../base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import { type AccessPolicy, STRICT_POLICY } from "../record/access.ts";
import { encodePutMember } from "../record/command.ts";
import { Partitioner } from "../ring/partition.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../record/key.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { SharedLog, SharedLogLimits } from "../storage/shared_log.ts";
import type { Storage } from "../storage/storage.ts";
import type { EventSink } from "../store/reply.ts";
import { StoreShared } from "../store/shared.ts";
import type { Genesis, Member } from "../system/system_store.ts";
import { BanList } from "../../identity/trust/ban_list.ts";
import { DEFAULT_RENEWAL_GRACE, type RenewalGrace } from "../../identity/enrolment/enrolment.ts";
import { AccessControl } from "../serving/access_control.ts";
import { AliasJanitor } from "../serving/alias_janitor.ts";
import { BanFeed } from "../serving/ban_feed.ts";
import { CredentialVeil } from "../serving/credential_veil.ts";
import { DomainClaims } from "../serving/domain_claims.ts";
import { HeldClock } from "../serving/held_clock.ts";
import { identityHandlers } from "../serving/handlers/identities.ts";
import { nodeHandlers } from "../serving/handlers/node.ts";
import { recordHandlers } from "../serving/handlers/records.ts";
import { IdentityService } from "../serving/identities/identity_service.ts";
import { LeaseDriver } from "../serving/lease_driver.ts";
import { ListPath } from "../serving/list_path.ts";
import { ListTurns } from "../serving/list_turns.ts";
import { type PartitionPlace, PartitionTable } from "../serving/partitions.ts";
import { Proposer } from "../serving/proposer.ts";
import { ReadPath } from "../serving/read_path.ts";
import { RecordRights } from "../serving/record_rights.ts";
import { Refusals } from "../serving/refusals.ts";
import { Registrar } from "../serving/registrar.ts";
import { RenewPath } from "../serving/renew_path.ts";
import { ReplyWriter } from "../serving/reply_writer.ts";
import { type Ceilings, RequestAdmission } from "../serving/request_admission.ts";
import { RequestRouter } from "../serving/request_router.ts";
import { RightsEnforcer } from "../serving/rights_enforcer.ts";
import { WallWatch } from "./wall_watch.ts";
import { WritePath } from "../serving/write_path.ts";
import {
  ClusterGroups,
  type JoinedCluster,
  systemApplied,
} from "../replication/assembly/cluster_groups.ts";
import type { PeerInput } from "../replication/assembly/node_groups.ts";
import type { PeerLinks } from "../replication/group_host.ts";
import type { LogEvents } from "../replication/recovery.ts";

/** The dependencies and settings of a registry. */
export interface RegistryOptions {
  /** The log's own folder; the registry closes it. */
  readonly storage: Storage;
  /** A folder beside the log's, for the log's mark; the registry closes it. */
  readonly markStorage?: Storage;
  /** Whether to start although acknowledged data is lost, under a higher generation. */
  readonly acceptDataLoss?: boolean;
  readonly world: World;
  readonly logger: Logger;
  readonly nodeId: number;
  readonly region: string;
  /** The number of partitions: fixed when the cluster is created; another one is refused. */
  readonly partitionCount: number;
  readonly ceilings: Ceilings;
  readonly memoryBytes: () => number;
  readonly logLimits?: SharedLogLimits;
  readonly requestTimeoutMs: number;
  readonly logEvents: LogEvents;
  /** Links to the other nodes; default: there are none. */
  readonly peers?: PeerLinks;
  /** Called once, before the groups start, with the input for what other nodes send. */
  readonly connect?: (input: PeerInput) => void;
  /** If false, no lease of a group of several voters serves reads; default true. */
  readonly leases?: boolean;
  /** Set on a node that joined a cluster: it never founds one. */
  readonly joined?: JoinedCluster;
  /** The relaxations of the access rules by the operator; default: none. */
  readonly policy?: AccessPolicy;
  /** The time after expiry in which certificates may be renewed; default: `DEFAULT_RENEWAL_GRACE`. */
  readonly renewalGrace?: RenewalGrace;
  /** Aborts a start that waits for the log. */
  readonly signal?: AbortSignal;
  /** Receives the events of apply after recovery. */
  readonly events?: EventSink;
  /** Returns the parts of the status that the registry does not know. */
  readonly facts: () => Pick<
    StatusReply,
    "sessions" | "uptimeMs" | "memoryBytes" | "version" | "ready" | "reason"
  >;
}

/** An open registry. */
export class Registry {
  /** The parameters that were fixed when the cluster was created. */
  readonly cluster: Genesis;
  /** Whether this start created the cluster. */
  readonly created: boolean;
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
  readonly renewals: RenewPath;
  readonly identities: IdentityService;
  /** Counts and samples of the identities that this node refused. */
  readonly refusals: Refusals;
  /** The banned identities, from group 0; a ban ends their sessions. */
  readonly bans = new BanList();
  /** The relaxations of the access rules by the operator. */
  readonly policy: AccessPolicy;
  /** Tells what depends on the wall clock when the clock was set. */
  readonly wallWatch: WallWatch;
  readonly #banFeed: BanFeed;
  readonly #rights: RightsEnforcer;
  readonly #options: RegistryOptions;
  readonly #groups: ClusterGroups;
  readonly #proposer: Proposer;

  private constructor(options: RegistryOptions, opened: Opened) {
    const { world, logger, nodeId } = options;
    const { groups, shared, clock } = opened;
    this.clock = clock;
    this.policy = options.policy ?? STRICT_POLICY;
    this.#options = options;
    this.#groups = groups;
    this.created = groups.created;
    this.shared = shared;
    this.log = groups.nodes.log;
    this.cluster = defined(groups.system.store.genesis, "A cluster was created");
    this.table = new PartitionTable(
      new Partitioner(this.cluster.hashKey, this.cluster.partitionCount),
      placesOf(groups, this.cluster.partitionCount),
    );
    this.#proposer = new Proposer({ monotonic: clock, wall: world.wall });
    const { table } = this;
    const proposer = this.#proposer;
    const state = () => groups.system.store.identities;
    const grace = options.renewalGrace ?? DEFAULT_RENEWAL_GRACE;
    const rights = new RecordRights({ state, wall: world.wall, renewalGraceMs: grace.recordMs });
    const access = new AccessControl(this.policy, rights);
    const claims = new DomainClaims(table, proposer);
    this.replies = new ReplyWriter(nodeId);
    this.admission = new RequestAdmission(options.ceilings, {
      records: () => recordCount(shared),
      memoryBytes: options.memoryBytes,
      room: (count) => shared.room(count),
      takesRegion: (region) => shared.takesRegion(region),
    });
    const veil = new CredentialVeil(access.policy);
    const reads = new ReadPath(table, this.replies, veil);
    const registrar = new Registrar({
      table,
      proposer,
      claims,
      access,
      admission: this.admission,
      entropy: world.entropy,
      scheduler: world.scheduler,
      logger,
    });
    this.renewals = new RenewPath({ table, proposer, access, entropy: world.entropy });
    this.#rights = new RightsEnforcer({
      table,
      proposer,
      rights,
      state,
      note: (...note) => this.identities.group.note(...note),
      monotonic: clock,
      wall: world.wall,
      scheduler: world.scheduler,
      logger,
    });
    this.#banFeed = new BanFeed({ bans: this.bans, ...world, logger, records: this.#rights });
    groups.system.store.watchRevocations(this.#banFeed);
    this.wallWatch = new WallWatch(world);
    this.wallWatch.onStep(() => this.#banFeed.clockStepped());
    this.refusals = new Refusals({ monotonic: clock, logger });
    this.identities = new IdentityService({
      ...groups.system,
      ...world,
      monotonic: clock,
      bans: this.bans,
      grace,
      refusals: this.refusals,
      logger,
    });
    this.router = new RequestRouter({
      admission: this.admission,
      access,
      handlers: {
        ...recordHandlers({
          reads,
          lists: new ListPath(table, reads, this.replies, veil),
          writes: new WritePath({ table, proposer, registrar, identities: this.identities.group }),
          renewals: this.renewals,
        }),
        ...nodeHandlers({ status: () => this.status(), ringMap: () => this.ringMap() }),
        ...identityHandlers(this.identities),
      },
      turns: new ListTurns({ scheduler: world.scheduler, clock: world.monotonic }),
      replies: this.replies,
      clock,
      requestTimeoutMsDefault: options.requestTimeoutMs,
    });
    this.leases = new LeaseDriver({
      table,
      proposer,
      availableTime: groups.nodes.set.availableTime,
      scheduler: world.scheduler,
      logger,
    });
    this.janitor = new AliasJanitor({
      table,
      claims,
      aliasCount: () => shared.counts.aliases,
      clock,
      scheduler: world.scheduler,
      logger,
    });
    opened.heeds.janitor = this.janitor;
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

  /** The node's groups. */
  get groups(): ClusterGroups {
    return this.#groups;
  }

  /** The number of entries appended to all groups' logs since they were opened. */
  get entriesAppended(): number {
    return this.#groups.entriesAppended;
  }

  /** The number of log entries written for renewals since the start. */
  get extensionsProposed(): number {
    return this.leases.extensionsProposed + this.renewals.extensionsProposed;
  }

  /** Starts the background work: expiry, extension, repair and compaction. */
  start(): void {
    this.leases.start();
    this.janitor.start();
    this.#banFeed.start();
    this.#rights.start();
    this.wallWatch.start();
    this.#groups.nodes.startCompaction();
  }

  /** Returns the ring map by which clients route. */
  ringMap(): RingMap {
    const { store } = this.#groups.system;
    const map = defined(store.ringMap(this.#options.nodeId), "A cluster was created");
    // Lost numbers are assigned again, so the epoch includes the raised generation.
    const generation = Math.max(map.epoch.generation, this.log.generation);
    return { ...map, epoch: { ...map.epoch, generation } };
  }

  /** Logs this node's addresses and pins if they changed; the ring map changes with them. */
  async putMember(member: Member): Promise<void> {
    const { store, group } = this.#groups.system;
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
  }

  /** Returns the status of the registry, for operators. */
  status(): StatusReply {
    const statistics = this.shared.statistics();
    return {
      nodeId: this.#options.nodeId,
      partitionCount: this.cluster.partitionCount,
      clusterId: this.cluster.clusterId,
      agents: statistics.records[KIND_AGENT]!,
      gateways: statistics.records[KIND_GATEWAY]!,
      aliases: statistics.aliases,
      recordBytes: statistics.recordBytes,
      logBytes: this.log.stats().segmentBytes,
      region: this.cluster.region,
      ...this.#options.facts(),
    };
  }

  /** Answers requests in progress and closes the log; resolves when the folder is free. */
  async close(): Promise<void> {
    this.leases.stop();
    this.janitor.stop();
    this.wallWatch.stop();
    this.#banFeed.stop();
    this.#rights.stop();
    await this.#groups.close();
  }
}

/** A registry's groups, and what was made for them. */
interface Opened {
  readonly groups: ClusterGroups;
  readonly clock: HeldClock;
  readonly shared: StoreShared;
  /** Receivers of the stores' events; undefined until they exist. */
  readonly heeds: { janitor: AliasJanitor | undefined };
}

async function openGroups(options: RegistryOptions): Promise<Opened> {
  const { world, logger, ceilings, storage, markStorage, logLimits, logEvents, signal } = options;
  const { region, partitionCount } = options;
  const hashSeed = new Uint8Array(16);
  world.entropy.fill(hashSeed);
  const shared = new StoreShared({ bytesMax: ceilings.memoryBytesMax, hashSeed });
  const clock = new HeldClock(world.monotonic);
  const heeds: Opened["heeds"] = { janitor: undefined };
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
    ...(options.connect === undefined ? {} : { connect: options.connect }),
    shared,
    sink: watchedSink(options.events, heeds),
    region,
    partitionCount,
    ...(signal === undefined ? {} : { signal }),
  });
  return { groups, clock, shared, heeds };
}

/** Returns where each partition is. */
function placesOf(groups: ClusterGroups, partitionCount: number): PartitionPlace[] {
  return Array.from({ length: partitionCount }, (_, number) => {
    const id = partitionId(number);
    return groups.partition(id) ?? { isHere: false, id, nodes: groups.nodesOf(id), leader: 0 };
  });
}

/** Returns a sink of apply's events that also notifies the janitor. */
function watchedSink(events: EventSink | undefined, heeds: Opened["heeds"]): EventSink {
  return {
    onEvent: (type, kind, stored, index) => {
      heeds.janitor?.heed(type);
      events?.onEvent(type, kind, stored, index);
    },
  };
}

function sameMember(left: Member, right: Member): boolean {
  return left.nodeId === right.nodeId && bytesEqual(left.pin, right.pin) &&
    bytesEqual(left.nextPin, right.nextPin) && left.addresses.length === right.addresses.length &&
    left.addresses.every((address, index) => {
      const other = right.addresses[index]!;
      return address.transport === other.transport && address.host === other.host &&
        address.port === other.port;
    });
}

/** The links of a node that has no peers. */
const NO_PEERS: PeerLinks = {
  send: () => {},
  sendImage: () => {},
};

function recordCount(shared: StoreShared): number {
  return shared.counts.records.reduce((sum, count) => sum + count, shared.counts.aliases);
}
