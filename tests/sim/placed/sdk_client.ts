/** A client of a simulated cluster: production's SDK on a machine of its own, and a program that uses it. */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { Client } from "../../../src/client/mod.ts";
import { Machine, type MachineClock, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { KeptLease, type LeasePromise } from "./kept_lease.ts";
import { clientPortOf } from "./node_program.ts";
import type { ClientWatches } from "./client_watches.ts";
import { fallSilent } from "./silent_agents.ts";
import type { SdkAnswer, SdkCall } from "./sdk_history.ts";
import { type AskedCall, type ProgramWorld, SdkProgram } from "./sdk_program.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

/** Addresses of clients on the wire begin here. */
export const CLIENT_ADDRESS_MIN = 100;
/** The probability that a client which was superseded begins anew. */
const RECONNECTS = 0.5;
/** The factor by which calls are fewer while nothing happens, so that a run is not mostly those. */
const CALM_FACTOR = 5;
/** State that clients share. */
export interface SdkWorld extends ProgramWorld {
  readonly world: SimWorld;
  readonly wire: SimWire;
  /** Addresses of all machines that may be nodes. */
  readonly nodes: readonly number[];
  /** Whether clients work slowly, because nothing happens in the cluster. */
  readonly isCalm: boolean;
  readonly promised: (promise: LeasePromise) => void;
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
  /** Number of further agents that it registers and does not renew. */
  readonly silentAgents: number;
  /** Its watches, if it has any. */
  readonly watches: ClientWatches | undefined;
}

/** A client. */
export class SdkClient {
  readonly machine: Machine;
  readonly number: number;
  readonly kept: KeptLease;
  readonly watches: ClientWatches | undefined;
  client: Client | undefined;
  readonly #world: SdkWorld;
  readonly #options: SdkClientOptions;
  readonly #entropy: SeededEntropy;
  readonly #program: SdkProgram;
  #process: Process | undefined;
  #isStopped = false;
  #hasSilent = false;
  /** Whether it is between two calls, and will make none. */
  isIdle = false;

  constructor(world: SdkWorld, options: SdkClientOptions) {
    this.#world = world;
    this.#options = options;
    this.number = options.number;
    this.watches = options.watches;
    this.#entropy = new SeededEntropy(options.seed);
    const hasTiers = options.watches !== undefined;
    this.#program = new SdkProgram(world, { ...options, hasTiers }, this.#entropy);
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

  /** The calls under way. */
  get open(): ReadonlySet<SdkCall> {
    return this.#program.open;
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
    this.#fallSilent(this.client, process);
    this.watches?.begin(this.client, process);
  }

  /** Registers agents that fall silent, once. */
  #fallSilent(client: Client, process: Process): void {
    const { silentAgents } = this.#options;
    if (silentAgents === 0 || this.#hasSilent) return;
    this.#hasSilent = true;
    fallSilent(client, process, silentAgents).catch((error) => this.#world.world.fail(error));
  }

  /** Lets it make no further call of its own. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Makes a call, once it is idle. */
  ask(call: AskedCall, ended: (answer: SdkAnswer) => void): void {
    const process = this.#process!;
    process.enter(() => {
      this.#program.make(this.client!, call).then(ended).catch((error) =>
        this.#world.world.fail(error)
      );
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
      // Nodes probe each other for a while after a read that accepts some age.
      const asked = this.#program.draw(this.#world.isCalm);
      const { code } = await this.#program.make(this.client!, asked);
      // A process that lost a record cannot register it again.
      if (code === "superseded" && this.#unit() < RECONNECTS) await this.#connect(process);
    }
    this.isIdle = true;
  }

  #unit(): number {
    return this.#entropy.unit();
  }
}
