/**
 * Carries the plan out at the leader of group 0: makes members replicas of group 0, its voters of some
 * of them, places the governed plane, and moves partitions to the nodes on which they are wished, away
 * from those that depart (departures.ts).
 *
 * Each step is a command that names what it replaces, so that a runner that was paused, or a second one
 * on a node that believes it still leads, changes nothing. Replica ids that no placement names are
 * retired before new ones are assigned, and never used.
 */
import { RegistryError } from "../../base/errors.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  type GroupId,
  groupOfPartition,
  placeId,
  SYSTEM_GROUP,
} from "../../base/ids.ts";
import {
  DEPARTURE_MOVES_AT_ONCE,
  PLACEMENT_MOVES_AT_ONCE,
  REPLICAS_ASSIGNED_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { MonotonicClock, WallClock } from "../../base/world.ts";
import type { ConfChange, MemberChange, MemberStatus } from "../../raft/mod.ts";
import { EMPTY_DATA } from "../../raft/mod.ts";
import type { PlacementNode } from "../../ring/placement.ts";
import { encodeHandedOver } from "../../system/departures/departure_codec.ts";
import { encodePutPlacement, type PlacementStep } from "../../system/placement/placement_state.ts";
import { encodeAssignReplicas, encodeRetireReplicas } from "../../system/replicas/replica_state.ts";
import { GOVERNED_APPLY_VERSION } from "../../system/versions/features.ts";
import { FOUNDING_POINT } from "../group_founding.ts";
import { FOUNDER_REPLICA } from "../log_entry.ts";
import type { ClusterGroups } from "../assembly/cluster_groups.ts";
import { nodeOfReplica, nodesOf, systemReplicaOf } from "../assembly/placed_here.ts";
import { Departures, type DeparturesOptions } from "./departures.ts";
import {
  beginMove,
  endMove,
  type MadeChange,
  moveInProgress,
  type PlacementReport,
  planMoves,
  type PlannedMove,
  replicasMin,
  wishedSystemVoters,
} from "./plan.ts";
import { SystemCommands } from "./system_commands.ts";

/** The time in which a removed node learns of its removal, as group 0 has it as a learner still, ms. */
const REMOVAL_TOLD_MS = 5_000;
/** Runs that are left out after a failure: about one second. */
const RUNS_LEFT_OUT = 10;

/** The dependencies of a runner. */
export interface PlacementRunnerOptions {
  readonly groups: ClusterGroups;
  readonly wall: WallClock;
  readonly logger: Logger;
  readonly monotonic: MonotonicClock;
  /** Reports whether another node can be reached; this node itself counts. */
  readonly isConnected: (node: number) => boolean;
  /** Bans the identity of a node that was removed, if nodes have identities. */
  readonly ban?: DeparturesOptions["ban"];
}

/** Carries the plan out while this node leads group 0. */
export class PlacementRunner {
  readonly #options: PlacementRunnerOptions;
  readonly #commands: SystemCommands;
  readonly #departures: Departures;
  /** When this node first saw, as the leader, that a replica's node was removed; monotonic ms. */
  readonly #removalsSeenMs = new Map<number, number>();
  #isRunning = false;
  #isMoving = false;
  /** The state in which the last run had nothing to do. */
  #settled = "";
  /** Runs to leave out after a step that was not taken, so that retries do not fill the log. */
  #leftOut = 0;

  constructor(options: PlacementRunnerOptions) {
    this.#options = options;
    const { groups, wall, monotonic, logger, isConnected, ban } = options;
    const { system } = groups;
    this.#commands = new SystemCommands(system, wall);
    this.#departures = new Departures({
      ...{ system, commands: this.#commands, monotonic, logger, isConnected },
      ban: ban ?? (() => Promise.resolve()),
    });
  }

  /** Takes the next steps, if this node leads group 0 and no steps are being taken. Never rejects. */
  async run(): Promise<void> {
    const { system } = this.#options.groups;
    if (this.#isRunning || !system.group.isLeading || system.store.genesis === undefined) return;
    this.#isRunning = true;
    await this.#take(() => this.#place());
    if (this.#state.members.count > 1) {
      // A new voter of group 0 may have to be waited for; partitions move meanwhile.
      await this.#take(() => this.#members());
      await this.#take(() => this.#departures.run());
      if (this.#leftOut > 0) this.#leftOut--;
      else if (!await this.#take(() => this.#moves())) this.#leftOut = RUNS_LEFT_OUT;
    }
    this.#isRunning = false;
  }

  /** Places the first replica of the governed plane on this node, once all members know that group. */
  async #place(): Promise<void> {
    const { placement, versions, members } = this.#state;
    const isDue = versions.applyVersion >= GOVERNED_APPLY_VERSION && members.count > 0 &&
      placement.of(GOVERNED_PLACE) === undefined;
    const nodeId = nodeOfReplica(this.#state, this.#options.groups.system.group.replica);
    if (!isDue || nodeId === undefined) return;
    const places = [{ groupId: GOVERNED_GROUP, nodeId }];
    const { assigned: replica = 0 } = await this.#commands.propose(
      encodeAssignReplicas(this.#commands.header(), places),
    );
    await this.#put([{
      partition: GOVERNED_PLACE,
      configurationIndex: FOUNDING_POINT.index,
      replacedRevision: 0,
      replicas: [{ replica, role: "voter" }],
    }]);
  }

  /** Takes a step; returns false if it failed: the next run sees the new state. */
  async #take(step: () => Promise<void>): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      // Leadership was lost, the log is full, or a step was overtaken.
      const { code, message } = error instanceof RegistryError
        ? error
        : { code: "internal", message: String(error) };
      this.#options.logger.debug("A step of the placement was not taken", { code, message });
      return false;
    }
  }

  /**
   * Takes what node `from` has done of the plan: changes that leaders of partitions have made are confirmed,
   * each partition once at most; those of partitions that it does not hold are left out.
   *
   * @throws RegistryError `not_leader` if this node does not lead group 0; `not_found` and
   * `incarnation_mismatch` if the node is not departing as it believes.
   */
  async reported({ changes, handedOver }: PlacementReport, from: number): Promise<void> {
    if (changes.length > 0) await this.#confirm(changes, from);
    if (handedOver === 0) return;
    const header = this.#commands.header();
    const note = encodeHandedOver(header, { nodeId: from, revision: handedOver });
    await this.#commands.propose(note);
  }

  async #confirm(made: readonly MadeChange[], from: number): Promise<void> {
    const steps = new Map<number, PlacementStep>();
    for (const change of made) {
      const step = endMove(this.#state, change);
      if (step === undefined) continue;
      const id = placeId(step.partition);
      if (nodesOf(this.#state, id).includes(from)) steps.set(id, step);
    }
    await this.#put([...steps.values()]);
  }

  /** Returns the moves that are in progress, and then those that follow, as far as they are known now. */
  pending(): { readonly move: PlannedMove; readonly isBegun: boolean }[] {
    const state = this.#state;
    const begun = [...state.placement.changing].map((place) => ({
      move: moveInProgress(state, placeId(place)),
      isBegun: true,
    }));
    const next = planMoves({ state, nodes: this.#nodes(), movesMax: Infinity })
      .filter(({ placement }) => !state.placement.changing.has(placement.partition));
    return [...begun, ...next.map((move) => ({ move, isBegun: false }))];
  }

  get #state() {
    return this.#options.groups.system.store.state;
  }

  /** Returns the members that may hold replicas: those of which group 0 has one that was heard of. */
  #nodes(): PlacementNode[] {
    const { members, departures } = this.#state;
    const active = new Set<number>();
    for (const { id, isLearner, match, recentActive } of this.#systemMembers) {
      const node = nodeOfReplica(this.#state, id);
      if (node === undefined) continue;
      // A node that holds something is counted on while it is silent: it is not replaced by accident.
      const isHeld = !isLearner || this.#holdsPartitions(node);
      if (isHeld || recentActive && match > 0) active.add(node);
    }
    const staying = members.all.filter(({ nodeId }) =>
      active.has(nodeId) && !departures.has(nodeId)
    );
    return staying.map(({ nodeId }) => {
      const { zone = "", host = "" } = members.admission(nodeId) ?? {};
      const ringId = members.ringIdOf(nodeId);
      return { nodeId, ringId, zone, host: host === "" ? `node ${nodeId}` : host };
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
      const replica = systemReplicaOf(this.#state, nodeId);
      const isMissing = replica !== undefined && !known.has(replica);
      if (isMissing) changes.push({ kind: "add_learner", replica });
    }
    if (changes.length === 0) changes.push(...this.#voterChanges());
    if (changes.length === 0) changes.push(...this.#removals());
    if (changes.length === 0) return;
    const change: ConfChange = { transition: "auto", changes, context: EMPTY_DATA };
    const proposed = await group.proposeConfChange(change, REQUEST_TIMEOUT_MS_DEFAULT);
    if (!proposed.ok) throw proposed.error;
    this.#options.logger.info("Group 0 has other members", { changes });
  }

  /**
   * Returns the removals of replicas of group 0 whose nodes are no members any more. Each stays a learner
   * until its node has stopped, or long enough for the node to learn that it was removed.
   */
  #removals(): MemberChange[] {
    const { members } = this.#state;
    const nowMs = this.#options.monotonic.nowMs();
    const gone = this.#systemMembers.filter(({ id }) =>
      !members.has(nodeOfReplica(this.#state, id) ?? 0)
    );
    for (const id of this.#removalsSeenMs.keys()) {
      if (!gone.some((member) => member.id === id)) this.#removalsSeenMs.delete(id);
    }
    const due = gone.filter(({ id, isLearner }) => {
      const sinceMs = this.#removalsSeenMs.get(id) ?? nowMs;
      this.#removalsSeenMs.set(id, sinceMs);
      const isConnected = this.#options.isConnected(nodeOfReplica(this.#state, id) ?? 0);
      return isLearner && (!isConnected || nowMs - sinceMs >= REMOVAL_TOLD_MS);
    });
    return due.map(({ id }) => ({ kind: "remove", replica: id }));
  }

  /**
   * Returns the changes to the voters of group 0. A voter that is not wished becomes a learner in the
   * change that completes the wished ones. This node hands its leadership over before that befalls it.
   */
  #voterChanges(): MemberChange[] {
    const { group } = this.#options.groups.system;
    const nodeOf = (replica: number) => nodeOfReplica(this.#state, replica) ?? 0;
    const voters = group.configuration.voters.map((replica) => ({
      replica,
      node: nodeOf(replica),
    }));
    const voting = new Set<number>(voters.map(({ node }) => node));
    const nodes = this.#nodes();
    // A node that is out of reach cannot become a voter, and others would wait for it.
    const fitting = nodes.filter(({ nodeId }) =>
      voting.has(nodeId) || this.#options.isConnected(nodeId)
    );
    const wished = wishedSystemVoters(fitting, voting);
    const isWhole = wished.length === wishedSystemVoters(nodes, voting).length;
    const { committed } = group.raftStatus();
    const fit = this.#systemMembers.filter(({ id, match, recentActive }) =>
      recentActive && match >= committed && wished.includes(nodeOf(id))
    );
    const promoted = fit.filter(({ isLearner }) => isLearner).map(({ id }) => id);
    const changes: MemberChange[] = promoted.map((id) => ({ kind: "add_voter", replica: id }));
    const willVote = new Set([...voting, ...promoted.map(nodeOf)]);
    const unwished = voters.filter(({ node }) => !wished.includes(node));
    const isEnough = wished.length >= Math.min(voting.size, replicasMin(this.#state));
    // Nobody ceases to vote while one that is to vote in its place is out of reach, or not ready.
    const isReady = isWhole && isEnough && wished.every((node) => willVote.has(node));
    if (unwished.length === 0 || !isReady) return changes;
    if (unwished.some(({ replica }) => replica === group.replica)) {
      const heir = fit.find(({ isLearner }) => !isLearner);
      if (heir !== undefined) group.transferLeader(heir.id);
      return heir === undefined ? changes : [];
    }
    return [
      ...changes,
      ...unwished.map(({ replica }) => ({ kind: "add_learner" as const, replica })),
    ];
  }

  async #moves(): Promise<void> {
    const nodes = this.#nodes();
    const { store } = this.#options.groups.system;
    const waiting = this.#departures.waiting();
    const seen = `${store.ringNumber}: ${nodes.map(({ nodeId }) => nodeId).join()}: ` +
      `${[...waiting].join()}: ${this.#state.moves.arePaused}`;
    if (seen === this.#settled) return;
    const moves = planMoves({
      ...{ state: this.#state, nodes, waiting },
      movesMax: this.#state.departures.isEmpty ? PLACEMENT_MOVES_AT_ONCE : DEPARTURE_MOVES_AT_ONCE,
    });
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

  /**
   * Retires the replicas that no configuration names: those of partitions that no placement names, of
   * ended moves or never placed; and of group 0 second ones, for joins of one node that crossed, and those
   * of removed nodes.
   */
  async #retire(): Promise<void> {
    const { replicas, placement, members } = this.#state;
    const configured = new Set(this.#systemMembers.map(({ id }) => id));
    const unplaced: number[] = [];
    for (const assigned of replicas.all) {
      const { groupId, nodeId, replica } = assigned;
      const isOver = groupId === SYSTEM_GROUP
        ? !configured.has(replica) &&
          (replica !== systemReplicaOf(this.#state, nodeId) || !members.has(nodeId))
        : !placement.isPlaced(assigned);
      if (isOver && unplaced.length < REPLICAS_ASSIGNED_MAX) unplaced.push(replica);
    }
    if (unplaced.length > 0) {
      await this.#commands.propose(encodeRetireReplicas(this.#commands.header(), unplaced));
    }
  }

  /** Assigns the new replica ids of each move. */
  async #assign(moves: readonly PlannedMove[]): Promise<number[][]> {
    const places = moves.flatMap(({ placement: { partition }, joining }) => {
      const groupId: GroupId = groupOfPartition(placeId(partition));
      return joining.map((nodeId) => ({ groupId, nodeId }));
    });
    if (places.length === 0) return moves.map(() => []);
    const { assigned } = await this.#commands.propose(
      encodeAssignReplicas(this.#commands.header(), places),
    );
    let next = assigned ?? FOUNDER_REPLICA;
    return moves.map(({ joining }) => joining.map(() => next++));
  }

  async #put(steps: readonly PlacementStep[]): Promise<void> {
    const header = this.#commands.header();
    const results = await Promise.allSettled(
      steps.map((step) => this.#commands.propose(encodePutPlacement(header, step))),
    );
    const failed = results.find((result) => result.status === "rejected");
    // A step that was overtaken is no failure: the placement is newer than the step.
    if (failed !== undefined && !isOvertaken(failed.reason)) throw failed.reason;
  }
}

function isOvertaken(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "incarnation_mismatch";
}
