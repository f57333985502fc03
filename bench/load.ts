/**
 * Closed-loop load through the SDK: a number of callers, each of which sends its next request after
 * the previous reply; and the same load on the raw echo in alternating turns, so that both run
 * under the same conditions of the machine.
 */
import type { Client } from "../src/client/mod.ts";
import type { Dialer, Session, Stream } from "../transport/transport.ts";
import type { Echo } from "./echo_client.ts";
import { LatencyHistogram } from "./latency.ts";
import { newDialer, type RegistryServer } from "./registry.ts";

/** Makes one call; its promise settles with the reply. `number` counts the calls. */
export type Ask = (number: number) => Promise<unknown>;

/** The results of one loop. */
export interface LoopResult {
  readonly operations: number;
  readonly seconds: number;
}

/** Runs `depth` callers for `seconds` after a warm-up of a fifth of it. */
export async function closedLoop(
  ask: Ask,
  { depth, seconds }: { depth: number; seconds: number },
  histogram: LatencyHistogram,
): Promise<LoopResult> {
  const warmUntilMs = performance.now() + seconds * 200;
  const endMs = warmUntilMs + seconds * 1_000;
  const before = histogram.count;
  let number = 0;
  const caller = async (): Promise<void> => {
    let startMs = performance.now();
    while (startMs < endMs) {
      await ask(number++);
      const nowMs = performance.now();
      if (startMs >= warmUntilMs && nowMs < endMs) histogram.record((nowMs - startMs) * 1_000);
      startMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: depth }, caller));
  return { operations: histogram.count - before, seconds };
}

/** An operation to be compared with the echo. */
export interface Comparison {
  readonly bench: string;
  readonly depths: readonly number[];
  /** Duration of each turn in seconds, and the number of turns of each side. */
  readonly seconds: number;
  readonly rounds: number;
  readonly ask: (client: Client) => Ask;
}

/** One line of results: an operation at one depth, and the echo with frames of the same sizes. */
export interface ComparisonResult {
  readonly bench: string;
  readonly depth: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly echoPerSecond: number;
  readonly echoP50Us: number;
  readonly echoP99Us: number;
  /** The registry's figure / the echo's: for latencies lower is better, for rates higher. */
  readonly p50Ratio: number;
  readonly p99Ratio: number;
  readonly rateRatio: number;
}

/** Measures an operation at each depth, alternating with the echo. */
export async function compareWithEcho(
  server: RegistryServer,
  echo: Echo,
  comparison: Comparison,
): Promise<ComparisonResult[]> {
  const sizes = await frameSizes(server, comparison.ask);
  const client = await server.connect();
  const ask = comparison.ask(client);
  const results: ComparisonResult[] = [];
  for (const depth of comparison.depths) {
    const { seconds, rounds } = comparison;
    const ours = new LatencyHistogram();
    const floor = new LatencyHistogram();
    await closedLoop(ask, { depth, seconds: seconds / 2 }, new LatencyHistogram());
    for (let round = 0; round < rounds; round++) {
      await echo.measure({ ...sizes, depth, seconds }, floor);
      await closedLoop(ask, { depth, seconds }, ours);
    }
    results.push(resultOf(comparison.bench, depth, sizes, { ours, floor }, seconds * rounds));
  }
  await client.close();
  return results;
}

interface FrameSizes {
  readonly requestBytes: number;
  readonly replyBytes: number;
}

function resultOf(
  bench: string,
  depth: number,
  sizes: FrameSizes,
  { ours, floor }: { ours: LatencyHistogram; floor: LatencyHistogram },
  seconds: number,
): ComparisonResult {
  const { p50Us, p99Us, p999Us, maxUs } = ours.summary();
  const { p50Us: echoP50Us, p99Us: echoP99Us } = floor.summary();
  const ratio = (left: number, right: number) => Math.round(left / right * 1_000) / 1_000;
  return {
    bench,
    depth,
    ...sizes,
    perSecond: Math.round(ours.count / seconds),
    p50Us,
    p99Us,
    p999Us,
    maxUs,
    echoPerSecond: Math.round(floor.count / seconds),
    echoP50Us,
    echoP99Us,
    p50Ratio: ratio(p50Us, echoP50Us),
    p99Ratio: ratio(p99Us, echoP99Us),
    rateRatio: ratio(ours.count, floor.count),
  };
}

/** Count of calls from which the sizes of frames are determined. */
const SIZED_CALLS = 64;

/** Returns the mean sizes of an operation's frames on the stream, in whole words. */
async function frameSizes(
  server: RegistryServer,
  askOf: (client: Client) => Ask,
): Promise<FrameSizes> {
  const dialer = newDialer();
  const counts = { written: 0, read: 0 };
  const client = await server.connect({}, countingDialer(dialer, counts));
  const ask = askOf(client);
  await ask(0);
  counts.written = counts.read = 0;
  for (let number = 0; number < SIZED_CALLS; number++) await ask(number);
  const words = (bytes: number) => Math.max(16, Math.round(bytes / SIZED_CALLS / 8) * 8);
  const sizes = { requestBytes: words(counts.written), replyBytes: words(counts.read) };
  await client.close();
  await dialer.close();
  return sizes;
}

/**
 * Counts the bytes of the calls, which are those of a session's first stream after its handshake.
 */
function countingDialer(dialer: Dialer, counts: { written: number; read: number }): Dialer {
  const countStream = (stream: Stream): Stream => ({
    kind: stream.kind,
    read: async (into) => {
      const chunk = await stream.read(into);
      counts.read += chunk?.length ?? 0;
      return chunk;
    },
    write: (bytes) => {
      counts.written += bytes.length;
      return stream.write(bytes);
    },
    abort: () => stream.abort(),
  });
  return {
    transport: dialer.transport,
    authenticatesPeers: dialer.authenticatesPeers,
    pinsServer: dialer.pinsServer,
    dial: async (endpoint, options): Promise<Session> => {
      const session = await dialer.dial(endpoint, options);
      return new Proxy(session, {
        get: (target, name) => {
          if (name === "open") {
            return async (kind: Stream["kind"]) => {
              const stream = await target.open(kind);
              return kind === "control" ? countStream(stream) : stream;
            };
          }
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    },
    close: () => dialer.close(),
  };
}
