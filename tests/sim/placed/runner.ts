/**
 * One run of one seed: a cluster grows while faults befall it and proposals come; then the faults end,
 * and the placement must come to what is wished, and stay there.
 */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { encodeTick } from "../../../src/record/command.ts";
import { Finding } from "../history.ts";
import type { RunResult } from "../runner.ts";
import { PLACED_CHECKERS } from "./checkers.ts";
import { PlacedCluster } from "./cluster.ts";
import { describeCluster, unsettled } from "./convergence.ts";
import { PlacedFaults } from "./faults.ts";
import { placedPlanOf } from "./plan.ts";

/** Within this time after the last fault everything must have come to rest, ms. */
const SETTLE_MS = 60_000;
/** The time for which it must then stay so, ms: longer than the rest after a disturbance. */
const REST_MS = 6_000;
const LOOK_MS = 50;
const FAULTS_FROM_MS = 300;
const LINES_SHOWN = 80;
const PROPOSAL_MS_MAX = 3_000;

/** Runs a seed from its start to its end, or to its first finding. */
export async function runPlacedSeed(
  seed: number,
  options: { readonly watch?: (line: string) => void; readonly isThorough?: boolean } = {},
): Promise<RunResult> {
  const run = new PlacedRun(seed, options);
  let finding: RunResult["finding"];
  try {
    await run.go();
  } catch (error) {
    finding = error instanceof Finding
      ? { checker: error.checker, message: error.message }
      : { checker: "crash", message: wordsOf(error) };
  }
  return run.result(finding);
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack}` + (error.cause === undefined ? "" : `\n${wordsOf(error.cause)}`);
}

class PlacedRun {
  readonly #cluster: PlacedCluster;
  readonly #faults: PlacedFaults;
  readonly #entropy: SeededEntropy;
  #isLoaded = true;
  #proposed = 0;
  #acknowledged = 0;

  constructor(
    seed: number,
    { watch, isThorough = false }: { watch?: (line: string) => void; isThorough?: boolean },
  ) {
    this.#cluster = new PlacedCluster(placedPlanOf(seed), PLACED_CHECKERS);
    this.#entropy = new SeededEntropy(seed ^ 0x10ad);
    if (watch !== undefined) this.#cluster.trace.watch = watch;
    this.#cluster.world.isThorough = isThorough;
    this.#faults = new PlacedFaults(this.#cluster);
  }

  async go(): Promise<void> {
    const { machines, plan, world } = this.#cluster;
    for (const machine of machines) machine.start();
    world.at(FAULTS_FROM_MS, () => this.#faults.start());
    for (let partition = 0; partition < plan.partitionCount; partition++) this.#load(partition);
    while (world.nowMs < plan.faultsMs) await this.#pass();
    this.#faults.end();
    const untilMs = world.nowMs + SETTLE_MS;
    for (let quietSinceMs = world.nowMs; world.nowMs - quietSinceMs < REST_MS;) {
      await this.#pass();
      const reason = unsettled(this.#cluster);
      if (reason === undefined) continue;
      quietSinceMs = world.nowMs;
      if (world.nowMs < untilMs) continue;
      const state = describeCluster(this.#cluster).join("\n");
      throw new Finding("convergence", `${SETTLE_MS} ms after the last fault, ${reason}\n${state}`);
    }
    this.#isLoaded = false;
    await world.run(world.nowMs + PROPOSAL_MS_MAX);
    this.#cluster.tell((checker) => checker.ended?.());
    await world.run(world.nowMs + 1);
  }

  result(finding: RunResult["finding"]): RunResult {
    const { plan, trace, world } = this.#cluster;
    return {
      seed: plan.seed,
      finding,
      hash: trace.hash,
      lines: trace.last(LINES_SHOWN),
      simulatedMs: world.nowMs,
      steps: world.steps,
      operations: this.#proposed,
      answered: this.#acknowledged,
      faults: this.#faults.counts,
      changes: 0,
    };
  }

  async #pass(): Promise<void> {
    const { world } = this.#cluster;
    await world.run(world.nowMs + LOOK_MS);
    this.#cluster.tell((checker) => checker.looked?.());
  }

  /** Proposes to a partition from time to time, at whoever leads it or believes so. */
  #load(partition: number): void {
    const { plan, world } = this.#cluster;
    world.after(-1_000 / plan.load * Math.log(1 - this.#entropy.unit()), () => {
      if (!this.#isLoaded) return;
      this.#propose(partition);
      this.#load(partition);
    });
  }

  #propose(partition: number): void {
    const { machines, trace } = this.#cluster;
    const leaders = machines.flatMap((machine) => {
      const here = [...machine.groups?.partitions ?? []].find(({ id }) => id === partition);
      return here?.group.isLeading === true ? [{ machine, group: here.group }] : [];
    });
    if (leaders.length === 0) return;
    const { machine, group } = leaders[Math.floor(this.#entropy.unit() * leaders.length)]!;
    const unixS = ++this.#proposed;
    machine.enter(() => {
      const command = encodeTick({ timeMs: group.timeMs(), unixS, writer: 0 });
      group.propose(command, PROPOSAL_MS_MAX).then((proposed) => {
        if (!proposed.ok) return;
        this.#acknowledged++;
        const { index, term } = proposed;
        trace.fold(this.#cluster.nowMs, machine.address, index);
        this.#cluster.tell((checker) => checker.acknowledged?.({ partition, index, term }));
      });
    });
  }
}
