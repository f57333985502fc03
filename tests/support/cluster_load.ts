/**
 * Load of the SDK on a cluster: for each of a number of gateways, one writer that registers it with an
 * ascending number, and one reader. Each read must have the number of the last write that was
 * acknowledged before it began, or a later one; so a lost write is found by the next read.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { type Client, connect } from "../../src/client/mod.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { until } from "./until.ts";

const PAUSE_MS = 10;
/** Deadline of each call. */
const DEADLINE_MS = 5_000;
const TTL_MS = 600_000;

/** The results of one kind of call. */
export interface CallFigures {
  calls: number;
  /** The longest time between two successful calls of one record, ms. */
  gapMsMax: number;
}

/** A load that runs until it is ended. */
export class ClusterLoad {
  readonly reads: CallFigures = { calls: 0, gapMsMax: 0 };
  readonly writes: CallFigures = { calls: 0, gapMsMax: 0 };
  /** Calls that failed within their deadline, as text. */
  readonly failures: string[] = [];
  /** Reads that lacked an acknowledged write, as text. */
  readonly lost: string[] = [];
  readonly #client: Client;
  readonly #dialer: QuicDialer;
  /** By record: the last acknowledged number. */
  readonly #acknowledged: number[];
  /** Time of the last success of each loop. */
  readonly #succeededMs: number[];
  #loops: Promise<void>[] = [];
  #isEnded = false;

  private constructor(client: Client, dialer: QuicDialer, records: number) {
    this.#client = client;
    this.#dialer = dialer;
    this.#acknowledged = new Array(records).fill(0);
    this.#succeededMs = new Array(2 * records).fill(0);
  }

  /** Connects to the cluster of a folder, registers the gateways, and starts the load. */
  static async start(folder: string, records = 16): Promise<ClusterLoad> {
    const world = processWorld();
    const { endpoints, trust } = findTarget({ data: folder }, {});
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
    const client = await connect({ endpoints, trust, dialer, world });
    const load = new ClusterLoad(client, dialer, records);
    const all = Array.from({ length: records }, (_, at) => at);
    await Promise.all(all.map((at) => load.#write(at)));
    load.#loops = all.flatMap((
      at,
    ) => [
      load.#repeat(2 * at, load.writes, () => load.#write(at)),
      load.#repeat(2 * at + 1, load.reads, () => load.#read(at)),
    ]);
    return load;
  }

  /** Resets the gaps for the next phase. */
  newPhase(): void {
    this.reads.gapMsMax = 0;
    this.writes.gapMsMax = 0;
  }

  /** Resolves when every loop has succeeded after this call. */
  async allSucceed(what: string, deadlineMs = 15_000): Promise<void> {
    const sinceMs = performance.now();
    await until(
      `${what}: all records are read and written again`,
      () => this.#succeededMs.every((ms) => ms > sinceMs + PAUSE_MS),
      deadlineMs,
    );
  }

  /** Ends the load; resolves when the last calls have ended. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#loops);
    await this.#client.close();
    await this.#dialer.close();
  }

  async #repeat(loop: number, figures: CallFigures, call: () => Promise<void>): Promise<void> {
    this.#succeededMs[loop] = performance.now();
    while (!this.#isEnded) {
      const beganMs = performance.now();
      try {
        await call();
        const nowMs = performance.now();
        const gapMs = nowMs - this.#succeededMs[loop]!;
        figures.calls++;
        figures.gapMsMax = Math.max(figures.gapMsMax, gapMs);
        this.#succeededMs[loop] = nowMs;
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        const afterMs = Math.round(performance.now() - beganMs);
        this.failures.push(`after ${afterMs} ms: ${error.code}: ${error.message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #write(at: number): Promise<void> {
    const number = this.#acknowledged[at]! + 1;
    const gateway = { id: idOf(at), region: "global", address: "192.0.2.1", port: number };
    await this.#client.registerGateway({ ...gateway, ttlMs: TTL_MS }, { timeoutMs: DEADLINE_MS });
    this.#acknowledged[at] = number;
  }

  async #read(at: number): Promise<void> {
    const wanted = this.#acknowledged[at]!;
    const { gateway } = await this.#client.getGateway(idOf(at), { timeoutMs: DEADLINE_MS });
    const { port } = gateway;
    if (port < wanted) this.lost.push(`record ${at} must have ${wanted} or more: it has ${port}`);
  }
}

function idOf(at: number): string {
  return `6f1c2f4e-8a54-4c1b-9d0e-3b1c7a5d${(0x1000 + at).toString(16)}`;
}
