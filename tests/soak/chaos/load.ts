/**
 * The clients of a cluster that is hurt: SDK clients that run the programs of the simulator's clients,
 * recorded as a history that the simulator's checkers judge.
 *
 * The history is cut into parts, each with records, domains and a region of its own. A call of unknown
 * outcome makes all that follows on its record less certain; so each part ends soon, while the cluster is
 * whole: everything is read, must be found, and is checked. Leases are kept over all parts.
 */
import { toRegistryError } from "../../../src/base/errors.ts";
import { OUTAGE_GRACE_MS_MAX } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { type Client, connect, type ConnectParameters } from "../../../src/client/mod.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { Finding } from "../../sim/history.ts";
import type { PlacedChecker } from "../../sim/placed/checker.ts";
import { KeptLease } from "../../sim/placed/kept_lease.ts";
import {
  DomainHolders,
  ExpectedCodes,
  KeptLeases,
  LinearizableRecords,
} from "../../sim/placed/sdk_checkers.ts";
import { callName, type SdkAnswer, type SdkCall } from "../../sim/placed/sdk_history.ts";
import { type AskedCall, type ProgramWorld, SdkProgram } from "../../sim/placed/sdk_program.ts";
import { until } from "../../support/until.ts";
import { pause } from "./hurts.ts";
import { PartWatch } from "./part_watch.ts";

const CLIENTS = 5;
const AGENTS = 12;
const DOMAINS = 5;
const GATEWAYS = 3;
/** Mean time between an answer and the next call, ms. */
const THINK_MS = 15;
/** The time limit of a call, ms. */
const TIMEOUT_MS = 5_000;
/** The part of the reads that accept some age. */
const BOUNDED = 0.3;
/** The probability that a client which was superseded begins anew. */
const RECONNECTS = 0.5;
/** The lease of the agents that clients keep, ms. */
const KEPT_TTL_MS = 10_000;
/** The pause before an agent is kept again after its lease was lost, ms. */
const KEEP_PAUSE_MS = 500;
/** A lease of which nobody knows any more is gone after twice its time, and the grace after an outage. */
const GONE_MS_MAX = 2 * KEPT_TTL_MS + OUTAGE_GRACE_MS_MAX + 5_000;

/** Returns how nodes are reached now. */
export type Target = () => Pick<ConnectParameters, "endpoints" | "trust">;

/** One part of the history. */
interface Part {
  readonly world: ProgramWorld;
  readonly programs: readonly SdkProgram[];
  readonly checkers: readonly PlacedChecker[];
  readonly answers: SdkAnswer[];
  readonly watch: PartWatch;
}

/** A client, which may begin anew. */
interface Member {
  readonly kept: KeptLease;
  client: Client;
}

/** The clients and their history. */
export class ChaosLoad {
  /** The first fault that was found; the run ends with it. */
  readonly finding: Promise<never>;
  /** Calls by their ends. An unknown one failed, or nobody knows what it did. */
  readonly counts = { ok: 0, notFound: 0, refused: 0, unknown: 0 };
  /** Calls that ended in one way, by the code of their error. */
  readonly codes = new Map<string, number>();
  parts = 0;
  /** Times that an agent which was kept had to be registered anew. */
  leasesLost = 0;
  watchEvents = 0;
  watchResets = 0;
  readonly #fail: (error: unknown) => void;
  readonly #dialer: QuicDialer;
  readonly #target: Target;
  readonly #entropy: SeededEntropy;
  readonly #members: Member[] = [];
  readonly #leases = new KeptLeases({ isSettled: false, plan: { faults: new Set() } });
  #lastPlace = 0;
  #lastValue = 0;
  #isPaused = false;
  #loops: Promise<void>[] = [];
  #part: Part | undefined;

  private constructor(target: Target, seed: number) {
    this.#target = target;
    this.#entropy = new SeededEntropy(seed);
    const { scheduler } = processWorld();
    this.#dialer = new QuicDialer({ scheduler, onError: () => {} });
    const { promise, reject } = Promise.withResolvers<never>();
    // Whoever runs the load awaits it at times only; a rejection between must not end the process.
    promise.catch(() => {});
    this.finding = promise;
    this.#fail = reject;
  }

  /** Connects all clients, and begins the first part. */
  static async start(target: Target, seed: number): Promise<ChaosLoad> {
    const load = new ChaosLoad(target, seed);
    for (let number = 0; number < CLIENTS; number++) {
      const kept = new KeptLease({
        ...{ id: keptId(number), number, ttlMs: KEPT_TTL_MS, domain: `kept${number}.example` },
        pause: () => {
          load.leasesLost++;
          return pause(KEEP_PAUSE_MS);
        },
        world: load.#clock,
        promised: (promise) =>
          load.#judge([load.#leases], (checker) => checker.promised?.(promise)),
      });
      const client = await load.#connect();
      kept.begin(client);
      load.#members.push({ kept, client });
    }
    await load.#begin();
    return load;
  }

  /** Connects all clients anew, to the nodes that there are now. */
  async reconnect(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#renew(member)));
  }

  /** Ends the part while the cluster is whole: reads everything, checks all of it, and begins another. */
  async nextPart(): Promise<void> {
    await this.#endPart();
    await this.#begin();
  }

  /** Ends the last part, and checks that leases end which nobody keeps any more. */
  async end(): Promise<void> {
    await this.#endPart();
    const [last, ...others] = this.#members;
    await Promise.all(others.map(({ client }) => client.close()));
    await until("the end of leases that nobody keeps", async () => {
      const gone = await Promise.all(others.map((_, at) => isGone(last!.client, keptId(at + 1))));
      if (gone.every((one) => one)) return true;
      await pause(KEEP_PAUSE_MS);
      return false;
    }, GONE_MS_MAX);
    await this.close();
  }

  /** Closes all clients. */
  async close(): Promise<void> {
    this.#isPaused = true;
    this.#part?.watch.close();
    await Promise.all(this.#members.map(({ client }) => client.close()));
    await Promise.all(this.#loops);
    await this.#dialer.close();
  }

  get #clock() {
    return {
      get nowMs() {
        return performance.now();
      },
    };
  }

  async #connect(): Promise<Client> {
    return await connect({
      ...this.#target(),
      dialer: this.#dialer,
      world: processWorld(),
      options: { timeoutMs: TIMEOUT_MS, lazy: true },
    });
  }

  /** Lets a client begin anew, as a program that was restarted: it owns no record. */
  async #renew(member: Member): Promise<void> {
    const before = member.client;
    member.client = await this.#connect();
    member.kept.begin(member.client);
    await before.close();
  }

  async #begin(): Promise<void> {
    const number = ++this.parts;
    const region = `part-${number}`;
    const checkers = [new ExpectedCodes(), new LinearizableRecords(), new DomainHolders()];
    const answers: SdkAnswer[] = [];
    const judged: readonly PlacedChecker[] = [...checkers, this.#leases];
    const world: ProgramWorld = {
      region,
      agents: Array.from({ length: AGENTS }, (_, at) => idOf(0x40, number, at)),
      domains: Array.from({ length: DOMAINS }, (_, at) => `d${at}.${region}.example`),
      gateways: Array.from({ length: GATEWAYS }, (_, at) => idOf(0x60, number, at)),
      kept: Array.from({ length: CLIENTS }, (_, at) => keptId(at)),
      clientCount: CLIENTS,
      world: this.#clock,
      nextPlace: () => ++this.#lastPlace,
      nextValue: () => ++this.#lastValue,
      called: (call: SdkCall) => this.#judge(judged, (checker) => checker.called?.(call)),
      answered: (answer) => {
        this.#count(answer);
        answers.push(answer);
        this.#judge(judged, (checker) => checker.answered?.(answer));
      },
    };
    const options = { bounded: BOUNDED, timeoutMs: TIMEOUT_MS, hasTiers: false };
    const programs = this.#members.map((_, at) =>
      new SdkProgram(world, { ...options, number: at }, new SeededEntropy(this.#entropy.uint32()))
    );
    const watcher = await this.#connect();
    const watch = await PartWatch.begin(watcher, region);
    this.#part = { world, programs, checkers, answers, watch };
    this.#isPaused = false;
    this.#loops = this.#members.map((member, at) => this.#work(member, programs[at]!));
  }

  async #work(member: Member, program: SdkProgram): Promise<void> {
    try {
      while (!this.#isPaused) {
        const { code } = await program.make(member.client, program.draw(false));
        if (this.#isPaused) return;
        // A process that lost a record cannot register it again.
        if (code === "superseded" && this.#entropy.unit() < RECONNECTS) await this.#renew(member);
        await pause(-THINK_MS * Math.log(1 - this.#entropy.unit()));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #endPart(): Promise<void> {
    this.#isPaused = true;
    await Promise.all(this.#loops);
    const { world, programs, checkers, answers, watch } = this.#part!;
    const { client } = this.#members[0]!;
    for (const asked of everything(world)) {
      const answer = await programs[0]!.make(client, asked);
      if (answer.end !== "unknown") continue;
      throw new Finding("settled_calls", `${callName(answer)} while the cluster is whole`);
    }
    for (const checker of checkers) checker.ended?.();
    await watch.check(answers, () => client.cachedView({ kind: "agent", region: world.region }));
    this.watchEvents += watch.events;
    this.watchResets += watch.resets;
    for (const id of world.agents) await removed(client.deregisterAgent(id));
    for (const id of world.gateways) await removed(client.deregisterGateway(id));
  }

  #count({ end, code }: SdkAnswer): void {
    if (end === "ok") this.counts.ok++;
    else if (end === "not_found") this.counts.notFound++;
    else this.counts[end]++;
    if (code !== "") this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  #judge(checkers: readonly PlacedChecker[], hook: (checker: PlacedChecker) => void): void {
    try {
      checkers.forEach(hook);
    } catch (error) {
      this.#fail(error);
    }
  }
}

/** Returns reads of all records and domains, in each way. */
function everything({ agents, domains, kept }: ProgramWorld): AskedCall[] {
  const read = (kind: AskedCall["kind"], about: string) => ({ kind, about, maxStalenessMs: 0 });
  return [
    ...agents.map((id) => read("get", id)),
    ...domains.map((domain) => read("resolve", domain)),
    ...kept.map((id) => read("get_kept", id)),
    ...(["resolve_many", "list", "gateways"] as const).map((kind) => read(kind, "")),
  ];
}

async function removed(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (toRegistryError(error).code !== "not_found") throw error;
  }
}

async function isGone(client: Client, id: string): Promise<boolean> {
  try {
    await client.getAgent(id);
    return false;
  } catch (error) {
    if (toRegistryError(error).code !== "not_found") throw error;
    return true;
  }
}

function keptId(number: number): string {
  return idOf(0x50, 0, number);
}

function idOf(kind: number, part: number, number: number): string {
  const id = new Uint8Array(16).fill(kind);
  new DataView(id.buffer).setUint32(8, part);
  id[15] = number;
  return formatUuid(id);
}
