/** Handlers of the operations on the node and the cluster. */
import type {
  JoinClusterReply,
  JoinClusterRequest,
  MadeChange,
  StatusReply,
} from "../../../schemas/gen/wire.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { NODE_OPERATIONS } from "../../wire/operations/node.ts";
import type { Handlers } from "../handler.ts";

/** What the node reports about itself, and does in its cluster for other nodes. */
export interface NodeDuties {
  readonly status: () => StatusReply;
  readonly ringMap: () => RingMap;
  /** Makes a node a member; only the leader of group 0 can. */
  readonly join: (request: JoinClusterRequest) => Promise<JoinClusterReply>;
  /** Confirms changes that leaders of partitions have made; only the leader of group 0 can. */
  readonly confirmPlacement: (changes: readonly MadeChange[]) => Promise<void>;
}

/** Returns the handlers of the operations on the node and the cluster. */
export function nodeHandlers(
  { status, ringMap, join, confirmPlacement }: NodeDuties,
): Handlers<typeof NODE_OPERATIONS> {
  return {
    status,
    getRingMap: ringMap,
    joinCluster: (request) => join(request),
    reportPlacement: async ({ changes }) => {
      await confirmPlacement(changes);
      return {};
    },
  };
}
