/**
 * One run of one seed: a cluster grows while faults befall it and proposals come; then the faults end,
 * and the placement must come to what is wished, and stay there.
 */
import { Finding } from "../history.ts";
import type { RunResult } from "../runner.ts";
import { PLACED_CHECKERS } from "./checkers.ts";
import { PlacedCluster } from "./cluster.ts";
import { ALIAS_SWEEP_MS, RECORD_GRANT_GRACE_MS } from "../../../src/base/limits.ts";
import { unsettledClaim } from "./claims.ts";
import { describeCluster, unsettled, WishedPlacement } from "./convergence.ts";
import { PlacedFaults } from "./faults.ts";
import { loseMajority } from "./majority_lost.ts";
import { proposeNewerCommand } from "./newer_command.ts";
import { placedPlanOf } from "./plan.ts";
import { callName } from "./sdk_history.ts";
import { untoldWatch } from "./watch_checkers.ts";
import { unsettledRight } from "./rights_checker.ts";
import { unconvergedRouting } from "./routing.ts";

/** Within this time after the last fault everything must have come to rest, ms. */
const SETTLE_MS = 60_000;
/** The time for which it must then stay so, ms: longer than the rest after a disturbance. */
const REST_MS = 6_000;
const LOOK_MS = 50;
const FAULTS_FROM_MS = 300;
const LINES_SHOWN = 80;
/** Time for all calls to end, ms. */
const CALLS_MS_MAX = 60_000;
/** Time in which every client has its lease again, ms: the longest back-off of a renewal, and a call. */
const KEPT_MS_MAX = 20_000;
/** Time for ring maps to reach everybody, ms: longer than the delay of a push. */
const ROUTING_MS_MAX = 10_000;
/** Time in which all watches and views have everything, ms: the longest back-off, and a list. */
const WATCHES_MS_MAX = 20_000;
/** Time in which the janitor repairs all claims, ms: two rounds of its sweep, and its repairs. */
const CLAIMS_MS_MAX = 2 * ALIAS_SWEEP_MS + 20_000;

/**
 * Time in which records without rights end, ms: the grace after a token, by the clock that is most behind,
 * and the checks of a new leader; less than the interval at which everything is checked again.
 */
const RIGHTS_MS_MAX = RECORD_GRANT_GRACE_MS + 15_000;
/** Time for replies that were under way, ms. */
const LATE_REPLIES_MS = 100;
/** Time in which owners without rights try to register, ms. */
const OWNERS_TRY_MS = 3_000;

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
  readonly #wishes = new WishedPlacement();

  constructor(
    seed: number,
    { watch, isThorough = false }: { watch?: (line: string) => void; isThorough?: boolean },
  ) {
    this.#cluster = new PlacedCluster(placedPlanOf(seed), PLACED_CHECKERS);
    if (watch !== undefined) this.#cluster.trace.watch = watch;
    this.#cluster.world.isThorough = isThorough;
    this.#faults = new PlacedFaults(this.#cluster);
  }

  async go(): Promise<void> {
    const { load, machines, plan, world } = this.#cluster;
    for (const machine of machines) world.at(machine.plan.joinsAtMs, () => machine.start());
    world.at(FAULTS_FROM_MS, () => this.#faults.start());
    load.start();
    this.#cluster.owners.start();
    this.#cluster.governors.start();
    this.#cluster.operators.start();
    this.#cluster.relays.start();
    this.#cluster.maps.start();
    while (world.nowMs < plan.faultsMs) await this.#pass();
    this.#faults.end();
    this.#cluster.operators.stop();
    const untilMs = world.nowMs + SETTLE_MS;
    for (let quietSinceMs = world.nowMs; world.nowMs - quietSinceMs < REST_MS;) {
      await this.#pass();
      const reason = unsettled(this.#cluster, this.#wishes);
      load.isCalm = reason === undefined;
      if (reason === undefined) continue;
      quietSinceMs = world.nowMs;
      if (world.nowMs < untilMs) continue;
      const state = describeCluster(this.#cluster).join("\n");
      throw new Finding("convergence", `${SETTLE_MS} ms after the last fault, ${reason}\n${state}`);
    }
    await this.#converge();
    this.#cluster.tell((checker) => checker.ended?.());
    await world.run(world.nowMs + 1);
    const { newerCommand, losesMajority } = plan;
    if (losesMajority) {
      this.#cluster.endChecks();
      await loseMajority(this.#cluster);
    }
    if (newerCommand !== undefined) await proposeNewerCommand(this.#cluster, newerCommand);
  }

  /** Lets everybody learn where everything is, and read it. */
  async #converge(): Promise<void> {
    const { load } = this.#cluster;
    const isIdle = () => {
      if (load.isIdle) return undefined;
      const open = load.clients.flatMap((client) => [...client.open]).map(callName);
      return `calls are under way: ${open.join(", ")}`;
    };
    load.stop();
    this.#cluster.governors.stop();
    this.#cluster.relays.stop();
    this.#cluster.maps.stop();
    await this.#until(CALLS_MS_MAX, isIdle);
    await this.#until(
      CALLS_MS_MAX,
      () => this.#cluster.relays.isIdle ? undefined : "calls of fronts are under way",
    );
    await this.#until(
      CALLS_MS_MAX,
      () => this.#cluster.maps.isIdle ? undefined : "calls of programs of Maps are under way",
    );
    await this.#until(ROUTING_MS_MAX, () => unconvergedRouting(this.#cluster));
    await this.#until(KEPT_MS_MAX, () => {
      const lost = load.clients.find(({ kept }) => !kept.isActive);
      return lost === undefined ? undefined : `client ${lost.number} does not keep its agent`;
    });
    load.readAll();
    await this.#until(CALLS_MS_MAX, isIdle);
    // Everybody has been told every leader now.
    this.#cluster.isSettled = true;
    load.readAll();
    await this.#until(CALLS_MS_MAX, isIdle);
    load.readAll({ isBounded: true });
    await this.#until(CALLS_MS_MAX, isIdle);
    await this.#until(CLAIMS_MS_MAX, () => unsettledClaim(this.#cluster));
    await this.#endRights();
    await this.#until(WATCHES_MS_MAX, () => untoldWatch(this.#cluster));
  }

  /** Waits until all records without rights are gone, and lets their owners try for a while. */
  async #endRights(): Promise<void> {
    const { owners, world } = this.#cluster;
    if (owners.all.length === 0) return;
    await this.#until(RIGHTS_MS_MAX, () => owners.unknown() ?? unsettledRight(this.#cluster));
    await world.run(world.nowMs + LATE_REPLIES_MS);
    for (const owner of owners.all) owner.isOver = owner.plan.end !== "never";
    for (const untilMs = world.nowMs + OWNERS_TRY_MS; world.nowMs < untilMs;) await this.#pass();
  }

  async #until(withinMs: number, unmet: () => string | undefined): Promise<void> {
    const { world } = this.#cluster;
    const untilMs = world.nowMs + withinMs;
    for (let reason = unmet(); reason !== undefined; reason = unmet()) {
      if (world.nowMs > untilMs) {
        const state = describeCluster(this.#cluster).join("\n");
        throw new Finding(
          "convergence",
          `${withinMs} ms after it was at rest, ${reason}\n${state}`,
        );
      }
      await this.#pass();
    }
  }

  result(finding: RunResult["finding"]): RunResult {
    const { load, plan, trace, world } = this.#cluster;
    return {
      seed: plan.seed,
      finding,
      hash: trace.hash,
      lines: trace.last(LINES_SHOWN),
      simulatedMs: world.nowMs,
      steps: world.steps,
      operations: load.called,
      answered: load.well,
      faults: this.#faults.counts,
      changes: 0,
    };
  }

  async #pass(): Promise<void> {
    const { world } = this.#cluster;
    await world.run(world.nowMs + LOOK_MS);
    this.#cluster.tell((checker) => checker.looked?.());
  }
}
