/**
 * The program of a simulated node: production's node without its process. What `src/node/node.ts`
 * composes is composed here in the same order, over a simulated wire, disks and clocks, without the
 * operator's port, certificates that rotate, and files beside the log and `cluster.json`.
 */
import {
  PEER_SILENCE_MS,
  PEER_STREAMS_MAX,
  REQUEST_FRAME_BYTES_MAX,
  REQUESTS_IN_FLIGHT_MAX,
  STALE_CONFIRM_MS_MIN,
} from "../../../src/base/limits.ts";
import { type LogFacts, type Logger, SILENT_LOGGER } from "../../../src/base/logger.ts";
import { handOver } from "../../../src/node/handing_over.ts";
import type { ClusterFile } from "../../../src/node/cluster_file.ts";
import type { ClusterRuntime } from "../../../src/node/cluster_runtime.ts";
import { type NodeConfig, resolveConfig } from "../../../src/node/config.ts";
import { NodeCluster } from "../../../src/node/node_cluster.ts";
import { Registry } from "../../../src/node/registry.ts";
import { expirySettings } from "../../../src/node/registry_options.ts";
import { Sessions } from "../../../src/node/sessions.ts";
import { WallWatch } from "../../../src/node/wall_watch.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { RegionLink } from "../../../src/region/region_link.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import type { EventSink } from "../../../src/store/event.ts";
import type { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import type { ReplyWriter } from "../../../src/serving/reply_writer.ts";
import type { NodeCalls } from "../../../src/serving/node_calls.ts";
import { ListedCodes } from "../../../src/serving/listed_codes.ts";
import { BanList } from "../../../identity/trust/ban_list.ts";
import type { Machine, Process } from "../machine.ts";
import { simulatedIdentity, simulatedPeerIdentity } from "./identity.ts";
import type { Owner } from "./owner.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

const CLIENT_PORT_MIN = 4_000;
const PEER_PORT_MIN = 5_000;
const RECORDS_MAX = 100_000;
const MEMORY_BYTES_MAX = 2 ** 22;
/** A twelfth of production's, so that aliases are repaired while faults go on. */
const ALIAS_SWEEP_MS = 5_000;
/** More than any client sends. */
const REQUESTS_PER_SECOND = 1e6;

/** Returns the port for clients of the machine with that address. */
export function clientPortOf(address: number): number {
  return CLIENT_PORT_MIN + address;
}

/** A machine as its program uses it. */
export interface NodeMachine {
  readonly machine: Machine;
  readonly address: number;
  readonly wire: SimWire;
  readonly disk: MemoryDisk;
  readonly markDisk: MemoryDisk;
  /** `cluster.json`: written atomically and durable at once. */
  file: ClusterFile | undefined;
  readonly partitionCount: number;
  readonly zone: string;
  readonly region: string;
  /** Makes the links to peer regions; absent: it follows none. */
  readonly linkTo?: (process: Process, region: PeerRegion) => RegionLink;
  readonly leases: boolean;
  readonly isGuardTight: boolean;
  /** The number that the node asks for; 0: the next. */
  readonly wishedNumber: number;
  /** The address of the machine that it asks to join; 0: it founds. */
  readonly joins: number;
  /** Receives what its stores apply. */
  readonly events: EventSink;
  /** Returns the owner at an address of the wire. */
  readonly ownerAt: (address: number) => Owner | undefined;
  /** Called when the log is recovered and all groups are open. */
  readonly onOpened: (registry: Registry) => void;
  /** Called with each receipt that the node writes, in the turn in which it answers. */
  readonly onReceipt: (partition: number, point: ReadPoint) => void;
  /** Called with each message of the node's log at level `error`, and with bugs. */
  readonly onBug: (message: string, error: unknown) => void;
  /** Called when the log is poisoned: somebody must start the node anew. */
  readonly onPoisoned: () => void;
  /** Called when the node has learned that it was removed from its cluster. */
  readonly onRemoved: () => void;
}

/** The program of a node, from its start to its end. */
export class NodeProgram {
  readonly process: Process;
  /** Undefined until it is open. */
  registry: Registry | undefined;
  /** Whether it serves clients. */
  isServing = false;
  #cluster: NodeCluster | undefined;
  #sessions: Sessions | undefined;
  readonly #options: NodeMachine;
  readonly #logger: Logger;
  readonly #bans = new BanList();

  constructor(options: NodeMachine, process: Process) {
    this.#options = options;
    this.process = process;
    this.#logger = loggerOf(options.onBug);
  }

  /** Its groups, once they are open. */
  get groups(): ClusterGroups | undefined {
    return this.registry?.groups;
  }

  /** Starts the node, and resolves when it serves. @throws RegistryError as `startNode` does. */
  async start(): Promise<void> {
    const { address, disk, markDisk, machine, wire } = this.#options;
    const world = this.process;
    const wallWatch = new WallWatch(world);
    const hasLog = disk.list().length > 0;
    const storages = { storage: disk.open(world), markStorage: markDisk.open(world) };
    const config = this.#config();
    const cluster = NodeCluster.open({
      config,
      runtime: this.#runtime(),
      world,
      logger: this.#logger,
      wallWatch,
      onError: () => {},
      onRing: () => this.#sessions?.pushRingMapSoon(),
      onRemoved: () => this.#options.onRemoved(),
    }, hasLog);
    this.#cluster = cluster;
    const { ownerAt } = this.#options;
    const identity = simulatedIdentity(address, { process: world, bans: this.#bans, ownerAt });
    const port = clientPortOf(address);
    const addresses = [{ transport: "quic", host: WIRE_HOST, port }] as const;
    cluster!.bind(identity);
    const listener = wire.listen(machine, world, port);
    await cluster!.enter(addresses);
    const registry = await this.#openRegistry(config, { storages, wallWatch });
    this.registry = registry;
    this.#options.onOpened(registry);
    const { router: handler, replies, clock } = registry;
    watchReceipts(replies, this.#options.onReceipt);
    const observer = new ListedCodes(
      { requestDone: () => {} },
      (operation, code) =>
        this.#options.onBug(`${operation} answered ${code}, which it does not list`, undefined),
    );
    const services = { world, handler, replies, clock, observer };
    cluster!.setAddresses(addresses);
    const sessionIdentity = await identity.begin(addresses);
    await cluster!.opened(registry, services);
    const sessions = new Sessions({
      ...services,
      listener,
      logger: this.#logger,
      onError: () => {},
      identity: sessionIdentity,
      facts: {
        features: 0,
        clusterId: registry.cluster.clusterId,
        nodeId: cluster!.nodeId,
        region: registry.cluster.region,
        frameBytesMax: REQUEST_FRAME_BYTES_MAX,
        requestsInFlightMax: REQUESTS_IN_FLIGHT_MAX,
      },
      ringMap: () => registry.ringMap(),
      rate: { requestsPerSecond: REQUESTS_PER_SECOND, burst: REQUESTS_PER_SECOND },
    });
    this.#sessions = sessions;
    registry.table.watch(() => sessions.pushRingMapSoon());
    sessions.run().catch((error) => this.#options.onBug("Sessions ended", error));
    registry.start();
    this.isServing = true;
  }

  /** Takes steps of writes at other nodes. */
  get calls(): NodeCalls | undefined {
    return this.#cluster?.registryOptions.nodeCalls;
  }

  /** Stops the node in order: what it leads is handed over, requests in progress finish within `drainMs`. */
  async stop(drainMs: number): Promise<void> {
    this.isServing = false;
    await handOver(this.registry?.placement.balance, this.#cluster, this.process);
    this.registry?.admission.drain();
    await this.#sessions?.close(drainMs);
    await this.registry?.close();
    await this.#cluster?.close();
  }

  #config(): NodeConfig {
    const { isGuardTight, joins, partitionCount, region, wishedNumber, zone } = this.#options;
    return resolveConfig({
      environment: {},
      flags: {
        data: "simulated",
        region,
        partitions: partitionCount,
        ...(zone === "" ? {} : { zone }),
        ...(isGuardTight
          ? { expiryShare: 0, expiryFloor: 1, expiryConfirmMs: STALE_CONFIRM_MS_MIN }
          : {}),
        ...(wishedNumber === 0 ? {} : { nodeId: wishedNumber }),
        ...(joins === 0
          ? { found: true }
          : { join: `${WIRE_HOST}:${clientPortOf(joins)}`, pin: `sha256:${"00".repeat(32)}` }),
      },
    });
  }

  #runtime(): ClusterRuntime {
    const { address, machine, wire } = this.#options;
    const limits = { idleMs: PEER_SILENCE_MS, streamsPerSessionMax: PEER_STREAMS_MAX };
    return {
      peerDialer: () => wire.dialer(machine, this.process, limits),
      clientDialer: () => wire.dialer(machine, this.process),
      listen: () => wire.listen(machine, this.process, PEER_PORT_MIN + address, limits),
      readFile: () => this.#options.file,
      writeFile: (file) => void (this.#options.file = file),
      developmentPeers: (membership) =>
        Promise.resolve({
          identity: simulatedPeerIdentity(membership),
          check: () => Promise.resolve(),
        }),
    };
  }

  async #openRegistry(
    config: NodeConfig,
    { storages, wallWatch }: {
      readonly storages: Pick<Parameters<typeof Registry.open>[0], "storage" | "markStorage">;
      readonly wallWatch: WallWatch;
    },
  ): Promise<Registry> {
    const { events, leases, linkTo, onPoisoned } = this.#options;
    const cluster = this.#cluster!;
    const { process } = this;
    return await Registry.open({
      ...storages,
      world: this.process,
      logger: this.#logger,
      ...cluster.registryOptions,
      ...(linkTo === undefined ? {} : { linkTo: (region) => linkTo(process, region) }),
      bans: this.#bans,
      aliasSweepMs: ALIAS_SWEEP_MS,
      wallWatch,
      follow: (feed) => feed.follow(events),
      leases,
      expiry: expirySettings(config),
      region: config.region,
      partitionCount: config.partitions,
      ceilings: { recordsMax: RECORDS_MAX, memoryBytesMax: MEMORY_BYTES_MAX },
      memoryBytes: () => 0,
      requestTimeoutMs: config.requestTimeoutMs,
      logEvents: { cut: () => {}, poisoned: onPoisoned, writable: () => {}, synced: () => {} },
      facts: () => ({
        sessions: this.#sessions?.count ?? 0,
        uptimeMs: Math.floor(this.process.nowMs()),
        memoryBytes: 0,
        version: "simulated",
        ready: this.isServing,
        reason: "",
      }),
    });
  }
}

/** Reports each receipt before it is written. */
function watchReceipts(replies: ReplyWriter, report: NodeMachine["onReceipt"]): void {
  const add = replies.addReceipt.bind(replies);
  const receiptOf = replies.receiptOf.bind(replies);
  replies.addReceipt = (partition, point) => {
    report(partition, point);
    add(partition, point);
  };
  replies.receiptOf = (partition, point) => {
    report(partition, point);
    return receiptOf(partition, point);
  };
}

function loggerOf(onBug: NodeMachine["onBug"]): Logger {
  const logger: Logger = {
    ...SILENT_LOGGER,
    error: (message, facts: LogFacts = {}) => onBug(message, facts["error"]),
    child: () => logger,
  };
  return logger;
}
