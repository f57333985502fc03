/**
 * Dials WebTransport through the standard `WebTransport` of a browser or of Deno; no other runtime
 * feature is used here.
 *
 * Differences from raw QUIC, caused by the runtimes: They control the timers (Deno sends a
 * keep-alive every 4 s and gives up after 10 s). Deno accepts pins only, ignores other roots, and
 * cannot dial a literal IPv6 address. The peer may never notice an `abort` of a stream
 * (denoland/deno#36822). A browser's close does not end the connection, so a server learns of it
 * from a goodbye frame or only after the idle time. A canceled attempt continues until it succeeds
 * or fails by itself.
 */
import { RegistryError } from "../src/base/errors.ts";
import { STREAMS_PER_SESSION_MAX } from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { newListenerStats } from "./admission.ts";
import type { Carrier } from "./carrier_session.ts";
import { CarrierSession } from "./carrier_session.ts";
import type { BytePair } from "./carrier_stream.ts";
import { ignore } from "./carrier_stream.ts";
import { boundedDial } from "./dialing.ts";
import type { Dialer, DialOptions, Endpoint, OnError, Session, Trust } from "./transport.ts";

/** Parameters of a {@link WebTransportDialer}. */
export interface WebTransportDialerOptions {
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  readonly streamsPerSessionMax?: number;
  /** The constructor of another implementation. Default: the global one. */
  readonly WebTransport?: typeof WebTransport;
}

/** A dialer of WebTransport sessions. */
export class WebTransportDialer implements Dialer {
  readonly transport = "webtransport";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly #options: WebTransportDialerOptions;
  readonly #sessions = new Set<CarrierSession>();
  readonly #stats = newListenerStats();
  #nextSessionId = 1;
  #closed = false;

  constructor(options: WebTransportDialerOptions) {
    this.#options = options;
  }

  async dial(endpoint: Endpoint, options: DialOptions): Promise<Session> {
    if (this.#closed) throw new RegistryError("shutting_down", "The dialer is closed");
    const connection = await boundedDial(
      () => this.#connect(endpoint, options.trust),
      options,
      this.#options.scheduler,
      endpoint,
      (late) => late.close(),
    );
    const session = this.#session(connection, endpoint);
    if (this.#closed) session.abort("the dialer was closed");
    return session;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const sessions = [...this.#sessions];
    for (const session of sessions) session.abort("the dialer was closed");
    await Promise.all(sessions.map((session) => session.closed));
    // Close frames are sent in a later turn of the runtime.
    await new Promise<void>((resolve) => this.#options.scheduler.after(1, resolve));
  }

  async #connect(endpoint: Endpoint, trust: Trust): Promise<WebTransport> {
    const Constructor = this.#options.WebTransport ?? globalThis.WebTransport;
    if (Constructor === undefined) {
      throw new RegistryError("invalid_argument", "This runtime has no WebTransport");
    }
    const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
    const url = `https://${host}:${endpoint.port}/`;
    const connection = new Constructor(url, webTransportOptions(trust));
    connection.closed.catch(ignore);
    await connection.ready;
    return connection;
  }

  #session(connection: WebTransport, endpoint: Endpoint): CarrierSession {
    const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
    const session = new CarrierSession(new WebTransportCarrier(connection), {
      id: this.#nextSessionId++,
      transport: "webtransport",
      remoteAddress: `${host}:${endpoint.port}`,
      limits: { streamsMax: this.#options.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX },
      scheduler: this.#options.scheduler,
      onError: this.#options.onError,
      stats: this.#stats,
      onEnd: (ended) => this.#sessions.delete(ended),
    });
    this.#sessions.add(session);
    return session;
  }
}

/** A client's end of WebTransport: the runtime itself writes and removes the stream headers. */
class WebTransportCarrier implements Carrier {
  readonly header = new Uint8Array(0);
  readonly closed: Carrier["closed"];
  readonly #connection: WebTransport;

  constructor(connection: WebTransport) {
    this.#connection = connection;
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

function webTransportOptions(trust: Trust): WebTransportOptions {
  if (trust.kind === "pins") {
    const serverCertificateHashes = trust.sha256.map((hash) => ({
      algorithm: "sha-256",
      value: hash.slice() as Uint8Array<ArrayBuffer>,
    }));
    return { serverCertificateHashes };
  }
  if (trust.pem.length > 0) {
    const message = "WebTransport accepts pins or the runtime's own roots: a CA cannot be used";
    throw new RegistryError("invalid_argument", message, { field: "trust" });
  }
  return {};
}
