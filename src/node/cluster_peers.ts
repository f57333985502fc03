/**
 * The members of a cluster as this node dials and recognizes them, this node as it describes itself to
 * them, and its development identity for them.
 */
import type { JoinClusterRequest } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { nodeId as toNodeId, replicaId } from "../base/ids.ts";
import { PEER_SILENCE_MS, PEER_STREAMS_MAX } from "../base/limits.ts";
import { VERSION } from "../base/version.ts";
import type { Scheduler, World } from "../base/world.ts";
import type { JoinedCluster } from "../replication/assembly/cluster_groups.ts";
import type { PeerInput, PeerLinks } from "../replication/group_host.ts";
import { FOUNDER_REPLICA } from "../replication/log_entry.ts";
import { APPLY_VERSION_MAX, MEMBER_PROGRAMS_APPLY_VERSION } from "../system/versions/features.ts";
import type { SystemState } from "../system/system_state.ts";
import type { PeerNetwork } from "../replication/peers/peer_network.ts";
import type { PeerMember } from "../replication/peers/peer_member.ts";
import { PEER_TRANSPORT } from "../ring/ring_map.ts";
import { nodeSubjectId } from "../serving/node_subject.ts";
import {
  developmentFolder,
  type DevelopmentNodeIdentity,
  DevelopmentNodes,
} from "../../identity/enrolment/development_nodes.ts";
import type { NodeAddress } from "../../identity/files/node_file.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { bindAddress, dialedHosts } from "../../identity/trust/listen_rule.ts";
import { ALPN_PEER } from "../../transport/alpn.ts";
import { listenQuic } from "../../transport/quic_listener.ts";
import type { Listener, OnError, Trust } from "../../transport/transport.ts";
import type { ClusterFile, Membership } from "./cluster_file.ts";
import type { NodeConfig } from "./config.ts";
import type { Registry } from "./registry.ts";
import type { DialedMember } from "./node_certificate.ts";
import type { NodeIdentity, PeerIdentity } from "./node_identity.ts";

/** Returns the members as the links between nodes see them. */
export function peerMembers({ members, clusterId }: Membership): PeerMember[] {
  return members.map(({ nodeId, folderId, addresses, pin, nextPin }) => ({
    nodeId: toNodeId(nodeId),
    subjectId: nodeSubjectId(clusterId, nodeId),
    folderId,
    addresses: addresses.filter(({ transport }) => transport === PEER_TRANSPORT),
    trusts: [pin, nextPin].filter((one) => one.some((byte) => byte !== 0))
      .map((one): Trust => ({ kind: "pins", sha256: [one] })),
  }));
}

/** The parts of a node's description that are not in its configuration. */
export interface DescribedNode extends ClusterFile {
  /** The cluster that the data folder belongs to; zeros for none. */
  readonly clusterId: Uint8Array;
  readonly certificates: NodeIdentity["certificates"];
  readonly clientAddresses: readonly NodeAddress[];
  /** The port for other nodes. */
  readonly peerPort: number;
}

/** Returns the description of a node, as group 0 keeps it. */
export function describeNode(config: NodeConfig, node: DescribedNode): JoinClusterRequest {
  const { region, zone, machine: host } = config;
  const { folderId, membership, clusterId, certificates, clientAddresses, peerPort } = node;
  const port = config.advertisePeerPort || peerPort;
  const peerAddresses = dialedHosts(config.host, config.advertise)
    .map((dialed) => ({ transport: PEER_TRANSPORT, host: dialed, port }));
  return {
    nodeId: membership?.nodeId ?? config.nodeId,
    partitionCount: membership?.partitionCount ?? config.partitions,
    applyVersionMax: APPLY_VERSION_MAX,
    program: VERSION,
    isStandby: config.standby,
    folderId,
    clusterId,
    region,
    zone,
    host,
    addresses: [...clientAddresses, ...peerAddresses],
    pin: certificates.current.pin,
    nextPin: certificates.next.pin,
  };
}

/** Returns the links of a network that comes later; before it everything is dropped. */
export function linksOf(network: () => PeerNetwork | undefined): PeerLinks {
  return {
    send: (...sent) => network()?.send(...sent),
    sendImage: (...sent) => network()?.sendImage(...sent),
    countLiveness: (...event) => network()?.countLiveness(...event),
    countProbe: (...probe) => network()?.countProbe(...probe),
    messageRefused: (...refused) => network()?.messageRefused(...refused),
  };
}

/** Returns `input` with a call of `disturbed` before each change of sessions. */
export function observed(input: PeerInput, disturbed: () => void): PeerInput {
  return {
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
  };
}

/** Returns the membership of the node that founded its cluster. */
export function foundedMembership(
  { cluster, groups }: Registry,
  nodeId: number,
  description: JoinClusterRequest,
): Membership {
  const { clusterId, partitionCount, region } = cluster;
  return {
    nodeId,
    clusterId,
    partitionCount,
    region,
    generation: groups.system.store.state.versions.generation,
    replica: FOUNDER_REPLICA,
    isNew: false,
    members: [{ ...description, nodeId }],
    systemReplicas: [{ replica: FOUNDER_REPLICA, nodeId }],
  };
}

/** Returns the members other than this node as clients dial them. */
export function othersOf(membership: Membership | undefined): DialedMember[] {
  const { members = [], nodeId: self } = membership ?? {};
  return members.filter(({ nodeId }) => nodeId !== self).flatMap((member) => {
    const { addresses, pin, nextPin } = member;
    const endpoint = addresses.find(({ transport }) => transport === "quic");
    return endpoint === undefined ? [] : [{ endpoint, pins: [pin, nextPin] }];
  });
}

/** Reports whether an identity is that of a member. */
export function isMember(membership: Membership | undefined, subjectId: Uint8Array): boolean {
  const { clusterId, members = [] } = membership ?? {};
  return clusterId !== undefined &&
    members.some(({ nodeId }) => bytesEqual(nodeSubjectId(clusterId, nodeId), subjectId));
}

/** Returns what a node that joined was told; undefined for the founder, and before there is a cluster. */
export function joinedOf(membership: Membership | undefined): JoinedCluster | undefined {
  if (membership === undefined || membership.replica === FOUNDER_REPLICA) return undefined;
  const { replica, isNew, systemReplicas } = membership;
  const nodes = new Map(systemReplicas.map((one) => [one.replica, one.nodeId]));
  const nodeOf = (id: number) => {
    const node = nodes.get(id);
    return node === undefined ? undefined : toNodeId(node);
  };
  return { replica: replicaId(replica), isNew, directory: { nodeOf } };
}

/** Reports whether group 0 describes a node as `request` does. */
export function isDescribed(
  { members, versions }: SystemState,
  nodeId: number,
  request: JoinClusterRequest,
): boolean {
  const keepsPrograms = versions.applyVersion >= MEMBER_PROGRAMS_APPLY_VERSION;
  const admission = members.admission(nodeId);
  const member = members.all.find((known) => known.nodeId === nodeId);
  return member !== undefined && admission !== undefined &&
    bytesEqual(member.pin, request.pin) && bytesEqual(member.nextPin, request.nextPin) &&
    admission.zone === request.zone && admission.host === request.host &&
    admission.applyVersionMax === request.applyVersionMax &&
    (!keepsPrograms || admission.program === request.program) &&
    JSON.stringify(member.addresses) === JSON.stringify(request.addresses);
}

/** Opens the port for other nodes, with the node's TLS certificate. */
export function listenForPeers(
  { host, peerPort: port }: Pick<NodeConfig, "host" | "peerPort">,
  { certificates }: NodeIdentity,
  parts: { readonly scheduler: Scheduler; readonly onError: OnError },
): Listener {
  return listenQuic({
    ...parts,
    hosts: host === "localhost" ? ["127.0.0.1", "::1"] : [bindAddress(host)],
    port,
    certificate: certificates.current,
    alpn: ALPN_PEER,
    webtransport: false,
    idleMs: PEER_SILENCE_MS,
    limits: { streamsPerSessionMax: PEER_STREAMS_MAX },
  });
}

/** The development identity for other nodes, by the CA that all of them name. */
export class DevelopmentPeers {
  readonly identity: PeerIdentity;
  readonly #own: DevelopmentNodeIdentity;

  private constructor(own: DevelopmentNodeIdentity, identity: PeerIdentity) {
    this.#own = own;
    this.identity = identity;
  }

  /** Opens the CA, or creates it. @throws RegistryError `corrupt`, `storage_unavailable`. */
  static async open(
    { data, nodeCa }: Pick<NodeConfig, "data" | "nodeCa">,
    { wall, entropy }: World,
    { nodeId, clusterId, region }: Membership,
  ): Promise<DevelopmentPeers> {
    const folder = developmentFolder({ data, nodeCa });
    const ca = await DevelopmentNodes.open({ folder, region, wall, entropy });
    const subjectId = nodeSubjectId(clusterId, nodeId);
    const own = await ca.identityOf({ nodeId: toNodeId(nodeId), subjectId });
    const services = handshakeServices({ own: () => own.own, trust: () => ca.trust, wall });
    return new DevelopmentPeers(own, { own: () => own.own, services });
  }

  /** Renews this node's certificate when it is due. */
  async check(): Promise<void> {
    await this.#own.check();
  }
}
