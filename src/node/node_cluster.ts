/**
 * A node's part in a cluster of several nodes: the port for other nodes, the membership that the data
 * folder records, joining, the links to the members as group 0 describes them, and this node's own
 * description there.
 *
 * Order of a start: {@link NodeCluster.bind}, then {@link NodeCluster.enter}, which joins if need be, then
 * the registry with {@link NodeCluster.registryOptions}, then {@link NodeCluster.opened}.
 */
import type { JoinClusterReply, JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { nodeId as toNodeId } from "../base/ids.ts";
import { IDENTITY_CHECK_MS, MEMBERS_LOOK_MS, REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import type { PeerInput } from "../replication/group_host.ts";
import type { PlacementReport } from "../replication/placement/plan.ts";
import { PeerNetwork, type PeerStatus } from "../replication/peers/peer_network.ts";
import type { NodeAddress } from "../../identity/files/node_file.ts";
import type { Dialer, Listener } from "../../transport/transport.ts";
import { Announcement } from "./announcement.ts";
import type { ClusterFile, Membership } from "./cluster_file.ts";
import {
  describeNode,
  foundedMembership,
  isMember,
  joinedOf,
  linksOf,
  observed,
  othersOf,
  peerMembers,
} from "./cluster_peers.ts";
import type { ClusterRuntime, OwnPeerIdentity } from "./cluster_runtime.ts";
import type { NodeConfig } from "./config.ts";
import { checkStart, joinCluster } from "./joining_cluster.ts";
import { LeavingMembers } from "./leaving_members.ts";
import { MissedMembers } from "./missed_members.ts";
import type { DialedMember } from "./node_certificate.ts";
import { NodeRequests } from "./node_requests.ts";
import type { NodeIdentity } from "./node_identity.ts";
import { type PeerRequestServices, servePeerRequests } from "./peer_requests.ts";
import type { Registry } from "./registry.ts";
import type { RegistryOptions } from "./registry_options.ts";
import type { WallWatch } from "./wall_watch.ts";

/** The dependencies of a node's part in its cluster. */
export interface NodeClusterOptions {
  readonly config: NodeConfig;
  readonly runtime: ClusterRuntime;
  readonly world: World;
  readonly logger: Logger;
  readonly wallWatch: WallWatch;
  readonly onError: (stage: string, error: unknown) => void;
  /** Called when members or placements have changed. */
  readonly onRing: () => void;
  /** Called when this node has learned that it was removed from the cluster. */
  readonly onRemoved: (nodeId: number) => void;
}

/** A node's part in its cluster. */
export class NodeCluster {
  readonly #options: NodeClusterOptions;
  readonly #processId = new Uint8Array(16);
  #identity: NodeIdentity | undefined;
  #listener: Listener | undefined;
  readonly #dialer: Dialer;
  readonly #requests: NodeRequests;
  readonly #missed: MissedMembers;
  #file: ClusterFile;
  #network: PeerNetwork | undefined;
  #development: OwnPeerIdentity | undefined;
  #registry: Registry | undefined;
  #serve: ReturnType<typeof servePeerRequests> | undefined;
  /** The addresses for clients. */
  #addresses: readonly NodeAddress[] = [];
  #seenRing = -1;
  #timer: Timer | undefined;
  #renewal: Timer | undefined;
  #announcement: Announcement | undefined;
  #isClosed = false;
  #isLeaving = false;
  readonly #leaving = new LeavingMembers(() => this.#registry?.groups.system);

  private constructor(options: NodeClusterOptions, file: ClusterFile) {
    const { runtime, world } = options;
    this.#options = options;
    this.#file = file;
    this.#dialer = runtime.peerDialer();
    world.entropy.fill(this.#processId);
    this.#missed = new MissedMembers({
      ...world,
      logger: options.logger,
      connected: () => this.peers.filter((peer) => peer.isConnected).map(({ node }) => node),
      request: () => this.#description(this.#file.membership?.clusterId ?? NO_CLUSTER),
      ask: (node, request) =>
        this.#requests.call(node, "joinCluster", request, REQUEST_TIMEOUT_MS_DEFAULT),
      onTold: () => this.#updateLinks(this.#file.membership?.members ?? []),
    });
    this.#requests = new NodeRequests({
      world,
      open: async (node) => {
        if (this.#network !== undefined) return await this.#network.openRequests(node);
        throw new RegistryError("connection_lost", "This node has no links to others yet");
      },
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
    const { config: { found, join }, runtime, world } = options;
    const file = runtime.readFile();
    checkStart(options.config, file, hasLog);
    if (file === undefined && !found && join === "") return undefined;
    const folderId = new Uint8Array(16);
    world.entropy.fill(folderId);
    // Durable before anybody hears it, so that an attempt to join that failed is the same node again.
    if (file === undefined) runtime.writeFile({ folderId });
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
    return othersOf(this.#file.membership);
  }

  /** Opens the port for other nodes, with the node's TLS certificate. */
  bind(identity: NodeIdentity): void {
    this.#identity = identity;
    this.#listener = this.#options.runtime.listen(identity);
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

  /** Input at the port for other nodes that was refused before its sender was known, by reason. */
  get strangersRefused(): ReadonlyMap<string, number> {
    return this.#network?.refused ?? new Map();
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
      if (join !== "") this.#keep({ ...await this.#join(signal), isNew: true });
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
    | "told"
    | "placement"
    | "links"
    | "isMember"
    | "peerStatus"
    | "nodeCalls"
  > {
    const { membership } = this.#file;
    const links = {
      nodeId: this.nodeId,
      peers: linksOf(() => this.#network),
      connect: (input: PeerInput) => this.#connect(input),
      peerStatus: () => this.peers,
      nodeCalls: this.#requests,
      told: this.#missed,
      isMember: (subjectId: Uint8Array) => isMember(this.#file.membership, subjectId),
      links: {
        call: this.#requests.call,
        isConnected: (node: number) => this.#isConnected(node),
      },
      placement: {
        report: async (node: number, done: PlacementReport) => {
          await this.#requests.call(node, "reportPlacement", done, REQUEST_TIMEOUT_MS_DEFAULT);
        },
        isConnected: (node: number) => this.#isConnected(node),
        mayLead: (node: number) =>
          this.peers.some((peer) => peer.node === node && peer.isConnected && peer.isWritable),
      },
    };
    const joined = joinedOf(membership);
    return joined === undefined ? links : { ...links, joined };
  }

  #isConnected(node: number): boolean {
    return this.peers.some((peer) => peer.node === node && peer.isConnected);
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
      if (membership === undefined) {
        this.#keep(
          foundedMembership(registry, this.nodeId, this.#description(registry.cluster.clusterId)),
        );
      }
      await this.#link(defined(this.#file.membership, "It was kept"));
      this.#connect(registry.groups.nodes.input);
    } else if (membership?.isNew === true) {
      this.#keep({ ...membership, isNew: false });
    }
    this.#announcement = new Announcement({
      ...this.#options,
      registry,
      nodeId: this.nodeId,
      calls: this.#requests,
      scheduler: this.#options.world.scheduler,
      request: () => this.#description(registry.cluster.clusterId),
    });
    if (registry.groups.system.group.isLeading) await this.#announcement.once();
    else void this.#announcement.run();
    this.#look();
    this.#checkIdentity();
  }

  /** Presents another TLS certificate to nodes that connect from now on, and tells group 0 its pin. */
  async rotate(): Promise<void> {
    this.#listener?.rotate(this.#bound.certificates.current);
    await this.#announcement?.run();
  }

  /** Tells the other nodes that this one stops, so that they give it nothing to lead. */
  leave(): void {
    this.#isLeaving = true;
    this.#network?.tellWritable();
  }

  /** Ends the links and closes the port. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#announcement?.close();
    this.#renewal?.cancel();
    await this.#network?.close();
    await this.#dialer.close();
    await this.#listener?.close();
  }

  get #bound(): NodeIdentity {
    return defined(this.#identity, "The port is bound");
  }

  // The membership.

  async #join(signal: AbortSignal | undefined): Promise<JoinClusterReply> {
    const { config, runtime, world, logger } = this.#options;
    const { credentials } = this.#bound;
    return await joinCluster(this.#description(NO_CLUSTER), {
      config,
      world,
      logger,
      clientDialer: () => runtime.clientDialer(),
      ...(credentials === undefined ? {} : { credentials }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Returns the description of this node, as group 0 keeps it. */
  #description(clusterId: Uint8Array): JoinClusterRequest {
    const { port } = defined(this.#listener, "The port is bound");
    return describeNode(this.#options.config, {
      ...this.#file,
      clusterId,
      certificates: this.#bound.certificates,
      clientAddresses: this.#addresses,
      peerPort: port,
    });
  }

  #keep(membership: Membership): void {
    this.#file = { folderId: this.#file.folderId, membership };
    this.#options.runtime.writeFile(this.#file);
  }

  // Links.

  async #link(membership: Membership): Promise<void> {
    const { config: { imageBytesPerSecond }, runtime, world, logger, wallWatch } = this.#options;
    const identity = this.#bound;
    const { clusterId, generation, partitionCount, region } = membership;
    const nodeId = toNodeId(membership.nodeId);
    this.#development = identity.peers === undefined
      ? await runtime.developmentPeers(membership)
      : undefined;
    const peers = identity.peers ?? defined(this.#development, "It was opened").identity;
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
        applyVersion: () => this.#registry?.groups.system.store.state.versions.applyVersion ?? 0,
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
      imageBytesPerSecond,
      isWritable: () => !this.#isLeaving && (this.#registry?.log.stats().writable ?? true),
    });
  }

  /** Begins to exchange frames with the members. */
  #connect(input: PeerInput): void {
    const { membership } = this.#file;
    if (this.#network === undefined || membership === undefined) return;
    const disturbed = () => this.#registry?.placement.balance.disturbed();
    const members = this.#missed.with(membership.members);
    this.#network.start(observed(input, disturbed), peerMembers({ ...membership, members }));
    void this.#network.listen(defined(this.#listener, "The port is bound"));
    this.#look();
  }

  /**
   * Follows the members and placements in this node's copy of group 0. A node that has just joined may miss
   * members before it has one, and does not get it then.
   */
  #look(): void {
    if (this.#isClosed) return;
    this.#timer?.cancel();
    const { group, store } = this.#registry?.groups.system ?? {};
    this.#missed.look(group?.isLeading === true || (group?.status().leader ?? 0) !== 0);
    if (store !== undefined && store.ringNumber !== this.#seenRing) {
      this.#seenRing = store.ringNumber;
      this.#membersChanged();
      this.#options.onRing();
    }
    if (this.#announcement?.isRaised() === true) this.#membersChanged();
    if (this.#leaving.look()) this.#updateLinks(this.#file.membership?.members ?? []);
    const { scheduler } = this.#options.world;
    this.#timer = scheduler.after(MEMBERS_LOOK_MS, () => this.#look());
  }

  #membersChanged(): void {
    const { state } = this.#registry!.groups.system.store;
    const { membership } = this.#file;
    if (membership === undefined) return;
    if (!state.members.has(this.nodeId)) return this.#removed(membership);
    const { members, systemReplicas } = this.#registry!.joining.describe();
    const { generation, applyVersion } = state.versions;
    const before = [membership.members, membership.systemReplicas, membership.applyVersion];
    const now = [members, systemReplicas, applyVersion];
    if (JSON.stringify(now) === JSON.stringify(before)) return;
    this.#leaving.note(membership.members);
    this.#record({ ...membership, members, systemReplicas, generation, applyVersion });
    this.#updateLinks(members);
  }

  /** Records the membership; a node that cannot goes on with what it recorded before. */
  #record(membership: Membership): void {
    try {
      this.#keep(membership);
    } catch (error) {
      this.#options.logger.warn("The members of the cluster could not be recorded", { error });
    }
  }

  /** Takes part no more, at this start and later ones, if this node was removed from the cluster. */
  #removed(membership: Membership): void {
    const { nodeId } = this;
    if (membership.isRemoved === true || !this.#leaving.wasRemoved({ nodeId })) return;
    this.#record({ ...membership, isRemoved: true });
    this.#options.onRemoved(nodeId);
  }

  #updateLinks(known: Membership["members"]): void {
    const membership = defined(this.#file.membership, "This node is a member");
    const members = this.#leaving.with(this.#missed.with(known));
    this.#network?.update(peerMembers({ ...membership, members }));
  }

  /** Renews this node's certificate when it is due. */
  #checkIdentity(): void {
    if (this.#isClosed) return;
    this.#development?.check().catch((error) => this.#options.onError("identity", error));
    const { scheduler } = this.#options.world;
    this.#renewal = scheduler.after(IDENTITY_CHECK_MS, () => this.#checkIdentity());
  }
}

/** No cluster yet, in a request to join. */
const NO_CLUSTER = new Uint8Array(16);
