/**
 * The load of a run: records, the clients that work on them, and the order of the replies that they
 * received.
 *
 * Some records have leases far longer than a run, and so are registers in the sense of
 * linearizability; the leases of others end unless they are renewed in time.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import { TTL_MS_MAX, TTL_MS_MIN } from "../../src/base/limits.ts";
import { type ClientWorld, type Key, SimClient } from "./client.ts";
import type { Operation } from "./history.ts";
import type { Plan } from "./plan.ts";

/** Lengths of short leases, ms. */
export const SHORT_TTLS_MS = [TTL_MS_MIN, TTL_MS_MIN, 6_000, 7_500];
/** Clients have numbers from here on, nodes lower ones. */
const CLIENT_ID_MIN = 1_000;

/** Returns the id of a record, 16 bytes. */
export function keyId(group: number, number: number): Uint8Array {
  const id = new Uint8Array(16).fill(0x40);
  const view = new DataView(id.buffer);
  view.setUint32(8, group);
  view.setUint32(12, number);
  return id;
}

/** Returns the name in the history of the record with that id, which {@link keyId} created. */
export function keyName(id: Uint8Array): string {
  const view = new DataView(id.buffer, id.byteOffset, id.byteLength);
  return `${view.getUint32(8)}/${view.getUint32(12)}`;
}

/** The parts of a cluster that the load uses. */
export interface LoadParts extends Pick<ClientWorld, "world" | "send" | "nodesOf" | "tried"> {
  readonly onOperation: (operation: Operation) => void;
}

/** The clients of a run. */
export class Load {
  readonly keys: readonly Key[];
  /** Operations that ended, and those that ended successfully. */
  endedCount = 0;
  wellCount = 0;
  readonly #clients: readonly SimClient[];
  readonly #reader: SimClient;
  #lastValue = 0;
  #lastPlace = 0;
  #onRead: (operation: Operation) => void = () => {};

  constructor(parts: LoadParts, { groups, load, seed }: Plan) {
    const entropy = new SeededEntropy(seed ^ 0x10ad);
    this.keys = groups.flatMap(({ group }) => keysOf(group, load));
    const shared: ClientWorld = {
      ...parts,
      nextValue: () => ++this.#lastValue,
      nextPlace: () => ++this.#lastPlace,
      ended: (operation) => {
        this.endedCount++;
        if (operation.end === "ok" || operation.end === "not_found") this.wellCount++;
        parts.onOperation(operation);
        if (operation.client === READER_ID) this.#onRead(operation);
      },
    };
    const client = (id: number) => {
      const own = new SeededEntropy(entropy.uint32());
      const { isLastMinute, isPatient, thinkMs } = load;
      return new SimClient(shared, {
        id,
        keys: this.keys,
        entropy: own,
        isLastMinute,
        isPatient,
        thinkMs,
      });
    };
    this.#clients = Array.from({ length: load.clients }, (_, at) => client(CLIENT_ID_MIN + at));
    this.#reader = client(READER_ID);
    this.#reader.stop();
  }

  /** Starts all clients. */
  start(): void {
    for (const client of this.#clients) client.start();
  }

  /** Stops all clients: they begin no further operation. */
  stop(): void {
    for (const client of this.#clients) client.stop();
  }

  /** True when all have stopped and none waits for a reply. */
  get isIdle(): boolean {
    return this.#clients.every(({ isIdle }) => isIdle);
  }

  /** Runs one operation of an otherwise idle client, and repeats it until it succeeds. */
  ask(kind: "get" | "write", key: Key, ended: (operation: Operation) => void): void {
    const ask = () => this.#reader.run(kind === "get" ? kind : this.#reader.writeKind(key), key);
    this.#onRead = (operation) => {
      if (operation.end === "ok" || operation.end === "not_found") ended(operation);
      else ask();
    };
    ask();
  }
}

const READER_ID = CLIENT_ID_MIN - 1;

function keysOf(group: number, { longKeys, shortKeys }: Plan["load"]): Key[] {
  return Array.from({ length: longKeys + shortKeys }, (_, number) => {
    const id = keyId(group, number);
    const isLongLived = number < longKeys;
    const ttlMs = isLongLived ? TTL_MS_MAX : SHORT_TTLS_MS[number % SHORT_TTLS_MS.length]!;
    return { group, name: keyName(id), id, ttlMs, isLongLived };
  });
}
