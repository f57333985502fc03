/** The decisions of one seed about regions that mirror each other: their sizes, links, faults and load. */
import { CLOCK_DRIFT_PPM } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { MachineClock } from "../machine.ts";
import { CALM_NETWORK, type NetworkSettings } from "../network.ts";
import type { MachinePlan } from "../placed/plan.ts";

/** The kinds of faults. */
export const REGION_FAULTS = [
  "kill",
  "kill_puller",
  "pause",
  "suspend",
  "wan_cut",
  "wan_one_way",
  "region_loss",
  "break_session",
] as const;

/** Faults after which a region is another cluster, or one of another generation. */
export const REMAKING_FAULTS = ["wipe", "recover", "restore"] as const;

/** A kind of fault. */
export type RegionFault = typeof REGION_FAULTS[number] | typeof REMAKING_FAULTS[number];

/** Mean time between faults of a kind, ms, before the seed scales it. */
const MEAN_MS: Readonly<Record<RegionFault, number>> = {
  kill: 4_000,
  kill_puller: 3_000,
  pause: 4_000,
  suspend: 5_000,
  wan_cut: 4_000,
  wan_one_way: 4_000,
  region_loss: 9_000,
  break_session: 800,
  wipe: 9_000,
  recover: 9_000,
  // Every other one takes the backup.
  restore: 5_000,
};

/** The part of the seeds that have a fault that makes a region anew. */
const REMAKING = 0.3;

/** A region: a cluster with machines of its own. */
export interface SimRegionPlan {
  readonly name: string;
  readonly machines: readonly MachinePlan[];
  readonly partitionCount: number;
  readonly leases: boolean;
  readonly clientClock: MachineClock;
}

/** The plan of a seed. */
export interface RegionsPlan {
  readonly seed: number;
  readonly regions: readonly SimRegionPlan[];
  /** Links between regions; within one they are calm. */
  readonly wan: NetworkSettings;
  readonly diskMs: number;
  /** By kind: the mean time between two faults, ms. */
  readonly faults: ReadonlyMap<RegionFault, number>;
  readonly faultsMs: number;
  /** Records of each region, and the mean time between two writes, ms. */
  readonly records: number;
  readonly thinkMs: number;
}

/** Addresses of a region's machines begin at its number times this. */
const ADDRESSES = 10;

/** Returns the number of the region that has a machine, from 0. */
export function regionAt(address: number): number {
  return Math.floor(address / ADDRESSES) - 1;
}

/** Returns the plan of a seed. */
export function regionsPlanOf(seed: number): RegionsPlan {
  const draw = new SeededEntropy(seed ^ 0x7e610);
  const unit = () => draw.unit();
  const of = <T>(items: readonly T[]): T => items[Math.floor(unit() * items.length)]!;
  const rate = () => 1 + (2 * unit() - 1) * CLOCK_DRIFT_PPM / 1_000_000;
  const clockOf = (): MachineClock => ({
    rate: rate(),
    wallRate: rate(),
    wallOffsetMs: Math.floor((unit() - 0.5) * 10_000),
  });
  const names = ["eu", "us", "ap"].slice(0, of([2, 2, 3]));
  const regions = names.map((name, at): SimRegionPlan => ({
    name,
    machines: Array.from({ length: of([1, 1, 2, 3]) }, (_, number) => ({
      address: (at + 1) * ADDRESSES + number,
      zone: "",
      clock: clockOf(),
      joinsAtMs: 100 + 400 * number,
      wishedNumber: 0,
      region: name,
      founds: number === 0,
    })),
    partitionCount: of([1, 2, 4]),
    // Without leases no node proves an age, so that nobody can know how fresh a mirror of it is.
    leases: true,
    clientClock: clockOf(),
  }));
  const share = of([0, 0.3, 0.5, 0.8]);
  const faults = new Map<RegionFault, number>();
  for (const kind of REGION_FAULTS) {
    const isOn = unit() < share;
    const meanMs = MEAN_MS[kind] * (0.5 + 1.5 * unit());
    if (isOn) faults.set(kind, meanMs);
  }
  // Drawn apart, as seeds were known before regions were made anew.
  const remaking = new SeededEntropy(seed ^ 0x3e6a);
  for (const kind of REMAKING_FAULTS) {
    const isOn = remaking.unit() < REMAKING;
    const meanMs = MEAN_MS[kind] * (0.5 + 1.5 * remaking.unit());
    if (isOn) faults.set(kind, meanMs);
  }
  return {
    seed,
    regions,
    wan: {
      ...CALM_NETWORK,
      delayMs: 10 + 90 * unit(),
      jitterMs: 10 * unit(),
      loss: unit() < 0.5 ? 0 : 0.05 * unit(),
    },
    diskMs: of([0.2, 1]),
    faults,
    faultsMs: 12_000 + 8_000 * unit(),
    records: of([4, 8, 16]),
    thinkMs: of([20, 50, 100]),
  };
}
