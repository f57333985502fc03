/**
 * A client of a simulated cluster: production's SDK on a machine of its own, and a program that makes one
 * call after another with it. Each call is reported as it begins and as it ends.
 */
import { ERROR_TABLE, type ErrorCode, toRegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { Client } from "../../../src/client/mod.ts";
import { Machine, type MachineClock, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { KeptLease, type LeasePromise } from "./kept_lease.ts";
import { clientPortOf } from "./node_program.ts";
import type { ClientWatches } from "./client_watches.ts";
import { LIST_PAGES_MAX, type Outcome, SdkCalls } from "./sdk_calls.ts";
import type { SdkAnswer, SdkCall, SdkCallKind } from "./sdk_history.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

/** Addresses of clients on the wire begin here. */
export const CLIENT_ADDRESS_MIN = 100;
/** The part of the writes that clients make to a record that is another's. */
const FOREIGN = 0.15;
/** The part of the puts that name a domain, and of these that name one that others name too. */
const NAMES_DOMAIN = 0.7;
/** The probability that a client which was superseded begins anew. */
const RECONNECTS = 0.5;
/** The factor by which calls are fewer while nothing happens, so that a run is not mostly those. */
const CALM_FACTOR = 5;
/** Ages that reads accept, ms. */
const STALENESS_MS: readonly number[] = [20, 50, 100, 300, 1_000, 4_000];

/** The kinds of calls, with their weights. */
const WEIGHTS: readonly (readonly [SdkCallKind, number])[] = [
  ["get", 24],
  ["get_kept", 8],
  ["put", 30],
  ["take_over", 6],
  ["remove", 8],
  ["resolve", 18],
  ["resolve_many", 4],
  ["list", 7],
  ["put_gateway", 5],
  ["remove_gateway", 2],
  ["gateways", 5],
];

/** The kinds that change records. */
export const WRITES: ReadonlySet<SdkCallKind> = new Set<SdkCallKind>([
  "put",
  "take_over",
  "remove",
  "put_gateway",
  "remove_gateway",
]);

/** The kinds of reads that may accept some age. */
const BOUNDED: ReadonlySet<SdkCallKind> = new Set<SdkCallKind>([
  "get",
  "resolve",
  "resolve_many",
  "list",
  "gateways",
]);

/** State that clients share. */
export interface SdkWorld {
  readonly world: SimWorld;
  readonly wire: SimWire;
  /** UUIDs of all agents. */
  readonly agents: readonly string[];
  readonly domains: readonly string[];
  /** UUIDs of all gateways. */
  readonly gateways: readonly string[];
  /** Addresses of all machines that may be nodes. */
  readonly nodes: readonly number[];
  readonly clientCount: number;
  /** UUIDs of the agents that clients keep alive, by the client's number. */
  readonly kept: readonly string[];
  /** Whether clients work slowly, because nothing happens in the cluster. */
  readonly isCalm: boolean;
  readonly promised: (promise: LeasePromise) => void;
  nextPlace(): number;
  /** Returns a number that no other write has. */
  nextValue(): number;
  called(call: SdkCall): void;
  answered(answer: SdkAnswer): void;
}

/** Options of a client. */
export interface SdkClientOptions {
  /** From 0. */
  readonly number: number;
  readonly clock: MachineClock;
  /** "" for none. */
  readonly zone: string;
  /** The part of its reads that accept some age. */
  readonly bounded: number;
  readonly seed: number;
  /** Mean time between an answer and the next call, ms. */
  readonly thinkMs: number;
  readonly timeoutMs: number;
  /** The lease of the agent that it keeps alive, ms. */
  readonly keptTtlMs: number;
  /** The number of addresses of nodes that it is given. */
  readonly endpoints: number;
  /** Its watches, if it has any. */
  readonly watches: ClientWatches | undefined;
}

/** A call to be made. */
export interface AskedCall {
  readonly kind: SdkCallKind;
  /** The record's UUID or the domain; ignored if the call is about all of them. */
  readonly about: string;
  /** Of a read: the age that it accepts, ms; 0: linearizable. */
  readonly maxStalenessMs: number;
}

/** A client. */
export class SdkClient {
  readonly machine: Machine;
  readonly number: number;
  readonly kept: KeptLease;
  readonly watches: ClientWatches | undefined;
  client: Client | undefined;
  /** The calls under way. */
  readonly open = new Set<SdkCall>();
  readonly #world: SdkWorld;
  readonly #options: SdkClientOptions;
  readonly #entropy: SeededEntropy;
  readonly #calls: SdkCalls;
  #process: Process | undefined;
  #isStopped = false;
  /** Whether it is between two calls, and will make none. */
  isIdle = false;

  constructor(world: SdkWorld, options: SdkClientOptions) {
    this.#world = world;
    this.#options = options;
    this.number = options.number;
    this.watches = options.watches;
    this.#entropy = new SeededEntropy(options.seed);
    this.#calls = new SdkCalls(world, this.#entropy, options.watches !== undefined);
    this.machine = new Machine(world.world, {
      id: CLIENT_ADDRESS_MIN + options.number,
      clock: options.clock,
      seed: this.#entropy.uint32(),
      onKilled: () => {},
    });
    this.kept = new KeptLease({
      id: world.kept[options.number]!,
      number: options.number,
      ttlMs: options.keptTtlMs,
      world: world.world,
      promised: world.promised,
    });
  }

  /** Starts the program. */
  start(): void {
    const process = this.machine.start();
    this.machine.openPromises = 1;
    this.#process = process;
    process.enter(() => {
      this.#connect(process).then(() => this.#work(process))
        .catch((error) => this.#world.world.fail(error));
    });
  }

  /** Begins with a new client, as a program does that was restarted: it owns no record. */
  async #connect(process: Process): Promise<void> {
    const { wire, nodes } = this.#world;
    const { endpoints, timeoutMs, zone } = this.#options;
    const given = [...nodes].sort(() => this.#unit() - 0.5).slice(0, endpoints);
    await this.client?.close();
    const dialer = wire.dialer(this.machine, process);
    this.client = await connectCaller({
      endpoints: given.map((address) => ({ host: WIRE_HOST, port: clientPortOf(address) })),
      dialer: this.watches?.tapped(dialer) ?? dialer,
      trust: { kind: "pins", sha256: [] },
      world: process,
      ...(zone === "" ? {} : { zone }),
      options: { lazy: true, timeoutMs },
    });
    this.kept.begin(this.client);
    this.watches?.begin(this.client, process);
  }

  /** Lets it make no further call of its own. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Makes a call, once it is idle. */
  ask(call: AskedCall, ended: (answer: SdkAnswer) => void): void {
    const process = this.#process!;
    process.enter(() => {
      this.#make(call).then(ended).catch((error) => this.#world.world.fail(error));
    });
  }

  get #thinkMs(): number {
    const { thinkMs } = this.#options;
    return this.#world.isCalm ? CALM_FACTOR * thinkMs : thinkMs;
  }

  async #work(process: Process): Promise<void> {
    while (!this.#isStopped) {
      await new Promise<void>((resolve) =>
        void process.after(-this.#thinkMs * Math.log(1 - this.#unit()), resolve)
      );
      if (this.#isStopped) break;
      const kind = this.#draw();
      const about = kind === "resolve" ? this.#of(this.#world.domains) : this.#key(kind);
      // Nodes probe each other for a while after such a read, which costs more than the read.
      const isBounded = BOUNDED.has(kind) && !this.#world.isCalm &&
        this.#unit() < this.#options.bounded;
      const maxStalenessMs = isBounded ? this.#of(STALENESS_MS) : 0;
      const { code } = await this.#make({ kind, about, maxStalenessMs });
      // A process that lost a record cannot register it again.
      if (code === "superseded" && this.#unit() < RECONNECTS) await this.#connect(process);
    }
    this.isIdle = true;
  }

  /** Draws the record of a call: its own records are those whose number it shares, by remainder. */
  #key(kind: SdkCallKind): string {
    const { agents, clientCount, gateways, kept } = this.#world;
    if (kind === "get_kept") return this.#of(kept);
    const isAny = kind === "get" || kind === "take_over" || this.#unit() < FOREIGN;
    const all = kind === "put_gateway" || kind === "remove_gateway" ? gateways : agents;
    const own = all.filter((_, at) => at % clientCount === this.number % clientCount);
    return this.#of(isAny || own.length === 0 ? all : own);
  }

  async #make(asked: AskedCall): Promise<SdkAnswer> {
    const { about, kind, maxStalenessMs } = asked;
    const { world } = this.#world;
    const isWrite = WRITES.has(kind);
    const isPut = isWrite && kind !== "remove" && kind !== "remove_gateway";
    // What a takeover must know is read before, by a call of its own.
    if (kind === "take_over" && !this.#calls.knows(about)) {
      await this.#make({ kind: "get", about, maxStalenessMs });
    }
    const call: SdkCall = {
      client: this.number,
      kind,
      key: isWrite || kind === "get_kept" ? about : "",
      value: isPut ? this.#world.nextValue() : 0,
      domain: isPut && kind !== "put_gateway" ? this.#domainOf(about) : "",
      maxStalenessMs,
      calledAt: this.#world.nextPlace(),
      calledMs: world.nowMs,
      timeoutMs: this.#options.timeoutMs * (kind === "list" ? LIST_PAGES_MAX : isWrite ? 2 : 1),
    };
    const retriesBefore = this.client!.status.retries;
    this.open.add(call);
    this.#world.called(call);
    let outcome: Outcome & { readonly code?: ErrorCode; readonly message?: string };
    try {
      outcome = await this.#calls.run(this.client!, call, about);
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      outcome = { code, message };
    }
    const retries = this.client!.status.retries - retriesBefore;
    const end = outcome.code === undefined
      ? outcome.end ?? "ok"
      : endOf(outcome.code, isWrite, retries > 0);
    const answer: SdkAnswer = {
      ...call,
      end,
      code: outcome.code ?? "",
      message: outcome.message ?? "",
      retries,
      answeredAt: end === "unknown" ? Infinity : this.#world.nextPlace(),
      answeredMs: world.nowMs,
      records: outcome.records ?? [],
      domains: outcome.domains ?? [],
      receipts: outcome.receipts ?? [],
    };
    this.open.delete(call);
    this.#world.answered(answer);
    return answer;
  }

  /** Draws the domain that a write of a record claims: mostly its own, else one of others. */
  #domainOf(key: string): string {
    const { agents, domains } = this.#world;
    if (this.#unit() >= NAMES_DOMAIN) return "";
    return this.#unit() < 0.8 ? domains[agents.indexOf(key) % domains.length]! : this.#of(domains);
  }

  #draw(): SdkCallKind {
    const sum = WEIGHTS.reduce((total, [, weight]) => total + weight, 0);
    let left = this.#unit() * sum;
    for (const [kind, weight] of WEIGHTS) if ((left -= weight) < 0) return kind;
    return "get";
  }

  #unit(): number {
    return this.#entropy.unit();
  }

  #of<T>(items: readonly T[]): T {
    return items[Math.floor(this.#unit() * items.length)]!;
  }
}

/** A refusal after a repeated attempt may be of the repetition only. */
function endOf(code: ErrorCode, isWrite: boolean, isRetried: boolean): "refused" | "unknown" {
  if (!isWrite) return "unknown";
  return ERROR_TABLE[code].unapplied && !isRetried ? "refused" : "unknown";
}
