/** Handlers of the operations on the node and the cluster. */
import type {
  ClusterStatusReply,
  ExpiryStatusReply,
  JoinClusterReply,
  JoinClusterRequest,
  PartitionStatusReply,
  ProposeSystemRequest,
  ReportPlacementRequest,
  StatusReply,
  UpgradeStatusReply,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { COMMAND_KINDS } from "../../record/command.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import { ADMIT_MEMBER } from "../../system/members/member_state.ts";
import { commandOf } from "../../system/system_store.ts";
import type { NODE_OPERATIONS } from "../../wire/operations/node.ts";
import type { BackupImages } from "../backup_images.ts";
import type { DepartureAdministration } from "../departure_administration.ts";
import type { PermitDesk } from "../expiry/permit_desk.ts";
import type { Handlers } from "../handler.ts";
import type { Rebalancing } from "../rebalancing.ts";
import { NODES_REGION_KINDS } from "../regions/region_proposals.ts";

/** The reports of the node about itself, and its duties in the cluster for other nodes. */
export interface NodeDuties {
  readonly status: () => StatusReply;
  readonly ringMap: () => RingMap;
  readonly clusterStatus: () => ClusterStatusReply;
  /** @throws RegistryError `invalid_argument` if there is no such partition. */
  readonly partitionStatus: (partition: number) => Promise<PartitionStatusReply>;
  readonly upgradeStatus: () => UpgradeStatusReply;
  /** Makes a node a member, or describes a member anew; only the leader of group 0 can. */
  readonly join: (
    request: JoinClusterRequest,
    requester: AuthenticatedPeer,
  ) => Promise<JoinClusterReply>;
  /** Takes what node `from` has done of the plan; only the leader of group 0 can. */
  readonly reportedPlacement: (report: ReportPlacementRequest, from: number) => Promise<void>;
  /** Logs a command of node `from`; only the leader of group 0 can. @returns the assigned number. */
  readonly proposeSystem: (
    from: number,
    request: ProposeSystemRequest,
    deadlineMs: number,
  ) => Promise<number | undefined>;
  /** Returns the index up to which group 0 is current; only its leader can. */
  readonly systemReadPoint: () => Promise<number>;
  readonly permits: PermitDesk;
  readonly expiryStatus: () => ExpiryStatusReply;
  readonly departures: DepartureAdministration;
  readonly rebalancing: Rebalancing;
  readonly images: BackupImages;
}

/**
 * The commands of group 0 that another node may propose: identities, new members, and what the pullers of
 * other regions do. Bans, removals of members, placement and replicas are for the leader alone, so that a
 * stolen node identity can end nobody. Most of these are for nodes with the authority's keys only
 * (identities/proposal_rights.ts), those about regions for their pullers (regions/region_proposals.ts).
 */
const PROPOSED_KINDS: ReadonlySet<number> = new Set([
  COMMAND_KINDS.enrolment,
  COMMAND_KINDS.document,
  COMMAND_KINDS.auditNote,
  COMMAND_KINDS.grant,
  ADMIT_MEMBER,
  ...NODES_REGION_KINDS,
]);

/** Returns the handlers of the operations on the node and the cluster. */
export function nodeHandlers(
  {
    status,
    ringMap,
    clusterStatus,
    partitionStatus,
    upgradeStatus,
    join,
    reportedPlacement,
    proposeSystem,
    systemReadPoint,
    permits,
    expiryStatus,
    departures,
    rebalancing,
    images,
  }: NodeDuties,
): Handlers<typeof NODE_OPERATIONS> {
  return {
    status,
    getRingMap: ringMap,
    clusterStatus,
    partitionStatus: ({ partition }) => partitionStatus(partition),
    upgradeStatus,
    joinCluster: (request, { peer }) => join(request, peer),
    reportPlacement: async (report, { node }) => {
      await reportedPlacement(report, node ?? 0);
      return {};
    },
    proposeSystem: async (request, { node, deadlineMs }) => {
      const { kind } = commandOf(request.command);
      if (!PROPOSED_KINDS.has(kind)) {
        throw new RegistryError(
          "invalid_argument",
          `command must be one that nodes propose: found kind ${kind}`,
          { field: "command" },
        );
      }
      return { assigned: await proposeSystem(node ?? 0, request, deadlineMs) ?? 0 };
    },
    systemReadPoint: async () => ({ appliedIndex: await systemReadPoint() }),
    steerExpiry: async (request, { peer, deadlineMs }) => {
      await permits.steer(request, peer, deadlineMs);
      return {};
    },
    drawPermits: async (request, { node, deadlineMs }) => ({
      grants: [...await permits.draw(node ?? 0, request, deadlineMs)],
    }),
    expiryStatus,
    depart: (request, { peer, deadlineMs }) => departures.begin(request, peer, deadlineMs),
    stay: ({ nodeId }, { peer, deadlineMs }) => departures.end(nodeId, peer, deadlineMs),
    listDepartures: () => departures.list(),
    transferLeader: async (request, { peer, deadlineMs }) => {
      await rebalancing.transfer(request, peer, deadlineMs);
      return {};
    },
    rebalance: (request, { peer, deadlineMs }) => rebalancing.rebalance(request, peer, deadlineMs),
    pauseMoves: (request, { peer, deadlineMs }) =>
      rebalancing.pauseMoves(request, peer, deadlineMs),
    readImage: (request, { peer, deadlineMs }) => images.read(request, peer, deadlineMs),
  };
}
