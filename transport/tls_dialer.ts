/**
 * Dials TLS over TCP (ALPN `crs`) with `node:tls`, for networks that block UDP and where TLS itself
 * must verify certificates. The client certificate is requested anew for each connection, so that a
 * renewed one is presented from the next connection on.
 *
 * Only CAs are accepted as trust. A runtime told to ignore verification failures may also ignore
 * the server's signature, and a pin would then prove nothing. A client that knows a pin compares it
 * with the session's `peerCertificate` before it sends anything.
 */
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { RegistryError } from "../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  CLIENT_KEEP_ALIVE_MS,
  STREAMS_PER_SESSION_MAX,
} from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { ignore } from "./carrier_stream.ts";
import { DialedSessions } from "./dialed_sessions.ts";
import { boundedDial } from "./dialing.ts";
import { addressText } from "./host_address.ts";
import { TlsCarrier } from "./tls_carrier.ts";
import { leafOf, readLeafOnly, speaksRegistry, TLS_PROTOCOL } from "./tls_peer.ts";
import type {
  Dialer,
  DialOptions,
  Endpoint,
  OnError,
  Session,
  TlsCertificate,
  Trust,
} from "./transport.ts";

/** A client's certificate chain and key, in the form of a server certificate. */
export type ClientCertificate = TlsCertificate;

/** Parameters of a {@link TlsDialer}. */
export interface TlsDialerOptions {
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  /** Returns the current client certificate. */
  readonly certificate: () => ClientCertificate;
  /** Keep-alive interval of a silent session, ms. Default `CLIENT_KEEP_ALIVE_MS`. */
  readonly keepAliveMs?: number;
  /** Silence after which a session is given up, ms; the shorter of both sides' values applies. */
  readonly idleMs?: number;
  readonly streamsPerSessionMax?: number;
}

/** A dialer of TLS sessions. */
export class TlsDialer implements Dialer {
  readonly transport = "tls";
  readonly authenticatesPeers = true;
  readonly pinsServer = false;
  readonly #options: TlsDialerOptions;
  readonly #sessions = new DialedSessions();
  readonly #sockets = new Set<TLSSocket>();

  constructor(options: TlsDialerOptions) {
    this.#options = options;
  }

  async dial(endpoint: Endpoint, options: DialOptions): Promise<Session> {
    this.#sessions.requireOpen();
    if (options.signal?.aborted) {
      throw new RegistryError("canceled", "Connecting was canceled before it began");
    }
    const socket = this.#connect(endpoint, options.trust);
    try {
      return await boundedDial(
        () => this.#establish(socket),
        options,
        this.#options.scheduler,
        endpoint,
        ignore,
      );
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#sessions.close();
    await Promise.all(Array.from(this.#sockets, (socket) => {
      socket.destroy();
      return new Promise<void>((resolve) => socket.once("close", () => resolve()));
    }));
  }

  #connect(endpoint: Endpoint, trust: Trust): TLSSocket {
    if (trust.kind !== "ca") {
      throw new RegistryError(
        "invalid_argument",
        "TLS needs a CA to verify a server: compare a pin with the session's certificate afterwards",
        { field: "trust" },
      );
    }
    const { chainPem, keyPem } = this.#options.certificate();
    const name = trust.serverName ?? endpoint.host;
    const socket = connect({
      ...TLS_PROTOCOL,
      host: endpoint.host,
      port: endpoint.port,
      // An address is not a server name (RFC 6066 §3), but it is still compared with the
      // certificate.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ca: [...trust.pem],
      cert: chainPem,
      key: keyPem,
      rejectUnauthorized: true,
    });
    readLeafOnly(socket);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }

  /** Waits for the TLS handshake and the server's first frame, which accepts the client. */
  async #establish(socket: TLSSocket): Promise<Session> {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed")));
    });
    const certificate = leafOf(socket);
    if (certificate === undefined || !speaksRegistry(socket)) {
      throw new RegistryError(
        "tls_failed",
        "The server presents no certificate, or does not offer ALPN `crs`",
      );
    }
    const { scheduler, idleMs = CLIENT_IDLE_MS } = this.#options;
    const { keepAliveMs = CLIENT_KEEP_ALIVE_MS } = this.#options;
    const streamsMax = this.#options.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX;
    const carrier = new TlsCarrier(socket, {
      dialed: true,
      idleMs,
      keepAliveMs,
      streamsMax,
      scheduler,
    });
    await carrier.ready;
    return this.#sessions.start(carrier, this.#options, {
      transport: "tls",
      authenticatesPeers: true,
      remoteAddress: addressText({
        hostname: socket.remoteAddress ?? "unknown",
        port: socket.remotePort ?? 0,
      }),
      peerCertificate: certificate,
    });
  }
}
