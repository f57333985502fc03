/**
 * Load of bounded reads on three real nodes: a writer registers gateways with ascending numbers, and a
 * client in the zone of each node reads them with a bound. Every write is logged with the time of its
 * acknowledgement on this process's one clock, and every read is compared with that log: what was
 * acknowledged before the read began, less the age that its receipt states, must be visible.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { ageBoundMsOf, type Client, connect } from "../../src/client/mod.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { until } from "./polling.ts";

const ZONES = ["zone-1", "zone-2", "zone-3"];
const DEADLINE_MS = 5_000;
const TTL_MS = 600_000;
/** Reads that prove that followers serve. */
const MORE_READS = 50;
const FOLLOWED_MS_MAX = 5_000;
/** An address's port holds the number of a write. */
const NUMBER_MAX = 65_535;

/** The size of a load. */
export interface BoundedLoadSize {
  readonly records?: number;
  /** Pause of a writer after each call, and of a client between the starts of two reads, ms. */
  readonly pauseMs?: number;
  /** Bounds that each reader asks for in turn, ms. */
  readonly boundsMs?: readonly number[];
}

/** Results of the reads with one bound. */
export class BoundFigures {
  reads = 0;
  /** Reads whose receipts state an age, and so were served by a follower. */
  followed = 0;
  failed = 0;
  /** Reads that are older than their receipt, or whose receipt is older than the bound. */
  older = 0;
  /** The longest time in which one client, which always has reads open, got no answer, ms. */
  gapMsMax = 0;
  /** The longest time that one read took to be answered, ms. */
  readMsMax = 0;
  readonly statedMs: number[] = [];
  readonly realMs: number[] = [];
}

/** The acknowledged writes of one record: the time of each number's acknowledgement. */
class WriteLog {
  readonly #ackedMs: number[] = [];

  acked(number: number, atMs: number): void {
    this.#ackedMs[number] = atMs;
  }

  /** Returns the highest number that was acknowledged before `atMs`; 0 for none. */
  before(atMs: number): number {
    return Math.max(0, this.#ackedMs.findLastIndex((ackedMs) => ackedMs < atMs));
  }

  /** Returns how long before `atMs` a number was replaced by a later one that was acknowledged, ms. */
  realAgeMs(number: number, atMs: number): number {
    const later = this.#ackedMs.findIndex((ackedMs, at) => at > number && ackedMs !== undefined);
    return later === -1 ? 0 : Math.max(0, atMs - this.#ackedMs[later]!);
  }
}

/** A load that runs until it is ended. */
export class BoundedLoad {
  /** By bound, ms. */
  readonly figures: ReadonlyMap<number, BoundFigures>;
  /** Descriptions of reads that were too old, and of failures. */
  readonly findings: string[] = [];
  readonly failures: string[] = [];
  writes = 0;
  /** The longest time for which this process itself ran no timer, ms: no gap is seen more exactly. */
  stallMsMax = 0;
  readonly #clients: readonly Client[];
  readonly #dialer: QuicDialer;
  readonly #logs: readonly WriteLog[];
  readonly #pauseMs: number;
  #loops: readonly Promise<void>[] = [];
  #isEnded = false;

  private constructor(clients: readonly Client[], dialer: QuicDialer, size: BoundedLoadSize) {
    const { records = 12, pauseMs = 10, boundsMs = [100, 4_000] } = size;
    this.#clients = clients;
    this.#dialer = dialer;
    this.#pauseMs = pauseMs;
    this.#logs = Array.from({ length: records }, () => new WriteLog());
    this.figures = new Map(boundsMs.map((boundMs) => [boundMs, new BoundFigures()]));
  }

  /** Connects to the cluster of a folder, registers the gateways, and starts the load. */
  static async start(folder: string, size: BoundedLoadSize = {}): Promise<BoundedLoad> {
    const world = processWorld();
    const { endpoints, trust } = findTarget({ data: folder }, {});
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
    const parameters = { endpoints, trust, dialer, world };
    const readers = ZONES.map((zone) => connect({ ...parameters, zone }));
    const clients = await Promise.all([connect(parameters), ...readers]);
    const load = new BoundedLoad(clients, dialer, size);
    await Promise.all(load.#logs.map((_, record) => load.#write(record, 1)));
    load.#loops = [
      ...load.#logs.map((_, record) => load.#writes(record)),
      ...clients.slice(1).flatMap((client) =>
        [...load.figures].map(([boundMs, figures]) => load.#reads(client, boundMs, figures))
      ),
      load.#stalls(),
    ];
    return load;
  }

  /** Resolves when followers have served more than {@link MORE_READS} further reads with each bound. */
  async followed(what: string): Promise<void> {
    const before = new Map([...this.figures].map(([boundMs, { followed }]) => [boundMs, followed]));
    const haveServed = () =>
      [...this.figures].every(([boundMs, { followed }]) =>
        followed > before.get(boundMs)! + MORE_READS
      );
    await until(what, () => Promise.resolve(haveServed()), FOLLOWED_MS_MAX);
  }

  /** Ends the load; resolves when the last calls have ended. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#loops);
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#dialer.close();
  }

  async #writes(record: number): Promise<void> {
    for (let number = 2; number <= NUMBER_MAX && !this.#isEnded; number++) {
      // A write whose outcome is not known is followed by the next number: it may show or not.
      await this.#tried("write", () => this.#write(record, number));
      await this.#pause();
    }
  }

  async #write(record: number, number: number): Promise<void> {
    const gateway = { id: idOf(record), region: "global", address: "192.0.2.1", port: number };
    await this.#clients[0]!.registerGateway({ ...gateway, ttlMs: TTL_MS }, {
      timeoutMs: DEADLINE_MS,
    });
    this.#logs[record]!.acked(number, performance.now());
    this.writes++;
  }

  /** Starts a read after each pause, whether or not earlier ones were answered. */
  async #reads(client: Client, boundMs: number, figures: BoundFigures): Promise<void> {
    let lastMs = performance.now();
    const read = async (record: number) => {
      const isRead = await this.#tried("read", () => this.#read(client, record, boundMs, figures));
      if (!isRead) return void figures.failed++;
      const nowMs = performance.now();
      figures.gapMsMax = Math.max(figures.gapMsMax, nowMs - lastMs);
      lastMs = nowMs;
    };
    const open = new Set<Promise<void>>();
    let broken: unknown;
    for (let turn = 0; !this.#isEnded && broken === undefined; turn++) {
      const one = read(turn % this.#logs.length).catch((error) => broken = error);
      open.add(one);
      void one.finally(() => open.delete(one));
      await this.#pause();
    }
    await Promise.all(open);
    if (broken !== undefined) throw broken;
  }

  async #stalls(): Promise<void> {
    for (let lastMs = performance.now(); !this.#isEnded;) {
      await this.#pause();
      const nowMs = performance.now();
      this.stallMsMax = Math.max(this.stallMsMax, nowMs - lastMs - this.#pauseMs);
      lastMs = nowMs;
    }
  }

  async #read(
    client: Client,
    record: number,
    maxStalenessMs: number,
    figures: BoundFigures,
  ): Promise<void> {
    const calledMs = performance.now();
    const options = { maxStalenessMs, timeoutMs: DEADLINE_MS };
    const answer = await client.getGateway(idOf(record), options).catch((error) => {
      // The answer may be as old as the bound, and the record may not have existed then.
      const existed = this.#logs[record]!.before(calledMs - maxStalenessMs) > 0;
      if (existed || !(error instanceof RegistryError) || error.code !== "not_found") throw error;
    });
    if (answer === undefined) return;
    const { gateway, receipts } = answer;
    const answeredMs = performance.now();
    const statedMs = ageBoundMsOf(receipts);
    const log = this.#logs[record]!;
    figures.reads++;
    figures.readMsMax = Math.max(figures.readMsMax, answeredMs - calledMs);
    if (statedMs > 0) {
      figures.followed++;
      figures.statedMs.push(statedMs);
      figures.realMs.push(log.realAgeMs(gateway.port, answeredMs));
    }
    const wanted = log.before(calledMs - statedMs);
    if (gateway.port >= wanted && statedMs <= maxStalenessMs) return;
    figures.older++;
    this.findings.push(
      `A read of record ${record} within ${maxStalenessMs} ms shows ${gateway.port} and states ` +
        `${statedMs} ms; ${wanted} was acknowledged before: ${JSON.stringify(receipts)}`,
    );
  }

  async #tried(what: string, call: () => Promise<void>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      this.failures.push(`${what}: ${error.code}: ${error.message}`);
      return false;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
  }
}

function idOf(record: number): string {
  return `6f1c2f4e-8a54-4c1b-9d0e-3b1c7a5e${(0x1000 + record).toString(16)}`;
}

/** Returns the percentile of some numbers, `[0, 1]`; 0 if there are none. */
export function percentile(numbers: readonly number[], part: number): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
