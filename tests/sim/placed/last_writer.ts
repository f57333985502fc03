/** A client that writes records until it is stopped, and knows what it was told of each. */
import { RegistryError } from "../../../src/base/errors.ts";
import { TTL_MS_MAX } from "../../../src/base/limits.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { Client, Incarnation } from "../../../src/client/mod.ts";
import { idOf } from "../../support/store.ts";
import { Machine, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { clientPortOf } from "./node_program.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

const REGION = "eu";
/** Numbers of its records begin here. */
const NUMBERS_MIN = 1 << 20;
const THINK_MS = 15;
const TIMEOUT_MS = 1_000;
const PROGRESS_MS = 200;

/** A write, and the answer if it succeeded. */
export interface Attempt {
  readonly value: string;
  answer?: {
    readonly partition: number;
    readonly incarnation: Incarnation;
    readonly revision: Incarnation;
  };
}

/** One client. */
export class LastWriter {
  /** By UUID: the writes of the record, in their order. */
  readonly attempts = new Map<string, Attempt[]>();
  /** Token of the last event of its watch. */
  token = "";
  client: Client | undefined;
  readonly #world: SimWorld;
  readonly #machine: Machine;
  readonly #wire: SimWire;
  readonly #nodes: readonly number[];
  readonly #name: string;
  readonly #ids: readonly string[];
  #written = 0;

  /** @param nodes addresses of the machines that it may know. */
  constructor(
    { world, wire }: { readonly world: SimWorld; readonly wire: SimWire },
    { address, nodes, name, records }: {
      readonly address: number;
      readonly nodes: readonly number[];
      /** Part of every value that it writes. */
      readonly name: string;
      readonly records: number;
    },
  ) {
    this.#world = world;
    this.#wire = wire;
    this.#nodes = nodes;
    this.#name = name;
    this.#ids = Array.from({ length: records }, (_, n) => formatUuid(idOf(NUMBERS_MIN + n)));
    this.#machine = new Machine(world, {
      id: address,
      clock: { rate: 1, wallRate: 1, wallOffsetMs: 0 },
      seed: address,
      onKilled: () => {},
    });
  }

  /** Connects, and runs something with the client. */
  start(run: (client: Client, process: Process) => Promise<void>): void {
    const process = this.#machine.start();
    this.#machine.openPromises = 1;
    process.enter(() => {
      this.#connect(process).then((client) => run(client, process))
        .catch((error) => process.isAlive && this.#world.fail(error));
    });
  }

  /** Ends its program. */
  stop(): void {
    this.#machine.kill();
  }

  /** Writes one record after the other, and watches all of them. */
  async work(client: Client, process: Process): Promise<void> {
    this.watch(client).catch((error) => this.#world.fail(error));
    while (process.isAlive) {
      await this.write(client, this.#ids[this.#written % this.#ids.length]!);
      await new Promise<void>((resolve) => void process.after(THINK_MS, resolve));
    }
  }

  /** Writes a record. @returns whether it was answered with success */
  async write(client: Client, id: string): Promise<boolean> {
    const attempt: Attempt = { value: `${this.#name}-${++this.#written}` };
    const attempts = this.attempts.get(id) ?? [];
    this.attempts.set(id, [...attempts, attempt]);
    const agent = { id, region: REGION, ttlMs: TTL_MS_MAX, labels: { v: attempt.value } };
    try {
      const { incarnation, revision, receipts } = await client.registerAgent(agent);
      attempt.answer = { partition: receipts[0]!.partition, incarnation, revision };
      return true;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      return false;
    }
  }

  /** Keeps the token of the last event; ends when the watch does. */
  async watch(client: Client): Promise<void> {
    try {
      for await (const { token } of client.watch({}, { state: true, progressMs: PROGRESS_MS })) {
        if (token !== undefined) this.token = token;
      }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
    }
  }

  async #connect(process: Process): Promise<Client> {
    return this.client = await connectCaller({
      endpoints: this.#nodes.map((address) => ({ host: WIRE_HOST, port: clientPortOf(address) })),
      dialer: this.#wire.dialer(this.#machine, process),
      trust: { kind: "pins", sha256: [] },
      world: process,
      options: { lazy: true, timeoutMs: TIMEOUT_MS },
    });
  }
}
