/**
 * Accepts WebTransport on a QUIC connection with ALPN `h3`, with streams of the connection alone.
 *
 * `Deno.upgradeWebTransport` (2.9.6) does the same, but opens its SETTINGS stream before it has heard
 * of the client and forgets that stream when the client never sends its own, and with it the whole
 * connection: 31 KB for each stranger that connects and goes. Every stream that is taken or opened
 * here is closed by the runtime with its connection (tests/unit/transport/quic_traps.test.ts).
 */
import { RegistryError } from "../src/base/errors.ts";
import { HTTP3_START_BYTES_MAX, UNIDIRECTIONAL_STREAMS_MAX } from "../src/base/limits.ts";
import { CONNECT_ACCEPTED, readConnect, readStreamStart, SERVER_SETTINGS } from "./http3.ts";

/** Capsules on a CONNECT stream are dropped, so little at a time is enough. */
const DRAIN_BYTES = 64;

/** What keeps an accepted session alive: the runtime ends a stream that nobody refers to any more. */
export type HeldStreams = readonly unknown[];

/**
 * Waits for a client's SETTINGS and its CONNECT, and answers. The caller holds a deadline and closes
 * the connection at it, which ends this too, and keeps what is returned for as long as the session
 * lasts.
 *
 * @param onEnd called when the client ends the session in good order; of a connection that is lost
 * the connection itself tells.
 * @throws RegistryError `malformed` for a client that speaks otherwise; whatever the runtime throws
 * where the connection ends meanwhile.
 */
export async function acceptWebTransport(
  connection: Deno.QuicConn,
  onEnd: () => void,
): Promise<HeldStreams> {
  const [own, theirs] = await Promise.all([sendSettings(connection), takeSettings(connection)]);
  const streams = connection.incomingBidirectionalStreams.getReader();
  const { value: connect } = await streams.read();
  // The streams after the first belong to the session.
  streams.releaseLock();
  if (connect === undefined) throw tooShort();
  const request = connect.readable.getReader({ mode: "byob" });
  await readWhole(request, readConnect);
  const answer = connect.writable.getWriter();
  await answer.write(CONNECT_ACCEPTED);
  void drain(request, onEnd);
  return [own, theirs, answer, request];
}

async function sendSettings(connection: Deno.QuicConn): Promise<WritableStreamDefaultWriter> {
  const control = await connection.createUnidirectionalStream();
  const writer = control.getWriter();
  // Never closed: the end of a control stream is the end of its connection (RFC 9114 §6.2.1).
  await writer.write(SERVER_SETTINGS);
  return writer;
}

/** Takes one-way streams until one is the control stream; none is read further. */
async function takeSettings(connection: Deno.QuicConn): Promise<HeldStreams> {
  const streams = connection.incomingUnidirectionalStreams.getReader();
  const held: unknown[] = [];
  while (held.length < UNIDIRECTIONAL_STREAMS_MAX) {
    const { value: stream } = await streams.read();
    if (stream === undefined) throw tooShort();
    const reader = stream.getReader({ mode: "byob" });
    held.push(reader);
    let isControl = false;
    await readWhole(reader, (bytes) => {
      const start = readStreamStart(bytes);
      isControl = start === "settings";
      return start !== "more";
    });
    if (isControl) return held;
  }
  throw new RegistryError("malformed", "The client opened no control stream");
}

/** Reads until `isWhole` says so; what came with it is dropped. */
async function readWhole(
  reader: ReadableStreamBYOBReader,
  isWhole: (bytes: Uint8Array) => boolean,
): Promise<void> {
  let buffer = new ArrayBuffer(HTTP3_START_BYTES_MAX);
  let filled = 0;
  do {
    if (filled === HTTP3_START_BYTES_MAX) {
      const message = `A stream of HTTP/3 begins with at most ${HTTP3_START_BYTES_MAX} bytes`;
      throw new RegistryError("malformed", message);
    }
    const { value, done } = await reader.read(new Uint8Array(buffer, filled));
    if (done) throw tooShort();
    buffer = value.buffer;
    filled += value.length;
  } while (!isWhole(new Uint8Array(buffer, 0, filled)));
}

/** Reads the CONNECT stream to its end, which is the session's; never rejects. */
async function drain(request: ReadableStreamBYOBReader, onEnd: () => void): Promise<void> {
  let buffer = new ArrayBuffer(DRAIN_BYTES);
  try {
    for (;;) {
      const { value, done } = await request.read(new Uint8Array(buffer));
      if (done) return onEnd();
      buffer = value.buffer;
    }
  } catch {
    // The connection ended first, and tells so itself.
  }
}

function tooShort(): RegistryError {
  return new RegistryError("malformed", "A stream of HTTP/3 ended too early");
}
