/**
 * Listens for WebTransport on Node, by `@fails-components/webtransport`: over HTTP/3 where its native
 * package is installed, else over HTTP/2.
 *
 * Over HTTP/2 a connection passes the limits before its TLS handshake and shares one deadline up to
 * the ready session, as on every listener. Over HTTP/3 the library accepts connections itself, so
 * limits apply to sessions only. Each connection carries one session.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { errorCodeToWire, RegistryError } from "../../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  CLIENT_KEEP_ALIVE_MS,
  STREAMS_PER_SESSION_MAX,
  UNIDIRECTIONAL_STREAMS_MAX,
} from "../../src/base/limits.ts";
import type { Scheduler } from "../../src/base/world.ts";
import { type Carrier, watchClosed } from "../carrier_session.ts";
import { ignore } from "../carrier_stream.ts";
import { type IncomingConnection, IncomingConnections } from "../incoming_connections.ts";
import { ListenerSessions } from "../listener_sessions.ts";
import { addressText, plainHost } from "../host_address.ts";
import { checkServerCertificate } from "../server_certificate.ts";
import type {
  Endpoint,
  Listener,
  ListenerLimits,
  ListenerStats,
  OnError,
  Session,
  TlsCertificate,
} from "../transport.ts";
import { STATUS_NO_ROOM } from "./node_webtransport.ts";
import {
  incomingStreams,
  LibrarySessionLife,
  type LibrarySessionLifeOptions,
  openStream,
} from "./session_life.ts";
import {
  LIBRARY_WINDOWS,
  type LibraryServer,
  type LibraryServerSession,
  loadWebTransportLibrary,
  type WebTransportLibrary,
} from "./webtransport_library.ts";

/** Options of {@link listenNodeWebTransport}. */
export interface NodeWebTransportListenOptions {
  /** Literal IP addresses, each bound on the same port. */
  readonly hosts: readonly string[];
  /** 0 chooses a free port. */
  readonly port: number;
  readonly certificate: TlsCertificate;
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  readonly limits?: ListenerLimits;
  /** After what silence a session is given up, ms; the shorter of both sides counts. */
  readonly idleMs?: number;
}

/** The one path that sessions are asked for on. */
const PATH = "/";
const STATUS_OK = 200;

/**
 * Binds all addresses and starts to accept.
 *
 * @throws RegistryError `invalid_configuration` for an address that cannot be bound;
 * `invalid_argument` for a certificate that cannot be used.
 */
export async function listenNodeWebTransport(
  options: NodeWebTransportListenOptions,
): Promise<Listener> {
  if (options.hosts.length === 0) {
    throw new RangeError("At least one address to listen on is needed");
  }
  checkServerCertificate(options.certificate);
  const library = await loadWebTransportLibrary();
  const servers: LibraryServer[] = [];
  try {
    for (const host of options.hosts) {
      const port = servers[0]?.address()?.port ?? options.port;
      servers.push(await bind(library, options, host, port));
    }
  } catch (error) {
    for (const server of servers) server.stopServer();
    throw error;
  }
  return new NodeWebTransportListener(servers, options);
}

class NodeWebTransportListener implements Listener {
  readonly addresses: readonly Endpoint[];
  readonly port: number;
  readonly stats: ListenerStats;
  readonly #options: NodeWebTransportListenOptions;
  readonly #servers: readonly LibraryServer[];
  readonly #servesHttp2: boolean;
  readonly #sessions: ListenerSessions;
  readonly #incoming: IncomingConnections;
  /** Connections by remote address and port. */
  readonly #incomingByPeer = new Map<string, IncomingConnection>();
  #closing: Promise<void> | undefined;

  constructor(servers: readonly LibraryServer[], options: NodeWebTransportListenOptions) {
    this.#options = options;
    this.#servers = servers;
    this.#servesHttp2 = servers.some(({ transportInt }) => transportInt?.serverInt !== undefined);
    this.addresses = servers.map((server) => server.address()!)
      .map(({ host, port }) => ({ host, port }));
    this.port = this.addresses[0]!.port;
    this.#sessions = new ListenerSessions(options);
    this.#incoming = new IncomingConnections(this.#sessions, options);
    this.stats = this.#sessions.stats;
    for (const server of servers) this.#serve(server);
  }

  accept(): Promise<Session | undefined> {
    return this.#sessions.accept();
  }

  rotate(certificate: TlsCertificate): void {
    checkServerCertificate(certificate);
    for (const server of this.#servers) {
      server.updateCert(certificate.chainPem, certificate.keyPem, true);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const ended = this.#sessions.close();
    this.#incoming.close();
    await ended;
    for (const server of this.#servers) server.stopServer();
    await Promise.all(this.#servers.map((server) => server.closed));
  }

  #serve(server: LibraryServer): void {
    const http2 = server.transportInt?.serverInt;
    http2?.on("connection", (raw: Socket) => this.#begin(raw));
    http2?.on("sessionError", (error: Error) => this.#options.onError("session", error));
    http2?.on("tlsClientError", (error: Error) => this.#options.onError("handshake", error));
    http2?.on("error", (error: Error) => this.#options.onError("incoming", error));
    server.answerRequests(PATH, (peer) => this.#hasRoomFor(peer) ? STATUS_OK : STATUS_NO_ROOM);
    this.#pump(server.sessionStream(PATH)).catch((error) => this.#options.onError("accept", error));
  }

  /** Admits a connection before anything of it is read. */
  #begin(raw: Socket): void {
    raw.on("error", (error: Error) => this.#options.onError("handshake", error));
    const { remoteAddress } = raw;
    if (this.#closing !== undefined || remoteAddress === undefined) return void raw.destroy();
    const key = connectionKey(raw);
    const forget = () => void this.#incomingByPeer.delete(key);
    const incoming = this.#incoming.take(raw, plainHost(remoteAddress), forget);
    if (incoming === undefined) return void raw.destroy();
    this.#incomingByPeer.set(key, incoming);
  }

  /** Whether a peer that asks for a session gets one; over HTTP/3 it is admitted only here. */
  #hasRoomFor(peer: string): boolean {
    if (this.#servesHttp2) return this.#incomingByPeer.get(peer)?.stage === "handshake";
    const { admission } = this.#sessions;
    return admission.mayBegin() && admission.begin(hostOfPeer(peer));
  }

  async #pump(sessions: ReadableStream<LibraryServerSession>): Promise<void> {
    for await (const session of sessions) this.#accept(session);
  }

  #accept(session: LibraryServerSession): void {
    // Rejects where the session fails before it is ready; the connection's end tells the same.
    session.ready.catch(ignore);
    session.closed.catch(ignore);
    const host = hostOfPeer(session.peerAddress);
    const connection = session.objint?.stream?.session;
    if (this.#servesHttp2) {
      const incoming = this.#incomingByPeer.get(session.peerAddress);
      // Gone since it asked, or a second session of one connection.
      if (incoming?.stage !== "handshake") {
        return session.close({ closeCode: errorCodeToWire("overloaded"), reason: "" });
      }
      this.#incoming.established(incoming);
    }
    // Of stream 0, a server's first, the library loses whatever does not arrive in one piece.
    session.objint?.streamIdMngrBi?.getNextOutgoingStreamId();
    const life = new LibrarySessionLife(session, connection, this.#life());
    this.#sessions.start(carrierOf(session, life), {
      transport: "webtransport",
      remoteAddress: addressText({ hostname: host, port: portOf(session.peerAddress) }),
    });
  }

  #life(): LibrarySessionLifeOptions {
    const { scheduler, idleMs = CLIENT_IDLE_MS } = this.#options;
    return { scheduler, idleMs, keepAliveMs: CLIENT_KEEP_ALIVE_MS };
  }
}

function carrierOf(session: LibraryServerSession, life: LibrarySessionLife): Carrier {
  const incoming = incomingStreams(session);
  return {
    header: new Uint8Array(0),
    watch: (owner) => watchClosed(life.closed, owner),
    open: () => openStream(session),
    incoming: () => incoming,
    close: (closeCode, reason) => life.close(closeCode, reason),
  };
}

/** The address in the library's `address:port`, where IPv6 has no brackets. */
function hostOfPeer(peer: string): string {
  return plainHost(peer.slice(0, peer.lastIndexOf(":")));
}

function portOf(peer: string): number {
  return Number(peer.slice(peer.lastIndexOf(":") + 1));
}

function connectionKey({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

async function bind(
  library: WebTransportLibrary,
  options: NodeWebTransportListenOptions,
  host: string,
  port: number,
): Promise<LibraryServer> {
  const { certificate, limits = {} } = options;
  const streamsMax = limits.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX;
  const server = library.listen({
    ...LIBRARY_WINDOWS,
    host,
    port,
    // Signs HTTP/3's tokens for address validation, for as long as this process lives.
    secret: randomBytes(32).toString("hex"),
    cert: certificate.chainPem,
    privKey: certificate.keyPem,
    initialBidirectionalStreams: streamsMax,
    initialUnidirectionalStreams: UNIDIRECTIONAL_STREAMS_MAX,
  });
  server.startServer();
  try {
    await server.ready;
    return server;
  } catch (error) {
    const where = addressText({ hostname: host, port });
    const message = `Cannot listen on ${where} for WebTransport (${describe(error)})`;
    throw new RegistryError("invalid_configuration", message, { field: "port" }, error);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
