/**
 * A client below the transport, for tests that violate the protocols: raw QUIC with any ALPN, and
 * the first steps of HTTP/3 as bytes recorded from Deno's own client.
 */
import { fromHex } from "../../src/base/bytes.ts";
import { ignore } from "../../transport/carrier_stream.ts";
import type { TestCertificate } from "./certificate.ts";

/** A control stream with SETTINGS that allow WebTransport. */
export const HTTP3_SETTINGS: Uint8Array = fromHex(
  "00041cc0000000c671706a01ab60374301ab60374201330180ffd277010801",
)!;
/** HEADERS with an extended CONNECT for WebTransport (RFC 9220) to 127.0.0.1:59139. */
export const HTTP3_CONNECT: Uint8Array = fromHex(
  "012e000027023a70726f746f636f6c0c7765627472616e73706f7274cf500f3132372e302e302e313a3539313339d7c1",
)!;
/** The bytes that precede each WebTransport stream of the session on stream 0. */
export const WEBTRANSPORT_STREAM_HEADER: Uint8Array = new Uint8Array([0x40, 0x41, 0x00]);

/** Connects with any ALPN, over a new endpoint unless one is given. */
export async function connectRaw(
  port: number,
  alpn: string,
  certificate: Pick<TestCertificate, "sha256">,
  endpoint?: Deno.QuicEndpoint,
): Promise<Deno.QuicConn> {
  const options = {
    hostname: "127.0.0.1",
    port,
    ...(endpoint === undefined ? {} : { endpoint }),
    alpnProtocols: [alpn],
    maxIdleTimeout: 1_000,
    serverCertificateHashes: [{ algorithm: "sha-256", value: certificate.sha256 }],
  };
  const connection = await Deno.connectQuic<false>(options);
  connection.closed.catch(ignore);
  return connection;
}

/** Opens a stream of the peer's choosing and sends `bytes`, without ending it. */
export async function sendRaw(
  connection: Deno.QuicConn,
  bytes: Uint8Array,
): Promise<Deno.QuicBidirectionalStream> {
  const stream = await connection.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(bytes);
  writer.releaseLock();
  return stream;
}

/**
 * Opens a WebTransport session on a raw connection; the caller keeps the returned objects alive.
 */
export async function connectWebTransportRaw(
  port: number,
  certificate: Pick<TestCertificate, "sha256">,
): Promise<{ connection: Deno.QuicConn; held: unknown[] }> {
  const connection = await connectRaw(port, "h3", certificate);
  const control = await connection.createUnidirectionalStream();
  const writer = control.getWriter();
  await writer.write(HTTP3_SETTINGS);
  const connect = await sendRaw(connection, HTTP3_CONNECT);
  const reader = connect.readable.getReader();
  await reader.read(); // the reply, 200
  return { connection, held: [control, writer, connect, reader] };
}
