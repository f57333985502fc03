/** Requests over HTTP/1.1 connections that stay open, each with one request in flight. */
import { LatencyHistogram } from "./latency.ts";

const BUFFER_BYTES = 65_536;
const HEAD_END = new TextEncoder().encode("\r\n\r\n");

/** The load of one turn. */
export interface HttpLoad {
  readonly port: number;
  /** Paths that are asked for one after the other. */
  readonly paths: readonly string[];
  readonly connections: number;
  readonly seconds: number;
}

/** Its result. */
export interface HttpTurn {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Sends requests for a time. @throws Error if an answer is not 200. */
export async function httpTurn(load: HttpLoad): Promise<HttpTurn> {
  const histogram = new LatencyHistogram();
  const startMs = performance.now();
  const endMs = startMs + load.seconds * 1_000;
  let next = 0;
  const requests = requestsOf(load.paths, load.port);
  const connection = async () => {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port: load.port });
    socket.setNoDelay(true);
    const buffer = new Uint8Array(BUFFER_BYTES);
    try {
      for (let sentMs = performance.now(); sentMs < endMs;) {
        await socket.write(requests[next++ % requests.length]!);
        await readAnswer(socket, buffer);
        const nowMs = performance.now();
        histogram.record((nowMs - sentMs) * 1_000);
        sentMs = nowMs;
      }
    } finally {
      socket.close();
    }
  };
  await Promise.all(Array.from({ length: load.connections }, connection));
  const seconds = (performance.now() - startMs) / 1_000;
  const ms = (percent: number) => Math.round(histogram.percentileUs(percent)) / 1_000;
  return {
    perSecond: Math.round(histogram.count / seconds),
    p50Ms: ms(50),
    p95Ms: ms(95),
    p99Ms: ms(99),
  };
}

/** Returns requests for paths. */
export function requestsOf(paths: readonly string[], port: number): Uint8Array<ArrayBuffer>[] {
  return paths.map((path) =>
    new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
  );
}

/** Reads one answer with a `content-length`. */
export async function readAnswer(socket: Deno.TcpConn, buffer: Uint8Array): Promise<void> {
  let length = 0;
  let whole = Infinity;
  while (length < whole) {
    const count = await socket.read(buffer.subarray(length));
    if (count === null) throw new Error("The server ended the connection");
    length += count;
    if (whole === Infinity) whole = wholeOf(buffer.subarray(0, length));
  }
}

/** Returns the bytes of the whole answer; Infinity while its head is not complete. */
function wholeOf(bytes: Uint8Array): number {
  for (let at = 0; at + HEAD_END.length <= bytes.length; at++) {
    if (!HEAD_END.every((byte, index) => bytes[at + index] === byte)) continue;
    const head = new TextDecoder().decode(bytes.subarray(0, at));
    const [, size] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
    if (!head.startsWith("HTTP/1.1 200 ") || size === undefined) throw new Error(head);
    return at + HEAD_END.length + Number(size);
  }
  return Infinity;
}
