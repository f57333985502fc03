/**
 * Departures of nodes as operators ask for them, at the leader of group 0: each is logged and audited there,
 * and carried out by the planner (src/replication/placement/departures.ts).
 */
import {
  type DepartRequest,
  DEPARTURE_GOAL_NAMES,
  DEPARTURE_GOALS,
  type DeparturesReply,
  type DepartureStatus,
} from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { REPLICAS } from "../ring/placement.ts";
import {
  DEPARTURES_APPLY_VERSION,
  encodeEndDeparture,
  encodePutDeparture,
} from "../system/departures/departure_codec.ts";
import type { Departure } from "../system/departures/departure_state.ts";
import { checkVersion, type IdentityGroup, invalid } from "./identities/identity_group.ts";

/** The dependencies of {@link DepartureAdministration}. */
export interface DepartureAdministrationParts {
  readonly group: IdentityGroup;
  /** Reports whether another node can be reached; this node itself counts. */
  readonly isConnected: (node: number) => boolean;
  /** Returns the nodes that vote in group 0. */
  readonly systemVoters: () => readonly number[];
  /** Returns the group time of group 0, ms. */
  readonly timeMs: () => number;
}

/** Begins, ends and lists departures. */
export class DepartureAdministration {
  readonly #parts: DepartureAdministrationParts;

  constructor(parts: DepartureAdministrationParts) {
    this.#parts = parts;
  }

  /**
   * Begins the departure of a node, or gives it another goal. One that is under way towards the goal goes on.
   *
   * @throws RegistryError `not_found` for no member; `invalid_argument` if too few nodes would stay, or for a
   * successor that cannot be one; `overloaded` while a node runs a program that knows no departures;
   * `not_leader`.
   */
  async begin(
    { nodeId, goal: number, successor, isFewerAllowed }: DepartRequest,
    { subject: detail, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<DeparturesReply> {
    const { group } = this.#parts;
    if (DEPARTURE_GOAL_NAMES[number] === undefined) throw invalid("goal", "be drained or removed");
    await this.#current();
    const { departures } = group.store.state;
    const before = departures.of(nodeId);
    const isSame = before !== undefined && !before.isAutomatic &&
      DEPARTURE_GOALS[before.goal] === number && before.successor === successor;
    if (isSame) return this.#reply();
    if (!isFewerAllowed) this.#checkReachable(nodeId, successor);
    const put = {
      ...{ nodeId, goal: number, successor, isFewerAllowed, isAutomatic: false, detail },
      replacedRevision: before?.revision ?? 0,
    };
    await group.proposeAtLeader((from) => encodePutDeparture(from, put), lineage, deadlineMs);
    return this.#reply();
  }

  /**
   * Ends the departure of a node, which may then hold partitions again.
   *
   * @throws RegistryError `not_found` if it is not departing, or removed already; `not_leader`.
   */
  async end(
    nodeId: number,
    { subject: detail, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<DeparturesReply> {
    const { group } = this.#parts;
    await this.#current();
    const { departures, members } = group.store.state;
    if (!members.has(nodeId)) {
      const message = `Node ${nodeId} is not a member: one that was removed already cannot stay`;
      throw new RegistryError("not_found", message);
    }
    const departure = departures.of(nodeId);
    if (departure === undefined) {
      throw new RegistryError("not_found", `Node ${nodeId} is not departing`);
    }
    const { revision } = departure;
    await group.proposeAtLeader(
      (from) => encodeEndDeparture(from, { nodeId, revision, detail }),
      lineage,
      deadlineMs,
    );
    return this.#reply();
  }

  /** Returns the departures. @throws RegistryError `not_leader`. */
  async list(): Promise<DeparturesReply> {
    await this.#parts.group.currentAtLeader();
    return this.#reply();
  }

  /** Waits until this node, which must lead group 0, is current, and its members know departures. */
  async #current(): Promise<void> {
    const { group } = this.#parts;
    await group.currentAtLeader();
    checkVersion(group, DEPARTURES_APPLY_VERSION, "departures");
  }

  /** Keeps replicas from moving to nodes that nobody can reach, or from having nowhere to go. */
  #checkReachable(nodeId: number, successor: number): void {
    const { group: { store: { state } }, isConnected } = this.#parts;
    const staying = state.members.all.filter((member) =>
      member.nodeId !== nodeId && isConnected(member.nodeId) &&
      (member.nodeId === successor || !state.departures.has(member.nodeId))
    );
    if (staying.length >= REPLICAS) return;
    throw new RegistryError(
      "invalid_argument",
      `At least ${REPLICAS} nodes that can be reached must stay, or partitions have fewer replicas: ` +
        `without node ${nodeId} there are ${staying.length}. Add a node first, or allow fewer replicas`,
      { field: "isFewerAllowed" },
    );
  }

  #reply(): DeparturesReply {
    const { group, systemVoters } = this.#parts;
    const voters = systemVoters();
    const { departures } = group.store.state;
    return { departures: departures.all.map((departure) => this.#statusOf(departure, voters)) };
  }

  #statusOf(departure: Departure, voters: readonly number[]): DepartureStatus {
    const { group: { store: { state } }, timeMs } = this.#parts;
    const { nodeId, successor, goal, isAutomatic, hasHandedOver, heldAtFirst } = departure;
    return {
      ...{ nodeId, successor, isAutomatic, hasHandedOver, heldAtFirst },
      goal: DEPARTURE_GOALS[goal],
      isVoter: voters.includes(nodeId),
      isMember: state.members.has(nodeId),
      holds: state.departures.heldBy(nodeId),
      elapsedMs: Math.max(0, Math.floor(timeMs()) - departure.beganMs),
    };
  }
}
