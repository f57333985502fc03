/**
 * The transport interfaces: sessions between two programs, and streams inside a session.
 *
 * Every adapter (memory, QUIC, WebTransport, TLS) implements this contract and is tested by one
 * shared suite. The end of a stream carries no meaning, because runtimes lose, invent and delay it;
 * a protocol that needs an end sends a frame for it. No runtime type appears here, so that node,
 * client and simulation are written once. Every failure that a caller can encounter is a
 * `RegistryError`: `connection_lost` if the session or stream ended, and `tls_failed`,
 * `deadline_exceeded`, `canceled`, `overloaded`, `shutting_down` and `invalid_argument` where a
 * method lists them.
 */
import type { ErrorCode } from "../src/base/errors.ts";

/** The purpose of a stream, stated in its first frame. A stream never changes its kind. */
export type StreamKind = "control" | "request" | "peer" | "bulk";

/** The adapter that carries a session. */
export type TransportName = "memory" | "quic" | "webtransport" | "tls";

/** Bytes whose buffer may be transferred (detached); never a view of shared memory. */
export type OwnedBytes = Uint8Array<ArrayBuffer>;

/**
 * A bidirectional, ordered stream of bytes. One read may wait at a time. Writes may overlap and
 * keep their order, but one write at a time with everything that is ready is by far the cheapest.
 */
export interface Stream {
  readonly kind: StreamKind;

  /**
   * Waits for bytes. The stream takes ownership of `into` (its buffer may be detached) and returns
   * a view of the filled part, whose `.buffer` is as long as the one passed in and belongs to the
   * caller again.
   *
   * @param into destination, at least 1 byte; the result starts at its offset.
   * @returns at least 1 byte, or `undefined` if the peer ended or aborted the stream, or if `abort`
   * was called here. Bytes that arrived before may be lost in that case, and the stream has ended
   * in both directions: no further call is needed.
   * @throws RegistryError `connection_lost` if the session ended for any reason.
   */
  read(into: OwnedBytes): Promise<OwnedBytes | undefined>;

  /**
   * Sends bytes. The stream owns `bytes` until the promise settles: they must not change before
   * then, and may be reused afterwards. The promise resolves when the transport has taken them
   * over, not when the peer has them, and stays pending while the peer reads too slowly
   * (back-pressure).
   *
   * @throws RegistryError `connection_lost` if the stream or its session has ended.
   */
  write(bytes: Uint8Array): Promise<void>;

  /**
   * Releases what only a stream in use needs; the next write takes it again. Called while no write
   * is in progress. Absent where there is nothing to release.
   */
  rest?(): void;

  /** Ends the stream at once in both directions; unsent bytes may be dropped. Idempotent. */
  abort(): void;
}

/** The end of a session. */
export interface SessionEnd {
  /**
   * `local`: closed by this side; `peer`: closed by the other side; `lost`: the peer fell silent.
   */
  readonly by: "local" | "peer" | "lost";
  /**
   * The reason given by the closing side; `undefined` for a normal end. `connection_lost` if lost,
   * or if a peer closed before it could give a reason.
   */
  readonly code: ErrorCode | undefined;
  /** Explanation for people; may be empty. */
  readonly message: string;
}

/** The limits of a session, as configured on this side. */
export interface SessionLimits {
  /** Maximum number of open streams, counting both sides together. */
  readonly streamsMax: number;
}

/** Options of `Session.goodbye`. */
export interface GoodbyeOptions {
  /**
   * Time to wait, after the last write was taken over, for the peer to close first, ms. It lets
   * bytes in transit (a goodbye frame) arrive, because closing drops unacknowledged data. Default
   * `GOODBYE_LINGER_MS`.
   */
  readonly lingerMs?: number;
}

/** A connection between two programs that carries streams. */
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
   * The certificate (DER) that the peer presented and TLS verified: the client certificate on a
   * server, the server's on a client. `undefined` if the transport does not expose it, as with
   * QUIC.
   */
  readonly peerCertificate?: Uint8Array;

  /**
   * Opens a stream and sends its preface.
   *
   * @throws RegistryError `overloaded` if `limits.streamsMax` are open; `connection_lost`.
   */
  open(kind: StreamKind): Promise<Stream>;

  /**
   * Waits for a stream opened by the peer whose preface was read and checked; `undefined` when the
   * session has ended. A stream with an invalid or late preface is dropped and counted, and never
   * returned. Streams are returned in the order in which their prefaces became complete, which over
   * a lossy path may differ from the order of opening. One accept may wait at a time.
   */
  accept(): Promise<Stream | undefined>;

  /**
   * Ends the session gracefully: waits a bounded time for pending writes, then closes with `code`
   * and `message`, which the peer may or may not see. Never rejects; resolves when everything is
   * done and the process may exit. If the peer must know, send a goodbye frame first.
   *
   * @param code the reason, or `undefined` for a normal end.
   */
  goodbye(code: ErrorCode | undefined, message: string, options?: GoodbyeOptions): Promise<void>;

  /** Ends the session at once; `reason` is for people. Idempotent. */
  abort(reason: string): void;

  /** Resolves once, when the session has ended for any reason; never rejects. */
  readonly closed: Promise<SessionEnd>;
}

/** The address to dial. */
export interface Endpoint {
  /** A literal IP address (IPv6 without brackets) or a host name. */
  readonly host: string;
  readonly port: number;
}

/**
 * The rule by which a server's certificate is verified.
 *
 * `pins`: SHA-256 hashes of whole certificates (DER), 32 bytes each; any match is accepted. Only
 * with exactly one pin is it known which certificate was presented. The certificate must be ECDSA
 * P-256 and valid for at most 14 days; its names are ignored. `ca`: PEM certificates of roots.
 */
export type Trust =
  | { readonly kind: "pins"; readonly sha256: readonly Uint8Array[] }
  | { readonly kind: "ca"; readonly pem: readonly string[]; readonly serverName?: string };

/** Options of `Dialer.dial`. */
export interface DialOptions {
  readonly trust: Trust;
  /** Connect timeout, ms. Default `DIAL_MS_MAX`. */
  readonly timeoutMs?: number;
  /** Cancels the dial, which then rejects with `canceled`. */
  readonly signal?: AbortSignal;
}

/** A dialer opens sessions. */
export interface Dialer {
  readonly transport: TransportName;
  /** Whether its sessions are authenticated by the transport: `Session.authenticatesPeers`. */
  readonly authenticatesPeers: boolean;
  /** Whether it takes pins as trust; if not, it takes CAs only. */
  readonly pinsServer: boolean;

  /**
   * Connects to one endpoint.
   *
   * @throws RegistryError `tls_failed` if the certificate is not accepted; `deadline_exceeded`;
   * `canceled`; `connection_lost` if nobody answers or the peer refused; `invalid_argument` if the
   * endpoint or the trust cannot be used with this transport.
   */
  dial(endpoint: Endpoint, options: DialOptions): Promise<Session>;

  /** Aborts all sessions it opened and frees its resources. Resolves when the process may exit. */
  close(): Promise<void>;
}

/** A server's certificate chain and key. */
export interface TlsCertificate {
  /** PEM, the leaf first. */
  readonly chainPem: string;
  /** PEM, PKCS #8. */
  readonly keyPem: string;
}

/** The limits of a listener; every field has a default in `src/base/limits.ts`. */
export interface ListenerLimits {
  readonly sessionsMax?: number;
  readonly sessionsPerAddressMax?: number;
  readonly sessionsBacklogMax?: number;
  readonly streamsPerSessionMax?: number;
  readonly handshakesMax?: number;
  readonly handshakesWaitingMax?: number;
  /** Time for which a connection waits for its handshake at most, ms. */
  readonly handshakeWaitMsMax?: number;
  /** Maximum number of concurrent TLS connections accepted only to be told that there is no room. */
  readonly refusalsMax?: number;
  /** Time limit of the TLS handshake and the HTTP/3 upgrade together, ms. */
  readonly handshakeMsMax?: number;
  readonly prefaceMsMax?: number;
  /**
   * Whether limits per remote address hold for loopback too, as in tests. Default false: programs of
   * the same machine share its address.
   */
  readonly limitsLoopback?: boolean;
}

/** Counters of a listener. All except the first four only increase. */
export interface ListenerStats {
  /** Sessions open now. */
  sessions: number;
  /** Streams open now, over all sessions. */
  streams: number;
  /** Handshakes and upgrades in progress now; by TLS also those that wait for their turn. */
  handshakes: number;
  /** Connections that wait for the turn of their handshake now. */
  waiting: number;
  /** Connections whose turn came. */
  begun: number;
  /** The time for which they had waited, ms. */
  waitedMs: number;
  /** Connections refused because they waited too long, or too many did; part of `refused`. */
  overdue: number;
  /** Sessions that became ready. */
  accepted: number;
  /** Connections refused because of a limit. */
  refused: number;
  /** Failed handshakes: wrong ALPN, a certificate not accepted, or a peer that disconnected. */
  handshakeFailures: number;
  /** Handshakes, upgrades and prefaces that exceeded their deadline. */
  deadlines: number;
  /** Streams dropped for a malformed preface or header, or beyond the limit. */
  streamsRefused: number;
}

/** The stage at which an error was caught; the label of a counter. */
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

/** Called with every error that was caught and survived, to count and log it. It must not throw. */
export type OnError = (stage: ErrorStage, error: unknown) => void;

/** A listener accepts sessions of all protocols of its adapter, on all addresses it is bound to. */
export interface Listener {
  /** The bound addresses, in the order requested. */
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
   * Presents another certificate to new connections; open sessions are unaffected.
   *
   * @throws RegistryError `invalid_argument` if it cannot be used; the old one remains in use.
   */
  rotate(certificate: TlsCertificate): void;

  /** Stops accepting and ends all sessions; resolves when the port is free. Idempotent. */
  close(): Promise<void>;
}
