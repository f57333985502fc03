/**
 * One seed's plan: the number of nodes and groups, the properties of the network and the clocks,
 * the kinds and rates of faults, and the behaviour of clients. All of it is drawn before the run
 * begins.
 *
 * Swarm style (Groce et al., "Swarm Testing", ISSTA 2012): each seed leaves some faults out
 * altogether, because a cluster that suffers everything at once hides what a few faults bring to
 * light.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import { CLOCK_DRIFT_PPM, STALL_MS, TURN_LATE_MS } from "../../src/base/limits.ts";
import { LIVENESS_TIMING, type LivenessTiming } from "../../src/liveness/timing.ts";
import type { OutageTiming } from "../../src/replication/available_time.ts";
import type { GroupSettings } from "../../src/replication/group_set.ts";
import type { NetworkSettings } from "./network.ts";

/** The kinds of faults. A seed may leave out each of them separately. */
export const FAULT_KINDS = [
  /** A program is killed; its writes stay in the page cache. */
  "kill",
  /** The power fails: any part of the unsynced data survives. */
  "power_cut",
  /** A program stands still, and its clocks advance. */
  "pause",
  /** A machine stands still; only its wall clock advances. */
  "suspend",
  /**
   * A machine stands still with both clocks, unnoticed, as a virtual one may; only where leases are
   * off.
   */
  "freeze",
  /** A wall clock is set. */
  "wall_jump",
  /** Nodes are partitioned into two parts. */
  "partition",
  /** One direction between two nodes is cut. */
  "one_way_cut",
  /** One node receives nothing, or nothing that it sends is received. */
  "deaf",
  /** One direction holds everything back, and then all of it arrives at once. */
  "clog",
  /** The network is slow for a while. */
  "slow_network",
  /** Syncs take long for a while. */
  "slow_disk",
  /** A sync does not return for a while. */
  "stuck_disk",
  /** A sync fails. */
  "failed_sync",
  /** A write fails. */
  "failed_write",
  /** A disk is full for a while. */
  "full_disk",
  /** A bit on a disk flips while its node is down. */
  "bit_flip",
  /** Leadership is transferred. */
  "transfer",
  /** Replicas are added and removed. */
  "membership",
  /** A replica writes an image and forgets the log below it. */
  "image",
  /**
   * Nothing that a leader sends is received, and everything sent to it arrives late, all at once.
   */
  "late_answers",
  /** A program stands still for longer than some leases last, and its clocks advance. */
  "long_pause",
  /** A write does not return for a while. */
  "stuck_write",
  /** A disk is full for longer than some leases last. */
  "long_full_disk",
] as const;

export type FaultKind = typeof FAULT_KINDS[number];

/**
 * Mean time between two faults of a kind in a seed that has it, ms, before the seed's own factor.
 */
const MEAN_MS: Readonly<Record<FaultKind, number>> = {
  kill: 2_500,
  power_cut: 2_500,
  pause: 2_500,
  suspend: 4_000,
  freeze: 4_000,
  wall_jump: 4_000,
  partition: 3_000,
  one_way_cut: 2_500,
  deaf: 4_000,
  clog: 3_000,
  slow_network: 4_000,
  slow_disk: 3_000,
  stuck_disk: 5_000,
  failed_sync: 6_000,
  failed_write: 5_000,
  full_disk: 5_000,
  bit_flip: 6_000,
  transfer: 1_200,
  membership: 700,
  image: 500,
  late_answers: 4_000,
  long_pause: 6_000,
  stuck_write: 5_000,
  long_full_disk: 6_000,
};

/** One seed in this many may have outages that are longer than leases, and clients to match. */
const SEEDS_PER_OUTAGES = 13;
/** Kinds that are drawn separately: the salt, the share of seeds, and one seed in how many. */
const DRAWN_APART: ReadonlyMap<FaultKind, readonly [number, number, number]> = new Map([
  ["late_answers", [0x1a7e, 0.25, 1]],
  ["long_pause", [0x10a5, 0.5, SEEDS_PER_OUTAGES]],
  ["stuck_write", [0x57c4, 0.5, SEEDS_PER_OUTAGES]],
  ["long_full_disk", [0xf011, 0.5, SEEDS_PER_OUTAGES]],
]);

/** Kinds that occur in a cluster without faults; most seeds have them. */
const PEACEFUL: ReadonlySet<FaultKind> = new Set(["transfer", "membership", "image"]);

/**
 * Timing of the detection of outages. Graces are as short as the clients here need, whose back-offs
 * are short too: runs are short, and the credit lasts for ten graces.
 */
export const SIM_OUTAGES: OutageTiming = {
  pulseMs: 100,
  turnLateMs: TURN_LATE_MS,
  stallMs: STALL_MS,
  graceMsMin: 500,
  graceMsMax: 3_000,
  graceCreditMs: 30_000,
};

/** With more kinds than this, each occurs less often. */
const KINDS_AT_FULL_RATE = 4;

/** A group and the places of its first replicas. */
export interface GroupPlan {
  readonly group: number;
  readonly nodes: readonly number[];
}

/** The behaviour of clients. */
export interface LoadPlan {
  readonly clients: number;
  /** Keys per group with a lease longer than the run, and with one that may end in it. */
  readonly longKeys: number;
  readonly shortKeys: number;
  /** Mean time between a client's reply and its next operation, ms. */
  readonly thinkMs: number;
  /** Owners of short leases renew them only when these are about to end. */
  readonly isLastMinute: boolean;
  /** Clients wait twice as long before each further attempt, as real clients do. */
  readonly isPatient: boolean;
}

/** The properties of the disks. */
export interface DiskPlan {
  readonly delayMs: number;
  readonly jitterMs: number;
  /** False: a disk accepts writes and syncs after a failed sync, as a bare kernel does. */
  readonly poisons: boolean;
}

/** A seed's plan. */
export interface Plan {
  readonly seed: number;
  readonly nodeCount: number;
  readonly groups: readonly GroupPlan[];
  /** False: groups confirm each read with a quorum. */
  readonly leases: boolean;
  /** No clock is off by more than this many parts per million. */
  readonly driftPpm: number;
  readonly network: NetworkSettings;
  /** Minimum time of a write or a sync of the disk, ms, and the mean of the additional time. */
  readonly disk: DiskPlan;
  /** Mean time between two faults of each kind, ms; absent kinds do not occur. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** Length of the safety phase, true ms. */
  readonly safetyMs: number;
  readonly load: LoadPlan;
  /** Mean time between two reads with a bound on their age, ms; undefined: there are none. */
  readonly boundedReadMs: number | undefined;
  /** The run goes on until all short leases have ended. */
  readonly outlivesLeases: boolean;
  /** Settings of the groups that differ from production. */
  readonly raft: GroupSettings;
}

/** Simulated time of the safety phase, ms. */
const SAFETY_MS = 10_000;

class Draw {
  readonly entropy: SeededEntropy;

  constructor(seed: number) {
    this.entropy = new SeededEntropy(seed);
  }

  /** Returns true with this probability. */
  chance(part: number): boolean {
    return this.entropy.unit() < part;
  }

  /** Returns one of these. */
  of<T>(...choices: readonly T[]): T {
    return choices[Math.floor(this.entropy.unit() * choices.length)]!;
  }

  /** Returns an integer in `[lo, hi]`. */
  int(lo: number, hi: number): number {
    return lo + Math.floor(this.entropy.unit() * (hi - lo + 1));
  }

  /** Returns a number in `[lo, hi)` with a logarithmic distribution. */
  scale(lo: number, hi: number): number {
    return lo * (hi / lo) ** this.entropy.unit();
  }

  /** Returns these in random order. */
  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    const shuffled: T[] = [];
    while (rest.length > 0) shuffled.push(...rest.splice(this.int(0, rest.length - 1), 1));
    return shuffled;
  }
}

/** Returns the plan of a seed. */
export function planOf(seed: number): Plan {
  const draw = new Draw(seed);
  const nodeCount = draw.of(1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7);
  const groups = groupsOf(draw, nodeCount);
  const clocks = clocksOf(draw);
  const isPatient = seed % SEEDS_PER_OUTAGES === 0 && apart(seed, 0xbac0).chance(0.6);
  return {
    seed,
    nodeCount,
    groups,
    leases: clocks.leases,
    driftPpm: clocks.driftPpm,
    network: networkOf(draw),
    disk: {
      delayMs: draw.scale(0.05, 2),
      jitterMs: draw.scale(0.05, 10),
      poisons: draw.chance(0.5),
    },
    faults: withDrawnApart(seed, faultsOf(draw, nodeCount, clocks.leases)),
    safetyMs: SAFETY_MS,
    boundedReadMs: boundedReadMsOf(seed),
    outlivesLeases: apart(seed, 0x0e4d).chance(1 / 16),
    raft: { ...raftOf(draw), liveness: clocks.timing, outages: SIM_OUTAGES },
    load: {
      clients: draw.int(8, 16),
      longKeys: draw.int(1, 4),
      shortKeys: draw.int(0, 4),
      thinkMs: draw.int(70, 160),
      // Outages affect patient owners of leases that are about to end most.
      isLastMinute: isPatient || apart(seed, 0x1a57).chance(0.25),
      isPatient,
    },
  };
}

/**
 * Draws the behaviour of clocks, and the assumptions about them. Where leases are on, clocks keep
 * to the drift that the leases allow for, in some seeds so much that an error in the computation
 * shows.
 */
function clocksOf(draw: Draw): { leases: boolean; driftPpm: number; timing: LivenessTiming } {
  const isDriftPast = draw.chance(0.1);
  const leases = !isDriftPast && draw.chance(0.75);
  const assumedPpm = draw.chance(0.3) ? 50_000 : CLOCK_DRIFT_PPM;
  const factor = draw.of(1, 1, 0.5, 0.25);
  const slewPpm = 2 * assumedPpm;
  const supportMs = LIVENESS_TIMING.supportMs * factor;
  const jumpMs = LIVENESS_TIMING.jumpMs * factor;
  return {
    leases,
    driftPpm: isDriftPast ? assumedPpm * draw.int(2, 4) : draw.chance(0.8) ? assumedPpm : 0,
    timing: {
      beatMs: LIVENESS_TIMING.beatMs * factor,
      supportMs,
      driftPpm: assumedPpm,
      slewPpm,
      marginMs: jumpMs + supportMs * slewPpm / 1_000_000 + 2,
      jumpMs,
      echoMsMax: LIVENESS_TIMING.echoMsMax * factor,
      turnLateMs: LIVENESS_TIMING.turnLateMs * factor,
    },
  };
}

function groupsOf(draw: Draw, nodeCount: number): GroupPlan[] {
  const nodes = Array.from({ length: nodeCount }, (_, at) => at + 1);
  const count = draw.of(1, 2, 3, 4);
  return Array.from({ length: count }, (_, at) => {
    const sizes = [1, 3, 3, 3, 5].filter((size) => size <= nodeCount);
    return { group: at + 1, nodes: draw.shuffled(nodes).slice(0, draw.of(...sizes)) };
  });
}

function networkOf(draw: Draw): NetworkSettings {
  return {
    delayMs: draw.scale(0.1, 10),
    jitterMs: draw.scale(0.05, 20),
    loss: draw.chance(0.5) ? 0 : draw.scale(0.001, 0.3),
    doubled: draw.chance(0.6) ? 0 : draw.scale(0.001, 0.1),
    reorders: draw.chance(0.5),
  };
}

/**
 * Shorter ticks bring more elections into a run; small limits reveal problems that large ones hide.
 */
function raftOf(draw: Draw): GroupSettings {
  const isTight = draw.chance(0.3);
  return {
    tickMs: draw.of(20, 50, 50, 100),
    ...(isTight
      ? {
        appendBytesMax: draw.int(200, 2_000),
        inflightMessagesMax: draw.int(1, 8),
        applyingBytesMax: draw.int(200, 2_000),
      }
      : {}),
  };
}

/** Returns a separate source, so that values drawn from it do not change the rest of a seed. */
function apart(seed: number, what: number): Draw {
  return new Draw(seed ^ what);
}

function boundedReadMsOf(seed: number): number | undefined {
  const draw = apart(seed, 0xb0d3);
  return draw.chance(0.4) ? draw.scale(4, 60) : undefined;
}

function withDrawnApart(
  seed: number,
  faults: Map<FaultKind, number>,
): Map<FaultKind, number> {
  for (const [kind, [what, share, oneIn]] of DRAWN_APART) {
    const draw = apart(seed, what);
    if (seed % oneIn === 0 && draw.chance(share)) {
      faults.set(kind, MEAN_MS[kind] * draw.scale(0.5, 2));
    }
  }
  return faults;
}

function faultsOf(draw: Draw, nodeCount: number, leases: boolean): Map<FaultKind, number> {
  // Few faults, many of them, or none at all: some problems show only without faults.
  const share = draw.of(0, 0.15, 0.3, 0.5, 0.8);
  const faults = new Map<FaultKind, number>();
  for (const kind of FAULT_KINDS) {
    if (DRAWN_APART.has(kind)) continue;
    const isOn = draw.chance(PEACEFUL.has(kind) ? 0.65 : share);
    const factor = draw.scale(0.5, 3);
    if (isOn && !(kind === "freeze" && leases)) faults.set(kind, MEAN_MS[kind] * factor);
  }
  // With more nodes, faults occur more often, and with many kinds each occurs less often: otherwise
  // no request would ever be answered.
  const kinds = [...faults.keys()].filter((kind) => !PEACEFUL.has(kind));
  const crowd = Math.max(1, kinds.length / KINDS_AT_FULL_RATE) * Math.min(1, 3 / nodeCount);
  for (const kind of kinds) faults.set(kind, faults.get(kind)! * crowd);
  return faults;
}
