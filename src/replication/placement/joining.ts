/**
 * Takes new nodes into the cluster, at the leader of group 0: a number bound to the random id of the
 * node's data folder, its addresses, and a replica id of group 0. The runner then makes the replica a
 * learner of group 0, from which the node learns everything else.
 *
 * Repeating a join has no further effect, so that a node that crashed before it stored the answer asks
 * again. A folder keeps its number and its replica.
 */
import {
  type ClusterMember,
  DEPARTURE_GOALS,
  type JoinClusterReply,
  type JoinClusterRequest,
  type SystemReplica,
} from "../../../schemas/gen/wire.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { SYSTEM_GROUP } from "../../base/ids.ts";
import { JOIN_RETRY_MS } from "../../base/limits.ts";
import { formatUuid, isNilUuid } from "../../base/uuid.ts";
import type { WallClock } from "../../base/world.ts";
import { encodePutMember } from "../../record/command.ts";
import { encodePutDeparture } from "../../system/departures/departure_codec.ts";
import { encodeAdmitMember } from "../../system/members/member_state.ts";
import { encodeAssignReplicas } from "../../system/replicas/replica_state.ts";
import type { Genesis } from "../../system/system_store.ts";
import type { ClusterGroups } from "../assembly/cluster_groups.ts";
import { systemReplicaOf } from "../assembly/placed_here.ts";
import { FOUNDER_REPLICA } from "../log_entry.ts";
import { SystemCommands } from "./system_commands.ts";

/** The folder id of a member that did not describe itself. */
const NO_FOLDER = new Uint8Array(16);

/** The facts about a node that decide whether it may join. */
export type JoiningNode = Pick<
  JoinClusterRequest,
  "folderId" | "region" | "partitionCount" | "zone" | "applyVersionMax"
>;

/** Takes nodes into the cluster. */
export class Joining {
  readonly #groups: ClusterGroups;
  readonly #commands: SystemCommands;

  constructor(groups: ClusterGroups, wall: WallClock) {
    this.#groups = groups;
    this.#commands = new SystemCommands(groups.system, wall);
  }

  /**
   * Makes a node a member, or describes a member anew. A node that does not lead group 0 changes nothing,
   * and tells a member which members and replicas it knows.
   *
   * @param from `self` if this node describes itself: until the founder has, nobody else may join, or the
   * number of the founder would be given away.
   * @throws RegistryError `not_leader`; `wrong_cluster` for the folder of another cluster;
   * `invalid_configuration` for another region or partition count, or no zone where members have zones;
   * `locked` for a number that another folder has; `not_replica` for the number of a removed node;
   * `overloaded` while the cluster is being founded.
   */
  async join(
    request: JoinClusterRequest,
    from: "self" | "other" = "other",
  ): Promise<JoinClusterReply> {
    const { system } = this.#groups;
    const { genesis, state } = system.store;
    if (!system.group.isLeading || genesis === undefined) {
      const known = this.#known(request);
      if (known !== undefined) return known;
      throw notLeader(this.#groups);
    }
    if (from === "other" && state.members.count === 0) throw beingFounded();
    this.#check(request, genesis);
    const { folderId, zone, host, applyVersionMax, program, addresses, pin, nextPin } = request;
    const admission = { nodeId: request.nodeId, folderId, zone, host, applyVersionMax, program };
    const { assigned } = await this.#commands.propose(
      encodeAdmitMember(this.#commands.header(), admission),
    );
    const nodeId = assigned ?? request.nodeId;
    await this.#commands.propose(
      encodePutMember(this.#commands.header(), { nodeId, addresses, pin, nextPin }),
    );
    const isFounder = state.members.founder === nodeId;
    const known = systemReplicaOf(state, nodeId) ?? (isFounder ? FOUNDER_REPLICA : undefined);
    // Without a replica of group 0 it holds nothing yet.
    const isToWait = request.isStandby && known === undefined && !state.departures.has(nodeId);
    if (isToWait) await this.#keepEmpty(nodeId);
    const replica = known ?? await this.#assign(nodeId);
    return this.#reply(nodeId, replica, genesis);
  }

  /** Drains a node that joins, before it can get anything. */
  async #keepEmpty(nodeId: number): Promise<void> {
    await this.#commands.propose(encodePutDeparture(this.#commands.header(), {
      ...{ nodeId, successor: 0, replacedRevision: 0, goal: DEPARTURE_GOALS.drained },
      ...{ isFewerAllowed: true, isAutomatic: false, detail: "the node itself, as a standby" },
    }));
  }

  /**
   * Checks what {@link join} would refuse of a node that has no number yet, as far as this node's copy of
   * group 0 tells.
   *
   * @throws RegistryError as {@link join}.
   */
  check(request: JoiningNode): void {
    const { genesis, state } = this.#groups.system.store;
    if (genesis === undefined) throw notLeader(this.#groups);
    if (state.members.count === 0) throw beingFounded();
    this.#check({ ...request, clusterId: genesis.clusterId }, genesis);
  }

  #check(request: JoiningNode & Pick<JoinClusterRequest, "clusterId">, genesis: Genesis): void {
    const refusal = refusalOf(request, genesis, this.#hasZones(request.folderId));
    if (refusal !== undefined) throw refusal;
    const { applyVersion } = this.#groups.system.store.state.versions;
    if (request.applyVersionMax >= applyVersion) return;
    throw new RegistryError(
      "unsupported_version",
      `The node's program must support version ${applyVersion} of the log, which the cluster uses: it ` +
        `supports ${request.applyVersionMax}. Start a newer program`,
    );
  }

  /** Returns the members and the replicas of group 0, as this node's copy of group 0 has them. */
  describe(): { readonly members: ClusterMember[]; readonly systemReplicas: SystemReplica[] } {
    const { state } = this.#groups.system.store;
    const { members } = state;
    const systemReplicas: SystemReplica[] = [];
    if (members.founder !== undefined) {
      systemReplicas.push({ replica: FOUNDER_REPLICA, nodeId: members.founder });
    }
    for (const member of members.all) {
      const replica = systemReplicaOf(state, member.nodeId);
      if (replica !== undefined) systemReplicas.push({ replica, nodeId: member.nodeId });
    }
    const described = members.all.map((member) => ({
      ...member,
      folderId: members.admission(member.nodeId)?.folderId ?? NO_FOLDER,
    }));
    return { members: described, systemReplicas };
  }

  /** Returns what this node knows of a member and its cluster; undefined if it is none. */
  #known({ nodeId, folderId, clusterId }: JoinClusterRequest): JoinClusterReply | undefined {
    const { genesis, state } = this.#groups.system.store;
    const admission = state.members.admission(nodeId);
    if (genesis === undefined || admission === undefined) return undefined;
    const isMember = bytesEqual(clusterId, genesis.clusterId) &&
      bytesEqual(folderId, admission.folderId);
    const isFounder = state.members.founder === nodeId;
    const replica = systemReplicaOf(state, nodeId) ?? (isFounder ? FOUNDER_REPLICA : undefined);
    return isMember && replica !== undefined ? this.#reply(nodeId, replica, genesis) : undefined;
  }

  #reply(nodeId: number, replica: number, genesis: Genesis): JoinClusterReply {
    const { generation } = this.#groups.system.store.state.versions;
    const { clusterId, partitionCount, region } = genesis;
    return {
      nodeId,
      generation,
      replica,
      clusterId,
      partitionCount,
      region,
      ...this.describe(),
    };
  }

  async #assign(nodeId: number): Promise<number> {
    const places = [{ groupId: SYSTEM_GROUP, nodeId }];
    const { assigned } = await this.#commands.propose(
      encodeAssignReplicas(this.#commands.header(), places),
    );
    if (assigned === undefined) throw new RegistryError("internal", "No replica id was assigned");
    // Two requests of one node that crossed get the same replica; the other id is never used.
    return systemReplicaOf(this.#groups.system.store.state, nodeId) ?? assigned;
  }

  /** Reports whether members other than that of the folder have zones. */
  #hasZones(folderId: Uint8Array): boolean {
    const { members } = this.#groups.system.store.state;
    return members.all.some(({ nodeId }) => {
      const admission = members.admission(nodeId);
      return admission !== undefined && admission.zone !== "" &&
        !bytesEqual(admission.folderId, folderId);
    });
  }
}

function notLeader({ system }: ClusterGroups): RegistryError {
  const { leader } = system.group.status();
  const message = "This node does not lead group 0, which decides who joins";
  return new RegistryError("not_leader", message, leader === 0 ? {} : { leaderHint: leader });
}

function beingFounded(): RegistryError {
  const message =
    "The cluster is being founded: its first node must describe itself before others join";
  return new RegistryError("overloaded", message, { retryAfterMs: JOIN_RETRY_MS });
}

function refusalOf(
  request: JoiningNode & Pick<JoinClusterRequest, "clusterId">,
  genesis: Genesis,
  hasZones: boolean,
): RegistryError | undefined {
  const { clusterId, region, partitionCount, zone } = request;
  const wrong = (field: string, message: string) =>
    new RegistryError("invalid_configuration", message, { field });
  if (!isNilUuid(clusterId) && !bytesEqual(clusterId, genesis.clusterId)) {
    return new RegistryError(
      "wrong_cluster",
      `The data folder belongs to cluster ${formatUuid(clusterId)}: to join cluster ` +
        `${formatUuid(genesis.clusterId)}, start with an empty data folder`,
    );
  }
  if (region !== genesis.region) {
    return wrong("region", `Region must be ${genesis.region}, the cluster's: found ${region}`);
  }
  if (partitionCount !== genesis.partitionCount) {
    return wrong(
      "partitions",
      `Partitions must be ${genesis.partitionCount}, the cluster's: found ${partitionCount}`,
    );
  }
  if (zone === "" && hasZones) {
    return wrong("zone", "Zone must be given, because other nodes have one: it is empty");
  }
  return undefined;
}
