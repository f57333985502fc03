/**
 * Dials raw QUIC (ALPN `crs`) with Deno: nodes among each other and native clients.
 *
 * All sessions of a dialer share one UDP socket. A certificate is believed anew on each connection:
 * a TLS ticket taken under one trust is not honoured under another (there is a test for it).
 * A literal IP address is best: a name is resolved by the runtime, blocking, to its first address.
 */
import { RegistryError } from "../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  CLIENT_KEEP_ALIVE_MS,
  STREAMS_PER_SESSION_MAX,
} from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { newListenerStats } from "./admission.ts";
import { ALPN_REGISTRY } from "./alpn.ts";
import { CarrierSession } from "./carrier_session.ts";
import { boundedDial } from "./dialing.ts";
import { addressText, QuicCarrier } from "./quic_carrier.ts";
import type { Dialer, DialOptions, Endpoint, OnError, Session, Trust } from "./transport.ts";

/** What a {@link QuicDialer} needs. */
export interface QuicDialerOptions {
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  /** How often a silent session is kept alive, ms. Default `CLIENT_KEEP_ALIVE_MS`. */
  readonly keepAliveMs?: number;
  /** After what silence a session is given up, ms; the shorter of both sides counts. */
  readonly idleMs?: number;
  readonly streamsPerSessionMax?: number;
}

/** `serverCertificateHashes` works at run time and is missing from the types. */
type ConnectOptions = Deno.ConnectQuicOptions<false> & {
  serverCertificateHashes?: { algorithm: string; value: Uint8Array }[];
};

/** Opens raw QUIC sessions. */
export class QuicDialer implements Dialer {
  readonly transport = "quic";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly #options: QuicDialerOptions;
  readonly #sessions = new Set<CarrierSession>();
  readonly #stats = newListenerStats();
  #endpoint: Deno.QuicEndpoint | undefined;
  #nextSessionId = 1;
  #closed = false;

  constructor(options: QuicDialerOptions) {
    this.#options = options;
  }

  async dial(endpoint: Endpoint, options: DialOptions): Promise<Session> {
    if (this.#closed) throw new RegistryError("shutting_down", "The dialer was closed");
    const { scheduler } = this.#options;
    const connection = await boundedDial(
      () => this.#connect(endpoint, options.trust),
      options,
      scheduler,
      endpoint,
      (late) => late.close(),
    );
    const session = this.#session(connection);
    if (this.#closed) session.abort("the dialer was closed");
    return session;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const sessions = [...this.#sessions];
    for (const session of sessions) session.abort("the dialer was closed");
    await Promise.all(sessions.map((session) => session.closed));
    // Close frames leave in a later turn; closing the endpoint first would swallow them.
    await new Promise<void>((resolve) => this.#options.scheduler.after(1, resolve));
    this.#endpoint?.close();
  }

  async #connect(endpoint: Endpoint, trust: Trust): Promise<Deno.QuicConn> {
    const { keepAliveMs = CLIENT_KEEP_ALIVE_MS, idleMs = CLIENT_IDLE_MS } = this.#options;
    this.#endpoint ??= bindClient();
    const connectOptions: ConnectOptions = {
      endpoint: this.#endpoint,
      hostname: endpoint.host,
      port: endpoint.port,
      alpnProtocols: [ALPN_REGISTRY],
      keepAliveInterval: keepAliveMs,
      maxIdleTimeout: idleMs,
      maxConcurrentBidirectionalStreams: this.#streamsMax,
      maxConcurrentUnidirectionalStreams: 0,
    };
    if (trust.kind === "ca") {
      connectOptions.caCerts = [...trust.pem];
      connectOptions.serverName = trust.serverName;
    } else {
      connectOptions.serverCertificateHashes = trust.sha256.map((hash) => ({
        algorithm: "sha-256",
        value: hash.slice(),
      }));
    }
    return await Deno.connectQuic(connectOptions);
  }

  get #streamsMax(): number {
    return this.#options.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX;
  }

  #session(connection: Deno.QuicConn): CarrierSession {
    const session = new CarrierSession(new QuicCarrier(connection), {
      id: this.#nextSessionId++,
      transport: "quic",
      remoteAddress: addressText(connection.remoteAddr),
      limits: { streamsMax: this.#streamsMax },
      scheduler: this.#options.scheduler,
      onError: this.#options.onError,
      stats: this.#stats,
      onEnd: (ended) => this.#sessions.delete(ended),
    });
    this.#sessions.add(session);
    return session;
  }
}

/** A socket for both address families, or for IPv4 where the machine has no IPv6. */
function bindClient(): Deno.QuicEndpoint {
  try {
    return new Deno.QuicEndpoint({ hostname: "::", port: 0 });
  } catch {
    return new Deno.QuicEndpoint({ hostname: "0.0.0.0", port: 0 });
  }
}
