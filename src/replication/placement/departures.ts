/**
 * Carries departures on at the leader of group 0: a node hands its leaderships over first, then its replicas
 * move, and one that is to be removed is removed when nothing is left on it. A node that is silent for long
 * departs by itself until it is back, if enough others are there.
 *
 * The next step follows from group 0's state alone, and each step names the departure that it belongs to, so
 * any leader of group 0 continues after a crash, and steps may be repeated.
 */
import {
  DEPARTURE_LEADERS_MS_MAX,
  DEPARTURE_SILENT_MS,
  NODE_SILENT_MS_MAX,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { MonotonicClock } from "../../base/world.ts";
import type { MemberStatus } from "../../raft/mod.ts";
import { REPLICAS } from "../../ring/placement.ts";
import {
  DEPARTURES_APPLY_VERSION,
  encodeEndDeparture,
  encodePutDeparture,
  encodeRemoveDeparted,
} from "../../system/departures/departure_codec.ts";
import type { Departure } from "../../system/departures/departure_state.ts";
import { DEPARTURE_GOALS } from "../../../schemas/gen/wire.ts";
import type { HostedSystem } from "../assembly/cluster_groups.ts";
import { nodeOfReplica } from "../assembly/placed_here.ts";
import type { SystemCommands } from "./system_commands.ts";

/** Who asks for the departure of a node that is silent. */
const REGISTRY = "the registry itself, as the node is silent";

/** The dependencies of {@link Departures}. */
export interface DeparturesOptions {
  readonly system: HostedSystem;
  readonly commands: SystemCommands;
  readonly monotonic: MonotonicClock;
  readonly logger: Logger;
  /** Reports whether another node can be reached; this node itself counts. */
  readonly isConnected: (nodeId: number) => boolean;
  /** Bans the identity of a node that was removed, if nodes have identities. */
  readonly ban: (nodeId: number) => Promise<void>;
}

/** The departures, as the leader of group 0 carries them on. */
export class Departures {
  readonly #options: DeparturesOptions;
  /** Since when each member is silent, as this leader saw it in term `#term`, monotonic ms. */
  readonly #silentSinceMs = new Map<number, number>();
  #term = 0;

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  /** Takes the next steps of all departures. @throws RegistryError the first failure, after all were tried. */
  async run(): Promise<void> {
    this.#listen();
    const failures: unknown[] = [];
    for (const departure of this.#state.departures.all) {
      await this.#step(departure).catch((error) => failures.push(error));
    }
    await this.#replaceSilent();
    if (failures.length > 0) throw failures[0];
  }

  /** Returns the departing nodes whose replicas do not move yet, as they still lead. */
  waiting(): Set<number> {
    const { group } = this.#options.system;
    const nowMs = group.timeMs();
    const waiting = this.#state.departures.all.filter(({ nodeId, hasHandedOver, beganMs }) =>
      !hasHandedOver && !this.#isSilent(nodeId, DEPARTURE_SILENT_MS) &&
      nowMs - beganMs < DEPARTURE_LEADERS_MS_MAX
    );
    return new Set(waiting.map(({ nodeId }) => nodeId));
  }

  get #state() {
    return this.#options.system.store.state;
  }

  async #step(departure: Departure): Promise<void> {
    const { commands, logger, ban } = this.#options;
    const { nodeId, revision, goal, isAutomatic } = departure;
    if (!this.#state.members.has(nodeId)) {
      // It learns of its removal from group 0, of which it has a replica until it stops.
      if (this.#replicasOf(nodeId).length > 0) return;
      // Banned before the departure is forgotten, so that the next leader repeats it if need be.
      await ban(nodeId);
      return await this.#end(departure, REGISTRY);
    }
    if (isAutomatic && !this.#silentSinceMs.has(nodeId)) {
      logger.info("A node is back, and may hold partitions again", { node: nodeId });
      return await this.#end(departure, "the registry itself, as the node is back");
    }
    if (goal !== "removed" || !this.#hasLeft(nodeId)) return;
    await commands.propose(encodeRemoveDeparted(commands.header(), { nodeId, revision }));
    logger.info("A node was removed from the cluster", { node: nodeId });
  }

  async #end({ nodeId, revision }: Departure, detail: string): Promise<void> {
    const { commands } = this.#options;
    await commands.propose(
      encodeEndDeparture(commands.header(), { nodeId, revision, detail }),
    );
  }

  /**
   * Reports whether a node holds nothing and votes nowhere, and has the log of group 0, from which it learns
   * what befalls it; a silent one is not waited for.
   */
  #hasLeft(nodeId: number): boolean {
    if (this.#state.departures.heldBy(nodeId) > 0) return false;
    const { group } = this.#options.system;
    if (group.configuration.votersOutgoing.length > 0) return false;
    const { committed } = group.raftStatus();
    const here = this.#replicasOf(nodeId);
    if (here.some(({ isLearner }) => !isLearner)) return false;
    return this.#isSilent(nodeId, DEPARTURE_SILENT_MS) ||
      here.every(({ match }) => match >= committed);
  }

  /** Returns the members of group 0's configuration that are on a node. */
  #replicasOf(nodeId: number): MemberStatus[] {
    const { members } = this.#options.system.group.raftStatus();
    return members.filter(({ id }) => nodeOfReplica(this.#state, id) === nodeId);
  }

  /** Notes which members are silent. Those of an earlier term are forgotten, as nobody listened since. */
  #listen(): void {
    const { isConnected, monotonic, system } = this.#options;
    const nowMs = monotonic.nowMs();
    const { term } = system.group.raftStatus();
    if (term !== this.#term) this.#silentSinceMs.clear();
    this.#term = term;
    const { members } = this.#state;
    for (const { nodeId } of members.all) {
      if (isConnected(nodeId)) this.#silentSinceMs.delete(nodeId);
      else if (!this.#silentSinceMs.has(nodeId)) this.#silentSinceMs.set(nodeId, nowMs);
    }
    for (const nodeId of this.#silentSinceMs.keys()) {
      if (!members.has(nodeId)) this.#silentSinceMs.delete(nodeId);
    }
  }

  #isSilent(nodeId: number, forMs: number): boolean {
    const sinceMs = this.#silentSinceMs.get(nodeId);
    return sinceMs !== undefined && this.#options.monotonic.nowMs() - sinceMs >= forMs;
  }

  /** Lets a node depart that is silent for long, if as many as a partition has replicas are heard of. */
  async #replaceSilent(): Promise<void> {
    const { commands, logger } = this.#options;
    const { members, departures, versions } = this.#state;
    if (versions.applyVersion < DEPARTURES_APPLY_VERSION) return;
    const staying = members.all.filter(({ nodeId }) => !departures.has(nodeId));
    const heard = staying.filter(({ nodeId }) => !this.#silentSinceMs.has(nodeId));
    if (heard.length < REPLICAS) return;
    const silent = staying.find(({ nodeId }) => this.#isSilent(nodeId, NODE_SILENT_MS_MAX));
    if (silent === undefined) return;
    const { nodeId } = silent;
    await commands.propose(encodePutDeparture(commands.header(), {
      ...{ nodeId, successor: 0, replacedRevision: 0, goal: DEPARTURE_GOALS.drained },
      ...{ isFewerAllowed: false, isAutomatic: true, detail: REGISTRY },
    }));
    logger.warn("A node is silent for long: what it holds moves to others", { node: nodeId });
  }
}
