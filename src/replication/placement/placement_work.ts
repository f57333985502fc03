/**
 * The work that keeps a node's part of the placement up to date, on one timer: hosts what is placed here,
 * reconfigures the groups that this node leads, spreads leaderships, and at the leader of group 0 raises
 * its apply version and carries the plan out. A node without peers has little of that to do but look.
 */
import { toRegistryError } from "../../base/errors.ts";
import { GOVERNED_PLACE, type NodeId } from "../../base/ids.ts";
import {
  LEADER_BALANCE_MS,
  PLACEMENT_ALONE_MS,
  PLACEMENT_CALM_MS,
  PLACEMENT_LOOK_MS,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { Timer, World } from "../../base/world.ts";
import { GOVERNED_APPLY_VERSION } from "../../system/versions/features.ts";
import type { ClusterGroups } from "../assembly/cluster_groups.ts";
import { LeaderBalance } from "./leader_balance.ts";
import type { PlacementReport } from "./plan.ts";
import { PlacementRunner, type PlacementRunnerOptions } from "./placement_runner.ts";
import { Reconfigurer } from "./reconfigurer.ts";
import { ReplicaHost, type ReplicaHostOptions } from "./replica_host.ts";
import { VersionRaiser } from "./version_raiser.ts";

/** The dependencies of the work. */
export interface PlacementWorkOptions {
  readonly groups: ClusterGroups;
  readonly self: NodeId;
  readonly world: World;
  readonly logger: Logger;
  readonly onPlace: ReplicaHostOptions["onPlace"];
  /** Reports what was done to the node that leads group 0. */
  readonly report: (node: NodeId, done: PlacementReport) => Promise<void>;
  /** Reports whether there is a session with another node. */
  readonly isConnected: (node: number) => boolean;
  /** Bans the identity of a node that was removed; absent if nodes have none. */
  readonly ban?: PlacementRunnerOptions["ban"];
  /** Reports whether another node can lead now: there is a session with it, and its log takes writes. */
  readonly mayLead: (node: number) => boolean;
}

/** A node's part of the placement. */
export class PlacementWork {
  readonly runner: PlacementRunner;
  readonly balance: LeaderBalance;
  readonly #options: PlacementWorkOptions;
  readonly #host: ReplicaHost;
  readonly #reconfigurer: Reconfigurer;
  readonly #versions: VersionRaiser;
  #timer: Timer | undefined;
  #isStopped = false;
  /** Whether group 0 is being told that this node has handed everything over. */
  #isTelling = false;
  #balancedAtMs = 0;
  #seenRing = -1;

  constructor(options: PlacementWorkOptions) {
    const { groups, self, world, logger, mayLead, isConnected, ban } = options;
    this.#options = options;
    this.runner = new PlacementRunner({
      ...{ groups, wall: world.wall, monotonic: world.monotonic, logger },
      isConnected: (node) => node === self || isConnected(node),
      ...(ban === undefined ? {} : { ban }),
    });
    this.#host = new ReplicaHost(options);
    this.#reconfigurer = new Reconfigurer({
      groups,
      logger,
      report: (changes) => this.#report({ changes, handedOver: 0 }),
    });
    this.#versions = new VersionRaiser({ system: groups.system, wall: world.wall, logger });
    this.balance = new LeaderBalance({
      groups,
      self,
      monotonic: world.monotonic,
      mayLead: (node) => (node === self || mayLead(node)) && !this.#isDeparting(node),
    });
  }

  /** Starts the timer. */
  start(): void {
    this.#look();
  }

  /** Looks now: a node has joined. */
  hurry(): void {
    this.#timer?.cancel();
    this.#look();
  }

  /** Stops the timer. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    if (this.#isStopped) return;
    const { scheduler, monotonic } = this.#options.world;
    void this.#versions.run();
    const isAlone = this.#options.groups.system.store.state.members.count < 2;
    this.#host.run();
    if (!isAlone) this.#reconfigurer.run();
    void this.runner.run();
    if (!isAlone) {
      const nowMs = monotonic.nowMs();
      if (nowMs - this.#balancedAtMs >= LEADER_BALANCE_MS) {
        this.#balancedAtMs = nowMs;
        this.balance.run();
      }
      void this.#tellHandedOver();
    }
    // What was done above may have looked again, or stopped this.
    this.#timer?.cancel();
    if (this.#isStopped) return;
    this.#timer = scheduler.after(this.#pauseMs(), () => this.#look());
  }

  /** Whether the governed plane is hosted if it belongs here, or cannot be placed yet. */
  get #isPlaneSettled(): boolean {
    const { groups, self } = this.#options;
    const { members, versions, placement } = groups.system.store.state;
    if (placement.of(GOVERNED_PLACE) !== undefined) {
      return !groups.nodesOf(GOVERNED_PLACE).includes(self) || groups.plane !== undefined;
    }
    // The version rises first.
    return members.applyVersionMax < GOVERNED_APPLY_VERSION &&
      versions.applyVersion < GOVERNED_APPLY_VERSION;
  }

  /** Returns the time until the next look: short while something moves, long for a node alone. */
  #pauseMs(): number {
    const { ringNumber, state } = this.#options.groups.system.store;
    const isCalm = ringNumber === this.#seenRing && state.placement.changing.size === 0;
    this.#seenRing = ringNumber;
    if (!this.#isPlaneSettled) return PLACEMENT_LOOK_MS;
    if (state.members.count < 2) return PLACEMENT_ALONE_MS;
    return isCalm ? PLACEMENT_CALM_MS : PLACEMENT_LOOK_MS;
  }

  #isDeparting(node: number): boolean {
    return this.#options.groups.system.store.state.departures.has(node);
  }

  /** Tells group 0 once this node, which is to depart, leads nothing any more. Never rejects. */
  async #tellHandedOver(): Promise<void> {
    const { groups, self, logger } = this.#options;
    const departure = groups.system.store.state.departures.of(self);
    if (departure === undefined || departure.hasHandedOver || this.#isTelling) return;
    const plane = groups.plane === undefined ? [] : [groups.plane];
    const hosted = [groups.system, ...plane, ...groups.partitions];
    if (hosted.some(({ group }) => group.isLeading)) return;
    this.#isTelling = true;
    try {
      await this.#report({ changes: [], handedOver: departure.revision });
    } catch (error) {
      // The next look repeats it.
      const { code } = toRegistryError(error);
      logger.debug("Group 0 was not told yet that everything was handed over", { code });
    } finally {
      this.#isTelling = false;
    }
  }

  async #report(done: PlacementReport): Promise<void> {
    const { groups, self, report } = this.#options;
    const leader = groups.system.group.status().leader as NodeId;
    if (leader === self) await this.runner.reported(done, self);
    else await report(leader, done);
  }
}
