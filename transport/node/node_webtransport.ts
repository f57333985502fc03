/**
 * The standard `WebTransport` of a client on Node, as far as our dialer uses it, over
 * `@fails-components/webtransport`. Fenced here: pins are compared once more with the certificate
 * that was shown, for the library does not look at them where a public CA vouches for it; an HTTP
 * status becomes an error that says what it means; and the peer's silence is noticed.
 */
import { createHash } from "node:crypto";
import type { ClientHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import { RegistryError } from "../../src/base/errors.ts";
import type { CloseInfo } from "../carrier_session.ts";
import type { BytePair } from "../carrier_stream.ts";
import {
  incomingStreams,
  LibrarySessionLife,
  type LibrarySessionLifeOptions,
  openStream,
} from "./session_life.ts";
import {
  LIBRARY_WINDOWS,
  type LibraryClientSession,
  type WebTransportLibrary,
} from "./webtransport_library.ts";

/** The HTTP status by which a server says that it has no room for a session. */
export const STATUS_NO_ROOM = 503;

/** A client's session. */
export class NodeWebTransport {
  readonly ready: Promise<void>;
  readonly closed: Promise<CloseInfo>;
  readonly #opened: LibraryClientSession;
  readonly #options: LibrarySessionLifeOptions;
  readonly #pins: readonly Uint8Array[];
  #status: number | undefined;
  #broken: Error | undefined;
  #life: LibrarySessionLife | undefined;
  #incoming: ReadableStream<BytePair> | undefined;

  constructor(
    library: WebTransportLibrary,
    url: string,
    pins: readonly Uint8Array[],
    options: LibrarySessionLifeOptions,
  ) {
    this.#pins = pins;
    this.#options = options;
    this.#opened = new library.WebTransport(url, {
      ...LIBRARY_WINDOWS,
      ...(library.http3 ? { requireUnreliable: true } : { forceReliable: true }),
      serverCertificateHashes: pins.map((pin) => ({
        algorithm: "sha-256",
        value: Buffer.from(pin),
      })),
    });
    this.#noteStatus();
    this.#connection?.on("error", (error: Error) => this.#broken ??= error);
    this.ready = this.#begin();
    this.closed = this.ready.then(() => this.#life!.closed);
  }

  get incomingBidirectionalStreams(): ReadableStream<BytePair> {
    return this.#incoming ??= incomingStreams(this.#opened.sessionint);
  }

  createBidirectionalStream(): Promise<BytePair> {
    return openStream(this.#opened.sessionint);
  }

  close({ closeCode = 0, reason = "" }: CloseInfo = {}): void {
    if (this.#life !== undefined) this.#life.close(closeCode, reason);
    else this.#connection?.destroy();
  }

  get #connection(): ClientHttp2Session | undefined {
    return this.#opened.sessionint.parentobj.transportInt?.clientInt;
  }

  async #begin(): Promise<void> {
    const { sessionint, ready } = this.#opened;
    // Rejects together with `ready`, and nobody else listens.
    sessionint.closed.catch(() => {});
    try {
      await ready;
    } catch (error) {
      this.#connection?.destroy();
      if (this.#status === STATUS_NO_ROOM) {
        throw new RegistryError("overloaded", "The server has no room for another session");
      }
      // The library says "Opening handshake failed" whatever happened.
      throw this.#broken ?? error;
    }
    const connection = this.#connection;
    if (connection !== undefined) this.#checkPin(connection);
    this.#life = new LibrarySessionLife(sessionint, connection, this.#options);
  }

  #noteStatus(): void {
    const { sessionint } = this.#opened;
    const onClose = sessionint.onClose.bind(sessionint);
    sessionint.onClose = (event) => {
      this.#status = event.errorcode;
      onClose(event);
    };
  }

  #checkPin(connection: ClientHttp2Session): void {
    const { raw } = (connection.socket as TLSSocket).getPeerCertificate(false);
    const shown = createHash("sha256").update(raw).digest();
    if (this.#pins.some((pin) => shown.equals(pin))) return;
    connection.destroy();
    throw new RegistryError("tls_failed", "The server's certificate is none of the pinned ones");
  }
}
