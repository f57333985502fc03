/**
 * Load on etcd by gRPC, run by Node in a process of its own, because a gRPC client inside Deno can
 * abort the process. Keys are written first; then each line of standard input is an order, and each
 * line of standard output its result:
 *
 *     node etcd_load.ts <folder of the package @grpc/grpc-js> <port,port,…> <keys> <value bytes>
 *     {"operation":"range","depth":64,"seconds":1}
 *
 * The messages of etcd's services that are used are encoded here by hand, which costs less
 * than a generated codec. Calls go to all members in turn, as etcd's own clients send them.
 */
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import process from "node:process";
import { createInterface } from "node:readline";
import { LatencyHistogram } from "../latency.ts";

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
export interface EtcdResult {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** For `watch`: events that all watchers got a second. */
  readonly eventsPerSecond?: number;
}

/** The part of grpc-js that is used. */
interface Grpc {
  readonly Client: new (address: string, credentials: unknown) => GrpcClient;
  readonly credentials: { createInsecure(): unknown };
}

interface GrpcClient {
  makeUnaryRequest(
    path: string,
    serialize: (value: Uint8Array) => Uint8Array,
    deserialize: (bytes: Uint8Array) => Uint8Array,
    argument: Uint8Array,
    callback: (error: Error | null, value: Uint8Array) => void,
  ): void;
  makeBidiStreamRequest(
    path: string,
    serialize: (value: Uint8Array) => Uint8Array,
    deserialize: (bytes: Uint8Array) => Uint8Array,
  ): GrpcStream;
}

interface GrpcStream {
  write(message: Uint8Array): void;
  on(event: "data", take: (message: Uint8Array) => void): void;
  on(event: "error", take: (error: Error) => void): void;
  cancel(): void;
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

/** grpc-js takes messages as Buffers. */
const asBuffer = ({ buffer, byteOffset, length }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, length);
const asBytes = (bytes: Uint8Array) => bytes;

/** Returns a field of wire type 2 (length-delimited) with fewer than 16,384 bytes. */
function field(number: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  const head = length < 128 ? [length] : [length & 127 | 128, length >>> 7];
  return Uint8Array.from([number << 3 | 2, ...head, ...content]);
}

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

  constructor(grpc: Grpc, ports: readonly string[], keys: number, valueBytes: number) {
    const credentials = grpc.credentials.createInsecure();
    this.#clients = ports.map((port) => new grpc.Client(`127.0.0.1:${port}`, credentials));
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
    const stream = this.#clients[0]!.makeBidiStreamRequest(WATCH, asBuffer, asBytes);
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

  async #closedLoop({ operation, depth, seconds }: EtcdOrder): Promise<EtcdResult> {
    const histogram = new LatencyHistogram();
    const warmUntilMs = performance.now() + seconds * 200;
    const endMs = warmUntilMs + seconds * 1_000;
    const caller = async () => {
      let startMs = performance.now();
      while (startMs < endMs) {
        await (operation === "put" ? this.#call(PUT, this.#put()) : this.#range());
        const nowMs = performance.now();
        if (startMs >= warmUntilMs && nowMs < endMs) histogram.record((nowMs - startMs) * 1_000);
        startMs = nowMs;
      }
    };
    await Promise.all(Array.from({ length: depth }, caller));
    const { p50Us, p99Us } = histogram.summary();
    return { perSecond: Math.round(histogram.count / seconds), p50Us, p99Us };
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
    const client = this.#clients[this.#calls++ % this.#clients.length]!;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, asBuffer, asBytes, request, (error, value) => {
        if (error === null) resolve(value);
        else reject(error);
      });
    });
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
const grpc = createRequire(`${folder}/package.json`)("@grpc/grpc-js") as Grpc;
const load = new EtcdLoad(grpc, ports.split(","), Number(keys), Number(valueBytes));
await load.fill();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await load.measure(JSON.parse(line) as EtcdOrder)));
}
process.exit(0);
