/**
 * A dialer over connections of the runtime: raw QUIC and the standard WebTransport differ in how they
 * connect and in what they say of a connection, and in nothing else.
 */
import type { Carrier, CarrierSessionOptions } from "./carrier_session.ts";
import { type DialedSessionOptions, DialedSessions } from "./dialed_sessions.ts";
import { boundedDial } from "./dialing.ts";
import type { DialOptions, Endpoint, Session, Trust } from "./transport.ts";

/** A connection as the carrier of a session, and what the session says of it. */
export interface CarriedConnection extends Omit<CarrierSessionOptions, "id"> {
  readonly carrier: Carrier;
}

/** The sessions of one dialer, from dialing to its end. */
export abstract class ConnectionDialer<Connection extends { close(): void }> {
  readonly #options: DialedSessionOptions;
  readonly #sessions = new DialedSessions();
  #closing: Promise<void> | undefined;

  constructor(options: DialedSessionOptions) {
    this.#options = options;
  }

  async dial(endpoint: Endpoint, options: DialOptions): Promise<Session> {
    this.#sessions.requireOpen();
    const connection = await boundedDial(
      () => this.connect(endpoint, options.trust),
      options,
      this.#options.scheduler,
      endpoint,
      (late) => late.close(),
    );
    const { carrier, ...session } = this.carry(connection, endpoint);
    return this.#sessions.start(carrier, this.#options, session);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Opens a connection; errors are mapped to codes by their text. */
  protected abstract connect(endpoint: Endpoint, trust: Trust): Promise<Connection>;

  /** Describes the session over a connection. */
  protected abstract carry(connection: Connection, endpoint: Endpoint): CarriedConnection;

  /** Frees what all connections share; they have ended. */
  protected release(): void {}

  async #close(): Promise<void> {
    await this.#sessions.close();
    // The runtime sends close frames in a later turn; freeing a socket first would drop them.
    await new Promise<void>((resolve) => this.#options.scheduler.after(1, resolve));
    this.release();
  }
}
