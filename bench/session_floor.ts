/**
 * Measures the cost of an idle connection without any code of this project: a bare Deno QUIC
 * server, and its load. The file has two roles, each in its own process.
 *
 *     deno run -A bench/session_floor.ts serve
 *     deno run -A bench/session_floor.ts load <port> <certificate file> <connections> <streams>
 */
import { makeEchoCertificate } from "./certificate.ts";

const ALPN = ["crs-floor"];
/** Streams that a client may open, few for a server that is not tuned: the runtime allows 100. */
const BIDIRECTIONAL_STREAMS_MAX = 16;
const UNIDIRECTIONAL_STREAMS_MAX = 8;
const IDLE = { keepAliveInterval: 15_000, maxIdleTimeout: 45_000 };
/** Concurrent handshakes, as in `session_load.ts`. */
const CONCURRENCY = 32;
/** Bytes that each stream sends once before it waits with a read of the registry's size. */
const MESSAGE_BYTES = 200;
const READ_BYTES = 1_024;

async function serve(): Promise<void> {
  const { cert, key } = await makeEchoCertificate();
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({
    cert,
    key,
    alpnProtocols: ALPN,
    maxConcurrentBidirectionalStreams: BIDIRECTIONAL_STREAMS_MAX,
    maxConcurrentUnidirectionalStreams: UNIDIRECTIONAL_STREAMS_MAX,
    ...IDLE,
  });
  console.log(JSON.stringify({ port: endpoint.addr.port, cert }));
  for await (const incoming of listener) {
    // The end of the load ends its connections. If one fails before, the load fails, and reports it.
    serveConnection(incoming).catch(() => {});
  }
}

async function serveConnection(incoming: Deno.QuicIncoming): Promise<void> {
  const connection = await incoming.accept();
  for await (const stream of connection.incomingBidirectionalStreams) {
    // The end of the load ends its streams too; if one fails before, the load fails, and reports it.
    echoStream(stream).catch(() => {});
  }
}

async function echoStream(stream: Deno.QuicBidirectionalStream): Promise<void> {
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader({ mode: "byob" });
  for (let buffer = new Uint8Array(READ_BYTES);;) {
    const { value, done } = await reader.read(buffer);
    if (done) return;
    await writer.write(value.slice());
    buffer = new Uint8Array(value.buffer);
  }
}

async function load(port: number, certificate: string, count: number, streams: number) {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.QuicConn[] = [];
  let left = count;
  const opener = async (): Promise<void> => {
    while (left-- > 0) {
      const connection = await Deno.connectQuic({
        endpoint,
        hostname: "localhost",
        port,
        caCerts: [Deno.readTextFileSync(certificate)],
        alpnProtocols: ALPN,
        ...IDLE,
      });
      connections.push(connection);
      for (let stream = 0; stream < streams; stream++) await exchange(connection);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, opener));
  console.log("connected");
  // Hold the connections until the process is killed.
  await new Promise(() => setInterval(() => connections.length, 60_000));
}

async function exchange(connection: Deno.QuicConn): Promise<void> {
  const { readable, writable } = await connection.createBidirectionalStream();
  await writable.getWriter().write(new Uint8Array(MESSAGE_BYTES));
  await readable.getReader({ mode: "byob" }).read(new Uint8Array(READ_BYTES));
}

if (import.meta.main) {
  const [role, port, certificate = "", count, streams] = Deno.args;
  if (role === "serve") await serve();
  else await load(Number(port), certificate, Number(count), Number(streams));
}
