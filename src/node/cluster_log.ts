/**
 * Logs changes of the cluster: members that come and go, leaderships of this node's replicas, and
 * partitions that stay without a leader. Changes are summed, so that an election of
 * thousands of groups is a line or two, and a leadership that moves all the time a line every ten
 * seconds.
 */
import {
  CLUSTER_LOG_LOOK_MS,
  CLUSTER_LOG_PAUSE_MS,
  LEADERLESS_LOOK_MS,
  PARTITIONS_LOGGED_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";

/** The state of a cluster that is worth a line when it changes. */
export interface ClusterFacts {
  /** Increases with each change of members. */
  readonly ringNumber: () => number;
  readonly members: () => readonly { readonly nodeId: number; readonly zone: string }[];
  /** Leaderships of this node's replicas that began and ended since the start. */
  readonly changes: () => { readonly won: number; readonly lost: number };
  /** The number of partitions led here. */
  readonly leading: () => number;
  /** The node that leads group 0; 0 if none is known. */
  readonly systemLeader: () => number;
  /** The partitions held here that have no known leader. */
  readonly leaderless: () => readonly number[];
  /** Members to which there is no session. */
  readonly outOfReach: () => readonly number[];
}

/** The dependencies of a {@link ClusterLog}. */
export interface ClusterLogOptions {
  readonly facts: ClusterFacts;
  readonly logger: Logger;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
}

/** Leaderships at one time: numbers since the start, and the leader of group 0. */
interface Leaderships {
  readonly won: number;
  readonly lost: number;
  readonly systemLeader: number;
}

const NO_LEADERSHIPS: Leaderships = { won: 0, lost: 0, systemLeader: 0 };

function isSame(one: Leaderships, other: Leaderships): boolean {
  return one.won === other.won && one.lost === other.lost &&
    one.systemLeader === other.systemLeader;
}

/** Logs the changes of a cluster. */
export class ClusterLog {
  readonly #options: ClusterLogOptions;
  #timer: Timer | undefined;
  #seenRing = -1;
  #members = new Map<number, string>();
  /** The leaderships as of the last look, and of the last line, and when that was written. */
  #seen = NO_LEADERSHIPS;
  #logged = NO_LEADERSHIPS;
  #loggedMs: number;
  #leaderlessLookMs = 0;
  /** Whether the last look found partitions without a leader, and whether that was logged. */
  #isLeaderless = false;
  #isLeaderlessLogged = false;

  constructor(options: ClusterLogOptions) {
    this.#options = options;
    // The first change is not held back.
    this.#loggedMs = options.clock.nowMs() - CLUSTER_LOG_PAUSE_MS;
  }

  /** Starts to look; what holds at that time is not logged as a change. */
  start(): void {
    this.#seenRing = this.#options.facts.ringNumber();
    this.#members = this.#membersNow();
    this.#lookLater();
  }

  /** Stops looking. */
  stop(): void {
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#options.scheduler.after(CLUSTER_LOG_LOOK_MS, () => {
      this.#lookAtMembers();
      this.#lookAtLeaderships();
      this.#lookForLeaderless();
      this.#lookLater();
    });
  }

  #membersNow(): Map<number, string> {
    return new Map(this.#options.facts.members().map(({ nodeId, zone }) => [nodeId, zone]));
  }

  #lookAtMembers(): void {
    const { facts, logger } = this.#options;
    const ring = facts.ringNumber();
    if (ring === this.#seenRing) return;
    this.#seenRing = ring;
    const before = this.#members;
    this.#members = this.#membersNow();
    const members = this.#members.size;
    for (const [node, zone] of this.#members) {
      if (!before.has(node)) logger.info("A node joined the cluster", { node, zone, members });
    }
    for (const node of before.keys()) {
      if (!this.#members.has(node)) logger.info("A node left the cluster", { node, members });
    }
  }

  #lookAtLeaderships(): void {
    const { facts, logger, clock } = this.#options;
    const nowMs = clock.nowMs();
    const now = { ...facts.changes(), systemLeader: facts.systemLeader() };
    const isSettled = isSame(now, this.#seen);
    this.#seen = now;
    const before = this.#logged;
    const sinceMs = nowMs - this.#loggedMs;
    if (isSame(now, before) || sinceMs < CLUSTER_LOG_PAUSE_MS) return;
    // The middle of an election is waited out, but not for ever.
    if (!isSettled && sinceMs < 2 * CLUSTER_LOG_PAUSE_MS) return;
    this.#logged = now;
    this.#loggedMs = nowMs;
    logger.info("Leaderships changed", {
      leads: facts.leading(),
      won: now.won - before.won,
      lost: now.lost - before.lost,
      group0: now.systemLeader,
      outOfReach: facts.outOfReach(),
    });
  }

  /** Logs partitions that two looks in a row found without a leader: an election takes less. */
  #lookForLeaderless(): void {
    const { facts, logger, clock } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs - this.#leaderlessLookMs < LEADERLESS_LOOK_MS) return;
    this.#leaderlessLookMs = nowMs;
    const leaderless = facts.leaderless();
    const wasLeaderless = this.#isLeaderless;
    this.#isLeaderless = leaderless.length > 0;
    if (this.#isLeaderless && wasLeaderless && !this.#isLeaderlessLogged) {
      this.#isLeaderlessLogged = true;
      logger.warn("Partitions have no leader, and are not served", {
        count: leaderless.length,
        partitions: leaderless.slice(0, PARTITIONS_LOGGED_MAX),
        outOfReach: facts.outOfReach(),
      });
    } else if (!this.#isLeaderless && this.#isLeaderlessLogged) {
      this.#isLeaderlessLogged = false;
      logger.info("All partitions of this node have a leader again");
    }
  }
}
