/**
 * Hurts a cluster of three to five real nodes in every way at once, while SDK clients use it, and checks
 * what they were told: `deno task soak --minutes 10 [--seed N]`, by default 10 min and a random seed.
 *
 * Each round draws faults of nodes and links (`kill -9`, restart, SIGSTOP, cuts in one direction or both, a
 * stalled write, a full disk, a step of the wall clock), and at times a change of the cluster's shape
 * (drain, remove, join, replace, rebalance, transfer) that goes on meanwhile. Then the cluster must become
 * whole. Every few rounds everything is read, must be found, and the history is checked by the simulator's
 * checkers: linearizability of records, resolutions and lists, holders of domains, leases, watches.
 *
 * The seed repeats what is drawn, but real processes take their own time. A finding ends the run; the
 * nodes' data and logs are kept. Small disks need the permission to mount, clocks Debian's package faketime,
 * stalled writes gcc: what is missing is said and left out.
 */
import { parseArgs } from "node:util";
import { SeededEntropy } from "../../src/base/prng.ts";
import { REPLICAS } from "../../src/ring/placement.ts";
import { Finding } from "../sim/history.ts";
import { until } from "../support/until.ts";
import { type Change, Changes } from "./chaos/changes.ts";
import { Hurts, pause, seconds, took } from "./chaos/hurts.ts";
import { ChaosLoad } from "./chaos/load.ts";
import { ChaosNodes, type Slot } from "./chaos/nodes.ts";
import type { SoakResult } from "./soak.ts";

const MINUTES = 10;
const SLOTS = 5;
const NODES = 4;
const PARTITIONS = 16;
/** The part of the rounds that change the cluster's shape. */
const CHANGES = 0.5;
const HURTS_MAX = 2;
/** Faults of a round begin within this time, ms. */
const BEGIN_MS_MAX = 3_000;
/** Rounds of a part of the history, at the end of which it is checked. */
const ROUNDS = 3;
/** The time in which the cluster must become whole once faults have ended, ms. */
const WHOLE_MS_MAX = 120_000;
const LOOK_MS = 500;

/** Runs the faults. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: { type: "string" }, seed: { type: "string" } },
  });
  const minutes = positive("minutes", values.minutes ?? String(MINUTES));
  const seed = positive("seed", values.seed ?? String(1 + Math.floor(Math.random() * 1e9)));
  console.log(`seed ${seed}`);
  const folder = await Deno.makeTempDir({ prefix: "crs-chaos-" });
  const soak = new ChaosSoak(folder, seed);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => soak.stop(new Error(`It was ended by ${signal}`)));
  }
  let finding: unknown;
  try {
    await soak.run(minutes * 60_000);
  } catch (error) {
    finding = error;
  } finally {
    await soak.close();
  }
  const { figures } = soak;
  if (finding === undefined) {
    await Deno.remove(folder, { recursive: true });
    return { figures: { minutes, seed, ...figures }, holds: true };
  }
  const text = finding instanceof Finding ? `${finding.checker}: ${finding.message}` : finding;
  console.error(text, `\nThe nodes' logs are in ${soak.logFolder}`);
  return { figures: { minutes, seed, ...figures, finding: String(text) }, holds: false };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} must be a number above 0: found ${text}`);
  return value;
}

/** One run. */
class ChaosSoak {
  readonly #entropy: SeededEntropy;
  readonly #nodes: ChaosNodes;
  readonly #beganMs = performance.now();
  /** Rejects when the run is to end before its time. */
  readonly #stopped = Promise.withResolvers<never>();
  #hurts: Hurts | undefined;
  #load: ChaosLoad | undefined;
  #isOver = false;
  /** Faults and changes by the first word of their descriptions. */
  readonly #faults = new Map<string, number>();
  #rounds = 0;
  #wholeMsMax = 0;

  constructor(folder: string, seed: number) {
    this.#entropy = new SeededEntropy(seed);
    this.#nodes = new ChaosNodes({ folder, slots: SLOTS, partitions: PARTITIONS });
    // It is awaited only while a part of the run works; a rejection between two must not end the process.
    this.#stopped.promise.catch(() => {});
    this.#nodes.onDeath = ({ local }, { code, stderr }) => {
      if (this.#isOver) return;
      const end = stderr.trim().split("\n").slice(-5).join("\n");
      this.stop(new Finding("processes", `${local.name} ended with code ${code}: ${end}`));
    };
  }

  /** Ends the run before its time, for that reason. */
  stop(reason: Error): void {
    this.#stopped.reject(reason);
  }

  get logFolder(): string {
    return this.#nodes.logFolder;
  }

  get figures(): Readonly<Record<string, unknown>> {
    const load = this.#load;
    return {
      rounds: this.#rounds,
      faults: Object.fromEntries([...this.#faults].sort()),
      calls: load?.counts,
      codes: load === undefined ? undefined : Object.fromEntries([...load.codes].sort()),
      partsChecked: load === undefined ? 0 : load.parts,
      leasesLost: load?.leasesLost,
      watchEvents: load?.watchEvents,
      watchResets: load?.watchResets,
      wholeMsMax: Math.round(this.#wholeMsMax),
      strayDatagrams: this.#nodes.strayDatagrams,
    };
  }

  /** Runs rounds for some time. @throws Finding */
  async run(forMs: number): Promise<void> {
    const nodes = this.#nodes;
    this.#hurts = await Hurts.prepare(nodes, this.#entropy, (line) => console.log(line));
    await nodes.found(NODES);
    await this.#whole();
    const load = await ChaosLoad.start(() => nodes.target(), this.#entropy.uint32());
    this.#load = load;
    const changes = new Changes(nodes, this.#entropy, () => load.reconnect());
    const either = <T>(work: Promise<T>) =>
      Promise.race([work, load.finding, this.#stopped.promise]);
    while (performance.now() - this.#beganMs < forMs) {
      await either(this.#round(changes));
      if (++this.#rounds % ROUNDS === 0) await either(load.nextPart());
    }
    await either(load.end());
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.#isOver = true;
    this.#nodes.writeLogs();
    await this.#load?.close();
    await this.#nodes.close();
    await this.#hurts?.end();
  }

  /** Makes the faults of a round, and waits until the cluster is whole again. */
  async #round(changes: Changes): Promise<void> {
    const change = this.#entropy.unit() < CHANGES ? changes.draw() : undefined;
    const hurt = this.#victims(change);
    const before = { ...this.#load!.counts };
    await Promise.all([
      ...hurt.map((slot) => this.#fault(() => this.#hurts!.draw(slot)(slot))),
      ...change === undefined ? [] : [this.#fault(change.make)],
    ]);
    const wholeMs = await took(this.#whole());
    this.#wholeMsMax = Math.max(this.#wholeMsMax, wholeMs);
    const { ok, unknown } = this.#load!.counts;
    this.#say(
      `whole in ${seconds(wholeMs)}; calls: ${ok - before.ok} ok, ${
        unknown - before.unknown
      } failed`,
    );
  }

  /** Draws the nodes that are hurt, beside those that the change is about. */
  #victims(change: Change | undefined): Slot[] {
    const open = this.#nodes.members.filter((slot) => change?.slots.includes(slot) !== true);
    const least = change === undefined ? 1 : 0;
    const count = least + Math.floor(this.#entropy.unit() * (HURTS_MAX + 1 - least));
    return Array.from({ length: count }, () => {
      const [slot] = open.splice(Math.floor(this.#entropy.unit() * open.length), 1);
      return slot;
    }).filter((slot) => slot !== undefined);
  }

  async #fault(make: () => Promise<string>): Promise<void> {
    await pause(this.#entropy.unit() * BEGIN_MS_MAX);
    const text = await make();
    const kind = text.split(" ")[0]!;
    this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + 1);
    this.#say(text);
  }

  #say(text: string): void {
    console.log(`${seconds(performance.now() - this.#beganMs).padStart(8)}  ${text}`);
  }

  /** Waits until every member answers, all partitions are led and have their replicas. */
  async #whole(): Promise<void> {
    let last = "";
    await until("a whole cluster", async () => {
      const { stdout, stderr } = await this.#nodes.crs("cluster", "status");
      const shown = shownIn(stdout);
      last = shown === undefined ? stderr : JSON.stringify(shown);
      if (shown !== undefined && isWhole(shown, this.#nodes.members.length)) return true;
      await pause(LOOK_MS);
      return false;
    }, WHOLE_MS_MAX).catch(() => {
      throw new Finding("whole", `Not whole within ${WHOLE_MS_MAX} ms after all faults: ${last}`);
    });
  }
}

/** Part of what `crs cluster status --json` prints. */
interface StatusShown {
  readonly partitions: {
    readonly withoutLeader: number;
    readonly underReplicated: number;
    readonly moving: number;
  };
  readonly group0: { readonly leader: number; readonly voters: readonly number[] };
  readonly nodes: readonly {
    readonly nodeId: number;
    readonly answered: boolean;
    readonly departure: string | null;
  }[];
}

/** Returns what the command printed, as far as it matters; undefined if no node answered. */
function shownIn(stdout: string): StatusShown | undefined {
  const { partitions, group0, nodes } = JSON.parse(stdout) as Partial<StatusShown>;
  if (partitions === undefined || group0 === undefined || nodes === undefined) return undefined;
  const shown = nodes.map(({ nodeId, answered, departure }) => ({ nodeId, answered, departure }));
  return { partitions, group0, nodes: shown };
}

function isWhole({ partitions, group0, nodes }: StatusShown, members: number): boolean {
  const { withoutLeader, underReplicated, moving } = partitions;
  return withoutLeader + underReplicated + moving === 0 && group0.leader !== 0 &&
    group0.voters.length >= REPLICAS && nodes.length === members &&
    nodes.every(({ answered, departure }) => answered && departure === null);
}
