/**
 * Carries the plan out at the leader of group 0: makes members replicas of group 0, its voters of some
 * of them, and moves partitions to the nodes on which they are wished.
 *
 * Each step is a command that names what it replaces, so that a runner that was paused, or a second one
 * on a node that believes it still leads, changes nothing. Replica ids that no placement names are
 * retired before new ones are assigned, and never used.
 */
import { RegistryError } from "../../base/errors.ts";
import { type GroupId, groupOfPartition, partitionId, SYSTEM_GROUP } from "../../base/ids.ts";
import {
  PLACEMENT_MOVES_AT_ONCE,
  REPLICAS_ASSIGNED_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { WallClock } from "../../base/world.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { ConfChange, MemberChange, MemberStatus } from "../../raft/mod.ts";
import { EMPTY_DATA } from "../../raft/mod.ts";
import type { PlacementNode } from "../../ring/placement.ts";
import { encodePutPlacement, type PlacementStep } from "../../system/placement/placement_state.ts";
import { encodeAssignReplicas, encodeRetireReplicas } from "../../system/replicas/replica_state.ts";
import { FOUNDER_REPLICA } from "../log_entry.ts";
import type { ClusterGroups } from "../assembly/cluster_groups.ts";
import { systemApplied } from "../assembly/cluster_groups.ts";
import { nodeOfReplica } from "../assembly/placed_here.ts";
import {
  beginMove,
  endMove,
  type MadeChange,
  planMoves,
  type PlannedMove,
  wishedSystemVoters,
} from "./plan.ts";

/** The dependencies of a runner. */
export interface PlacementRunnerOptions {
  readonly groups: ClusterGroups;
  readonly wall: WallClock;
  readonly logger: Logger;
}

/** Carries the plan out while this node leads group 0. */
export class PlacementRunner {
  readonly #options: PlacementRunnerOptions;
  #isRunning = false;
  #isMoving = false;
  /** What the last run saw that had nothing to do. */
  #settled = "";

  constructor(options: PlacementRunnerOptions) {
    this.#options = options;
  }

  /** Takes the next steps, if this node leads group 0 and no steps are being taken. Never rejects. */
  async run(): Promise<void> {
    const { groups: { system }, logger } = this.#options;
    if (this.#isRunning || !system.group.isLeading || system.store.genesis === undefined) return;
    this.#isRunning = true;
    try {
      await this.#members();
      await this.#moves();
    } catch (error) {
      // Leadership was lost, the log is full, or a step was overtaken: the next run sees the new state.
      const { code, message } = error instanceof RegistryError
        ? error
        : { code: "internal", message: String(error) };
      logger.debug("A step of the placement was not taken", { code, message });
    } finally {
      this.#isRunning = false;
    }
  }

  /**
   * Confirms changes that leaders of partitions have made.
   *
   * @throws RegistryError `not_leader` if this node does not lead group 0.
   */
  async confirm(made: readonly MadeChange[]): Promise<void> {
    const steps = made.map((change) => endMove(this.#state, change))
      .filter((step) => step !== undefined);
    await this.#put(steps);
  }

  get #state() {
    return this.#options.groups.system.store.state;
  }

  /** Returns the members of which group 0 has a replica that was heard of. */
  #nodes(): PlacementNode[] {
    const { members } = this.#state;
    const active = new Set<number>();
    for (const { id, match, recentActive } of this.#systemMembers) {
      const node = nodeOfReplica(this.#state, id);
      const isHeard = recentActive && match > 0;
      if (node !== undefined && (isHeard || this.#holdsPartitions(node))) active.add(node);
    }
    return members.all.filter(({ nodeId }) => active.has(nodeId)).map(({ nodeId }) => {
      const { zone = "", host = "" } = members.admission(nodeId) ?? {};
      return { nodeId, zone, host: host === "" ? `node ${nodeId}` : host };
    });
  }

  #holdsPartitions(node: number): boolean {
    const { members, replicas } = this.#state;
    if (members.founder === node) return true;
    for (const { groupId } of replicas.onNode(node)) if (groupId !== SYSTEM_GROUP) return true;
    return false;
  }

  /** The members of group 0's configuration, as its leader sees them. */
  get #systemMembers(): readonly MemberStatus[] {
    return this.#options.groups.system.group.raftStatus().members;
  }

  /** Adds replicas of group 0 as learners, and makes voters of those that are wished to be. */
  async #members(): Promise<void> {
    const { group } = this.#options.groups.system;
    const { voters, votersOutgoing, learners } = group.configuration;
    if (votersOutgoing.length > 0) return;
    const known = new Set([...voters, ...learners]);
    const changes: MemberChange[] = [];
    for (const { nodeId } of this.#state.members.all) {
      for (const { replica, groupId } of this.#state.replicas.onNode(nodeId)) {
        const isMissing = groupId === SYSTEM_GROUP && !known.has(replica);
        if (isMissing) changes.push({ kind: "add_learner", replica });
      }
    }
    if (changes.length === 0) changes.push(...this.#promotions(voters));
    if (changes.length === 0) return;
    const change: ConfChange = { transition: "auto", changes, context: EMPTY_DATA };
    const proposed = await group.proposeConfChange(change, REQUEST_TIMEOUT_MS_DEFAULT);
    if (!proposed.ok) throw proposed.error;
    this.#options.logger.info("Group 0 has other members", { changes });
  }

  #promotions(voters: readonly number[]): MemberChange[] {
    const nodeOf = (replica: number) => nodeOfReplica(this.#state, replica) ?? 0;
    const voting = new Set<number>(voters.map(nodeOf));
    const wished = wishedSystemVoters(this.#nodes(), voting);
    const { committed } = this.#options.groups.system.group.raftStatus();
    return this.#systemMembers
      .filter(({ id, isLearner, match, recentActive }) =>
        isLearner && recentActive && match >= committed && wished.includes(nodeOf(id))
      )
      .map(({ id }) => ({ kind: "add_voter", replica: id }));
  }

  async #moves(): Promise<void> {
    const nodes = this.#nodes();
    const { store } = this.#options.groups.system;
    const seen = `${store.ringNumber}: ${nodes.map(({ nodeId }) => nodeId).join()}`;
    if (seen === this.#settled) return;
    const moves = planMoves({ state: this.#state, nodes, movesMax: PLACEMENT_MOVES_AT_ONCE });
    if (moves.length === 0) {
      this.#settled = seen;
      return this.#noteMoving(this.#state.placement.changing.size > 0);
    }
    this.#noteMoving(true);
    await this.#retire();
    const assigned = await this.#assign(moves);
    await this.#put(moves.map((move, at) => beginMove(this.#state, move, assigned[at]!)));
  }

  /** Logs that partitions begin to move, and that they have arrived; nothing in between. */
  #noteMoving(isMoving: boolean): void {
    if (isMoving === this.#isMoving) return;
    this.#isMoving = isMoving;
    const { logger } = this.#options;
    if (isMoving) logger.info("Partitions are moving to their nodes");
    else logger.info("All partitions are on their nodes");
  }

  /** Retires the replicas of partitions that no placement names: of ended moves, or never placed. */
  async #retire(): Promise<void> {
    const { members, replicas, placement } = this.#state;
    const unplaced: number[] = [];
    for (const { nodeId } of members.all) {
      for (const assigned of replicas.onNode(nodeId)) {
        const isOver = assigned.groupId !== SYSTEM_GROUP && !placement.isPlaced(assigned);
        if (isOver && unplaced.length < REPLICAS_ASSIGNED_MAX) unplaced.push(assigned.replica);
      }
    }
    if (unplaced.length > 0) await this.#propose(encodeRetireReplicas(this.#header(), unplaced));
  }

  /** Assigns the new replica ids of each move. */
  async #assign(moves: readonly PlannedMove[]): Promise<number[][]> {
    const places = moves.flatMap(({ placement: { partition }, joining }) => {
      const groupId: GroupId = groupOfPartition(partitionId(partition));
      return joining.map((nodeId) => ({ groupId, nodeId }));
    });
    if (places.length === 0) return moves.map(() => []);
    const { assigned } = await this.#propose(encodeAssignReplicas(this.#header(), places));
    let next = assigned ?? FOUNDER_REPLICA;
    return moves.map(({ joining }) => joining.map(() => next++));
  }

  async #put(steps: readonly PlacementStep[]): Promise<void> {
    const header = this.#header();
    const results = await Promise.allSettled(
      steps.map((step) => this.#propose(encodePutPlacement(header, step))),
    );
    const failed = results.find((result) => result.status === "rejected");
    // A step that was overtaken is no failure: the placement is newer than the step.
    if (failed !== undefined && !isOvertaken(failed.reason)) throw failed.reason;
  }

  async #propose(command: Uint8Array): Promise<{ readonly assigned?: number }> {
    const { group } = this.#options.groups.system;
    return systemApplied(await group.propose(command, REQUEST_TIMEOUT_MS_DEFAULT));
  }

  #header(): CommandHeader {
    const { groups, wall } = this.#options;
    const unixS = Math.min(0xffff_ffff, Math.floor(wall.unixMs() / 1_000));
    return { timeMs: Math.floor(groups.system.group.timeMs()), unixS, writer: 0 };
  }
}

function isOvertaken(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "incarnation_mismatch";
}
