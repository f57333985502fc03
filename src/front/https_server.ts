/**
 * HTTPS of a front: TLS 1.3, with a client certificate for those who have one. TLS proves that the caller
 * holds its key, which is all that a front vouches for; whether the certificate is valid, the node says.
 *
 * A connection counts as a handshake until it is secure. The handshakes in progress are bounded, so that
 * connections that never say anything do not take the places of callers.
 */
import type { RequestListener, ServerOptions } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { HTTP_HANDSHAKES_MAX, HTTP_HEAD_MS_MAX } from "../base/limits.ts";
import { checkServerCertificate } from "../../transport/server_certificate.ts";
import { leafOf, readLeafOnly } from "../../transport/tls_peer.ts";
import type { TlsCertificate } from "../../transport/transport.ts";
import type { UnlessOwn } from "../../transport/tcp_acceptor.ts";

/** The certificate of the server, and of whom it asks one. */
export interface FrontTls {
  readonly certificate: TlsCertificate;
  /** The roots that clients are told to have a certificate of, PEM; none: no certificate is asked for. */
  readonly clientAuthorities: readonly string[];
}

/** HTTPS of a listener, whose certificate can be replaced while it serves. */
export class HttpsServers {
  readonly #handshakes = new Handshakes();
  readonly #clientAuthorities: readonly string[];
  #certificate: TlsCertificate;
  /** The server that was made last; its address may have been bound again. */
  #server: Server | undefined;

  constructor({ certificate, clientAuthorities }: FrontTls) {
    this.#certificate = certificate;
    this.#clientAuthorities = clientAuthorities;
  }

  /** Returns a further server, as {@link httpsServer}. */
  next(options: Omit<HttpsServerOptions, "handshakes">): Server {
    const tls = { certificate: this.#certificate, clientAuthorities: this.#clientAuthorities };
    return this.#server = httpsServer(tls, { ...options, handshakes: this.#handshakes });
  }

  /**
   * Serves further connections with another certificate.
   *
   * @throws RegistryError `invalid_argument` if it cannot be used; the one before stays.
   */
  useCertificate(certificate: TlsCertificate): void {
    checkServerCertificate(certificate);
    this.#server?.setSecureContext(secureOptions({
      certificate,
      clientAuthorities: this.#clientAuthorities,
    }));
    this.#certificate = certificate;
  }

  /** Drops the connections whose handshakes are not done. */
  close(): void {
    this.#handshakes.closeAll();
  }
}

/** The limits of a server, and the handlers of its connections and requests. */
interface HttpsServerOptions {
  readonly limits: ServerOptions;
  readonly handshakes: Handshakes;
  readonly onRequest: RequestListener;
  readonly unlessOwn: UnlessOwn;
  readonly onSecure: (socket: Socket, leaf: Uint8Array | undefined) => void;
}

function secureOptions({ certificate, clientAuthorities }: FrontTls) {
  return {
    cert: certificate.chainPem,
    key: certificate.keyPem,
    ca: [...clientAuthorities],
    minVersion: "TLSv1.3" as const,
  };
}

/**
 * Returns a server that does not listen yet.
 *
 * @param onSecure called with each connection once its handshake is done, and with the certificate (DER)
 * whose key the caller holds; undefined if it has none.
 * @throws RegistryError `invalid_argument` if the certificate or its key cannot be used.
 */
function httpsServer(
  tls: FrontTls,
  { limits, handshakes, onRequest, unlessOwn, onSecure }: HttpsServerOptions,
): Server {
  checkServerCertificate(tls.certificate);
  const server = createServer({
    ...limits,
    ...secureOptions(tls),
    requestCert: tls.clientAuthorities.length > 0,
    // Whoever has no certificate is anonymous, and an invalid one is refused by the node, with a reason.
    rejectUnauthorized: false,
    handshakeTimeout: HTTP_HEAD_MS_MAX,
  }, onRequest);
  server.on("connection", (socket: Socket) => unlessOwn(socket, () => handshakes.begin(socket)));
  server.on("secureConnection", (socket: TLSSocket) => {
    handshakes.end(socket);
    readLeafOnly(socket);
    onSecure(socket, leafOf(socket));
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

/** Connections whose handshakes are not done, the oldest first. */
export class Handshakes {
  /** By the address and port of the client: the secure socket is another object. */
  readonly #pending = new Map<string, Socket>();

  /** Counts a new connection. */
  begin(socket: Socket): void {
    const key = keyOf(socket);
    if (this.#pending.size >= HTTP_HANDSHAKES_MAX) {
      const [oldest] = this.#pending;
      if (oldest !== undefined) this.#pending.delete(oldest[0]);
      oldest?.[1].destroy();
    }
    this.#pending.set(key, socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      if (this.#pending.get(key) === socket) this.#pending.delete(key);
    });
  }

  /** Ends the handshake of a connection that is secure. */
  end(socket: Socket): void {
    this.#pending.delete(keyOf(socket));
  }

  /** Drops all of them. */
  closeAll(): void {
    for (const socket of this.#pending.values()) socket.destroy();
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
