/**
 * Listens for TLS over TCP (ALPN `crs`) with `node:net` and `node:tls`, on Deno and Node. TLS
 * requires and verifies a client certificate issued under one of the given authorities. The session
 * carries the leaf, so that its owner can also validate it by the registry's own rules.
 *
 * The TLS of each connection is created here rather than by `tls.Server`, which on Deno 2.9.6 leaks
 * about 17 KB for each connection whose handshake failed
 * (tests/cluster/transport/bare_tls.test.ts).
 *
 * A connection passes the rate limit of its address and the other limits, waits for its turn
 * (handshake_turns.ts), then passes the TLS handshake and the client's first frame; the wait and these two
 * share a deadline. If there is no room for a session, a few connections at a time are still taken that
 * far, so that they can be told.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { errorCodeToWire, RegistryError } from "../src/base/errors.ts";
import { CLIENT_IDLE_MS } from "../src/base/limits.ts";
import type { MonotonicClock, Scheduler } from "../src/base/world.ts";
import { AddressRates } from "./address_rates.ts";
import { addressKey } from "./admission.ts";
import { HandshakeTurns } from "./handshake_turns.ts";
import { type IncomingConnection, IncomingConnections } from "./incoming_connections.ts";
import { ListenerSessions } from "./listener_sessions.ts";
import { addressText, plainHost } from "./host_address.ts";
import { checkServerCertificate } from "./server_certificate.ts";
import { type AcceptObserver, TcpAcceptor, type UnlessOwn } from "./tcp_acceptor.ts";
import { TlsCarrier } from "./tls_carrier.ts";
import { closeFrame } from "./tls_frame.ts";
import { leafOf, readLeafOnly, speaksRegistry, TLS_PROTOCOL, verifyClient } from "./tls_peer.ts";
import type {
  Endpoint,
  Listener,
  ListenerLimits,
  ListenerStats,
  OnError,
  Session,
  TlsCertificate,
} from "./transport.ts";
import { CollectionTrigger } from "./collection_trigger.ts";

/** Parameters of {@link listenTls}. */
export interface TlsListenOptions {
  /** Literal IP addresses, all bound to the same port. */
  readonly hosts: readonly string[];
  /** The port; 0 chooses a free one. */
  readonly port: number;
  readonly certificate: TlsCertificate;
  /** PEM of the roots of clients' certificates; clients send the intermediates. */
  readonly clientAuthorities: readonly string[];
  readonly scheduler: Scheduler;
  readonly monotonic: MonotonicClock;
  readonly onError: OnError;
  readonly limits?: ListenerLimits;
  /** Returns the observer of an address, told when it stops accepting; called for each address. */
  readonly observe?: () => AcceptObserver;
  /** Silence after which a session is given up, ms; the shorter of both sides' values applies. */
  readonly idleMs?: number;
}

/** Maximum number of attempts to find a port that is free on all addresses. */
const BIND_TRIES_MAX = 16;

/**
 * Binds all addresses and starts accepting.
 *
 * @throws RegistryError `invalid_configuration` for an address that cannot be bound;
 * `invalid_argument` for a certificate that cannot be used.
 */
export async function listenTls(options: TlsListenOptions): Promise<Listener> {
  const { hosts, port } = options;
  if (hosts.length === 0) throw new RangeError("At least one address to listen on is needed");
  const listener = new TlsListener(options);
  for (let attempt = 1;; attempt++) {
    const acceptors: TcpAcceptor[] = [];
    try {
      for (const host of hosts) {
        acceptors.push(await bind(listener, options, host, acceptors[0]?.port ?? port));
      }
      listener.begin(acceptors);
      return listener;
    } catch (error) {
      for (const acceptor of acceptors) void acceptor.close();
      const mayHaveLuck = port === 0 && hosts.length > 1 && attempt < BIND_TRIES_MAX;
      if (!mayHaveLuck) throw error;
    }
  }
}

class TlsListener implements Listener {
  readonly stats: ListenerStats;
  readonly #options: TlsListenOptions;
  #acceptors: readonly TcpAcceptor[] = [];
  readonly #collection = new CollectionTrigger();
  #context: SecureContext;
  readonly #rates: AddressRates;
  readonly #sessions: ListenerSessions;
  readonly #incoming: IncomingConnections;
  readonly #turns: HandshakeTurns;
  #closing: Promise<void> | undefined;

  constructor(options: TlsListenOptions) {
    this.#options = options;
    this.#context = contextOf(options);
    this.#rates = AddressRates.of(options.limits ?? {});
    this.#sessions = new ListenerSessions(options);
    this.#incoming = new IncomingConnections(this.#sessions, options);
    this.stats = this.#sessions.stats;
    const { limits = {}, scheduler, monotonic } = options;
    this.#turns = new HandshakeTurns({
      ...{ scheduler, clock: monotonic, stats: this.stats },
      ...{ waitingMax: limits.handshakesWaitingMax, waitMsMax: limits.handshakeWaitMsMax },
    });
  }

  /** Takes ownership of the bound addresses; called once. */
  begin(acceptors: readonly TcpAcceptor[]): void {
    this.#acceptors = acceptors;
  }

  /** Returns a server for one of its addresses. */
  makeServer(unlessOwn: UnlessOwn): Server {
    const server = createServer((raw) => unlessOwn(raw, () => this.#begin(raw)));
    server.on("error", (error: Error) => this.#options.onError("incoming", error));
    return server;
  }

  get addresses(): readonly Endpoint[] {
    return this.#acceptors.map(({ host, port }) => ({ host, port }));
  }

  get port(): number {
    return this.#acceptors[0]!.port;
  }

  accept(): Promise<Session | undefined> {
    return this.#sessions.accept();
  }

  rotate(certificate: TlsCertificate): void {
    this.#context = contextOf({ ...this.#options, certificate });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = this.#acceptors.map((acceptor) => acceptor.close());
    this.#turns.close();
    const ended = this.#sessions.close();
    this.#incoming.close();
    await ended;
    await Promise.all(closed);
  }

  /** Admits a connection before anything is read from it. */
  #begin(raw: Socket): void {
    raw.on("error", (error: Error) => this.#options.onError("handshake", error));
    const { remoteAddress } = raw;
    if (this.#closing !== undefined || remoteAddress === undefined) return void raw.destroy();
    const host = plainHost(remoteAddress);
    if (!this.#rates.take(host, this.#options.monotonic.nowMs())) {
      this.stats.refused++;
      return this.#drop(raw);
    }
    let socket: TLSSocket | undefined;
    const incoming = this.#incoming.take(raw, host, () => {
      socket?.destroy();
      this.#collection.connectionEnded();
    });
    if (incoming === undefined) return this.#drop(raw);
    this.#turns.add(addressKey(host), {
      begin: () => {
        if (!raw.destroyed && this.#incoming.has(incoming)) socket = this.#secure(incoming);
      },
      refuse: () => raw.destroy(),
    });
  }

  /** Closes a connection from which nothing was read. */
  #drop(raw: Socket): void {
    raw.destroy();
    this.#collection.connectionEnded();
  }

  /** Starts the TLS of a connection. */
  #secure(incoming: IncomingConnection): TLSSocket {
    const { raw } = incoming;
    const socket = new TLSSocket(raw, {
      ...TLS_PROTOCOL,
      isServer: true,
      secureContext: this.#context,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const fail = (error: Error) => {
      this.#options.onError(incoming.stage === "session" ? "session" : "handshake", error);
      raw.destroy();
    };
    socket.on("error", fail);
    socket.on("_tlsError", fail);
    socket.once("secure", () => {
      socket.off("_tlsError", fail);
      void this.#secured(socket, incoming);
    });
    return socket;
  }

  /** Waits for the client's first frame after the TLS handshake. Never rejects. */
  async #secured(socket: TLSSocket, incoming: IncomingConnection): Promise<void> {
    readLeafOnly(socket);
    const peerCertificate = verifyClient(socket) ? leafOf(socket) : undefined;
    // TLS has refused invalid certificates; the remaining case is a client with another protocol.
    const isWelcome = peerCertificate !== undefined && speaksRegistry(socket);
    if (!this.#incoming.has(incoming) || !isWelcome) {
      socket.destroy();
      return void incoming.raw.destroy();
    }
    if (incoming.stage === "refusal") {
      // No settings precede it, so that the client never takes it for a session.
      socket.end(closeFrame(errorCodeToWire("overloaded"), "there is no room for a session"));
      return void socket.resume();
    }
    const { scheduler, onError, idleMs = CLIENT_IDLE_MS } = this.#options;
    const { streamsMax } = this.#sessions.limits;
    const carrier = new TlsCarrier(socket, { dialed: false, idleMs, streamsMax, scheduler });
    try {
      await carrier.ready;
    } catch (error) {
      return onError("handshake", error);
    }
    if (!this.#incoming.has(incoming)) return;
    this.#incoming.established(incoming);
    this.#sessions.start(carrier, {
      transport: "tls",
      authenticatesPeers: true,
      remoteAddress: addressText({ hostname: incoming.host, port: socket.remotePort ?? 0 }),
      peerCertificate,
    });
  }
}

/** Checks and loads the certificate. Deno accepts any and fails only with the next connection. */
function contextOf({ certificate, clientAuthorities }: TlsListenOptions): SecureContext {
  checkServerCertificate(certificate);
  const { chainPem, keyPem } = certificate;
  const { minVersion } = TLS_PROTOCOL;
  return createSecureContext({
    minVersion,
    cert: chainPem,
    key: keyPem,
    ca: [...clientAuthorities],
  });
}

async function bind(
  listener: TlsListener,
  { scheduler, observe }: TlsListenOptions,
  host: string,
  port: number,
): Promise<TcpAcceptor> {
  const makeServer = (unlessOwn: UnlessOwn) => listener.makeServer(unlessOwn);
  try {
    return await TcpAcceptor.bind({ host, port, makeServer, scheduler, observer: observe?.() });
  } catch (error) {
    const where = `${addressText({ hostname: host, port })} by TCP`;
    const message = `Cannot listen on ${where} (${describe(error)})`;
    throw new RegistryError("invalid_configuration", message, { field: "port" }, error);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
