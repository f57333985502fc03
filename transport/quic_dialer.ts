/**
 * Dials raw QUIC with Deno: from native clients (ALPN `crs`) and between nodes (`crs-peer`).
 *
 * All sessions of a dialer share one UDP socket. The certificate is verified anew on each
 * connection: a TLS ticket obtained under one trust is not accepted under another (there is a test
 * for it). Literal IP addresses are preferable: the runtime resolves a name synchronously, to its
 * first address.
 */
import {
  CLIENT_IDLE_MS,
  CLIENT_KEEP_ALIVE_MS,
  STREAMS_PER_SESSION_MAX,
} from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { ALPN_REGISTRY } from "./alpn.ts";
import { type CarriedConnection, ConnectionDialer } from "./connection_dialer.ts";
import { addressText } from "./host_address.ts";
import { QuicCarrier } from "./quic_carrier.ts";
import type { Dialer, Endpoint, OnError, Trust } from "./transport.ts";

/** Parameters of a {@link QuicDialer}. */
export interface QuicDialerOptions {
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  /** Keep-alive interval of a silent session, ms. Default `CLIENT_KEEP_ALIVE_MS`. */
  readonly keepAliveMs?: number;
  /** Silence after which a session is given up, ms; the shorter of both sides' values applies. */
  readonly idleMs?: number;
  readonly streamsPerSessionMax?: number;
  /** Application protocol. Default `crs`. */
  readonly alpn?: string;
}

/** `serverCertificateHashes` works at run time but is missing from the types. */
type ConnectOptions = Deno.ConnectQuicOptions<false> & {
  serverCertificateHashes?: { algorithm: string; value: Uint8Array }[];
};

/** A dialer of raw QUIC sessions. */
export class QuicDialer extends ConnectionDialer<Deno.QuicConn> implements Dialer {
  readonly transport = "quic";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly #options: QuicDialerOptions;
  #endpoint: Deno.QuicEndpoint | undefined;

  constructor(options: QuicDialerOptions) {
    super(options);
    this.#options = options;
  }

  protected override carry(connection: Deno.QuicConn): CarriedConnection {
    const remoteAddress = addressText(connection.remoteAddr);
    return { carrier: new QuicCarrier(connection), transport: "quic", remoteAddress };
  }

  protected override release(): void {
    this.#endpoint?.close();
  }

  protected override async connect(endpoint: Endpoint, trust: Trust): Promise<Deno.QuicConn> {
    const { keepAliveMs = CLIENT_KEEP_ALIVE_MS, idleMs = CLIENT_IDLE_MS } = this.#options;
    this.#endpoint ??= bindClient();
    const connectOptions: ConnectOptions = {
      endpoint: this.#endpoint,
      hostname: endpoint.host,
      port: endpoint.port,
      alpnProtocols: [this.#options.alpn ?? ALPN_REGISTRY],
      keepAliveInterval: keepAliveMs,
      maxIdleTimeout: idleMs,
      maxConcurrentBidirectionalStreams: this.#options.streamsPerSessionMax ??
        STREAMS_PER_SESSION_MAX,
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
}

/** Binds a socket for both address families, or for IPv4 if the machine has no IPv6. */
function bindClient(): Deno.QuicEndpoint {
  try {
    return new Deno.QuicEndpoint({ hostname: "::", port: 0 });
  } catch {
    return new Deno.QuicEndpoint({ hostname: "0.0.0.0", port: 0 });
  }
}
