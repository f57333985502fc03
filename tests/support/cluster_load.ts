/**
 * Load of SDK clients on a cluster, recorded as a history: for each of a number of gateways, a writer
 * that registers it with an ascending number, now and then deregisters it or is replaced by another
 * client while it still writes, and two readers at other clients. Every operation is recorded with the
 * order of its call and its reply, on this process's one clock, and {@link ClusterLoad.check} searches
 * the history by the simulator's checker: each reply must be one that a single register could have
 * given. A write that failed, for whatever reason, counts as one of unknown outcome.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { ERROR_TABLE, RegistryError } from "../../src/base/errors.ts";
import { NO_POSITION } from "../../src/base/position.ts";
import {
  type Client,
  connect,
  type ConnectParameters,
  type Deregistered,
} from "../../src/client/mod.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { Linearizability } from "../sim/checkers/linearizability.ts";
import type { Operation, OperationKind } from "../sim/history.ts";
import { until } from "./until.ts";

/** Deadline of each call. */
const DEADLINE_MS = 5_000;
const TTL_MS = 600_000;
/** Clients, of which each registers records and reads those of others. */
const CLIENTS = 4;
const READERS = 2;
/** Of the writes of a record, each so many is a deregistration, or made by the next client too. */
const REMOVE_EVERY = 23;
const TAKE_OVER_EVERY = 61;
/** An address's port holds the number of a write. */
const NUMBER_MAX = 65_535;

/** The size of a load. */
export interface LoadSize {
  readonly records?: number;
  /** Pause of each writer and reader between two calls. */
  readonly pauseMs?: number;
  /** Connection options of the clients; by default those of the cluster's folder. */
  readonly target?: Pick<ConnectParameters, "endpoints" | "trust">;
}

/** The results of one kind of call. */
export interface CallFigures {
  calls: number;
  /** The longest time between two successful calls of one loop, ms. */
  gapMsMax: number;
}

/** The longest times without a successful read or write of a record, ms. */
export interface Gaps {
  readonly readMs: number;
  readonly writeMs: number;
}

/** The result of a call: the value seen or written, and where it took effect. */
interface Told {
  readonly end: "ok" | "not_found" | "unknown";
  readonly value: number;
  readonly receipts: readonly { readonly term: number; readonly appliedIndex: number }[];
}

/** The state of one record's writer. */
interface Writer {
  /** The client that owns the record. */
  client: number;
  number: number;
  /** Whether the client has yet to take the record over. */
  takes: boolean;
}

/** A load that runs until it is ended. */
export class ClusterLoad {
  readonly reads: CallFigures = { calls: 0, gapMsMax: 0 };
  readonly writes: CallFigures = { calls: 0, gapMsMax: 0 };
  /** Calls that failed within their deadline, as text. */
  readonly failures: string[] = [];
  readonly #history: Operation[] = [];
  readonly #clients: readonly Client[];
  readonly #dialer: QuicDialer;
  readonly #writers: readonly Writer[];
  readonly #pauseMs: number;
  /** Time of the last success of each loop. */
  readonly #succeededMs: number[] = [];
  readonly #loopNames: string[] = [];
  #loops: Promise<void>[] = [];
  #place = 0;
  #isEnded = false;

  private constructor(clients: readonly Client[], dialer: QuicDialer, size: LoadSize) {
    const { records = 16, pauseMs = 10 } = size;
    this.#clients = clients;
    this.#dialer = dialer;
    this.#pauseMs = pauseMs;
    this.#writers = Array.from({ length: records }, (_, at) => ({
      client: at % CLIENTS,
      number: 0,
      takes: false,
    }));
  }

  /** Connects to the cluster of a folder, registers the gateways, and starts the load. */
  static async start(folder: string, size: LoadSize = {}): Promise<ClusterLoad> {
    const world = processWorld();
    const { endpoints, trust } = size.target ?? findTarget({ data: folder }, {});
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => connect({ endpoints, trust, dialer, world })),
    );
    const load = new ClusterLoad(clients, dialer, size);
    const records = [...load.#writers.keys()];
    await Promise.all(records.map((at) => load.#write(at)));
    load.#loops = records.flatMap((at) => [
      load.#repeat(`writes of ${at}`, load.writes, () => load.#write(at)),
      ...Array.from(
        { length: READERS },
        (_, reader) =>
          load.#repeat(`reads of ${at}`, load.reads, () => load.#read(at, at + 1 + reader)),
      ),
    ]);
    return load;
  }

  /** Count of recorded operations. */
  get operations(): number {
    return this.#history.length;
  }

  /** The longest gaps since the last phase began. */
  get gaps(): Gaps {
    return { readMs: Math.round(this.reads.gapMsMax), writeMs: Math.round(this.writes.gapMsMax) };
  }

  /** Resets the gaps for the next phase. */
  newPhase(): void {
    this.reads.gapMsMax = 0;
    this.writes.gapMsMax = 0;
  }

  /** Resolves when every loop has succeeded after this call. */
  async allSucceed(what: string, deadlineMs = 15_000): Promise<void> {
    const sinceMs = performance.now() + this.#pauseMs;
    const have = (ms: number) => ms > sinceMs;
    try {
      await until(what, () => this.#succeededMs.every(have), deadlineMs);
    } catch (cause) {
      const late = this.#loopNames.filter((_, loop) => !have(this.#succeededMs[loop]!));
      const last = this.failures.slice(-late.length).join("\n");
      throw new Error(`Not again ${what}: ${late.join(", ")}\n${last}`, { cause });
    }
  }

  /** Ends the load after one more read of each record; resolves when the last calls have ended. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#loops);
    // What is lost shows here at the latest.
    await Promise.all(this.#writers.map((_, at) => this.#tried(() => this.#read(at, at))));
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#dialer.close();
  }

  /** Checks the recorded history. @throws Finding if no order of the operations explains a reply. */
  check(): void {
    const checker = new Linearizability();
    for (const operation of this.#history) checker.onOperation(operation);
    checker.onEnd();
  }

  async #repeat(name: string, figures: CallFigures, call: () => Promise<void>): Promise<void> {
    this.#loopNames.push(name);
    const loop = this.#succeededMs.push(performance.now()) - 1;
    while (!this.#isEnded) {
      if (await this.#tried(call)) {
        const nowMs = performance.now();
        figures.calls++;
        figures.gapMsMax = Math.max(figures.gapMsMax, nowMs - this.#succeededMs[loop]!);
        this.#succeededMs[loop] = nowMs;
      }
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }

  /** Returns whether a call succeeded; a failure is noted. */
  async #tried(call: () => Promise<void>): Promise<boolean> {
    const beganMs = performance.now();
    try {
      await call();
      return true;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const afterMs = Math.round(performance.now() - beganMs);
      this.failures.push(`after ${afterMs} ms: ${error.code}: ${error.message}`);
      return false;
    }
  }

  async #write(at: number): Promise<void> {
    const writer = this.#writers[at]!;
    const number = ++writer.number;
    if (number % REMOVE_EVERY === 0) return await this.#remove(at, writer.client);
    // A process that lost a record never gets it back, so each client owns a record once.
    if (number % TAKE_OVER_EVERY === 0 && number / TAKE_OVER_EVERY < CLIENTS) {
      const former = this.#register(at, writer.client, number, "register").catch(refusedAsFormer);
      writer.client = (writer.client + 1) % CLIENTS;
      writer.takes = true;
      writer.number++;
      const [, taken] = await Promise.allSettled([former, this.#writeAs(at, writer)]);
      if (taken.status === "rejected") throw taken.reason;
    } else await this.#writeAs(at, writer);
  }

  async #writeAs(at: number, writer: Writer): Promise<void> {
    const kind = writer.takes ? "take_over" : "register";
    await this.#register(at, writer.client, writer.number, kind);
    writer.takes = false;
  }

  async #register(
    at: number,
    client: number,
    number: number,
    kind: "register" | "take_over",
  ): Promise<void> {
    if (number > NUMBER_MAX) throw new RangeError("A record is written too often");
    const gateway = { id: idOf(at), region: "global", address: "192.0.2.1", port: number };
    const options = { timeoutMs: DEADLINE_MS, takeOver: kind === "take_over" };
    await this.#record({ at, client, kind, value: number }, async () => {
      const { receipts } = await this.#clients[client]!
        .registerGateway({ ...gateway, ttlMs: TTL_MS }, options);
      return { end: "ok", value: number, receipts };
    });
  }

  async #remove(at: number, client: number): Promise<void> {
    const options = { timeoutMs: DEADLINE_MS };
    await this.#record({ at, client, kind: "deregister", value: 0 }, async () => {
      const { removed, receipts } = await this.#clients[client]!
        .deregisterGateway(idOf(at), options).catch(alreadyGone);
      // An attempt whose reply was lost may have removed it.
      return { end: removed === 0 ? "unknown" : "ok", value: 0, receipts };
    });
  }

  async #read(at: number, reader: number): Promise<void> {
    const client = reader % CLIENTS;
    await this.#record({ at, client, kind: "get", value: 0 }, async () => {
      try {
        const { gateway, receipts } = await this.#clients[client]!
          .getGateway(idOf(at), { timeoutMs: DEADLINE_MS });
        return { end: "ok", value: gateway.port, receipts };
      } catch (error) {
        if (!(error instanceof RegistryError) || error.code !== "not_found") throw error;
        return { end: "not_found", value: 0, receipts: [] };
      }
    });
  }

  /** Performs and records one operation; `value` is what a write is to write. */
  async #record(
    { at, client, kind, value }: {
      readonly at: number;
      readonly client: number;
      readonly kind: OperationKind;
      readonly value: number;
    },
    call: () => Promise<Told>,
  ): Promise<void> {
    const calledAt = this.#place++;
    const calledMs = Math.round(performance.now());
    const ended = (end: Operation["end"], told: Omit<Told, "end">, code = "") => {
      const [receipt] = told.receipts;
      this.#history.push({
        ...{ client, kind, end, code, calledAt, calledMs },
        group: 0,
        key: `gateway ${at}`,
        way: kind === "get" ? "lease" : "propose",
        isLongLived: true,
        ttlMs: TTL_MS,
        value: told.value,
        incarnation: NO_POSITION,
        coverLeftMs: 0,
        index: receipt?.appliedIndex ?? 0,
        term: receipt?.term ?? 0,
        answeredAt: end === "unknown" ? Infinity : this.#place++,
        answeredMs: Math.round(performance.now()),
        attemptMs: calledMs,
        attempts: 1,
      });
    };
    try {
      const told = await call();
      ended(told.end, told);
    } catch (error) {
      ended("unknown", { value, receipts: [] }, error instanceof RegistryError ? error.code : "");
      throw error;
    }
  }
}

function alreadyGone(error: unknown): Pick<Deregistered, "removed" | "receipts"> {
  if (error instanceof RegistryError && error.code === "not_found") {
    return { removed: 0, receipts: [] };
  }
  throw error;
}

/** Ignores the refusal of a write to a record that another client takes over. */
function refusedAsFormer(error: unknown): void {
  if (error instanceof RegistryError && ERROR_TABLE[error.code].class === "conflict") return;
  throw error;
}

function idOf(at: number): string {
  return `6f1c2f4e-8a54-4c1b-9d0e-3b1c7a5d${(0x1000 + at).toString(16)}`;
}
