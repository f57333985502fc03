/** The versions of this node's program, and those of the cluster and its members as this node sees them. */
import type {
  FileVersion,
  MemberVersions,
  PartitionVersionCount,
  UpgradeStatusReply,
} from "../../schemas/gen/wire.ts";
import { VERSION } from "../base/version.ts";
import { GOVERNANCE_IMAGE_VERSION } from "../governance/governance_image.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import type { PeerStatus } from "../replication/peers/peer_network.ts";
import { PARTITION_IMAGE_VERSION } from "../store/image.ts";
import { SYSTEM_IMAGE_VERSION } from "../system/system_image.ts";
import { APPLY_FEATURES, APPLY_VERSION_MAX } from "../system/versions/features.ts";
import { RECORD_VERSION } from "../wal/record.ts";
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from "../wire/control.ts";
import { PEER_VERSION_MAX, PEER_VERSION_MIN } from "../wire/peer_control.ts";
import { CLUSTER_FILE, CLUSTER_FILE_VERSION } from "./cluster_file.ts";

/** The versions in which this program writes its files. */
const FILE_VERSIONS: readonly FileVersion[] = [
  { name: "log", version: RECORD_VERSION },
  { name: "image of group 0", version: SYSTEM_IMAGE_VERSION },
  { name: "image of a partition", version: PARTITION_IMAGE_VERSION },
  { name: "image of the governed plane", version: GOVERNANCE_IMAGE_VERSION },
  { name: CLUSTER_FILE, version: CLUSTER_FILE_VERSION },
];

/** The parts of a node that tell versions. */
export interface UpgradeViewOptions {
  readonly nodeId: number;
  /** Returns the state of the links to other nodes; absent at a node that is alone. */
  readonly peerStatus?: () => readonly PeerStatus[];
}

/** Returns the versions of this node and of what it sees. Takes time linear in its partitions. */
export function upgradeStatus(
  groups: ClusterGroups,
  { nodeId, peerStatus = () => [] }: UpgradeViewOptions,
): UpgradeStatusReply {
  const { applyVersion } = groups.system.store.state.versions;
  return {
    nodeId,
    program: VERSION,
    applyVersion,
    applyVersionMax: APPLY_VERSION_MAX,
    governedVersion: groups.plane?.store.applyVersion ?? 0,
    clientVersionMin: PROTOCOL_VERSION_MIN,
    clientVersionMax: PROTOCOL_VERSION_MAX,
    peerVersionMin: PEER_VERSION_MIN,
    peerVersionMax: PEER_VERSION_MAX,
    files: [...FILE_VERSIONS],
    partitions: partitionVersions(groups),
    features: APPLY_FEATURES.filter((feature) => feature.applyVersion > applyVersion),
    members: memberVersions(groups, nodeId, peerStatus()),
  };
}

function partitionVersions({ partitions }: ClusterGroups): PartitionVersionCount[] {
  const counts = new Map<number, number>();
  for (const { store: { applyVersion } } of partitions) {
    counts.set(applyVersion, (counts.get(applyVersion) ?? 0) + 1);
  }
  return [...counts].sort(([left], [right]) => left - right)
    .map(([applyVersion, count]) => ({ applyVersion, count }));
}

function memberVersions(
  { system }: ClusterGroups,
  self: number,
  peers: readonly PeerStatus[],
): MemberVersions[] {
  const { members } = system.store.state;
  return members.all.map(({ nodeId }) => {
    const peer = peers.find(({ node }) => node === nodeId);
    const told = members.admission(nodeId)?.program ?? "";
    const seen = nodeId === self ? VERSION : peer?.program ?? "";
    return {
      nodeId,
      applyVersionMax: members.applyVersionMaxOf(nodeId),
      isConnected: nodeId === self || peer?.isConnected === true,
      peerVersion: peer?.version ?? 0,
      program: seen === "" ? told : seen,
    };
  });
}
