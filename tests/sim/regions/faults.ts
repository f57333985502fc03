/** Faults of regions and of the links between them, as the plan has them; all end before the end. */
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { PlacedMachine } from "../placed/machine.ts";
import type { SimWire } from "../placed/wire.ts";
import type { SimWorld } from "../world.ts";
import type { RegionFault, RegionsPlan } from "./plan.ts";
import type { SimRegion } from "./region.ts";

/** The faults of one run. */
export class RegionFaults {
  readonly counts = new Map<RegionFault, number>();
  readonly #plan: RegionsPlan;
  readonly #world: SimWorld;
  readonly #wire: SimWire;
  readonly #regions: readonly SimRegion[];
  readonly #entropy: SeededEntropy;
  readonly #ends = new Set<() => void>();
  #isOver = false;

  constructor(
    plan: RegionsPlan,
    { world, wire, regions, seed }: {
      readonly world: SimWorld;
      readonly wire: SimWire;
      readonly regions: readonly SimRegion[];
      readonly seed: number;
    },
  ) {
    this.#plan = plan;
    this.#world = world;
    this.#wire = wire;
    this.#regions = regions;
    this.#entropy = new SeededEntropy(seed);
  }

  start(): void {
    for (const [kind, meanMs] of this.#plan.faults) this.#next(kind, meanMs);
  }

  /** Ends all faults. */
  end(): void {
    this.#isOver = true;
    for (const end of [...this.#ends]) end();
    this.#wire.healAll();
  }

  #next(kind: RegionFault, meanMs: number): void {
    this.#world.after(-meanMs * Math.log(1 - this.#unit()), () => {
      if (this.#isOver) return;
      if (this.#strike(kind)) this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      this.#next(kind, meanMs);
    });
  }

  #strike(kind: RegionFault): boolean {
    const region = this.#of(this.#regions);
    const machine = this.#of(region.machines);
    switch (kind) {
      case "kill":
        this.#kill([machine], 4_000);
        return true;
      case "kill_puller": {
        const pullers = this.#regions.flatMap(({ machines }) => machines)
          .filter(({ registry }) => (registry?.regions.pullers?.states().length ?? 0) > 0);
        if (pullers.length === 0) return false;
        this.#kill([this.#of(pullers)], 4_000);
        return true;
      }
      case "region_loss":
        this.#kill(region.machines, 10_000);
        return true;
      case "pause":
      case "suspend":
        machine.stand(kind);
        this.#until(50 + 4_000 * this.#unit(), () => machine.resume());
        return true;
      case "wan_cut":
        this.#cut(region, this.#other(region), true);
        return true;
      case "wan_one_way":
        this.#cut(region, this.#other(region), false);
        return true;
      case "wipe":
        region.loseAll();
        this.#startLater(region.machines, 6_000);
        return true;
      case "recover": {
        const isOne = region.recoverAlone((items) => this.#of(items));
        if (isOne) this.#startLater(region.machines, 6_000);
        return isOne;
      }
      case "restore":
        if (!region.hasBackup) return region.backUp();
        region.restore();
        this.#startLater(region.machines, 6_000);
        return true;
      case "break_session":
        return this.#wire.breakOne() !== undefined;
    }
  }

  #kill(machines: readonly PlacedMachine[], msMax: number): void {
    for (const machine of machines) {
      if (this.#unit() < 0.5) machine.kill();
      else machine.cutPower();
    }
    this.#startLater(machines, msMax);
  }

  #startLater(machines: readonly PlacedMachine[], msMax: number): void {
    this.#until(50 + msMax * this.#unit(), () => machines.forEach((machine) => machine.start()));
  }

  #cut(one: SimRegion, other: SimRegion, bothWays: boolean): void {
    const ways = one.machines.flatMap(({ address: from }) =>
      other.machines.flatMap(({ address: to }) =>
        bothWays ? [[from, to], [to, from]] : [[from, to]]
      )
    ) as [number, number][];
    for (const [from, to] of ways) this.#wire.cut(from, to);
    this.#until(200 + 8_000 * this.#unit(), () => {
      for (const [from, to] of ways) this.#wire.heal(from, to);
    });
  }

  #until(ms: number, end: () => void): void {
    const once = () => {
      if (this.#ends.delete(once)) end();
    };
    this.#ends.add(once);
    this.#world.after(ms, once);
  }

  #other(region: SimRegion): SimRegion {
    return this.#of(this.#regions.filter((one) => one !== region));
  }

  #unit(): number {
    return this.#entropy.unit();
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#unit() * items.length)]!;
  }
}
