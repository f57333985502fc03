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
import type { CarrierOwner, CloseInfo } from "./carrier_session.ts";
import { ConnectionCarrier } from "./connection_carrier.ts";
import type { HeldStreams } from "./webtransport_acceptor.ts";

const WEBTRANSPORT_HEADER = new Uint8Array([0x40, 0x41, 0x00]);

/** A connection, from before its handshake on; a session begins after it. */
export class QuicCarrier extends ConnectionCarrier {
  readonly #onEnd: (() => void) | undefined;
  /** Referenced, because collecting it would end the CONNECT stream and with it the session. */
  #held: HeldStreams | undefined;
  #owner: CarrierOwner | undefined;
  /** How the connection ended, once it has. */
  #end: CloseInfo | Error | undefined;

  /** @param onEnd called once, when the connection has ended, before any owner is told. */
  constructor(connection: Deno.QuicConn, onEnd?: () => void) {
    super(connection);
    this.#onEnd = onEnd;
    // One callback for both outcomes, as it takes memory in every session.
    const ended = (end: CloseInfo | Error) => this.#ended(end);
    connection.closed.then(ended, ended);
  }

  /** Whether the connection has ended. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  override get header(): Uint8Array {
    return this.#held === undefined ? super.header : WEBTRANSPORT_HEADER;
  }

  /** Makes it carry WebTransport. @param held the result of `acceptWebTransport`. */
  upgrade(held: HeldStreams): void {
    this.#held = held;
  }

  override watch(owner: CarrierOwner): void {
    this.#owner = owner;
    if (this.#end !== undefined) queueMicrotask(() => this.#report());
  }

  #ended(end: CloseInfo | Error): void {
    this.#end = end;
    this.#onEnd?.();
    this.#report();
  }

  #report(): void {
    const end = this.#end!;
    if (end instanceof Error) this.#owner?.connectionLost(end);
    else this.#owner?.connectionClosed(end);
  }
}
