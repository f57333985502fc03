/**
 * A node: connects the registry to its folder, its identity, its network and its operator's port.
 *
 * Start: lock the folder, load or create the identity, open the operator's port, recover the log, lead
 * the groups, listen, write the addresses (`node.json`), serve. Stop: refuse new work, let requests in
 * progress finish within the drain time, say goodbye, close the log, free the folder. The operator's
 * port closes last, so that `/readyz` reports both phases. Nothing here is on the request path.
 */
import process from "node:process";
import { nodeId } from "../base/ids.ts";
import { REQUEST_FRAME_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { formatUuid } from "../base/uuid.ts";
import { VERSION } from "../base/version.ts";
import type { World } from "../base/world.ts";
import { ListedCodes, UNLISTED_CODE } from "../serving/listed_codes.ts";
import { OPERATION_LIST } from "../wire/operations/mod.ts";
import { BanList } from "../../identity/trust/ban_list.ts";
import { type NodeAddress, removeNodeFile, writeNodeFile } from "../../identity/files/node_file.ts";
import { guardRejections, type RejectionGuard } from "../../transport/guard.ts";
import { joinListeners } from "../../transport/joined_listener.ts";
import type { Listener } from "../../transport/transport.ts";
import { openCertifiedIdentity } from "./certified_opening.ts";
import type { NodeConfig } from "./config.ts";
import { hasLogFiles, type LogStorages, openLogStorages } from "./data_folder.ts";
import { EventCounts } from "./event_counts.ts";
import { NodeMetrics } from "./metrics.ts";
import { certifiedOptions, openIdentity } from "./identity_opening.ts";
import { logEvents } from "./log_events.ts";
import type { NodeIdentity } from "./node_identity.ts";
import { openOpsHttp, type OpsHttp } from "./ops_http.ts";
import { PostponedWrites } from "./postponed_writes.ts";
import { MemorySampler } from "./process_memory.ts";
import { processClusterRuntime } from "./cluster_runtime.ts";
import { NodeCluster } from "./node_cluster.ts";
import { handOver } from "./handing_over.ts";
import { dialedAddresses, listenTcp, listenUdp } from "./node_ports.ts";
import { rotateCertificates } from "./certificate_turnover.ts";
import { Readiness } from "./readiness.ts";
import { regionLinks } from "./region_links.ts";
import { Registry } from "./registry.ts";
import { accessPolicy, expirySettings } from "./registry_options.ts";
import type { RunningNode, StartNodeOptions } from "./running_node.ts";
import { Sessions } from "./sessions.ts";
import { snapshotOf } from "./snapshot.ts";
import { TcpPorts } from "./tcp_ports.ts";
import { WallWatch } from "./wall_watch.ts";

export type { RunningNode, StartNodeOptions } from "./running_node.ts";

/**
 * Starts a node.
 *
 * @throws RegistryError `locked`, `corrupt`, `storage_unavailable`, `invalid_configuration`.
 */
export async function startNode(options: StartNodeOptions): Promise<RunningNode> {
  const node = new Node(options);
  try {
    await node.start();
  } catch (error) {
    await node.stop();
    throw error;
  }
  return node.running();
}

/** The name of the write by which a node states its addresses. */
const MEMBER_WRITE = "this node's addresses, in group 0";

/** The parts of a node, started one after another and closed in reverse order. */
class Node {
  readonly #config: NodeConfig;
  readonly #world: World;
  readonly #logger: Logger;
  readonly #acceptDataLoss: boolean;
  readonly #acceptClockSetBack: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #onOpened: (() => void) | undefined;
  readonly #onRemoved: (nodeId: number) => void;
  readonly #postponed: PostponedWrites;
  readonly #startedMs: number;
  readonly #readiness = new Readiness(() => this.#registry?.view.leaderless().length ?? 0);
  readonly #events = new EventCounts();
  readonly #tcpPorts: TcpPorts;
  readonly #memory: MemorySampler;
  readonly #metrics: NodeMetrics;
  /** Functions that close the parts, in order of start; called in reverse. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  #identity: NodeIdentity | undefined;
  /** Bans end the sessions of clients and of other nodes. */
  readonly #bans = new BanList();
  readonly #wallWatch: WallWatch;
  #registry: Registry | undefined;
  #quic: Listener | undefined;
  #tls: Listener | undefined;
  /** QUIC and TLS joined into one listener. */
  #listener: Listener | undefined;
  #sessions: Sessions | undefined;
  #ops: OpsHttp | undefined;
  /** This node's part in a cluster of several nodes; undefined for a node that is alone. */
  #cluster: NodeCluster | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: StartNodeOptions) {
    const { config, world, logger, signal, onOpened, onRemoved = () => {} } = options;
    const { acceptDataLoss = false, acceptClockSetBack = false } = options;
    this.#signal = signal;
    this.#onOpened = onOpened;
    this.#onRemoved = onRemoved;
    this.#postponed = new PostponedWrites(logger);
    this.#acceptDataLoss = acceptDataLoss;
    this.#acceptClockSetBack = acceptClockSetBack;
    this.#config = config;
    this.#world = world;
    this.#wallWatch = new WallWatch(world);
    this.#logger = logger;
    this.#tcpPorts = new TcpPorts(this.#readiness, logger);
    this.#startedMs = world.monotonic.nowMs();
    this.#memory = new MemorySampler(world.monotonic);
    this.#metrics = new NodeMetrics({
      operations: OPERATION_LIST,
      monotonic: world.monotonic,
      version: VERSION,
      nodeId: () => this.#nodeId,
      region: config.region,
      snapshot: () =>
        snapshotOf({
          ...{ registry: this.#registry, cluster: this.#cluster },
          ...{ listener: this.#listener, sessions: this.#sessions },
          ready: this.#readiness.ready,
          ...{ events: this.#events, tcpPorts: this.#tcpPorts },
          serviceRestarts: options.serviceRestarts?.() ?? new Map(),
        }),
    });
  }

  async start(): Promise<void> {
    const config = this.#config;
    this.#guard();
    // The log's folder is locked first: the holder of the lock owns the identity and node.json.
    const hasLog = hasLogFiles(config.data);
    const storages = openLogStorages(config.data, this.#acceptDataLoss, this.#world.scheduler);
    try {
      this.#openCluster(hasLog);
      await this.#openOps();
      this.#identity = await openIdentity({
        ...this.#parts,
        cluster: this.#cluster,
        ...{ bans: this.#bans, onError: this.#onError, signal: this.#signal },
        registry: () => this.#registry,
      });
      if (this.#identity !== undefined) await this.#enterCluster(this.#identity);
    } catch (error) {
      // The registry does not own the folder yet, so it is released here.
      storages.storage.close();
      storages.markStorage.close();
      throw error;
    }
    this.#registry = await this.#openRegistry(storages);
    this.#closers.push(() => this.#registry!.close());
    if (this.#identity === undefined) await this.#openSoleIdentity(this.#registry);
    else this.#identity.attach?.(this.#registry, this.#nodeId);
    this.#closers.push(() => this.#identity!.stop());
    await this.#listen();
    this.#registry.start();
    this.#rotateCertificates();
    await this.#postponed.attempt("node.json", () => this.#sayWhere());
    this.#closers.push(() => this.#sayNoMore());
    this.#onOpened?.();
    this.#readiness.set("starting", false);
    // Logged last, and only for a node that served.
    this.#closers.unshift(() => this.#logger.info("Stopped"));
    this.#logger.info("Ready", {
      clusterId: formatUuid(this.#registry.cluster.clusterId),
      records: this.#registry.shared.namedCounts(),
      port: this.#quic!.port,
      ...(this.#tls === undefined ? {} : { tlsPort: this.#tls.port }),
      startMs: Math.round(this.#world.monotonic.nowMs() - this.#startedMs),
    });
  }

  running(): RunningNode {
    return {
      nodeId: this.#nodeId,
      clusterId: formatUuid(this.#registry!.cluster.clusterId),
      addresses: this.#quic!.addresses,
      tlsAddresses: this.#tls?.addresses ?? [],
      ops: { host: this.#ops!.host, port: this.#ops!.port },
      ...{ dataFolder: this.#config.data, created: this.#registry!.created },
      ...{ notice: this.#identity!.notice, agreeOnSigners: this.#registry!.agreeOnSigners },
      enrolFront: this.#identity!.enrolFront?.bind(this.#identity),
      stop: () => this.stop(),
    };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#close();
    return this.#stopped;
  }

  readonly #onError = (stage: string, error: unknown): void => {
    this.#metrics.recordError(stage);
    this.#logger.debug("An error was caught", { stage, error });
  };

  /** Keeps rejections of the runtime's own promises from ending the process: nobody can await them. */
  #guard(): void {
    const guard: RejectionGuard = guardRejections(globalThis, (stage, error) => {
      this.#metrics.recordError(stage);
      this.#logger.error("Unhandled rejection", { error });
    });
    this.#closers.push(() => guard.remove());
  }

  async #openRegistry(storages: LogStorages): Promise<Registry> {
    const config = this.#config;
    return await Registry.open({
      ...storages,
      acceptDataLoss: this.#acceptDataLoss,
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      ...{ world: this.#world, logger: this.#logger, nodeId: this.#nodeId },
      linkTo: regionLinks(this.#parts, this.#onError, () => this.#identity),
      ...this.#cluster?.registryOptions,
      ...{ bans: this.#bans, wallWatch: this.#wallWatch },
      region: config.region,
      partitionCount: config.partitions,
      ceilings: { recordsMax: config.recordsMax, memoryBytesMax: config.memoryBytesMax },
      memoryBytes: () => this.#memory.bytes,
      ...{ policy: accessPolicy(config), expiry: expirySettings(config) },
      renewalGrace: { recordMs: config.renewalGraceMs, memberMs: config.memberRenewalGraceMs },
      logLimits: { softBytes: config.logBytesSoft, hardBytes: config.logBytesHard },
      ...{ requestTimeoutMs: config.requestTimeoutMs, leases: config.leaderLeases === "on" },
      follow: (feed) => feed.followTypes(["expired"], this.#events),
      logEvents: logEvents({
        logger: this.#logger,
        readiness: this.#readiness,
        isPoisoned: () => this.#registry?.log.stats().poisoned === true,
        onWritable: () => this.#retryPostponed(),
        onSynced: (durationMs) => this.#metrics.recordSync(durationMs),
      }),
      facts: () => ({
        sessions: this.#sessions?.count ?? 0,
        uptimeMs: Math.floor(this.#world.monotonic.nowMs() - this.#startedMs),
        memoryBytes: this.#memory.bytes,
        version: VERSION,
        ready: this.#readiness.ready,
        reason: this.#readiness.reasons().map(({ message }) => message).join(" "),
      }),
    });
  }

  get #parts() {
    return { config: this.#config, world: this.#world, logger: this.#logger };
  }

  #openCluster(hasLog: boolean): void {
    this.#cluster = NodeCluster.open({
      ...this.#parts,
      runtime: processClusterRuntime({ ...this.#parts, onError: this.#onError }),
      wallWatch: this.#wallWatch,
      onError: this.#onError,
      onRing: () => {
        this.#sessions?.pushRingMapSoon();
        if (this.#cluster?.hasOthers === true) this.#identity?.membersChanged?.();
      },
      onRemoved: this.#onRemoved,
    }, hasLog);
    this.#closers.push(() => this.#cluster?.close());
  }

  /** Joins a cluster or returns to it, if the node is one of several. */
  async #enterCluster(identity: NodeIdentity): Promise<void> {
    if (this.#cluster === undefined) return;
    this.#cluster.bind(identity);
    this.#listener = await this.#bind();
    await this.#cluster.enter(this.#addresses(), this.#signal);
  }

  /** Opens the identity of a node that is alone: its signing state is in group 0. */
  async #openSoleIdentity(registry: Registry): Promise<void> {
    this.#identity = await openCertifiedIdentity({
      ...certifiedOptions(this.#parts),
      nodeId: this.#nodeId,
      acceptClockSetBack: this.#acceptClockSetBack,
      registry,
    });
    this.#cluster?.bind(this.#identity);
  }

  /** The number of this node in its cluster. */
  get #nodeId(): number {
    return this.#cluster?.nodeId ?? (this.#config.nodeId || 1);
  }

  /** Opens the ports of QUIC, WebTransport and TLS. */
  async #bind(): Promise<Listener> {
    const { monotonic, scheduler } = this.#world;
    const ports = {
      config: this.#config,
      certificate: this.#serverCertificate(),
      ...{ monotonic, scheduler, onError: this.#onError, tcpPorts: this.#tcpPorts },
    };
    this.#quic = listenUdp(ports);
    this.#closers.push(() => this.#listener?.close() ?? this.#quic!.close());
    if (this.#config.tls === "off") return this.#quic;
    this.#tls = await listenTcp({ ...ports, clientAuthorities: this.#identity!.clientAuthorities });
    return joinListeners([this.#quic, this.#tls]);
  }

  /** Opens the ports, publishes their addresses in the system group, and serves. */
  async #listen(): Promise<void> {
    const registry = this.#registry!;
    this.#listener ??= await this.#bind();
    const observer = new ListedCodes(this.#metrics, (operation, code) => {
      this.#metrics.recordError("unlisted_code");
      this.#logger.error(UNLISTED_CODE, { operation, code });
    });
    const { router: handler, replies, clock } = registry;
    const services = { world: this.#world, handler, replies, clock, observer };
    this.#cluster?.setAddresses(this.#addresses());
    if (this.#cluster === undefined) {
      await this.#postponed.attempt(MEMBER_WRITE, () => this.#putMember());
    }
    const identity = await this.#identity!.begin(this.#addresses());
    await this.#cluster?.opened(registry, services);
    this.#sessions = new Sessions({
      ...services,
      listener: this.#listener,
      logger: this.#logger,
      onError: this.#onError,
      identity,
      facts: {
        features: 0,
        ...{ clusterId: registry.cluster.clusterId, nodeId: this.#nodeId },
        region: registry.cluster.region,
        frameBytesMax: REQUEST_FRAME_BYTES_MAX,
        requestsInFlightMax: REQUESTS_IN_FLIGHT_MAX,
      },
      ringMap: () => registry.ringMap(),
      rate: {
        requestsPerSecond: this.#config.callerRequestsPerSecondMax,
        burst: this.#config.callerBurstMax,
      },
    });
    this.#closers.push(() => this.#drain());
    registry.table.watch(() => this.#sessions?.pushRingMapSoon());
    this.#sessions.run().catch((error) => this.#onError("listen", error));
  }

  #serverCertificate() {
    const { chainPem, keyPem } = this.#identity!.certificates.current;
    return { chainPem, keyPem };
  }

  async #putMember(): Promise<void> {
    await this.#registry!.putMember({
      nodeId: nodeId(this.#nodeId),
      addresses: this.#addresses(),
      pin: this.#identity!.certificates.current.pin,
      nextPin: this.#identity!.certificates.next.pin,
    });
  }

  #addresses(): NodeAddress[] {
    const tcp = this.#tls?.addresses ?? [];
    return dialedAddresses(this.#config, { udp: this.#quic!.addresses, tcp });
  }

  #rotateCertificates(): void {
    const rotation = rotateCertificates({
      certificates: this.#identity!.certificates,
      world: this.#world,
      readiness: this.#readiness,
      logger: this.#logger,
      onRotate: () => this.#certificatesRotated(),
      onError: () => this.#metrics.recordError("rotation"),
    });
    this.#registry!.wallWatch.onStep(() => rotation.clockStepped());
    this.#closers.push(() => rotation.stop());
  }

  #certificatesRotated(): void {
    this.#listener!.rotate(this.#serverCertificate());
    const told = this.#cluster?.rotate();
    this.#sayWhere();
    Promise.all([told ?? this.#putMember(), this.#identity!.rotated()]).then(
      () => this.#sessions?.pushRingMap(),
      (error) => this.#onError("rotation", error),
    );
  }

  async #openOps(): Promise<void> {
    this.#ops = await openOpsHttp({
      host: this.#config.opsHost,
      port: this.#config.opsPort,
      unready: () => this.#readiness.reasons(),
      metrics: () => this.#metrics.render(),
      logger: this.#logger,
      scheduler: this.#world.scheduler,
      connectionsMax: this.#tcpPorts.opsConnectionsMax,
      observer: this.#tcpPorts.observer("ops"),
    });
    this.#closers.push(() => this.#ops!.close());
  }

  #sayWhere(): void {
    writeNodeFile(this.#config.data, {
      processId: process.pid,
      startedAtMs: this.#world.wall.unixMs(),
      clusterId: formatUuid(this.#registry!.cluster.clusterId),
      nodeId: this.#nodeId,
      region: this.#config.region,
      addresses: this.#addresses(),
      ops: { host: this.#ops!.host, port: this.#ops!.port },
      currentPin: this.#identity!.certificates.current.pin,
      nextPin: this.#identity!.certificates.next.pin,
    });
  }

  /** Removes node.json. On a full disk it stays, as after a crash: a start could not write another. */
  #sayNoMore(): void {
    const { writable, poisoned } = this.#registry!.log.stats();
    if (writable || poisoned) removeNodeFile(this.#config.data);
  }

  #retryPostponed(): void {
    this.#postponed.retry().then(
      (wasPostponed) => void (wasPostponed && this.#sessions?.pushRingMap()),
      (error) => this.#onError("postponed_write", error),
    );
  }

  /** Hands over what it leads, refuses new work, waits for requests in progress, and says goodbye. */
  async #drain(): Promise<void> {
    this.#readiness.set("draining", true);
    await handOver(this.#registry?.placement.balance, this.#cluster, this.#world);
    this.#registry?.admission.drain();
    await this.#sessions?.close(this.#config.drainMs);
  }

  async #close(): Promise<void> {
    for (const close of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        this.#logger.warn("A part of the node failed to close", { error });
      }
    }
  }
}
