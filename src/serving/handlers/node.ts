/** Handlers of the operations on the node and the cluster. */
import type {
  ClusterStatusReply,
  JoinClusterReply,
  JoinClusterRequest,
  MadeChange,
  PartitionStatusReply,
  StatusReply,
} from "../../../schemas/gen/wire.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { NODE_OPERATIONS } from "../../wire/operations/node.ts";
import type { Handlers } from "../handler.ts";

/** What the node reports about itself, and does in its cluster for other nodes. */
export interface NodeDuties {
  readonly status: () => StatusReply;
  readonly ringMap: () => RingMap;
  readonly clusterStatus: () => ClusterStatusReply;
  /** @throws RegistryError `invalid_argument` if there is no such partition. */
  readonly partitionStatus: (partition: number) => PartitionStatusReply;
  /** Makes a node a member; only the leader of group 0 can. */
  readonly join: (request: JoinClusterRequest) => Promise<JoinClusterReply>;
  /** Confirms changes that leaders of partitions have made; only the leader of group 0 can. */
  readonly confirmPlacement: (changes: readonly MadeChange[]) => Promise<void>;
}

/** Returns the handlers of the operations on the node and the cluster. */
export function nodeHandlers(
  { status, ringMap, clusterStatus, partitionStatus, join, confirmPlacement }: NodeDuties,
): Handlers<typeof NODE_OPERATIONS> {
  return {
    status,
    getRingMap: ringMap,
    clusterStatus,
    partitionStatus: ({ partition }) => partitionStatus(partition),
    joinCluster: (request) => join(request),
    reportPlacement: async ({ changes }) => {
      await confirmPlacement(changes);
      return {};
    },
  };
}
