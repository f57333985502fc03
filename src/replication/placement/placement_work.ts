/**
 * The work that keeps a node's part of the placement up to date, on one timer: hosts what is placed here,
 * reconfigures the groups that this node leads, spreads leaderships, and at the leader of group 0 raises
 * its apply version and carries the plan out. A node without peers has little of that to do but look.
 */
import { GOVERNED_PLACE, type NodeId } from "../../base/ids.ts";
import {
  LEADER_BALANCE_MS,
  PLACEMENT_ALONE_MS,
  PLACEMENT_CALM_MS,
  PLACEMENT_LOOK_MS,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { Timer, World } from "../../base/world.ts";
import { GOVERNED_APPLY_VERSION } from "../../system/versions/version_state.ts";
import type { ClusterGroups } from "../assembly/cluster_groups.ts";
import { LeaderBalance } from "./leader_balance.ts";
import type { MadeChange } from "./plan.ts";
import { PlacementRunner } from "./placement_runner.ts";
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
  /** Reports changes that were made to the node that leads group 0. */
  readonly report: (node: NodeId, made: readonly MadeChange[]) => Promise<void>;
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
  #balancedAtMs = 0;
  #seenRing = -1;

  constructor(options: PlacementWorkOptions) {
    const { groups, self, world, logger, mayLead } = options;
    this.#options = options;
    this.runner = new PlacementRunner({ groups, wall: world.wall, logger });
    this.#host = new ReplicaHost(options);
    this.#reconfigurer = new Reconfigurer({
      groups,
      logger,
      report: (made) => this.#report(made),
    });
    this.#versions = new VersionRaiser({ system: groups.system, wall: world.wall, logger });
    this.balance = new LeaderBalance({
      groups,
      self,
      monotonic: world.monotonic,
      mayLead: (node) => node === self || mayLead(node),
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
    }
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

  async #report(made: readonly MadeChange[]): Promise<void> {
    const { groups, self, report } = this.#options;
    const leader = groups.system.group.status().leader as NodeId;
    if (leader === self) await this.runner.confirm(made, self);
    else await report(leader, made);
  }
}
