/**
 * Load for the raw echo: one connection, one stream, a fixed number of requests in flight, and one
 * write in flight while the next is gathered. Starts `echo_server.ts` as a second process and
 * prints a line of JSON for each depth. Frozen, like the server.
 *
 *     deno run -A bench/echo_client.ts --request-bytes=200 --reply-bytes=360 --depths=1,64,256
 */
import { echoFrameBytes, FrameBatch, readFrames } from "./echo_frame.ts";
import { parseFlags, ServerProcess } from "./harness.ts";
import { LatencyHistogram } from "./latency.ts";

/** Parameters of one measurement. */
export interface EchoLoad {
  /** Sizes of the frames in bytes, multiples of 8, segment table included. */
  readonly requestBytes: number;
  readonly replyBytes: number;
  /** Requests in flight. */
  readonly depth: number;
  /** Duration of the measurement, after a warm-up of a fifth of it, s. */
  readonly seconds: number;
}

/** One measurement. A latency runs from gathering a request to reading its reply. */
export interface EchoResult extends EchoLoad, ReturnType<LatencyHistogram["summary"]> {
  readonly bench: "echo";
  readonly operations: number;
  readonly perSecond: number;
}

/** An echo server in its own process, and a connection to it. */
export class Echo {
  readonly #server: ServerProcess;
  readonly #connection: Deno.QuicConn;

  private constructor(server: ServerProcess, connection: Deno.QuicConn) {
    this.#server = server;
    this.#connection = connection;
  }

  static async start(): Promise<Echo> {
    const server = await ServerProcess.start({
      args: ["run", "-A", "--no-check", new URL("echo_server.ts", import.meta.url).pathname],
    });
    try {
      const { port, cert } = JSON.parse(server.readyLine) as { port: number; cert: string };
      const connection = await Deno.connectQuic({
        hostname: "localhost",
        port,
        caCerts: [cert],
        alpnProtocols: ["crs-echo"],
        maxIdleTimeout: 60_000,
        keepAliveInterval: 5_000,
      });
      return new Echo(server, connection);
    } catch (error) {
      await server.stop("SIGKILL");
      throw error;
    }
  }

  /** Measures once, on a new stream; adds the latencies to `histogram` if one is given. */
  measure(load: EchoLoad, histogram?: LatencyHistogram): Promise<EchoResult> {
    return measure(this.#connection, load, histogram ?? new LatencyHistogram());
  }

  async stop(): Promise<void> {
    this.#connection.close({ closeCode: 0, reason: "" });
    this.#connection.endpoint.close();
    await this.#server.stop("SIGKILL");
  }
}

/** Runs `loads` one after another against one echo server in a second process. */
export async function runEcho(loads: readonly EchoLoad[]): Promise<EchoResult[]> {
  const echo = await Echo.start();
  try {
    const results: EchoResult[] = [];
    for (const load of loads) results.push(await echo.measure(load));
    return results;
  } finally {
    await echo.stop();
  }
}

async function measure(
  connection: Deno.QuicConn,
  load: EchoLoad,
  histogram: LatencyHistogram,
): Promise<EchoResult> {
  const requestBytes = echoFrameBytes(load.requestBytes, "requestBytes");
  const replyBytes = echoFrameBytes(load.replyBytes, "replyBytes");
  const { readable, writable } = await connection.createBidirectionalStream();
  const writer = writable.getWriter();
  const requests = new FrameBatch();
  const gatheredMs = new Float64Array(load.depth);
  const before = histogram.count;
  const warmUntilMs = performance.now() + load.seconds * 200;
  const endMs = warmUntilMs + load.seconds * 1000;
  let inFlight = load.depth;
  let writing = false;
  let nowMs = performance.now();

  const flush = (): void => {
    if (writing || requests.length === 0) return;
    writing = true;
    writer.write(requests.take()).then(() => {
      writing = false;
      flush();
      // A failed write also fails the read, which reports it.
    }, () => {});
  };
  const request = (id: number): void => {
    gatheredMs[id] = nowMs;
    requests.append(id, replyBytes, requestBytes);
  };
  for (let id = 0; id < load.depth; id++) request(id);
  flush();
  await readFrames(readable, (view, offset) => {
    nowMs = performance.now();
    const id = view.getUint32(offset + 8, true);
    if (nowMs >= warmUntilMs && nowMs < endMs) histogram.record((nowMs - gatheredMs[id]!) * 1000);
    if (nowMs < endMs) request(id);
    else inFlight--;
  }, () => {
    flush();
    return inFlight === 0 ? "stop" : undefined;
  });
  await writer.close();
  return {
    bench: "echo",
    ...load,
    operations: histogram.count - before,
    perSecond: Math.round((histogram.count - before) / load.seconds),
    ...histogram.summary(),
  };
}

if (import.meta.main) {
  const flags = parseFlags(Deno.args, {
    "request-bytes": "200",
    "reply-bytes": "200",
    depths: "1,16,64,256",
    seconds: "3",
  });
  const loads = flags.depths.split(",").map((depth) => ({
    requestBytes: Number(flags["request-bytes"]),
    replyBytes: Number(flags["reply-bytes"]),
    depth: Number(depth),
    seconds: Number(flags.seconds),
  }));
  for (const result of await runEcho(loads)) console.log(JSON.stringify(result));
}
