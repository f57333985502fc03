/**
 * Load on etcd by gRPC (see grpc_process.ts). Keys are written first; then each line of standard input is
 * an order, and each line of standard output its result:
 *
 *     node etcd_load.ts <folder of the package @grpc/grpc-js> <port,port,…> <keys> <value bytes>
 *     {"operation":"range","depth":64,"seconds":1}
 *
 * The messages of etcd's services that are used are encoded here by hand, which costs less
 * than a generated codec. Calls go to all members in turn, as etcd's own clients send them.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import {
  closedGrpcLoop,
  field,
  type GrpcClient,
  grpcClients,
  type GrpcRate,
  openStream,
  unaryCall,
} from "../grpc_client.ts";

/** One measurement. */
export interface EtcdOrder {
  /**
   * `range`: a linearizable read of one key. `put`: a write of a new key. `watch`: such writes, which
   * watchers of the prefix of all keys see.
   */
  readonly operation: "range" | "put" | "watch";
  readonly depth: number;
  readonly seconds: number;
  /** For `watch`: the number of watchers, on one stream, as etcd's own clients have it. */
  readonly watchers?: number;
}

/** Its result. */
export interface EtcdResult extends GrpcRate {
  /** For `watch`: events that all watchers got a second. */
  readonly eventsPerSecond?: number;
}

const RANGE = "/etcdserverpb.KV/Range";
const PUT = "/etcdserverpb.KV/Put";
const WATCH = "/etcdserverpb.Watch/Watch";
/** The keys from this one to before the next one have the prefix of all keys. */
const PREFIX = "agent/";
const PREFIX_END = "agent0";
/** Fields of WatchResponse: whether a watcher was created, and its events. */
const CREATED_FIELD = 3;
const EVENTS_FIELD = 11;
/** Puts in flight while the keys are written. */
const FILL_DEPTH = 64;
/** A stride that visits the keys in an order that does not favour caches. */
const STRIDE = 7_919;

function concatenated(left: Uint8Array, right: Uint8Array): Uint8Array {
  const all = new Uint8Array(left.length + right.length);
  all.set(left);
  all.set(right, left.length);
  return all;
}

class EtcdLoad {
  readonly #clients: readonly GrpcClient[];
  readonly #ranges: readonly Uint8Array[];
  readonly #value: Uint8Array;
  #calls = 0;
  #puts = 0;

  constructor(clients: readonly GrpcClient[], keys: number, valueBytes: number) {
    this.#clients = clients;
    this.#ranges = Array.from({ length: keys }, (_, key) => field(1, keyOf(key)));
    this.#value = field(2, new Uint8Array(valueBytes).fill(120));
  }

  /** Writes the keys that `range` reads. */
  async fill(): Promise<void> {
    const writer = async () => {
      while (this.#puts < this.#ranges.length) await this.#call(PUT, this.#put());
    };
    await Promise.all(Array.from({ length: FILL_DEPTH }, writer));
  }

  async measure(order: EtcdOrder): Promise<EtcdResult> {
    return order.operation === "watch" ? await this.#watched(order) : await this.#closedLoop(order);
  }

  /** Writes keys that many watchers see. */
  async #watched({ watchers = 1, ...order }: EtcdOrder): Promise<EtcdResult> {
    const stream = openStream(this.#clients[0]!, WATCH);
    const { promise: created, resolve, reject } = Promise.withResolvers<void>();
    let open = 0;
    let events = 0;
    let failure: Error | undefined;
    stream.on("error", (error) => {
      failure ??= error;
      reject(error);
    });
    stream.on("data", (message) => {
      const counts = fieldsIn(message);
      events += counts.get(EVENTS_FIELD) ?? 0;
      if (counts.has(CREATED_FIELD) && ++open === watchers) resolve();
    });
    const range = concatenated(field(1, textOf(PREFIX)), field(2, textOf(PREFIX_END)));
    for (let at = 0; at < watchers; at++) stream.write(field(1, range));
    await created;
    const startMs = performance.now();
    const before = events;
    const result = await this.#closedLoop({ ...order, operation: "put" });
    const eventsPerSecond = (events - before) / (performance.now() - startMs) * 1_000;
    if (failure !== undefined) throw failure;
    // Reported as an error of the stream, which no longer matters.
    stream.cancel();
    return { ...result, eventsPerSecond: Math.round(eventsPerSecond) };
  }

  #closedLoop({ operation, depth, seconds }: EtcdOrder): Promise<EtcdResult> {
    const call = operation === "put" ? () => this.#call(PUT, this.#put()) : () => this.#range();
    return closedGrpcLoop(call, { depth, seconds });
  }

  async #range(): Promise<void> {
    const request = this.#ranges[this.#calls * STRIDE % this.#ranges.length]!;
    const reply = await this.#call(RANGE, request);
    if (reply.length < this.#value.length) throw new Error("etcd has no such key");
  }

  #put(): Uint8Array {
    return concatenated(field(1, keyOf(this.#puts++)), this.#value);
  }

  #call(path: string, request: Uint8Array): Promise<Uint8Array> {
    return unaryCall(this.#clients[this.#calls++ % this.#clients.length]!, path, request);
  }
}

/** Returns how often each field stands in a message, by its number. */
function fieldsIn(message: Uint8Array): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let unit = 1;; unit *= 128) {
      const byte = message[at++]!;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    counts.set(tag >>> 3, (counts.get(tag >>> 3) ?? 0) + 1);
    // The messages used here have varints and length-delimited fields only.
    const value = varint();
    // A length is followed by as many bytes.
    if ((tag & 7) !== 0) at += value;
  }
  return counts;
}

function textOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function keyOf(number: number): Uint8Array {
  return textOf(`${PREFIX}${String(number).padStart(32, "0")}`);
}

const [folder = "", ports = "", keys = "", valueBytes = ""] = process.argv.slice(2);
const clients = grpcClients(folder, ports.split(","));
const load = new EtcdLoad(clients, Number(keys), Number(valueBytes));
await load.fill();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await load.measure(JSON.parse(line) as EtcdOrder)));
}
process.exit(0);
