/**
 * The decisions of one seed about a cluster that grows: how many nodes join and when, how machines, links
 * and disks are, and which faults come. Each seed leaves most kinds of faults out.
 */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { CLOCK_DRIFT_PPM } from "../../../src/base/limits.ts";
import type { MachineClock } from "../machine.ts";
import { CALM_NETWORK, type NetworkSettings } from "../network.ts";
import type { OwnerPlan, RightsEnd } from "./owner.ts";

/** The kinds of faults. */
export const PLACED_FAULTS = [
  "kill",
  "power_cut",
  "kill_after_claim",
  "pause",
  "suspend",
  "wall_jump",
  "drift",
  "client_stop",
  "partition",
  "one_way_cut",
  "break_session",
  "stray_step",
  "stop",
  "slow_disk",
  "pause_system_leader",
  "cut_system_leader",
  "transfer",
  "image",
  "restart_all",
] as const;

/** A kind of fault. */
export type PlacedFault = typeof PLACED_FAULTS[number];

/** Mean time between faults of a kind, ms, before the seed scales it. */
const MEAN_MS: Readonly<Record<PlacedFault, number>> = {
  kill: 2_500,
  power_cut: 2_500,
  kill_after_claim: 2_000,
  pause: 2_500,
  suspend: 4_000,
  wall_jump: 2_000,
  drift: 2_000,
  client_stop: 2_500,
  partition: 4_000,
  one_way_cut: 2_500,
  break_session: 400,
  stray_step: 300,
  stop: 4_000,
  slow_disk: 3_000,
  pause_system_leader: 2_500,
  cut_system_leader: 3_000,
  transfer: 1_000,
  image: 700,
  restart_all: 12_000,
};

/** Of so many seeds, one has an expiry guard that keeps records early. */
const TIGHT_GUARD_EVERY = 3;
/** Of so many seeds, one has agents that fall silent at once, beside those with such a guard. */
const SILENT_EVERY = 6;
/** Numbers of programs of the Maps protocol, by turns. */
const MAPS_PROGRAMS: readonly number[] = [2, 0, 0, 0, 0, 0, 0, 3];
const SILENT_AGENTS = 6;
/** The part of the seeds whose cluster loses its majority. */
const LOSES_MAJORITY = 0.25;

/** A machine that founds the cluster or joins it. */
export interface MachinePlan {
  /** Its address in the network, from 1; 1 founds. */
  readonly address: number;
  readonly zone: string;
  readonly clock: MachineClock;
  /** When it first asks to join, ms. */
  readonly joinsAtMs: number;
  /** The number it asks for; 0: the next. */
  readonly wishedNumber: number;
  /** The region of its cluster; absent: `eu`. */
  readonly region?: string;
  /** Whether it founds the cluster; absent: the first machine does. */
  readonly founds?: boolean;
}

/** The group that gets a command which no replica knows. */
export type NewerCommandGroup = "group 0" | "a partition";

/** The plan of a seed. */
export interface PlacedPlan {
  readonly seed: number;
  readonly partitionCount: number;
  readonly machines: readonly MachinePlan[];
  readonly network: NetworkSettings;
  readonly diskMs: number;
  readonly leases: boolean;
  /** By kind: the mean time between two faults, ms. */
  readonly faults: ReadonlyMap<PlacedFault, number>;
  readonly faultsMs: number;
  readonly load: LoadPlan;
  /** Whether clients watch records, and keep views of them. */
  readonly areWatched: boolean;
  /** Number of relays, each with its front; 0: none. */
  readonly relays: number;
  /** Number of programs of the Maps protocol; 0: none. */
  readonly mapsPrograms: number;
  /** Agents with identities of their own. */
  readonly owners: readonly OwnerPlan[];
  /** Mean time between two orders of operators that nodes depart or stay, ms; undefined: there are none. */
  readonly reshapesMs: number | undefined;
  /** Mean time between two orders of operators about pauses of moves, ms; undefined: there are none. */
  readonly pausesMs: number | undefined;
  /** Whether the expiry guard keeps records as soon as two owners are silent at once. */
  readonly isGuardTight: boolean;
  /** Number of agents that fall silent at once. */
  readonly silentAgents: number;
  /** The group that gets a command which no replica knows, at the end of the run. */
  readonly newerCommand: NewerCommandGroup | undefined;
  /** Whether the cluster loses its majority at the end of the run, and one machine is recovered alone. */
  readonly losesMajority: boolean;
}

/** A client's machine. */
export interface ClientPlan {
  readonly clock: MachineClock;
  /** The zone that it is in; "" for none. */
  readonly zone: string;
}

/** Actions of clients. */
export interface LoadPlan {
  readonly clients: readonly ClientPlan[];
  readonly agents: number;
  readonly domains: number;
  /** Mean time between an answer and a client's next call, ms. */
  readonly thinkMs: number;
  readonly timeoutMs: number;
  /** The lease of the agents that clients keep alive, ms. */
  readonly keptTtlMs: number;
  /** The part of the reads that accept some age. */
  readonly bounded: number;
}

/** Returns the plan of a seed. */
export function placedPlanOf(seed: number): PlacedPlan {
  const draw = new SeededEntropy(seed ^ 0x97ace);
  const unit = () => draw.unit();
  const of = <T>(items: readonly T[]): T => items[Math.floor(unit() * items.length)]!;
  const count = of([3, 3, 4, 5, 5, 6]);
  const hasZones = unit() < 0.4;
  const zones = of([1, 2, 3]);
  const isHasty = unit() < 0.4;
  const rate = () => 1 + (2 * unit() - 1) * CLOCK_DRIFT_PPM / 1_000_000;
  const clockOf = (): MachineClock => ({
    rate: rate(),
    wallRate: rate(),
    wallOffsetMs: Math.floor((unit() - 0.5) * 10_000),
  });
  const wishes = unit() < 0.2;
  const machines = Array.from({ length: count }, (_, at): MachinePlan => ({
    address: at + 1,
    zone: hasZones ? "abc"[Math.floor(at / Math.ceil(count / zones))]! : "",
    clock: clockOf(),
    joinsAtMs: at === 0 ? 0 : isHasty ? 300 + 200 * unit() : 500 + at * 2_000 * unit(),
    wishedNumber: wishes && at > 0 ? 2 + Math.floor(unit() * count) : 0,
  }));
  const share = of([0, 0.15, 0.3, 0.5, 0.8]);
  const faults = new Map<PlacedFault, number>();
  for (const kind of PLACED_FAULTS) {
    const isOn = unit() < share;
    const meanMs = MEAN_MS[kind] * (0.5 + 2 * unit()) * (1 + share);
    if (isOn) faults.set(kind, meanMs);
  }
  const isRough = unit() < 0.4;
  const plan = {
    seed,
    partitionCount: of([1, 2, 4, 4, 8]),
    machines,
    network: isRough
      ? {
        delayMs: 0.2 + 5 * unit(),
        jitterMs: 5 * unit(),
        loss: unit() < 0.5 ? 0 : 0.1 * unit(),
        doubled: unit() < 0.5 ? 0 : 0.05,
        reorders: unit() < 0.5,
      }
      : CALM_NETWORK,
    diskMs: of([0.2, 1, 5]),
    leases: unit() < 0.8,
    faults,
    faultsMs: 6_000 + 6_000 * unit(),
    load: {
      clients: Array.from({ length: of([2, 3, 4]) }, () => clockOf()),
      agents: of([4, 8, 12]),
      domains: of([2, 4, 6]),
      thinkMs: of([30, 60, 120]),
      timeoutMs: of([1_000, 2_000, 5_000]),
      keptTtlMs: of([5_000, 6_000, 8_000]),
    },
    // Not drawn, as seeds were known before there was a guard.
    isGuardTight: seed % TIGHT_GUARD_EVERY === 0,
    silentAgents: seed % TIGHT_GUARD_EVERY === 0 || seed % SILENT_EVERY === 1 ? SILENT_AGENTS : 0,
    // Drawn apart, as seeds were known before there were watches.
    areWatched: new SeededEntropy(seed ^ 0x3a7c4).unit() < 0.5,
    reshapesMs: reshapesMsOf(new SeededEntropy(seed ^ 0x0dd5a)),
    pausesMs: pausesMsOf(new SeededEntropy(seed ^ 0x0f05e)),
    relays: relaysOf(new SeededEntropy(seed ^ 0x7e1a4)),
    // Not drawn, as seeds were known before these programs were.
    mapsPrograms: MAPS_PROGRAMS[seed % MAPS_PROGRAMS.length]!,
  };
  const hasNewerCommand = unit() < 0.1;
  const zoneOf = () => hasZones ? of(["", "a", "b"]) : "";
  const clients = plan.load.clients.map((clock): ClientPlan => ({ clock, zone: zoneOf() }));
  const bounded = of([0.1, 0.3, 0.6]);
  const newerCommand = of(["group 0", "a partition"] as const);
  return {
    ...plan,
    load: { ...plan.load, clients, bounded },
    newerCommand: hasNewerCommand ? newerCommand : undefined,
    // Drawn apart, as seeds were known before clusters were recovered.
    losesMajority: !hasNewerCommand && new SeededEntropy(seed ^ 0x105e5).unit() < LOSES_MAJORITY,
    owners: unit() < 0.4 ? Array.from({ length: of([2, 3, 4]) }, () => ownerOf(plan, draw)) : [],
  };
}

/** Draws how often operators let nodes depart; drawn apart, as seeds were known before they could. */
function reshapesMsOf(draw: SeededEntropy): number | undefined {
  return draw.unit() < 0.4 ? 500 + 3_000 * draw.unit() : undefined;
}

/** Draws how often operators pause moves, or let them go on, apart like these. */
function pausesMsOf(draw: SeededEntropy): number | undefined {
  return draw.unit() < 0.25 ? 500 + 2_000 * draw.unit() : undefined;
}

/** Draws the number of relays, apart like these. */
function relaysOf(draw: SeededEntropy): number {
  return draw.unit() < 0.35 ? 2 + draw.uint32() % 2 : 0;
}

function ownerOf(
  { faults, faultsMs }: Pick<PlacedPlan, "faults" | "faultsMs">,
  draw: SeededEntropy,
): OwnerPlan {
  const ends: RightsEnd[] = ["ban_subject", "ban_lineage", "ban_token", "stolen", "never"];
  // A token ends by the wall clocks of nodes.
  if (!faults.has("wall_jump")) ends.push("token_ends", "token_ends");
  const end = ends[Math.floor(draw.unit() * ends.length)]!;
  const needsToken = end === "ban_token" || end === "token_ends";
  return {
    end,
    // By the clock that is most ahead a token ends seconds earlier, and must have been used by then.
    endsAtMs: end === "token_ends" ? 7_000 + 3_000 * draw.unit() : 2_000 + faultsMs * draw.unit(),
    hasToken: draw.unit() < 0.4 || needsToken,
    ttlMs: draw.unit() < 0.5 ? 6_000 : 120_000,
  };
}
