/**
 * A node's part in a cluster of several nodes: the port for other nodes, the membership that the data
 * folder records, joining, the links to the members as group 0 describes them, and this node's own
 * description there.
 *
 * Order of a start: {@link NodeCluster.bind}, then {@link NodeCluster.enter}, which joins if need be, then
 * the registry with {@link NodeCluster.registryOptions}, then {@link NodeCluster.opened}.
 */
import type { Input } from "../../schemas/runtime/writer.ts";
import type { JoinClusterReply, JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { defined } from "../base/assert.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { nodeId as toNodeId, replicaId } from "../base/ids.ts";
import {
  ANNOUNCE_RETRY_MS,
  IDENTITY_CHECK_MS,
  JOIN_MS_MAX,
  JOIN_RETRY_MS,
  MEMBERS_LOOK_MS,
  PEER_PING_MS,
  PEER_SILENCE_MS,
  PEER_STREAMS_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import { connectCaller } from "../client/client.ts";
import { FOUNDER_REPLICA } from "../replication/log_entry.ts";
import type { PeerInput } from "../replication/assembly/node_groups.ts";
import type { PeerMember } from "../replication/peers/peer_member.ts";
import { PeerNetwork, type PeerStatus } from "../replication/peers/peer_network.ts";
import { PEER_TRANSPORT } from "../ring/ring_map.ts";
import type { OperationName, ReplyOf, RequestOf } from "../wire/operations/mod.ts";
import { nodeSubjectId } from "../serving/node_subject.ts";
import { APPLY_VERSION_MAX } from "../system/versions/version_state.ts";
import {
  type DevelopmentNodeIdentity,
  DevelopmentNodes,
} from "../../identity/enrolment/development_nodes.ts";
import type { NodeAddress } from "../../identity/files/node_file.ts";
import { parsePin } from "../../identity/pki/certificate.ts";
import { bindAddress, dialedHosts } from "../../identity/trust/listen_rule.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { ALPN_PEER } from "../../transport/alpn.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { listenQuic } from "../../transport/quic_listener.ts";
import type { Listener, Trust } from "../../transport/transport.ts";
import {
  type ClusterFile,
  type Membership,
  readClusterFile,
  writeClusterFile,
} from "./cluster_file.ts";
import { type NodeConfig, parseEndpoint } from "./config.ts";
import type { DialedMember } from "./node_certificate.ts";
import { FINAL_JOIN_CODES } from "./node_enrolment.ts";
import { NodeRequests } from "./node_requests.ts";
import type { NodeIdentity, PeerIdentity } from "./node_identity.ts";
import { askNode, type PeerRequestServices, servePeerRequests } from "./peer_requests.ts";
import type { Registry } from "./registry.ts";
import type { RegistryOptions } from "./registry_options.ts";
import type { WallWatch } from "./wall_watch.ts";

/** The dependencies of a node's part in its cluster. */
export interface NodeClusterOptions {
  readonly config: NodeConfig;
  readonly world: World;
  readonly logger: Logger;
  readonly wallWatch: WallWatch;
  readonly onError: (stage: string, error: unknown) => void;
  /** Called when members or placements have changed. */
  readonly onRing: () => void;
}

/** A node's part in its cluster. */
export class NodeCluster {
  readonly #options: NodeClusterOptions;
  readonly #processId = new Uint8Array(16);
  #identity: NodeIdentity | undefined;
  #listener: Listener | undefined;
  readonly #dialer: QuicDialer;
  #file: ClusterFile;
  #network: PeerNetwork | undefined;
  #own: DevelopmentNodeIdentity | undefined;
  #registry: Registry | undefined;
  #serve: ReturnType<typeof servePeerRequests> | undefined;
  /** The addresses for clients. */
  #addresses: readonly NodeAddress[] = [];
  #seenRing = -1;
  #timer: Timer | undefined;
  #renewal: Timer | undefined;
  #announcing = false;
  #isClosed = false;

  private constructor(options: NodeClusterOptions, file: ClusterFile) {
    const { world, onError } = options;
    this.#options = options;
    this.#file = file;
    world.entropy.fill(this.#processId);
    const { scheduler } = world;
    this.#dialer = new QuicDialer({
      scheduler,
      onError,
      alpn: ALPN_PEER,
      keepAliveMs: PEER_PING_MS,
      idleMs: PEER_SILENCE_MS,
      streamsPerSessionMax: PEER_STREAMS_MAX,
    });
  }

  /**
   * Opens the node's part in a cluster, if the node is to found or join a cluster of several nodes, or has
   * done so before; returns undefined otherwise.
   *
   * @param hasLog whether the data folder has a log already.
   * @throws RegistryError `corrupt`; `invalid_configuration` if the folder has a cluster of its own and
   * is to join another one; `storage_unavailable`.
   */
  static open(options: NodeClusterOptions, hasLog: boolean): NodeCluster | undefined {
    const { config: { authority, data, found, join }, world } = options;
    const file = readClusterFile(data);
    const membership = file?.membership;
    if (authority !== "" && !hasLog && membership === undefined && !found && join === "") {
      throw new RegistryError(
        "invalid_configuration",
        `The data folder ${data} is empty: start with --found to create a cluster there, or with ` +
          "--join, --pin and --token to make the node one of a cluster. A node that lost its data " +
          "joins again, as a new node",
        { field: "found" },
      );
    }
    if (membership?.isNew === false && !hasLog) {
      throw new RegistryError(
        "corrupt",
        `The log of ${data} is gone, which was that of node ${membership.nodeId}: remove that node ` +
          "from its cluster, and join again with an empty data folder",
        { field: data },
      );
    }
    if (file === undefined && !found && join === "") return undefined;
    if (join !== "" && hasLog && membership === undefined) {
      throw new RegistryError(
        "invalid_configuration",
        `To join a cluster, the data folder must be empty: ${data} holds a cluster of its own. ` +
          "Choose another folder, or start without --join",
        { field: "join" },
      );
    }
    const folderId = new Uint8Array(16);
    world.entropy.fill(folderId);
    // Durable before anybody hears it, so that an attempt to join that failed is the same node again.
    if (file === undefined) writeClusterFile(data, { folderId });
    return new NodeCluster(options, file ?? { folderId });
  }

  /** The random id of the data folder, 16 bytes; it is on disk. */
  get folderId(): Uint8Array {
    return this.#file.folderId;
  }

  /** Whether the data folder belongs to a cluster. */
  get isMember(): boolean {
    return this.#file.membership !== undefined;
  }

  /** Whether the data folder belongs to a cluster that had other members when this node last knew. */
  get hasOthers(): boolean {
    return (this.#file.membership?.members.length ?? 0) > 1;
  }

  /** The other members as clients dial them, as this node last knew. */
  get others(): readonly DialedMember[] {
    const { members = [] } = this.#file.membership ?? {};
    return members.filter(({ nodeId }) => nodeId !== this.nodeId).flatMap((member) => {
      const { addresses, pin, nextPin } = member;
      const endpoint = addresses.find(({ transport }) => transport === "quic");
      return endpoint === undefined ? [] : [{ endpoint, pins: [pin, nextPin] }];
    });
  }

  /** Opens the port for other nodes, with the node's TLS certificate. */
  bind(identity: NodeIdentity): void {
    const { config, world, onError } = this.#options;
    this.#identity = identity;
    this.#listener = listenQuic({
      hosts: config.host === "localhost" ? ["127.0.0.1", "::1"] : [bindAddress(config.host)],
      port: config.peerPort,
      certificate: identity.certificates.current,
      scheduler: world.scheduler,
      onError,
      alpn: ALPN_PEER,
      webtransport: false,
      idleMs: PEER_SILENCE_MS,
      limits: { streamsPerSessionMax: PEER_STREAMS_MAX },
    });
  }

  /** The number of this node. */
  get nodeId(): number {
    return this.#file.membership?.nodeId ?? (this.#options.config.nodeId || 1);
  }

  /** Sets the addresses for clients. */
  setAddresses(addresses: readonly NodeAddress[]): void {
    this.#addresses = addresses;
  }

  /** The state of the links to other nodes. */
  get peers(): readonly PeerStatus[] {
    return this.#network?.status() ?? [];
  }

  /**
   * Makes the node a member, if it is to join and has not, and prepares its links.
   *
   * @param addresses the addresses for clients.
   * @throws RegistryError the refusal; `deadline_exceeded` if no node could be asked in time.
   */
  async enter(addresses: readonly NodeAddress[], signal?: AbortSignal): Promise<void> {
    const { config: { join } } = this.#options;
    this.#addresses = addresses;
    if (this.#file.membership === undefined) {
      if (join !== "") this.#keep(membershipOf(await this.#join(signal), true));
    } else if (join !== "") {
      this.#options.logger.info("This data folder belongs to a cluster already: it joins no other");
    }
    if (this.#file.membership !== undefined) await this.#link(this.#file.membership);
  }

  /** Returns the options that make the registry one of several. */
  get registryOptions(): Pick<
    RegistryOptions,
    | "nodeId"
    | "peers"
    | "connect"
    | "joined"
    | "placement"
    | "links"
    | "isMember"
    | "peerStatus"
    | "nodeCalls"
  > {
    const { membership } = this.#file;
    const links = {
      nodeId: this.nodeId,
      peers: {
        send: (...sent: Parameters<PeerNetwork["send"]>) => this.#network?.send(...sent),
        sendImage: (...sent: Parameters<PeerNetwork["sendImage"]>) =>
          this.#network?.sendImage(...sent),
      },
      connect: (input: PeerInput) => this.#connect(input),
      peerStatus: () => this.peers,
      nodeCalls: new NodeRequests({
        world: this.#options.world,
        open: async (node) => {
          if (this.#network !== undefined) return await this.#network.openRequests(node);
          throw new RegistryError("connection_lost", "This node has no links to others yet");
        },
      }),
      isMember: (subjectId: Uint8Array) => this.#isMember(subjectId),
      links: {
        ask: <Name extends OperationName>(
          node: number,
          name: Name,
          body: Input<RequestOf<Name>>,
          timeoutMs: number,
        ) => this.#ask(node, name, body, timeoutMs),
        isConnected: (node: number) => this.#isConnected(node),
      },
      placement: {
        report: async (node: number, changes: readonly MadeChange[]) => {
          await this.#ask(node, "reportPlacement", { changes });
        },
        isConnected: (node: number) => this.#isConnected(node),
      },
    };
    if (membership === undefined || membership.replica === FOUNDER_REPLICA) return links;
    const nodes = new Map(
      membership.systemReplicas.map(({ replica, nodeId }) => [replica, nodeId]),
    );
    const nodeOf = (replica: number) => {
      const node = nodes.get(replica);
      return node === undefined ? undefined : toNodeId(node);
    };
    const { replica, isNew } = membership;
    return { ...links, joined: { replica: replicaId(replica), isNew, directory: { nodeOf } } };
  }

  #isConnected(node: number): boolean {
    return this.peers.some((peer) => peer.node === node && peer.isConnected);
  }

  #isMember(subjectId: Uint8Array): boolean {
    const { clusterId, members = [] } = this.#file.membership ?? {};
    return clusterId !== undefined &&
      members.some(({ nodeId }) => bytesEqual(nodeSubjectId(clusterId, nodeId), subjectId));
  }

  /**
   * Takes part with an open registry: records the membership, describes this node in group 0, and keeps
   * the links up to date from now on.
   */
  async opened(registry: Registry, services: PeerRequestServices): Promise<void> {
    this.#registry = registry;
    this.#serve = servePeerRequests(services);
    const { membership } = this.#file;
    if (this.#network === undefined) {
      if (membership === undefined) this.#keep(this.#founded(registry));
      await this.#link(defined(this.#file.membership, "It was kept"));
      this.#connect(registry.groups.nodes.input);
    } else if (membership?.isNew === true) {
      this.#keep({ ...membership, isNew: false });
    }
    if (registry.groups.system.group.isLeading) await this.#announceOnce();
    else void this.announce();
    this.#look();
    this.#checkIdentity();
  }

  /** Tells group 0 this node's addresses and pins, until it has been told. Never rejects. */
  async announce(): Promise<void> {
    if (this.#announcing) return;
    this.#announcing = true;
    while (!this.#isClosed) {
      try {
        await this.#announceOnce();
        break;
      } catch (error) {
        this.#options.logger.debug("Group 0 was not told this node's addresses yet", { error });
        await this.#pause(ANNOUNCE_RETRY_MS);
      }
    }
    this.#announcing = false;
  }

  /** Presents another TLS certificate to nodes that connect from now on. */
  rotate(): void {
    this.#listener?.rotate(this.#bound.certificates.current);
    void this.announce();
  }

  /** Ends the links and closes the port. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#renewal?.cancel();
    await this.#network?.close();
    await this.#dialer.close();
    await this.#listener?.close();
  }

  get #bound(): NodeIdentity {
    return defined(this.#identity, "The port is bound");
  }

  // Joining.

  async #join(signal: AbortSignal | undefined): Promise<JoinClusterReply> {
    const { config, world, logger } = this.#options;
    const endpoint = defined(parseEndpoint(config.join), "The setting was checked");
    const untilMs = world.monotonic.nowMs() + JOIN_MS_MAX;
    for (;;) {
      try {
        return await this.#joinOnce(endpoint);
      } catch (cause) {
        const error = toRegistryError(cause);
        const isFinal = FINAL_JOIN_CODES.has(error.code) || world.monotonic.nowMs() > untilMs;
        if (signal?.aborted === true) {
          throw new RegistryError("shutting_down", "The node was stopped while it was joining");
        }
        if (isFinal) throw error;
        logger.warn("The cluster cannot be joined yet", { node: config.join, error });
        await this.#pause(JOIN_RETRY_MS);
      }
    }
  }

  async #joinOnce(endpoint: { host: string; port: number }): Promise<JoinClusterReply> {
    const { config, world } = this.#options;
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: this.#options.onError });
    const { credentials } = this.#bound;
    const client = await connectCaller({
      endpoints: [endpoint],
      dialer,
      trust: { kind: "pins", sha256: [parsePin(config.pin)] },
      world,
      ...(credentials === undefined ? {} : { credentials }),
    });
    try {
      return await client.call("joinCluster", this.#description(NO_CLUSTER));
    } finally {
      await client.close();
      await dialer.close();
    }
  }

  #founded({ cluster, groups }: Registry): Membership {
    const { clusterId, partitionCount, region } = cluster;
    const { nodeId } = this;
    return {
      nodeId,
      clusterId,
      partitionCount,
      region,
      generation: groups.system.store.state.versions.generation,
      replica: FOUNDER_REPLICA,
      isNew: false,
      members: [{ ...this.#description(clusterId), nodeId }],
      systemReplicas: [{ replica: FOUNDER_REPLICA, nodeId }],
    };
  }

  /** Returns the description of this node, as group 0 keeps it. */
  #description(clusterId: Uint8Array): JoinClusterRequest {
    const { config } = this.#options;
    const { partitions: partitionCount, region, zone, machine: host } = config;
    const { current, next } = this.#bound.certificates;
    return {
      nodeId: this.#file.membership?.nodeId ?? config.nodeId,
      partitionCount: this.#file.membership?.partitionCount ?? partitionCount,
      applyVersionMax: APPLY_VERSION_MAX,
      folderId: this.#file.folderId,
      clusterId,
      region,
      zone,
      host,
      addresses: [...this.#addresses, ...this.#peerAddresses()],
      pin: current.pin,
      nextPin: next.pin,
    };
  }

  #peerAddresses(): NodeAddress[] {
    const { host, advertise } = this.#options.config;
    const { port } = defined(this.#listener, "The port is bound");
    return dialedHosts(host, advertise)
      .map((dialed) => ({ transport: PEER_TRANSPORT, host: dialed, port }));
  }

  #keep(membership: Membership): void {
    this.#file = { folderId: this.#file.folderId, membership };
    writeClusterFile(this.#options.config.data, this.#file);
  }

  // The description in group 0.

  async #announceOnce(): Promise<void> {
    const registry = defined(this.#registry, "The registry is open");
    const { group } = registry.groups.system;
    const request = this.#description(registry.cluster.clusterId);
    if (this.#isKnown(request)) return;
    const { leader } = group.status();
    if (group.isLeading) await registry.joining.join(request, "self");
    else await this.#ask(leader, "joinCluster", request);
  }

  #isKnown(request: JoinClusterRequest): boolean {
    const { members } = this.#registry!.groups.system.store.state;
    const admission = members.admission(this.nodeId);
    const member = members.all.find(({ nodeId }) => nodeId === this.nodeId);
    return member !== undefined && admission !== undefined &&
      bytesEqual(member.pin, request.pin) && bytesEqual(member.nextPin, request.nextPin) &&
      admission.zone === request.zone && admission.host === request.host &&
      admission.applyVersionMax === request.applyVersionMax &&
      JSON.stringify(member.addresses) === JSON.stringify(request.addresses);
  }

  async #ask<Name extends OperationName>(
    node: number,
    name: Name,
    body: Input<RequestOf<Name>>,
    timeoutMs = REQUEST_TIMEOUT_MS_DEFAULT,
  ): Promise<ReplyOf<Name>> {
    if (this.#network === undefined || node === 0) {
      throw new RegistryError("not_leader", "Group 0 has no leader that this node knows");
    }
    const options = { world: this.#options.world, timeoutMs: Math.ceil(timeoutMs) };
    return await askNode(this.#network, toNodeId(node), name, body, options);
  }

  // Links.

  async #link(membership: Membership): Promise<void> {
    const { world, logger, wallWatch } = this.#options;
    const identity = this.#bound;
    const { clusterId, generation, partitionCount, region } = membership;
    const nodeId = toNodeId(membership.nodeId);
    const peers = identity.peers ?? await this.#developmentPeers(membership);
    const { folderId } = this.#file;
    this.#network = new PeerNetwork({
      facts: {
        nodeId,
        clusterId,
        folderId,
        processId: this.#processId,
        generation,
        partitionCount,
        region,
      },
      world,
      logger,
      dialer: this.#dialer,
      credentials: {
        ...peers,
        onClockStep: wallWatch.onStep,
        tlsLeaves: () => ({ current: identity.certificates.current.pin }),
      },
      serveRequests: async (from, peer, stream) => {
        if (this.#serve === undefined) stream.abort();
        else await this.#serve(from, peer, stream);
      },
    });
  }

  /** Returns the development identity for other nodes, from the CA that all of them name. */
  async #developmentPeers({ nodeId, clusterId, region }: Membership): Promise<PeerIdentity> {
    const { config, world } = this.#options;
    const ca = await DevelopmentNodes.open({
      folder: config.nodeCa === "" ? `${config.data}/node-ca` : config.nodeCa,
      region,
      wall: world.wall,
      entropy: world.entropy,
    });
    const number = toNodeId(nodeId);
    const own = await ca.identityOf({
      nodeId: number,
      subjectId: nodeSubjectId(clusterId, number),
    });
    this.#own = own;
    return {
      own: () => own.own,
      services: handshakeServices({
        own: () => own.own,
        trust: () => ca.trust,
        wall: world.wall,
      }),
    };
  }

  /** Begins to exchange frames with the members. */
  #connect(input: PeerInput): void {
    const { membership } = this.#file;
    if (this.#network === undefined || membership === undefined) return;
    const disturbed = () => this.#registry?.placement.balance.disturbed();
    this.#network.start({
      receive: (from, frame) => input.receive(from, frame),
      receiveImage: (from, header, image) => input.receiveImage(from, header, image),
      peerConnected: (node) => {
        disturbed();
        input.peerConnected(node);
      },
      peerLost: (node) => {
        disturbed();
        input.peerLost(node);
      },
    }, peerMembers(membership));
    void this.#network.listen(defined(this.#listener, "The port is bound"));
  }

  /** Follows the members and placements in this node's copy of group 0. */
  #look(): void {
    if (this.#isClosed) return;
    const { store } = this.#registry!.groups.system;
    if (store.ringNumber !== this.#seenRing) {
      this.#seenRing = store.ringNumber;
      this.#membersChanged();
      this.#options.onRing();
    }
    const { scheduler } = this.#options.world;
    this.#timer = scheduler.after(MEMBERS_LOOK_MS, () => this.#look());
  }

  #membersChanged(): void {
    const { state } = this.#registry!.groups.system.store;
    const { membership } = this.#file;
    if (membership === undefined || !state.members.has(this.nodeId)) return;
    const { members, systemReplicas } = this.#registry!.joining.describe();
    const before = JSON.stringify([membership.members, membership.systemReplicas]);
    if (JSON.stringify([members, systemReplicas]) === before) return;
    const generation = state.versions.generation;
    try {
      this.#keep({ ...membership, members, systemReplicas, generation });
    } catch (error) {
      this.#options.logger.warn("The members of the cluster could not be recorded", { error });
    }
    this.#network?.update(peerMembers({ ...membership, members }));
  }

  /** Renews this node's certificate when it is due. */
  #checkIdentity(): void {
    if (this.#isClosed) return;
    this.#own?.check().catch((error) => this.#options.onError("identity", error));
    const { scheduler } = this.#options.world;
    this.#renewal = scheduler.after(IDENTITY_CHECK_MS, () => this.#checkIdentity());
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.world.scheduler.after(ms, resolve));
  }
}

type MadeChange = { partition: number; revision: number; configurationIndex: number };

/** No cluster yet, in a request to join. */
const NO_CLUSTER = new Uint8Array(16);

function membershipOf(reply: JoinClusterReply, isNew: boolean): Membership {
  return { ...reply, isNew };
}

function peerMembers({ members, clusterId }: Membership): PeerMember[] {
  return members.map(({ nodeId, folderId, addresses, pin, nextPin }) => ({
    nodeId: toNodeId(nodeId),
    subjectId: nodeSubjectId(clusterId, nodeId),
    folderId,
    addresses: addresses.filter(({ transport }) => transport === PEER_TRANSPORT),
    trusts: [pin, nextPin].filter((one) => one.some((byte) => byte !== 0))
      .map((one): Trust => ({ kind: "pins", sha256: [one] })),
  }));
}
