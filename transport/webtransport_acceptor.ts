/**
 * Accepts WebTransport on a QUIC connection with ALPN `h3`, using only the connection's streams.
 *
 * `Deno.upgradeWebTransport` (2.9.6) does the same, but opens its SETTINGS stream before it has
 * heard from the client. If the client never sends its own SETTINGS, that stream is leaked together
 * with the whole connection: 31 KB for each unauthenticated client that connects and leaves. Every
 * stream accepted or opened here is closed by the runtime with its connection
 * (tests/unit/transport/quic_traps.test.ts).
 */
import { RegistryError } from "../src/base/errors.ts";
import { HTTP3_START_BYTES_MAX, UNIDIRECTIONAL_STREAMS_MAX } from "../src/base/limits.ts";
import { CONNECT_ACCEPTED, readConnect, readStreamStart, SERVER_SETTINGS } from "./http3.ts";

/** Capsules on a CONNECT stream are discarded, so a small buffer is enough. */
const DRAIN_BYTES = 64;

/** References that keep an accepted session alive: the runtime ends a stream that is collected. */
export type HeldStreams = readonly unknown[];

/**
 * Waits for a client's SETTINGS and CONNECT, and responds. The caller sets a deadline and closes
 * the connection when it passes, which ends this call too, and keeps the result referenced for as
 * long as the session lasts.
 *
 * @param onEnd called when the client ends the session gracefully. The loss of a connection is
 * reported by the connection itself.
 * @throws RegistryError `malformed` for a client that violates the protocol; any error of the
 * runtime if the connection ends meanwhile.
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
  // Never closed: the end of a control stream ends its connection (RFC 9114 §6.2.1).
  await writer.write(SERVER_SETTINGS);
  return writer;
}

/**
 * Accepts unidirectional streams until one is the control stream; reads no further in any of them.
 */
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

/** Reads until `isWhole` returns true; bytes beyond that are dropped. */
async function readWhole(
  reader: ReadableStreamBYOBReader,
  isWhole: (bytes: Uint8Array) => boolean,
): Promise<void> {
  let buffer = new ArrayBuffer(HTTP3_START_BYTES_MAX);
  let filled = 0;
  do {
    if (filled === HTTP3_START_BYTES_MAX) {
      const message =
        `Start of an HTTP/3 stream must fit in ${HTTP3_START_BYTES_MAX} bytes: it is longer`;
      throw new RegistryError("malformed", message);
    }
    const { value, done } = await reader.read(new Uint8Array(buffer, filled));
    if (done) throw tooShort();
    buffer = value.buffer;
    filled += value.length;
  } while (!isWhole(new Uint8Array(buffer, 0, filled)));
}

/** Reads the CONNECT stream to its end, which is the session's end; never rejects. */
async function drain(request: ReadableStreamBYOBReader, onEnd: () => void): Promise<void> {
  let buffer = new ArrayBuffer(DRAIN_BYTES);
  try {
    for (;;) {
      const { value, done } = await request.read(new Uint8Array(buffer));
      if (done) return onEnd();
      buffer = value.buffer;
    }
  } catch {
    // The connection ended first and reports that itself.
  }
}

function tooShort(): RegistryError {
  return new RegistryError("malformed", "An HTTP/3 stream ended too early");
}
