/**
 * A Deno QUIC connection as the carrier of a session: raw (`crs`) on both sides, or `h3` on a server
 * after a WebTransport session was accepted (webtransport_acceptor.ts).
 *
 * On `h3` the streams are taken from the raw connection and carry three bytes before the preface,
 * the WebTransport stream type 0x41 as a two-byte varint and session id 0 (draft-ietf-webtrans-http3
 * §4.2; the CONNECT stream is a client's first stream, and so always 0). That way an end and a stop
 * are seen, stream credit comes back, and a malformed header costs its stream and not the session
 * (denoland/deno#36822).
 */
import type { Carrier } from "./carrier_session.ts";
import type { BytePair } from "./carrier_stream.ts";
import type { HeldStreams } from "./webtransport_acceptor.ts";

const NO_HEADER = new Uint8Array(0);
const WEBTRANSPORT_HEADER = new Uint8Array([0x40, 0x41, 0x00]);

/** A connection whose handshake is done. */
export class QuicCarrier implements Carrier {
  readonly header: Uint8Array;
  readonly closed: Promise<Deno.QuicCloseInfo>;
  readonly #connection: Deno.QuicConn;
  /** Held, because collecting it would end the CONNECT stream and with it the session. */
  readonly held: HeldStreams | undefined;

  /** @param held on `h3`: what `acceptWebTransport` returned. */
  constructor(connection: Deno.QuicConn, held?: HeldStreams) {
    this.#connection = connection;
    this.held = held;
    this.header = held === undefined ? NO_HEADER : WEBTRANSPORT_HEADER;
    this.closed = connection.closed;
  }

  open(): Promise<BytePair> {
    return this.#connection.createBidirectionalStream();
  }

  incoming(): ReadableStream<BytePair> {
    return this.#connection.incomingBidirectionalStreams;
  }

  close(closeCode: number, reason: string): void {
    this.#connection.close({ closeCode, reason });
  }
}

/** `192.0.2.1:4433` or `[2001:db8::1]:4433`; an IPv4 address mapped into IPv6 is shown as IPv4. */
export function addressText(address: { hostname: string; port: number }): string {
  const host = plainHost(address.hostname);
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}

/** The address without the IPv6 form of IPv4 (RFC 4291 §2.5.5.2). */
export function plainHost(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  return mapped?.[1] ?? host;
}
