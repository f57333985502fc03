/**
 * One run of one seed: regions write records and mirror each other's, while faults befall them and the
 * links between them; then the faults end, and all mirrors must come to be what their homes are.
 */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { Finding } from "../history.ts";
import { SimWire } from "../placed/wire.ts";
import type { RunResult } from "../runner.ts";
import { Trace } from "../trace.ts";
import { microtaskCheckpoint, SimWorld } from "../world.ts";
import { checkAges, describePullers, unconverged } from "./checks.ts";
import { RegionFaults } from "./faults.ts";
import { regionAt, regionsPlanOf } from "./plan.ts";
import { SimRegion } from "./region.ts";
import { RegionTruth } from "./truth.ts";

const LOOK_MS = 50;
const FAULTS_FROM_MS = 4_000;
/** Time for everything to be mirrored after the last fault: back-offs of 30 s, and a full sync, ms. */
const CONVERGE_MS = 90_000;
/** Time for the last calls to end, ms. */
const CALLS_MS = 5_000;
const LINES_SHOWN = 80;

/** The result of a run. */
export interface RegionsResult extends RunResult {
  readonly mirrored: number;
  readonly removed: number;
  /** Of those, mirrors that another accepted cluster of their home did not have. */
  readonly swept: number;
  /** Number of times that an operator has accepted what a region is. */
  readonly accepted: number;
  readonly agesChecked: number;
}

/** Runs a seed from its start to its end, or to its first finding. */
export async function runRegionsSeed(
  seed: number,
  { watch }: { readonly watch?: (line: string) => void } = {},
): Promise<RegionsResult> {
  const run = new RegionsRun(seed, watch);
  let finding: RunResult["finding"];
  try {
    await run.go();
  } catch (error) {
    finding = error instanceof Finding
      ? { checker: error.checker, message: error.message }
      : { checker: "crash", message: String(error instanceof Error ? error.stack : error) };
  }
  return run.result(finding);
}

class RegionsRun {
  readonly plan;
  readonly world = new SimWorld();
  readonly trace = new Trace();
  readonly wire: SimWire;
  readonly regions: readonly SimRegion[];
  readonly #faults: RegionFaults;
  #value = 0;
  #agesChecked = 0;

  constructor(seed: number, watch: ((line: string) => void) | undefined) {
    const plan = this.plan = regionsPlanOf(seed);
    const entropy = new SeededEntropy(seed ^ 0x5ea);
    if (watch !== undefined) this.trace.watch = watch;
    this.world.checkpoint = microtaskCheckpoint();
    this.wire = new SimWire(this.world, entropy.uint32());
    const { settings } = this.wire;
    // Clients are in the region that they write to.
    this.wire.settingsOf = (from, to) =>
      from >= 1_000 || to >= 1_000 || regionAt(from) === regionAt(to) ? settings : plan.wan;
    const applied = new Map<string, RegionTruth>();
    const nowMs = () => this.world.nowMs;
    for (const { name } of plan.regions) {
      applied.set(name, new RegionTruth(name, { regions: applied, nowMs }));
    }
    this.regions = plan.regions.map((of, at) =>
      new SimRegion(this, of, at, applied.get(of.name)!, entropy.uint32())
    );
    this.world.onStep = () => {
      for (const address of this.world.touched) this.#stepped(address);
    };
    this.#faults = new RegionFaults(plan, { ...this, seed: entropy.uint32() });
  }

  nextValue(): number {
    return this.#value = this.#value % 65_000 + 1;
  }

  async go(): Promise<void> {
    for (const region of this.regions) region.start();
    this.world.at(FAULTS_FROM_MS, () => this.#faults.start());
    while (this.world.nowMs < FAULTS_FROM_MS + this.plan.faultsMs) await this.#pass();
    this.#faults.end();
    for (const region of this.regions) region.isStopped = true;
    for (const untilMs = this.world.nowMs + CALLS_MS; this.world.nowMs < untilMs;) {
      await this.#pass();
    }
    const untilMs = this.world.nowMs + CONVERGE_MS;
    for (let reason = unconverged(this.regions); reason !== undefined;) {
      if (this.world.nowMs > untilMs) {
        throw new Finding("convergence", `${reason}\n${describePullers(this.regions)}`);
      }
      await this.#pass();
      reason = unconverged(this.regions);
    }
  }

  #stepped(address: number): void {
    // Clients are no machines of regions.
    const region = this.regions[regionAt(address)];
    const machine = region?.machines.find((one) => one.address === address);
    if (machine !== undefined) region!.stepped(machine);
  }

  async #pass(): Promise<void> {
    const { world } = this;
    await world.run(world.nowMs + LOOK_MS);
    for (const region of this.regions) region.administer();
    this.#agesChecked += checkAges(this.regions, world.nowMs);
  }

  result(finding: RunResult["finding"]): RegionsResult {
    const sum = (of: (region: SimRegion) => number) =>
      this.regions.reduce((total, region) => total + of(region), 0);
    return {
      seed: this.plan.seed,
      finding,
      hash: this.trace.hash,
      lines: this.trace.last(LINES_SHOWN),
      simulatedMs: this.world.nowMs,
      steps: this.world.steps,
      operations: sum(({ asked }) => asked),
      answered: sum(({ written }) => written),
      faults: this.#faults.counts,
      changes: 0,
      mirrored: sum(({ applied }) => applied.mirrored),
      removed: sum(({ applied }) => applied.removed),
      swept: sum(({ applied }) => applied.swept),
      accepted: sum(({ accepted }) => accepted),
      agesChecked: this.#agesChecked,
    };
  }
}
