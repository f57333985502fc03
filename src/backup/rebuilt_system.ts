/**
 * Group 0 of a cluster that is restored or recovered: one node, which alone holds every group, under a
 * higher generation. It is brought there by the commands that a running cluster would log, so every
 * replica that joins later has the same state.
 *
 * Kept: the cluster's id and hash key, identities, bans, trust bundle, token keys' public parts, audit,
 * peer regions, the removed nodes' numbers. Ended: all other members, whose numbers and replica ids are
 * never used again and whose identities are banned, departures, choices of leaders, and a pause of moves.
 */
import { BAN_KINDS } from "../../schemas/gen/wire.ts";
import { parseSpiffeId } from "../../identity/pki/spiffe.ts";
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import {
  firstTermOf,
  GOVERNED_PLACE,
  type GroupId,
  groupOfPartition,
  type NodeId,
  type PartitionId,
  partitionId,
  SYSTEM_GROUP,
} from "../base/ids.ts";
import { REPLICAS_ASSIGNED_MAX } from "../base/limits.ts";
import { formatUuid } from "../base/uuid.ts";
import { encodeRemoveMember } from "../record/command.ts";
import {
  nodeOfReplica,
  placementOf,
  systemReplicaOf,
} from "../replication/assembly/placed_here.ts";
import { FOUNDER_REPLICA } from "../replication/log_entry.ts";
import { nodeSubjectId } from "../serving/node_subject.ts";
import { encodeEndDeparture } from "../system/departures/departure_codec.ts";
import { encodeBan } from "../system/identity_codec.ts";
import { encodeForgetLeaders, LEADERS_APPLY_VERSION } from "../system/leaders/leader_codec.ts";
import { encodeAdmitMember } from "../system/members/member_state.ts";
import { encodePauseMoves } from "../system/moves/move_codec.ts";
import { encodePutPlacement } from "../system/placement/placement_state.ts";
import { encodeAssignReplicas, encodeRetireReplicas } from "../system/replicas/replica_state.ts";
import type { SystemStore } from "../system/system_store.ts";
import { APPLY_VERSION_MAX } from "../system/versions/features.ts";
import { encodeRaiseGeneration } from "../system/versions/version_state.ts";

/** The node that is to hold the cluster alone. */
export interface SoleNode {
  /** Its number, if it is a member already; otherwise it is admitted under a new one. */
  readonly nodeId?: number;
  /** The random id of its data folder, 16 bytes. */
  readonly folderId: Uint8Array;
}

/** How group 0 is rebuilt. */
export interface RebuiltSystemOptions {
  readonly generation: number;
  readonly node: SoleNode;
  /** Wall time, s since 1970. */
  readonly unixS: number;
  /** The reason that the audit gives for the other members' end. */
  readonly reason: string;
}

/** The node and its replicas, as group 0 has them now. */
export interface RebuiltSystem {
  readonly nodeId: number;
  /** Its replica of each group. */
  readonly replicas: ReadonlyMap<GroupId, number>;
}

/** Makes a node the only member of a cluster, and the holder of every group. */
export function rebuildSystem(store: SystemStore, options: RebuiltSystemOptions): RebuiltSystem {
  return new SystemRebuild(store, options).run();
}

type Encode = (from: { timeMs: number; unixS: number; writer: number }) => Uint8Array;

class SystemRebuild {
  readonly #store: SystemStore;
  readonly #options: RebuiltSystemOptions;
  readonly #replicas = new Map<GroupId, number>();

  constructor(store: SystemStore, options: RebuiltSystemOptions) {
    this.#store = store;
    this.#options = options;
  }

  run(): RebuiltSystem {
    const { generation, reason: detail } = this.#options;
    const { state } = this.#store;
    this.#log((from) => encodeRaiseGeneration(from, generation));
    for (const { nodeId, revision } of state.departures.all) {
      this.#log((from) => encodeEndDeparture(from, { nodeId, revision, detail }));
    }
    if (state.versions.applyVersion >= LEADERS_APPLY_VERSION) {
      this.#log((from) => encodeForgetLeaders(from, { detail }));
    }
    if (state.moves.arePaused) {
      this.#log((from) => encodePauseMoves(from, { arePaused: false, detail }));
    }
    const nodeId = this.#becomeSoleMember();
    this.#takeReplicas(nodeId);
    this.#place();
    this.#retireOthers();
    return { nodeId, replicas: this.#replicas };
  }

  /** Applies a command as the next entry. @throws RegistryError if it is refused. */
  #log(encode: Encode): number | undefined {
    const { unixS, generation } = this.#options;
    const { timeMs, appliedIndex } = this.#store;
    const data = encode({ timeMs, unixS, writer: 0 });
    const term = firstTermOf(generation);
    const reply = this.#store.apply(
      { index: appliedIndex + 1, term, data } as Parameters<
        SystemStore["apply"]
      >[0],
    );
    if (reply.code === "ok") return reply.assigned;
    throw new RegistryError(reply.code, `Group 0 cannot be rebuilt: ${reply.message}`);
  }

  #becomeSoleMember(): number {
    const { node: { nodeId: known, folderId }, reason: detail } = this.#options;
    const others = this.#store.members.map(({ nodeId }) => nodeId).filter((id) => id !== known);
    const remove = (nodeId: number) =>
      this.#log((from) => encodeRemoveMember(from, { nodeId, detail }));
    // A cluster always has a member, and has no more of them than fit: the last one makes place.
    const last = known === undefined ? others.pop() : undefined;
    for (const nodeId of others) remove(nodeId);
    this.#banNodes(last === undefined ? others : [...others, last]);
    if (known !== undefined) return known;
    const admission = { nodeId: 0, applyVersionMax: APPLY_VERSION_MAX, zone: "", host: "" };
    const nodeId = this.#log((from) => encodeAdmitMember(from, { ...admission, folderId, detail }));
    if (last !== undefined) remove(last);
    assert(nodeId !== undefined, "A member was admitted");
    return nodeId;
  }

  /** Bans the identities of nodes: what still has their keys must not act as a node. */
  #banNodes(nodes: readonly number[]): void {
    const { genesis, identities } = this.#store;
    assert(genesis !== undefined, "Group 0 has its genesis");
    const subjectIds = new Set(
      nodes.map((node) => formatUuid(nodeSubjectId(genesis.clusterId, node))),
    );
    const ban = {
      kind: BAN_KINDS.subject,
      reason: this.#options.reason,
      untilMs: 0,
      lifted: false,
    };
    const banned = new Set<string>();
    for (let number = 1; number < identities.nextLineage; number++) {
      const { subject: name = "" } = identities.lineage(number) ?? {};
      if (name === "" || banned.has(name)) continue;
      const { role, subjectId } = parseSpiffeId(name, "subject");
      if (role !== "node" || !subjectIds.has(formatUuid(subjectId))) continue;
      banned.add(name);
      this.#log((from) => encodeBan(from, { ...ban, name }));
    }
  }

  get #places(): PartitionId[] {
    const { genesis, state } = this.#store;
    const partitions = Array.from(
      { length: genesis?.partitionCount ?? 0 },
      (_, number) => partitionId(number),
    );
    return state.placement.of(GOVERNED_PLACE) === undefined
      ? partitions
      : [...partitions, GOVERNED_PLACE];
  }

  /** Finds the node's replica of each group, and has ids assigned to those that it lacks. */
  #takeReplicas(nodeId: number): void {
    const { state } = this.#store;
    const isFounder = state.members.first === nodeId;
    const system = systemReplicaOf(state, nodeId) ?? (isFounder ? FOUNDER_REPLICA : undefined);
    if (system !== undefined) this.#replicas.set(SYSTEM_GROUP, system);
    for (const place of this.#places) {
      const here = placementOf(state, place).replicas
        .find(({ replica }) => nodeOfReplica(state, replica) === nodeId as NodeId);
      if (here !== undefined) this.#replicas.set(groupOfPartition(place), here.replica);
    }
    const missing = [SYSTEM_GROUP, ...this.#places.map(groupOfPartition)]
      .filter((group) => !this.#replicas.has(group));
    for (let at = 0; at < missing.length; at += REPLICAS_ASSIGNED_MAX) {
      const groups = missing.slice(at, at + REPLICAS_ASSIGNED_MAX);
      const first = this.#log((from) =>
        encodeAssignReplicas(from, groups.map((groupId) => ({ groupId, nodeId })))
      );
      assert(first !== undefined, "Replicas were assigned");
      groups.forEach((group, index) => this.#replicas.set(group, first + index));
    }
  }

  #place(): void {
    const { placement } = this.#store.state;
    for (const partition of this.#places) {
      const replica = this.#replicas.get(groupOfPartition(partition));
      assert(replica !== undefined, "Each group has a replica");
      const { revision: replacedRevision = 0, configurationIndex = 0 } = placement.of(partition) ??
        {};
      const replicas = [{ replica, role: "voter" as const }];
      this.#log((from) =>
        encodePutPlacement(from, { partition, replacedRevision, configurationIndex, replicas })
      );
    }
  }

  #retireOthers(): void {
    const kept = new Set(this.#replicas.values());
    const others = [...this.#store.state.replicas.all].map(({ replica }) => replica)
      .filter((replica) => !kept.has(replica));
    for (let at = 0; at < others.length; at += REPLICAS_ASSIGNED_MAX) {
      const retired = others.slice(at, at + REPLICAS_ASSIGNED_MAX);
      this.#log((from) => encodeRetireReplicas(from, retired));
    }
  }
}
