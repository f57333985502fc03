/**
 * One seed's plan: how many nodes and groups, how the network and the clocks are, which faults befall
 * the cluster and how often, and what clients do. All of it is drawn before the run begins.
 *
 * Swarm style (Groce et al., "Swarm Testing", ISSTA 2012): each seed leaves some faults out
 * altogether, for a cluster that suffers everything at once hides what a few faults bring to light.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import { CLOCK_DRIFT_PPM, STALL_MS, TURN_LATE_MS } from "../../src/base/limits.ts";
import { LIVENESS_TIMING, type LivenessTiming } from "../../src/liveness/timing.ts";
import type { OutageTiming } from "../../src/replication/available_time.ts";
import type { GroupSettings } from "../../src/replication/group_set.ts";
import type { NetworkSettings } from "./network.ts";

/** What may befall a cluster. Each is a kind of its own that a seed may leave out. */
export const FAULT_KINDS = [
  /** A program is killed; what it wrote stays in the page cache. */
  "kill",
  /** The power fails: of what was not synced any part survives. */
  "power_cut",
  /** A program stands still, and its clocks go on. */
  "pause",
  /** A machine stands still; its wall clock alone goes on. */
  "suspend",
  /** A machine stands still with both clocks, as a virtual one may, unseen: where leases are off. */
  "freeze",
  /** A wall clock is set. */
  "wall_jump",
  /** Nodes fall into two parts. */
  "partition",
  /** One way between two nodes is cut. */
  "one_way_cut",
  /** One node hears nobody, or is heard by nobody. */
  "deaf",
  /** One way holds everything back, and then all comes at once. */
  "clog",
  /** The network is slow for a while. */
  "slow_network",
  /** Syncs take long for a while. */
  "slow_disk",
  /** A sync does not come back for a while. */
  "stuck_disk",
  /** A sync fails. */
  "failed_sync",
  /** A write fails. */
  "failed_write",
  /** There is no room on a disk for a while. */
  "full_disk",
  /** A bit of what a disk holds turns while its node is down. */
  "bit_flip",
  /** Leadership is handed over. */
  "transfer",
  /** Replicas come and go. */
  "membership",
  /** A replica makes an image and forgets the log below it. */
  "image",
  /** A leader is heard by nobody, and what it is told comes late, all at once. */
  "late_answers",
  /** A program stands still for longer than some leases last, and its clocks go on. */
  "long_pause",
  /** A write does not come back for a while. */
  "stuck_write",
  /** There is no room on a disk for longer than some leases last. */
  "long_full_disk",
] as const;

export type FaultKind = typeof FAULT_KINDS[number];

/** Mean time between two faults of a kind where a seed has it, ms, before the seed's own factor. */
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

/** One seed in so many may have outages that last longer than leases do, and clients to match. */
const SEEDS_PER_OUTAGES = 13;
/** Kinds that are drawn apart: by what, by which share of seeds, and of one seed in how many. */
const DRAWN_APART: ReadonlyMap<FaultKind, readonly [number, number, number]> = new Map([
  ["late_answers", [0x1a7e, 0.25, 1]],
  ["long_pause", [0x10a5, 0.5, SEEDS_PER_OUTAGES]],
  ["stuck_write", [0x57c4, 0.5, SEEDS_PER_OUTAGES]],
  ["long_full_disk", [0xf011, 0.5, SEEDS_PER_OUTAGES]],
]);

/** What goes on in a cluster that nothing befalls; most seeds have it. */
const PEACEFUL: ReadonlySet<FaultKind> = new Set(["transfer", "membership", "image"]);

/**
 * How nodes notice outages. Graces are as short as the clients here need, whose back-offs are short
 * too: a run is, and the credit lasts for ten of them.
 */
export const SIM_OUTAGES: OutageTiming = {
  pulseMs: 100,
  turnLateMs: TURN_LATE_MS,
  stallMs: STALL_MS,
  graceMsMin: 500,
  graceMsMax: 3_000,
  graceCreditMs: 30_000,
};

/** With more kinds than this, each comes less often. */
const KINDS_AT_FULL_RATE = 4;

/** A group and where its first replicas are. */
export interface GroupPlan {
  readonly group: number;
  readonly nodes: readonly number[];
}

/** How clients behave. */
export interface LoadPlan {
  readonly clients: number;
  /** Keys of each group with a lease longer than the run, and with one that may end in it. */
  readonly longKeys: number;
  readonly shortKeys: number;
  /** Mean time between a client's answer and its next operation, ms. */
  readonly thinkMs: number;
  /** Part of requests that come twice. */
  readonly doubled: number;
  /** Owners of short leases come back when these are about to end. */
  readonly isLastMinute: boolean;
  /** Whoever is not answered waits twice as long before each further attempt, as real clients do. */
  readonly isPatient: boolean;
}

/** How the disks are. */
export interface DiskPlan {
  readonly delayMs: number;
  readonly jitterMs: number;
  /** False: a disk takes writes and syncs after a failed sync, as a bare kernel does. */
  readonly poisons: boolean;
}

/** A seed's plan. */
export interface Plan {
  readonly seed: number;
  readonly nodeCount: number;
  readonly groups: readonly GroupPlan[];
  /** False: groups confirm each read with a quorum. */
  readonly leases: boolean;
  /** No clock is off by more than this part in a million. */
  readonly driftPpm: number;
  readonly network: NetworkSettings;
  /** Ms that a write or a sync of the disk takes at the least, and the mean of what comes on top. */
  readonly disk: DiskPlan;
  /** Mean time between two faults of each kind, ms; a kind that is not there does not occur. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** Length of the safety phase, true ms. */
  readonly safetyMs: number;
  readonly load: LoadPlan;
  /** The run goes on until all short leases have ended. */
  readonly outlivesLeases: boolean;
  /** How groups are driven, where it is not as in production. */
  readonly raft: GroupSettings;
}

/** Simulated time of the safety phase, ms. */
const SAFETY_MS = 10_000;

class Draw {
  readonly entropy: SeededEntropy;

  constructor(seed: number) {
    this.entropy = new SeededEntropy(seed);
  }

  /** True with this probability. */
  chance(part: number): boolean {
    return this.entropy.unit() < part;
  }

  /** One of these. */
  of<T>(...choices: readonly T[]): T {
    return choices[Math.floor(this.entropy.unit() * choices.length)]!;
  }

  /** An integer in `[lo, hi]`. */
  int(lo: number, hi: number): number {
    return lo + Math.floor(this.entropy.unit() * (hi - lo + 1));
  }

  /** A number in `[lo, hi)`, small ones as likely as large ones. */
  scale(lo: number, hi: number): number {
    return lo * (hi / lo) ** this.entropy.unit();
  }

  /** These in any order. */
  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    const shuffled: T[] = [];
    while (rest.length > 0) shuffled.push(...rest.splice(this.int(0, rest.length - 1), 1));
    return shuffled;
  }
}

/** The plan of a seed. */
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
    outlivesLeases: apart(seed, 0x0e4d).chance(1 / 16),
    raft: { ...raftOf(draw), liveness: clocks.timing, outages: SIM_OUTAGES },
    load: {
      clients: draw.int(8, 16),
      longKeys: draw.int(1, 4),
      shortKeys: draw.int(0, 4),
      thinkMs: draw.int(70, 160),
      doubled: draw.chance(0.3) ? 0.05 : 0,
      // Patient owners of leases that are about to end are those whom an outage hurts.
      isLastMinute: isPatient || apart(seed, 0x1a57).chance(0.25),
      isPatient,
    },
  };
}

/**
 * What clocks do, and what is reckoned with. Where leases are on, clocks keep to the drift that the
 * leases allow for, some seeds with so much of it that a mistake in the reckoning shows.
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

/** Shorter ticks bring more elections into a run; small limits bring about what large ones hide. */
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

/** What is drawn apart does not change what else a seed has. */
function apart(seed: number, what: number): Draw {
  return new Draw(seed ^ what);
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
  // Few faults, many of them, or none at all: some seeds show what peace alone brings about.
  const share = draw.of(0, 0.15, 0.3, 0.5, 0.8);
  const faults = new Map<FaultKind, number>();
  for (const kind of FAULT_KINDS) {
    if (DRAWN_APART.has(kind)) continue;
    const isOn = draw.chance(PEACEFUL.has(kind) ? 0.65 : share);
    const factor = draw.scale(0.5, 3);
    if (isOn && !(kind === "freeze" && leases)) faults.set(kind, MEAN_MS[kind] * factor);
  }
  // More nodes suffer more, and many kinds each less often: else nothing is ever answered.
  const kinds = [...faults.keys()].filter((kind) => !PEACEFUL.has(kind));
  const crowd = Math.max(1, kinds.length / KINDS_AT_FULL_RATE) * Math.min(1, 3 / nodeCount);
  for (const kind of kinds) faults.set(kind, faults.get(kind)! * crowd);
  return faults;
}
