/**
 * A Deno QUIC connection as the carrier of a session: raw (`crs`) on both sides, or `h3` on a
 * server after a WebTransport session was accepted (webtransport_acceptor.ts).
 *
 * On `h3` the streams are those of the raw connection and carry three bytes before the preface: the
 * WebTransport stream type 0x41 as a two-byte varint, and session id 0 (draft-ietf-webtrans-http3
 * §4.2; the CONNECT stream is a client's first stream, so its id is always 0). This way ends and
 * stops are noticed, stream credit is returned, and a malformed header costs its stream but not the
 * session (denoland/deno#36822).
 */
import { ConnectionCarrier } from "./connection_carrier.ts";
import type { HeldStreams } from "./webtransport_acceptor.ts";

const WEBTRANSPORT_HEADER = new Uint8Array([0x40, 0x41, 0x00]);

/** A connection whose handshake is complete. */
export class QuicCarrier extends ConnectionCarrier {
  /** Referenced, because collecting it would end the CONNECT stream and with it the session. */
  readonly held: HeldStreams | undefined;

  /** @param held on `h3`, the result of `acceptWebTransport`. */
  constructor(connection: Deno.QuicConn, held?: HeldStreams) {
    super(connection, held === undefined ? undefined : WEBTRANSPORT_HEADER);
    this.held = held;
  }
}

/**
 * Formats `192.0.2.1:4433` or `[2001:db8::1]:4433`; an IPv4-mapped IPv6 address is shown as IPv4.
 */
export function addressText(address: { hostname: string; port: number }): string {
  const host = plainHost(address.hostname);
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}

/** Returns the address, with an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) as IPv4. */
export function plainHost(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  return mapped?.[1] ?? host;
}
