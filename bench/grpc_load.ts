/**
 * Load on the gRPC face (see grpc_process.ts): each line of standard input is an order, and each line of
 * standard output its result:
 *
 *     node grpc_load.ts <folder of the package @grpc/grpc-js> <port>
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { createInterface } from "node:readline";
import { closedGrpcLoop, grpcClients, type GrpcRate, unaryCall } from "./grpc_client.ts";
import { LatencyHistogram } from "./latency.ts";

/** A unary method and a request of it, hexadecimal. */
export type GrpcCall = readonly [path: string, request: string];

/** One measurement: calls in turn, over and over. */
export interface GrpcOrder {
  readonly calls: readonly GrpcCall[];
  readonly seconds: number;
  /** Calls in flight. */
  readonly depth?: number;
  /** Instead of a depth: each call once in that time, spread evenly, whatever the answers take. */
  readonly everyMs?: number;
}

/** Its result. */
export interface GrpcResult extends GrpcRate {
  /** Calls that failed, by the number of their status. */
  readonly failures: Readonly<Record<string, number>>;
}

/** Interval at which due calls are sent, ms. */
const PACE_MS = 5;

const [folder = "", port = ""] = process.argv.slice(2);
const [client] = grpcClients(folder, [port]);
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await measure(JSON.parse(line) as GrpcOrder)));
}
process.exit(0);

async function measure(order: GrpcOrder): Promise<GrpcResult> {
  const calls = order.calls.map(([path, request]) => [path, Buffer.from(request, "hex")] as const);
  let next = 0;
  const call = () => {
    const [path, request] = calls[next++ % calls.length]!;
    return unaryCall(client!, path, request);
  };
  const { seconds, depth = 1, everyMs } = order;
  if (everyMs !== undefined) return await paced(call, calls.length / everyMs, seconds);
  return { ...await closedGrpcLoop(call, { depth, seconds }), failures: {} };
}

async function paced(
  call: () => Promise<unknown>,
  perMs: number,
  seconds: number,
): Promise<GrpcResult> {
  const histogram = new LatencyHistogram();
  const startMs = performance.now();
  const sent: Promise<void>[] = [];
  const failures: Record<string, number> = {};
  const total = Math.round(perMs * seconds * 1_000);
  while (sent.length < total) {
    const due = Math.min(total, (performance.now() - startMs) * perMs);
    while (sent.length < due) {
      const beginMs = performance.now();
      sent.push(
        call().then(
          () => histogram.record((performance.now() - beginMs) * 1_000),
          ({ code }: { readonly code: number }) => {
            failures[code] = (failures[code] ?? 0) + 1;
          },
        ),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
  await Promise.all(sent);
  const { p50Us, p99Us } = histogram.summary();
  return { perSecond: Math.round(total / seconds), p50Us, p99Us, failures };
}
