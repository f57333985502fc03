/**
 * The registry without its network: recovers an empty or existing log, starts the groups, and connects
 * the paths that serve requests. All dependencies are passed in, so that it runs the same in production
 * and in the simulator; node.ts connects it to transport, identity and HTTP.
 */
import type { StatusReply } from "../../schemas/gen/wire.ts";
import { assert, defined } from "../base/assert.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import {
  type GroupId,
  groupOfPartition,
  type NodeId,
  nodeId,
  partitionId,
  partitionOfGroup,
  replicaId,
  SYSTEM_GROUP,
} from "../base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import { type AccessPolicy, STRICT_POLICY } from "../record/access.ts";
import { encodeGenesis, encodePutMember } from "../record/command.ts";
import { Partitioner } from "../ring/partition.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../record/key.ts";
import type { RingMap } from "../ring/ring_map.ts";
import { Compactor } from "../storage/compaction.ts";
import { openSharedLog } from "../storage/open_shared_log.ts";
import type { LogDone, SharedLog, SharedLogLimits } from "../storage/shared_log.ts";
import type { Storage } from "../storage/storage.ts";
import type { ApplyReply, EventSink } from "../store/reply.ts";
import { StoreShared } from "../store/shared.ts";
import { PartitionStore } from "../store/store.ts";
import {
  type Genesis,
  type Member,
  type SystemReply,
  SystemStore,
} from "../system/system_store.ts";
import { BanList } from "../../identity/trust/ban_list.ts";
import { DEFAULT_RENEWAL_GRACE, type RenewalGrace } from "../../identity/enrolment/enrolment.ts";
import { AccessControl } from "../serving/access_control.ts";
import type { Proposed } from "../replication/group_interface.ts";
import { AliasJanitor } from "../serving/alias_janitor.ts";
import type { AvailableTime } from "../replication/available_time.ts";
import { BanFeed } from "../serving/ban_feed.ts";
import { CredentialVeil } from "../serving/credential_veil.ts";
import { DomainClaims } from "../serving/domain_claims.ts";
import { HeldClock } from "../serving/held_clock.ts";
import { identityHandlers } from "../serving/handlers/identities.ts";
import { nodeHandlers } from "../serving/handlers/node.ts";
import { recordHandlers } from "../serving/handlers/records.ts";
import { IdentityService } from "../serving/identity_service.ts";
import { LeaseDriver } from "../serving/lease_driver.ts";
import { ListPath } from "../serving/list_path.ts";
import { ListTurns } from "../serving/list_turns.ts";
import { FOUNDER_REPLICA } from "../replication/log_entry.ts";
import type { RaftGroup } from "../replication/group.ts";
import { GroupSet, type PeerLinks } from "../replication/group_set.ts";
import { PartitionMachine, SystemMachine } from "../replication/machines.ts";
import { type Partition, PartitionTable } from "../serving/partitions.ts";
import { Proposer } from "../serving/proposer.ts";
import { ReadPath } from "../serving/read_path.ts";
import { type LogEvents, Recovery } from "../replication/recovery.ts";
import { RecordRights } from "../serving/record_rights.ts";
import { Refusals } from "../serving/refusals.ts";
import { Registrar } from "../serving/registrar.ts";
import { RenewPath } from "../serving/renew_path.ts";
import { ReplyWriter } from "../serving/reply_writer.ts";
import { type Ceilings, RequestAdmission } from "../serving/request_admission.ts";
import { RequestRouter } from "../serving/request_router.ts";
import { RightsEnforcer } from "../serving/rights_enforcer.ts";
import { WritePath } from "../serving/write_path.ts";

/** The time limit for leading all groups at a start, ms: two syncs of a very slow disk. */
const START_MS_MAX = 60_000;

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
  readonly #banFeed: BanFeed;
  readonly #rights: RightsEnforcer;
  readonly #options: RegistryOptions;
  readonly #groups: Groups;
  readonly #proposer: Proposer;
  readonly #compactor: Compactor;

  private constructor(
    options: RegistryOptions,
    opened: OpenedLog,
    groups: Groups,
    created: boolean,
  ) {
    const { world, logger, nodeId } = options;
    const { log, shared } = opened;
    const clock = opened.clock;
    this.clock = clock;
    this.policy = options.policy ?? STRICT_POLICY;
    this.#options = options;
    this.#groups = groups;
    this.created = created;
    this.shared = shared;
    this.log = log;
    this.cluster = defined(groups.system.store.genesis, "A cluster was created");
    this.table = new PartitionTable(
      new Partitioner(this.cluster.hashKey, this.cluster.partitionCount),
      groups.partitions,
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
      note: (...note) => this.identities.note(...note),
      monotonic: clock,
      wall: world.wall,
      scheduler: world.scheduler,
      logger,
    });
    this.#banFeed = new BanFeed({ bans: this.bans, ...world, logger, records: this.#rights });
    groups.system.store.watchRevocations(this.#banFeed);
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
          writes: new WritePath({ table, proposer, registrar, identities: this.identities }),
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
      availableTime: groups.availableTime,
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
    const softBytes = options.logLimits?.softBytes;
    this.#compactor = new Compactor({
      log,
      ...(softBytes === undefined ? {} : { softBytes }),
      scheduler: world.scheduler,
      writeImage: (group, done) => groups.writeImage(group, done),
    });
    opened.watch.compactor = this.#compactor;
    opened.watch.janitor = this.janitor;
  }

  /**
   * Recovers the log, leads every group, and creates the cluster if there is none.
   *
   * @throws RegistryError `corrupt`, `locked`, `storage_unavailable`; `invalid_configuration` if the
   * partition count differs from the cluster's.
   */
  static async open(options: RegistryOptions): Promise<Registry> {
    const opened = await openLog(options);
    try {
      const groups = new Groups(options, opened);
      checkPartitionCount(groups.system.store.genesis, options.partitionCount);
      await groups.start(options.signal);
      const created = groups.system.store.genesis === undefined;
      if (created) await createCluster(options, groups, opened.log.generation);
      return new Registry(options, opened, groups, created);
    } catch (error) {
      // The folder must be free for the next attempt.
      await closeLog(opened.log);
      throw error;
    }
  }

  /** The number of entries appended to all groups' logs since they were opened. */
  get entriesAppended(): number {
    return this.#groups.entriesAppended();
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
    this.#compactor.start();
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
    this.#banFeed.stop();
    this.#rights.stop();
    this.#compactor.stop();
    await closeLog(this.log);
    this.#groups.close();
  }
}

function closeLog(log: SharedLog): Promise<void> {
  return new Promise((resolve) => log.close(() => resolve()));
}

/** The receivers of events from the log and the stores; undefined until they exist. */
interface LogWatch {
  set: GroupSet | undefined;
  compactor: Compactor | undefined;
  janitor: AliasJanitor | undefined;
}

interface OpenedLog {
  readonly watch: LogWatch;
  readonly clock: HeldClock;
  readonly log: SharedLog;
  readonly shared: StoreShared;
  readonly recovery: Recovery<PartitionMachine | SystemMachine>;
}

async function openLog(options: RegistryOptions): Promise<OpenedLog> {
  const { world, ceilings, storage, markStorage, logLimits } = options;
  const hashSeed = new Uint8Array(16);
  world.entropy.fill(hashSeed);
  const shared = new StoreShared({ bytesMax: ceilings.memoryBytesMax, hashSeed });
  const watch: LogWatch = { set: undefined, compactor: undefined, janitor: undefined };
  const sink = watchedSink(options.events, watch);
  const recovery = new Recovery<PartitionMachine | SystemMachine>((group) => {
    const partition = partitionOfGroup(group);
    if (partition === undefined) return new SystemMachine(new SystemStore());
    return new PartitionMachine(
      new PartitionStore({
        shared,
        partition,
        sink,
      }),
      shared.imageScratch,
    );
  }, watchedEvents(options.logEvents, watch));
  openSharedLog({
    storage,
    ...(markStorage === undefined ? {} : { markStorage }),
    acceptDataLoss: options.acceptDataLoss === true,
    clock: world.monotonic,
    scheduler: world.scheduler,
    entropy: world.entropy,
    handlers: recovery.handlers,
    ...(logLimits === undefined ? {} : { limits: logLimits }),
  });
  const clock = new HeldClock(world.monotonic);
  return { watch, clock, log: await recovery.done, shared, recovery };
}

/** Returns handlers of the log's events that notify the groups and the compactor first. */
function watchedEvents(events: LogEvents, watch: LogWatch): LogEvents {
  return {
    ...events,
    poisoned: (error) => {
      watch.set?.logPoisoned(error);
      events.poisoned(error);
    },
    writable: (writable) => {
      watch.set?.logWritable(writable);
      events.writable(writable);
    },
    synced: (durationMs) => {
      watch.compactor?.logWritten();
      events.synced(durationMs);
    },
  };
}

/** Returns a sink of apply's events that also notifies the janitor. */
function watchedSink(events: EventSink | undefined, watch: LogWatch): EventSink {
  return {
    onEvent: (type, kind, stored, index) => {
      watch.janitor?.heed(type);
      events?.onEvent(type, kind, stored, index);
    },
  };
}

function checkPartitionCount(cluster: Genesis | undefined, configured: number): void {
  if (cluster === undefined || cluster.partitionCount === configured) return;
  throw new RegistryError(
    "invalid_configuration",
    `partitions must be ${cluster.partitionCount}, with which this data folder was created: ` +
      `current value is ${configured}`,
    { field: "partitions" },
  );
}

/** Proposes the first command of the system group, which fixes the cluster's parameters. */
async function createCluster(
  options: RegistryOptions,
  groups: Groups,
  generation: number,
): Promise<void> {
  const { world, region, partitionCount } = options;
  const clusterId = new Uint8Array(16);
  world.entropy.fill(clusterId);
  const unixS = Math.floor(world.wall.unixMs() / 1_000);
  const proposed = await groups.system.group.propose(
    encodeGenesis({ timeMs: 0, unixS, writer: 0 }, {
      clusterId,
      // Keys are hashed with the cluster's own id, so that nobody can choose colliding keys.
      hashKey: clusterId,
      partitionCount,
      generation,
      region,
    }),
    REQUEST_TIMEOUT_MS_DEFAULT,
  );
  systemApplied(proposed);
}

function systemApplied(proposed: Proposed<SystemReply>): void {
  if (!proposed.ok) throw proposed.error;
  const { outcome } = proposed;
  if (outcome.code !== "ok") throw new RegistryError(outcome.code, outcome.message);
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

/** The groups of a node. */
class Groups {
  readonly system: { readonly group: RaftGroup<SystemReply>; readonly store: SystemStore };
  readonly partitions: readonly Partition[];
  readonly #set: GroupSet;
  readonly #all: readonly (RaftGroup<ApplyReply> | RaftGroup<SystemReply>)[];

  constructor(options: RegistryOptions, opened: OpenedLog) {
    const { recovery } = opened;
    this.#set = newGroupSet(options, opened);
    opened.watch.set = this.#set;
    const system = recovery.take(SYSTEM_GROUP);
    assert(system.machine instanceof SystemMachine, "Group 0 holds the system");
    this.system = {
      group: this.#set.add({
        ...founder(SYSTEM_GROUP),
        machine: system.machine,
        recovered: system,
      }),
      store: system.machine.store,
    };
    const all: (RaftGroup<ApplyReply> | RaftGroup<SystemReply>)[] = [this.system.group];
    const partitions: Partition[] = [];
    for (let number = 0; number < options.partitionCount; number++) {
      const id = partitionId(number);
      const recovered = recovery.take(groupOfPartition(id));
      const { machine } = recovered;
      assert(machine instanceof PartitionMachine, "Groups above 0 hold partitions");
      const group = this.#set.add({ ...founder(groupOfPartition(id)), machine, recovered });
      partitions.push({ id, group, store: machine.store });
      all.push(group);
    }
    this.partitions = partitions;
    this.#all = all;
  }

  /**
   * Leads every group; their first terms share one write of the log. If the log refuses it, the groups
   * serve their recovered state and lead once the log takes writes again.
   *
   * @throws RegistryError `shutting_down` if `signal` is aborted.
   */
  async start(signal?: AbortSignal): Promise<void> {
    const stopped = Promise.withResolvers<RegistryError>();
    const stop = () =>
      stopped.resolve(
        new RegistryError("shutting_down", "The node was stopped while it was starting"),
      );
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted === true) stop();
    try {
      this.#set.start();
      for (const group of this.#all) {
        const led = await Promise.race([stopped.promise, group.readBarrier(0, START_MS_MAX)]);
        if (led instanceof RegistryError) throw led;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** The clock that drives the time of all groups. */
  get availableTime(): AvailableTime {
    return this.#set.availableTime;
  }

  entriesAppended(): number {
    return this.#all.reduce((sum, group) => sum + group.entriesAppended, 0);
  }

  writeImage(
    group: GroupId,
    done: LogDone,
  ): void {
    defined(this.#all[group], "Every group in the log is on this node").writeImage(done);
  }

  close(): void {
    this.#set.close();
  }
}

/** Returns the id and replica of a group that this node founded or founds. */
function founder(id: GroupId) {
  return { id, replica: replicaId(FOUNDER_REPLICA), founds: true };
}

function newGroupSet(options: RegistryOptions, { clock, log, recovery }: OpenedLog): GroupSet {
  const { world, logger } = options;
  const self: NodeId = nodeId(options.nodeId);
  return new GroupSet({
    nodeId: self,
    world,
    clock,
    logger,
    log,
    peers: NO_PEERS,
    directory: { nodeOf: (replica) => replica === FOUNDER_REPLICA ? self : undefined },
    nodeState: recovery.nodeState,
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
