/** The gRPC client of the loads, which run by Node: unary calls in a closed loop or at a rate. */
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import { LatencyHistogram } from "./latency.ts";

/** The part of grpc-js that is used. */
interface Grpc {
  readonly Client: new (address: string, credentials: unknown) => GrpcClient;
  readonly credentials: { createInsecure(): unknown };
}

/** A channel to one server. */
export interface GrpcClient {
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

/** A stream of requests and replies. */
export interface GrpcStream {
  write(message: Uint8Array): void;
  on(event: "data", take: (message: Uint8Array) => void): void;
  on(event: "error", take: (error: Error) => void): void;
  cancel(): void;
}

/** Rates and times of calls. */
export interface GrpcRate {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** grpc-js takes messages as Buffers. */
const asBuffer = ({ buffer, byteOffset, length }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, length);
const asBytes = (bytes: Uint8Array) => bytes;

/** Opens a channel to each port of this machine. @param folder that of the package grpc-js. */
export function grpcClients(folder: string, ports: readonly string[]): GrpcClient[] {
  const grpc = createRequire(`${folder}/package.json`)("@grpc/grpc-js") as Grpc;
  const credentials = grpc.credentials.createInsecure();
  return ports.map((port) => new grpc.Client(`127.0.0.1:${port}`, credentials));
}

/** Calls a unary method. */
export function unaryCall(
  client: GrpcClient,
  path: string,
  request: Uint8Array,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asBuffer, asBytes, request, (error, value) => {
      if (error === null) resolve(value);
      else reject(error);
    });
  });
}

/** Opens a stream in both directions. */
export function openStream(client: GrpcClient, path: string): GrpcStream {
  return client.makeBidiStreamRequest(path, asBuffer, asBytes);
}

/** Keeps `depth` calls in flight, for a fifth of the time before it measures. */
export async function closedGrpcLoop(
  call: () => Promise<unknown>,
  { depth, seconds }: { readonly depth: number; readonly seconds: number },
): Promise<GrpcRate> {
  const histogram = new LatencyHistogram();
  const warmUntilMs = performance.now() + seconds * 200;
  const endMs = warmUntilMs + seconds * 1_000;
  const caller = async () => {
    let startMs = performance.now();
    while (startMs < endMs) {
      await call();
      const nowMs = performance.now();
      if (startMs >= warmUntilMs && nowMs < endMs) histogram.record((nowMs - startMs) * 1_000);
      startMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: depth }, caller));
  const { p50Us, p99Us } = histogram.summary();
  return { perSecond: Math.round(histogram.count / seconds), p50Us, p99Us };
}

/** Returns a field of wire type 2 (length-delimited) with fewer than 16,384 bytes. */
export function field(number: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  const head = length < 128 ? [length] : [length & 127 | 128, length >>> 7];
  return Uint8Array.from([number << 3 | 2, ...head, ...content]);
}
