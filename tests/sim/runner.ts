/**
 * One run of one seed: a safety phase, in which faults occur while clients use the cluster; then
 * the faults stop, and the cluster must recover, answer every request, and agree.
 *
 * ```ts
 * const { finding, hash, lines } = await runSeed(17, { checkers: CHECKERS });
 * ```
 */
import { BoundedReaders } from "./bounded_reads.ts";
import { SimCluster } from "./cluster.ts";
import { Faults } from "./faults.ts";
import { type CheckerMaker, Finding, type RunEnd } from "./history.ts";
import { Load, SHORT_TTLS_MS } from "./load.ts";
import { Membership } from "./membership.ts";
import { type Plan, planOf, SIM_OUTAGES } from "./plan.ts";
import { COVER_TTLS } from "../../src/base/limits.ts";
import { SeededEntropy } from "../../src/base/prng.ts";

/**
 * Clients begin after nodes had time to start, faults after groups had time to find leaders, ms.
 */
const LOAD_FROM_MS = 100;
const FAULTS_FROM_MS = 1_000;
/** Minimum number of client operations in a safety phase, and its maximum length, ms. */
const OPERATIONS_MIN = 500;
const SAFETY_MS_MAX = 24_000;
/** Time for which clients continue in the healed cluster, ms. */
const HEALED_LOAD_MS = 1_000;
/** Time after the last fault within which everything must have converged, ms. */
const LIVENESS_MS = 25_000;
/**
 * Time, by a leader's clock, after which no short lease that is not renewed is left: two ttls, the
 * grace of a node that was started when the faults ended, and some time to notice.
 */
const OUTLIVED_MS = COVER_TTLS * Math.max(...SHORT_TTLS_MS) + SIM_OUTAGES.graceMsMax + 1_500;
/** Interval in which the simulation checks whether a phase is over, simulated ms. */
const LOOK_MS = 20;
/** Number of the last events that a failure shows. */
const LINES_SHOWN = 60;

/** Options of a run. */
export interface RunOptions {
  readonly checkers: readonly CheckerMaker[];
  /** Called with each event as it happens. */
  readonly watch?: (line: string) => void;
  /** Waits for promises with chains of any length: the same run, but slower. */
  readonly isThorough?: boolean;
}

/** The result of a run. */
export interface RunResult {
  readonly seed: number;
  /** Undefined: there was no finding. */
  readonly finding: { readonly checker: string; readonly message: string } | undefined;
  /** Hash of all events: the same for the same seed and source. */
  readonly hash: string;
  /** The last events, for people. */
  readonly lines: readonly string[];
  readonly simulatedMs: number;
  readonly steps: number;
  readonly operations: number;
  /** Those that ended with a conclusive reply. */
  readonly answered: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly changes: number;
  /** Reads with a bound by their outcome; undefined if the plan has none. */
  readonly boundedReads?: BoundedReaders["counts"] | undefined;
}

/** Runs a seed to its end, or to its first finding. */
export async function runSeed(seed: number, options: RunOptions): Promise<RunResult> {
  return await runPlan(planOf(seed), options);
}

/** Like {@link runSeed}, with a given plan. */
export async function runPlan(plan: Plan, options: RunOptions): Promise<RunResult> {
  const run = new Run(plan, options);
  let finding: RunResult["finding"];
  try {
    await run.go();
  } catch (error) {
    finding = error instanceof Finding
      ? { checker: error.checker, message: error.message }
      : { checker: "crash", message: error instanceof Error ? `${error.stack}` : `${error}` };
  }
  return run.result(finding);
}

type FinalValue = { readonly value: number; readonly atMs: number };

class Run {
  readonly #plan: Plan;
  readonly #cluster: SimCluster;
  readonly #load: Load;
  readonly #membership: Membership;
  readonly #faults: Faults;
  /** Undefined if the plan has none. */
  readonly #boundedReaders: BoundedReaders | undefined;

  constructor(plan: Plan, { checkers, isThorough = false, watch }: RunOptions) {
    this.#plan = plan;
    const cluster = new SimCluster(plan, checkers);
    if (watch !== undefined) cluster.trace.watch = watch;
    cluster.world.isThorough = isThorough;
    this.#cluster = cluster;
    this.#load = new Load({
      world: cluster.world,
      send: (client, node, request, answer) => cluster.send(client, node, request, answer),
      nodesOf: (group) => cluster.placement.ofGroup(group).map(({ node }) => node),
      tried: (key, incarnation) => {
        cluster.tell((checker) => checker.onTry?.(key, incarnation, cluster.nowMs));
      },
      onOperation: (operation) => {
        const { client, code, end, index, key, kind, value, way } = operation;
        cluster.note(`client ${client}`, kind, key, value, way, end, code, index);
        cluster.tell((checker) => checker.onOperation?.(operation));
      },
    }, plan);
    this.#membership = new Membership(cluster, new SeededEntropy(plan.seed ^ 0x3e3b));
    const { boundedReadMs, seed } = plan;
    if (boundedReadMs !== undefined) {
      this.#boundedReaders = new BoundedReaders(cluster, boundedReadMs, seed ^ 0xb0de);
    }
    this.#faults = new Faults(cluster, this.#membership, plan.seed);
  }

  async go(): Promise<void> {
    const { world } = this.#cluster;
    for (const node of this.#cluster.nodes) node.start();
    world.at(LOAD_FROM_MS, () => {
      this.#load.start();
      this.#boundedReaders?.start();
    });
    world.at(FAULTS_FROM_MS, () => this.#faults.start());
    await this.#safety();
    this.#faults.end();
    const healedMs = world.nowMs;
    await world.run(healedMs + HEALED_LOAD_MS);
    this.#load.stop();
    this.#boundedReaders?.stop();
    const finalValues = await this.#liveness(healedMs + LIVENESS_MS);
    const leftOver = this.#plan.outlivesLeases ? await this.#outliveLeases() : new Map();
    const end: RunEnd = { view: this.#cluster, healedMs, finalValues, leftOver };
    this.#cluster.tell((checker) => checker.onEnd?.(end));
    await world.run(world.nowMs + 1);
  }

  result(finding: RunResult["finding"]): RunResult {
    const { trace, world } = this.#cluster;
    return {
      seed: this.#plan.seed,
      finding,
      hash: trace.hash,
      lines: trace.last(LINES_SHOWN),
      simulatedMs: world.nowMs,
      steps: world.steps,
      operations: this.#load.endedCount,
      answered: this.#load.wellCount,
      faults: this.#faults.counts,
      changes: this.#membership.changed,
      boundedReads: this.#boundedReaders?.counts,
    };
  }

  async #safety(): Promise<void> {
    const { world } = this.#cluster;
    await world.run(this.#plan.safetyMs);
    while (this.#load.endedCount < OPERATIONS_MIN && world.nowMs < SAFETY_MS_MAX) {
      await world.run(world.nowMs + LOOK_MS);
    }
  }

  /** Checks that the healed cluster answers every request, accepts writes, and comes to rest. */
  async #liveness(untilMs: number): Promise<RunEnd["finalValues"]> {
    await this.#until(untilMs, "clients get no answers", () => this.#load.isIdle);
    await this.#until(untilMs, "nodes do not serve", () => this.#areServing());
    const values = new Map<string, FinalValue>();
    for (const { group } of this.#plan.groups) {
      await this.#until(
        untilMs,
        `group ${group} does not leave its joint configuration`,
        () => this.#membership.settle(group),
      );
      const keys = this.#load.keys.filter((key) => key.group === group);
      await this.#ask("write", keys[0]!, untilMs);
      for (const key of keys) values.set(key.name, await this.#valueOf(key, untilMs));
    }
    await this.#until(untilMs, "replicas do not agree", () => this.#haveConverged());
    return values;
  }

  /**
   * Stops all renewals until all short leases have ended. Then registers one in each group, where
   * only long leases are left, which must end as well. Returns what is left of their records.
   */
  async #outliveLeases(): Promise<RunEnd["leftOver"]> {
    const short = this.#load.keys.filter(({ isLongLived }) => !isLongLived);
    const values = await this.#leftAfterLeases(short);
    const again = short.filter((key, at) => short[at - 1]?.group !== key.group);
    const { world } = this.#cluster;
    for (const key of again) await this.#ask("write", key, world.nowMs + LIVENESS_MS);
    for (const [name, left] of await this.#leftAfterLeases(again)) {
      if (left.value !== 0) values.set(name, left);
    }
    const untilMs = world.nowMs + LIVENESS_MS;
    await this.#until(untilMs, "replicas do not agree", () => this.#haveConverged());
    return values;
  }

  async #leftAfterLeases(keys: Load["keys"]): Promise<Map<string, FinalValue>> {
    const { world } = this.#cluster;
    await world.run(world.nowMs + OUTLIVED_MS / (1 - this.#plan.driftPpm / 1_000_000));
    const untilMs = world.nowMs + LIVENESS_MS;
    const values = new Map<string, FinalValue>();
    for (const key of keys) values.set(key.name, await this.#valueOf(key, untilMs));
    return values;
  }

  async #valueOf(key: Load["keys"][number], untilMs: number): Promise<FinalValue> {
    const { value } = await this.#ask("get", key, untilMs);
    return { value, atMs: this.#cluster.world.nowMs };
  }

  async #ask(kind: "get" | "write", key: Load["keys"][number], untilMs: number) {
    let answer: { value: number } | undefined;
    this.#load.ask(kind, key, (operation) => answer = operation);
    await this.#until(
      untilMs,
      `${kind} of ${key.name} is not answered`,
      () => answer !== undefined,
    );
    return answer!;
  }

  async #until(untilMs: number, what: string, isDone: () => boolean): Promise<void> {
    const { world } = this.#cluster;
    while (!isDone()) {
      if (world.nowMs >= untilMs) {
        throw new Finding(
          "liveness",
          `${LIVENESS_MS} ms after the last fault, ${what}:\n${this.#describe().join("\n")}`,
        );
      }
      await world.run(world.nowMs + LOOK_MS);
    }
  }

  /** Describes every replica, for the reader of a finding. */
  #describe(): string[] {
    return this.#cluster.nodes.flatMap(({ id, program, state }) => {
      if (program === undefined) return [`  node ${id} is ${state}`];
      return program.replicas.map((replica) => {
        const { applied, committed, configuration, lastIndex } = replica;
        const { learners, voters, votersOutgoing } = configuration;
        return `  node ${id} (${state}), group ${replica.ref.group}, replica ${replica.ref.replica}: ` +
          `${replica.role} of term ${replica.term}, follows ${replica.leader}, log to ${lastIndex}, ` +
          `committed ${committed}, applied ${applied}, voters ${voters.join(" ")}` +
          (votersOutgoing.length > 0 ? `, outgoing ${votersOutgoing.join(" ")}` : "") +
          (learners.length > 0 ? `, learners ${learners.join(" ")}` : "");
      });
    });
  }

  #areServing(): boolean {
    return this.#cluster.nodes.every(({ isUp, program }) => isUp && program?.isServing === true);
  }

  #haveConverged(): boolean {
    return this.#areServing() && this.#plan.groups.every(({ group }) => this.#hasConverged(group));
  }

  #hasConverged(group: number): boolean {
    const leader = this.#cluster.leaderOf(group);
    if (leader === undefined) return false;
    const { applied, configuration, lastIndex, term } = leader;
    if (applied !== lastIndex) return false;
    const replicas = this.#cluster.replicasOf(group);
    return [...configuration.voters, ...configuration.learners].every((id) => {
      const replica = replicas.find(({ ref }) => ref.replica === id);
      return replica?.applied === applied && replica.term === term;
    });
  }
}
