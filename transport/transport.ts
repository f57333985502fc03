/**
 * How bytes travel: sessions between two programs, streams inside a session.
 *
 * Every adapter (memory, QUIC, WebTransport, TLS) keeps this contract and runs one shared suite. Nothing
 * here carries meaning in the end of a stream: runtimes lose, invent and delay it, so whoever needs
 * an end sends a frame that says so. No type of a runtime appears here, so that node, client and
 * simulation are written once. Every failure that a caller can meet is a `RegistryError`:
 * `connection_lost` when the session or stream went away, `tls_failed`, `deadline_exceeded`,
 * `canceled`, `overloaded`, `shutting_down` and `invalid_argument` where a method names them.
 */
import type { ErrorCode } from "../src/base/errors.ts";

/** What a stream is for; written in its first frame. A stream never changes its kind. */
export type StreamKind = "control" | "request" | "peer" | "bulk";

/** The adapter that carries a session. */
export type TransportName = "memory" | "quic" | "webtransport" | "tls";

/** Bytes whose buffer may be handed over (detached); never a view of shared memory. */
export type OwnedBytes = Uint8Array<ArrayBuffer>;

/**
 * A two-way flow of bytes, in order. One read may wait at a time; writes may overlap and keep their
 * order, but one write in flight, with all that is ready in it, is by far the cheapest.
 */
export interface Stream {
  readonly kind: StreamKind;

  /**
   * Waits for bytes. The stream takes `into` (its buffer may be detached) and gives back a view of
   * the filled part, whose `.buffer` is as long as the one passed in and the caller's again.
   *
   * @param into where to read to, at least 1 byte; the result starts at its offset.
   * @returns at least 1 byte, or `undefined` when the peer ended or aborted the stream, or when
   * `abort` was called here. Bytes that arrived before may be lost then, and the stream is over in
   * both directions: no further call is needed.
   * @throws RegistryError `connection_lost` when the session ended in any way.
   */
  read(into: OwnedBytes): Promise<OwnedBytes | undefined>;

  /**
   * Sends bytes. The stream owns `bytes` until the promise settles: they must not change before,
   * and may be used again after. The promise resolves when the transport took them over, not when
   * the peer has them, and stays pending while the peer reads too slowly: that is back-pressure.
   *
   * @throws RegistryError `connection_lost` when the stream or its session is over.
   */
  write(bytes: Uint8Array): Promise<void>;

  /** Gives the stream up at once, in both directions; unsent bytes may be dropped. Idempotent. */
  abort(): void;
}

/** How a session ended. */
export interface SessionEnd {
  /** `local`: this side closed it; `peer`: the other side did; `lost`: nothing was heard any more. */
  readonly by: "local" | "peer" | "lost";
  /**
   * Why, as the closing side said; `undefined` where it ended well. `connection_lost` when lost, or
   * when a peer closed before it was able to say why.
   */
  readonly code: ErrorCode | undefined;
  /** For people; empty when nothing was said. */
  readonly message: string;
}

/** What a session allows, as this side was configured. */
export interface SessionLimits {
  /** Streams of both sides together that may be open at once. */
  readonly streamsMax: number;
}

/** What `Session.goodbye` may be told. */
export interface GoodbyeOptions {
  /**
   * After the last write was taken over, ms to wait for the peer to close first, so that bytes on
   * their way (a goodbye frame) arrive: closing drops what is not yet acknowledged. Default 50.
   */
  readonly lingerMs?: number;
}

/** A connection between two programs, with streams in it. */
export interface Session {
  /** Unique within this process; for logs. */
  readonly id: number;
  readonly transport: TransportName;
  /**
   * Whether the transport itself verified both sides' certificates and bound them to this connection.
   * If not, peers authenticate by a handshake inside the session.
   */
  readonly authenticatesPeers: boolean;
  /** The peer's address and port as first seen, `192.0.2.1:4433` or `[2001:db8::1]:4433`. */
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  /**
   * The certificate (DER) that the peer showed and TLS verified: its client certificate on a server,
   * the server's on a client. `undefined` where the transport does not tell, as QUIC does not.
   */
  readonly peerCertificate?: Uint8Array;

  /**
   * Opens a stream and sends its preface.
   *
   * @throws RegistryError `overloaded` when `limits.streamsMax` are open; `connection_lost`.
   */
  open(kind: StreamKind): Promise<Stream>;

  /**
   * Waits for a stream of the peer whose preface was read and checked; `undefined` when the session
   * is over. A stream with a bad or late preface is dropped and counted, and never appears here.
   * Streams come in the order in which their prefaces became whole, which over a lossy path is not
   * always that of their opening. One accept may wait at a time.
   */
  accept(): Promise<Stream | undefined>;

  /**
   * Ends the session in good order: waits a bounded time for pending writes, then closes with
   * `code` and `message`, which a peer may or may not see. Never rejects; resolves when all is done
   * and the process may exit. Whoever needs the peer to know sends a goodbye frame first.
   *
   * @param code why, or `undefined` where it ends well.
   */
  goodbye(code: ErrorCode | undefined, message: string, options?: GoodbyeOptions): Promise<void>;

  /** Ends the session at once; `reason` is for people. Idempotent. */
  abort(reason: string): void;

  /** Resolves once, when the session is over in whatever way; never rejects. */
  readonly closed: Promise<SessionEnd>;
}

/** Where to dial. */
export interface Endpoint {
  /** A literal IP address (IPv6 without brackets) or a host name. */
  readonly host: string;
  readonly port: number;
}

/**
 * By what a server's certificate is believed.
 *
 * `pins`: SHA-256 of the whole certificate (DER), 32 bytes each; any of them will do. Only with
 * exactly one pin is it known which certificate was shown. The certificate must be ECDSA P-256 and
 * valid for at most 14 days, and its names are not looked at. `ca`: PEM certificates of roots.
 */
export type Trust =
  | { readonly kind: "pins"; readonly sha256: readonly Uint8Array[] }
  | { readonly kind: "ca"; readonly pem: readonly string[]; readonly serverName?: string };

/** What `Dialer.dial` may be told. */
export interface DialOptions {
  readonly trust: Trust;
  /** The most that connecting may take, ms. Default `DIAL_MS_MAX`. */
  readonly timeoutMs?: number;
  /** Gives up: the dial rejects with `canceled`. */
  readonly signal?: AbortSignal;
}

/** Opens sessions. */
export interface Dialer {
  readonly transport: TransportName;
  /** Whether its sessions are authenticated by the transport: `Session.authenticatesPeers`. */
  readonly authenticatesPeers: boolean;
  /** Whether it takes pins as trust; if not, it takes CAs only. */
  readonly pinsServer: boolean;

  /**
   * Connects to one endpoint.
   *
   * @throws RegistryError `tls_failed` when the certificate is not believed; `deadline_exceeded`;
   * `canceled`; `connection_lost` when nobody answers or the peer refused; `invalid_argument` when
   * the endpoint or the trust cannot be used with this transport.
   */
  dial(endpoint: Endpoint, options: DialOptions): Promise<Session>;

  /** Aborts all sessions it opened and frees what it holds. Resolves when the process may exit. */
  close(): Promise<void>;
}

/** What a server shows. */
export interface ServerCertificate {
  /** PEM, the leaf first. */
  readonly chainPem: string;
  /** PEM, PKCS #8. */
  readonly keyPem: string;
}

/** What a listener may allow; every field has a default in `src/base/limits.ts`. */
export interface ListenerLimits {
  readonly sessionsMax?: number;
  readonly sessionsPerAddressMax?: number;
  readonly sessionsBacklogMax?: number;
  readonly streamsPerSessionMax?: number;
  readonly handshakesMax?: number;
  /** Connections by TLS at once that are only taken to be told that there is no room. */
  readonly refusalsMax?: number;
  /** ms for the TLS handshake and the HTTP/3 upgrade together. */
  readonly handshakeMsMax?: number;
  readonly prefaceMsMax?: number;
}

/** Counters of a listener; all grow but the first three. */
export interface ListenerStats {
  /** Sessions open now. */
  sessions: number;
  /** Streams open now, over all sessions. */
  streams: number;
  /** Handshakes and upgrades in progress now. */
  handshakes: number;
  /** Sessions that were ever ready. */
  accepted: number;
  /** Connections refused because a limit was reached. */
  refused: number;
  /** Handshakes that failed: bad ALPN, a certificate not believed, a peer that went away. */
  handshakeFailures: number;
  /** Handshakes, upgrades and prefaces that took longer than their deadline. */
  deadlines: number;
  /** Streams dropped for a malformed preface or header, or beyond the limit. */
  streamsRefused: number;
}

/** Where something was caught; the label of a counter. */
export type ErrorStage =
  | "bind"
  | "listen"
  | "incoming"
  | "handshake"
  | "upgrade"
  | "accept"
  | "preface"
  | "stream"
  | "session"
  | "close"
  | "unhandled";

/** Told of every error that was caught and survived: to count and to log. It must not throw. */
export type OnError = (stage: ErrorStage, error: unknown) => void;

/** Accepts sessions, of every protocol that the adapter knows, from all addresses it is bound to. */
export interface Listener {
  /** What it is bound to, in the order asked for. */
  readonly addresses: readonly Endpoint[];
  /** The port that all addresses share. */
  readonly port: number;
  readonly stats: Readonly<ListenerStats>;

  /**
   * Waits for a session that is ready for use; `undefined` when the listener was closed. Sessions
   * that nobody accepts are refused beyond a limit. One accept may wait at a time.
   */
  accept(): Promise<Session | undefined>;

  /**
   * Shows another certificate to connections from now on; sessions that are open stay.
   *
   * @throws RegistryError `invalid_argument` when it cannot be used; the old one stays then.
   */
  rotate(certificate: ServerCertificate): void;

  /** Stops accepting and ends all sessions; resolves when the port is free. Idempotent. */
  close(): Promise<void>;
}
