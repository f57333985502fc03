/**
 * Leaderships as operators move them, and the plan as they ask for it, at the leader of group 0. Replicas move
 * by themselves (src/replication/placement): what is asked for here is how, and how much is left.
 */
import type {
  PauseMovesRequest,
  PlannedMove,
  RebalanceReply,
  RebalanceRequest,
  TransferLeaderRequest,
} from "../../schemas/gen/wire.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import {
  encodeForgetLeaders,
  encodePreferLeader,
  LEADERS_APPLY_VERSION,
} from "../system/leaders/leader_codec.ts";
import { encodePauseMoves } from "../system/moves/move_codec.ts";
import { PAUSED_MOVES_APPLY_VERSION } from "../system/versions/features.ts";
import { checkVersion, type IdentityGroup, invalid } from "./identities/identity_group.ts";

/** The dependencies of {@link Rebalancing}. */
export interface RebalancingParts {
  readonly group: IdentityGroup;
  /** Returns the nodes that hold a partition, as group 0 says. */
  readonly nodesOf: (partition: number) => readonly number[];
  /** Returns the moves of replicas that are pending, those in progress first. */
  readonly moves: () => readonly PlannedMove[];
}

/** Moves leaderships, and tells the plan. */
export class Rebalancing {
  readonly #parts: RebalancingParts;

  constructor(parts: RebalancingParts) {
    this.#parts = parts;
  }

  /**
   * Makes a node the leader of a partition, as long as it can be. The present leader hands over as soon as the
   * node has the whole log.
   *
   * @throws RegistryError `invalid_argument` if there is no such partition, or the node holds no replica of it
   * or is departing; `overloaded` while a node runs a program that knows no chosen leaders; `not_leader`.
   */
  async transfer(
    { partition, nodeId }: TransferLeaderRequest,
    { subject: detail, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    const { group, nodesOf } = this.#parts;
    await this.#current();
    const { state, genesis } = group.store;
    const partitionCount = genesis?.partitionCount ?? 0;
    if (partition >= partitionCount) throw invalid("partition", `be in [0, ${partitionCount})`);
    const holders = nodesOf(partition).filter((node) => !state.departures.has(node));
    if (!holders.includes(nodeId)) {
      throw invalid(
        "nodeId",
        `hold a replica of partition ${partition}, as nodes ${holders.join(", ")} do`,
      );
    }
    const body = { partition, nodeId, detail };
    await group.proposeAtLeader((from) => encodePreferLeader(from, body), lineage, deadlineMs);
  }

  /**
   * Ends all choices of leaders, so that leaderships are spread evenly again, and tells the moves of replicas
   * that are pending. A dry run changes nothing.
   *
   * @throws RegistryError `overloaded` as {@link transfer}; `not_leader`.
   */
  async rebalance(
    { isDryRun }: RebalanceRequest,
    { subject: detail, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<RebalanceReply> {
    const { group } = this.#parts;
    await this.#current();
    const chosenLeaders = group.store.state.leaders.count;
    if (!isDryRun && chosenLeaders > 0) {
      await group.proposeAtLeader(
        (from) => encodeForgetLeaders(from, { detail }),
        lineage,
        deadlineMs,
      );
    }
    return this.#reply(chosenLeaders);
  }

  /**
   * Pauses the moves that spread replicas over nodes, or lets them go on, and tells those that are pending.
   * What is being copied ends; replicas that are missing, or whose nodes depart, move nevertheless.
   *
   * @throws RegistryError `overloaded` while a node runs a program that knows no pauses; `not_leader`.
   */
  async pauseMoves(
    { arePaused }: PauseMovesRequest,
    { subject: detail, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<RebalanceReply> {
    const { group } = this.#parts;
    await this.#current();
    checkVersion(group, PAUSED_MOVES_APPLY_VERSION, "pauses of moves");
    const body = { arePaused, detail };
    await group.proposeAtLeader((from) => encodePauseMoves(from, body), lineage, deadlineMs);
    return this.#reply(group.store.state.leaders.count);
  }

  #reply(chosenLeaders: number): RebalanceReply {
    const { group: { store: { state } }, moves } = this.#parts;
    const { arePaused } = state.moves;
    return {
      chosenLeaders,
      changing: state.placement.changing.size,
      moves: [...moves()],
      arePaused,
    };
  }

  /** Waits until this node, which must lead group 0, is current, and its members know chosen leaders. */
  async #current(): Promise<void> {
    const { group } = this.#parts;
    await group.currentAtLeader();
    checkVersion(group, LEADERS_APPLY_VERSION, "chosen leaders");
  }
}
