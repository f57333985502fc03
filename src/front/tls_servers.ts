/**
 * TLS 1.3 of a front's listener, with a client certificate for those who have one. TLS proves that the
 * caller holds its key, which is all that a front vouches for; whether the certificate is valid, the node
 * says.
 *
 * A connection counts as a handshake until it is secure. The handshakes in progress are bounded, so that
 * connections that never say anything do not take the places of callers.
 */
import type { Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { checkServerCertificate } from "../../transport/server_certificate.ts";
import type { TlsCertificate } from "../../transport/transport.ts";

/** The certificate of the server, and of whom it asks one. */
export interface FrontTls {
  readonly certificate: TlsCertificate;
  /** The roots that clients are told to have a certificate of, PEM; none: no certificate is asked for. */
  readonly clientAuthorities: readonly string[];
}

/** The options of TLS that servers of HTTPS and gRPC share. */
export interface SecureServerOptions extends SecureContextOptions {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: false;
}

/** The servers of a listener, whose certificate can be replaced while it serves. */
export class TlsServers<S extends { setSecureContext(options: SecureContextOptions): void }> {
  readonly handshakes: Handshakes;
  #tls: FrontTls;
  /** The server that was made last; its address may have been bound again. */
  #server: S | undefined;

  /** @param handshakesMax the limit of handshakes in progress. */
  constructor(tls: FrontTls, handshakesMax: number) {
    this.#tls = tls;
    this.handshakes = new Handshakes(handshakesMax);
  }

  /**
   * Returns a further server, which `make` creates.
   *
   * @throws RegistryError `invalid_argument` if the certificate or its key cannot be used.
   */
  next(make: (options: SecureServerOptions) => S): S {
    checkServerCertificate(this.#tls.certificate);
    return this.#server = make({
      ...contextOf(this.#tls),
      requestCert: this.#tls.clientAuthorities.length > 0,
      // Whoever has no certificate is anonymous, and an invalid one is refused by the node, with a reason.
      rejectUnauthorized: false,
    });
  }

  /**
   * Serves further connections with another certificate.
   *
   * @throws RegistryError `invalid_argument` if it cannot be used; the one before stays.
   */
  useCertificate(certificate: TlsCertificate): void {
    checkServerCertificate(certificate);
    const tls = { ...this.#tls, certificate };
    this.#server?.setSecureContext(contextOf(tls));
    this.#tls = tls;
  }

  /** Drops the connections whose handshakes are not done. */
  close(): void {
    this.handshakes.closeAll();
  }
}

function contextOf({ certificate, clientAuthorities }: FrontTls): SecureContextOptions {
  return {
    cert: certificate.chainPem,
    key: certificate.keyPem,
    ca: [...clientAuthorities],
    minVersion: "TLSv1.3",
  };
}

/** Connections whose handshakes are not done, the oldest first. Above the limit the oldest ends. */
export class Handshakes {
  /** By the address and port of the client: the secure socket is another object. */
  readonly #pending = new Map<string, Socket>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Counts a new connection. */
  begin(socket: Socket): void {
    const key = keyOf(socket);
    if (this.#pending.size >= this.#countMax) {
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
