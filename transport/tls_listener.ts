/**
 * Listens for TLS over TCP (ALPN `crs`) with `node:net` and `node:tls`, on Deno and Node. A client certificate under
 * one of the given authorities is required, and verified by TLS; the session carries the leaf, so
 * that its owner can validate it by the registry's own rules too.
 *
 * The TLS of each connection is made here, not by `tls.Server`: on Deno 2.9.6 that one keeps some 17 KB
 * of each connection whose handshake failed, for good (tests/cluster/transport/bare_tls.test.ts).
 *
 * A connection passes the limits, then the TLS handshake and the client's first frame, which share a
 * deadline. Where there is no room for a session, a few connections at a time are taken that far all
 * the same, to be told so.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { errorCodeToWire, RegistryError } from "../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  HANDSHAKE_MS_MAX,
  HANDSHAKES_MAX,
  SESSIONS_BACKLOG_MAX,
  SESSIONS_MAX,
  SESSIONS_PER_ADDRESS_MAX,
  STREAMS_PER_SESSION_MAX,
} from "../src/base/limits.ts";
import type { Scheduler, Timer } from "../src/base/world.ts";
import { Admission, newListenerStats } from "./admission.ts";
import { CarrierSession } from "./carrier_session.ts";
import { Handoff } from "./handoff.ts";
import { addressText, plainHost } from "./quic_carrier.ts";
import { TlsCarrier } from "./tls_carrier.ts";
import { closeFrame } from "./tls_frame.ts";
import { leafOf, readLeafOnly, speaksRegistry, TLS_PROTOCOL, verifyClient } from "./tls_peer.ts";
import type {
  Endpoint,
  Listener,
  ListenerLimits,
  ListenerStats,
  OnError,
  ServerCertificate,
  Session,
} from "./transport.ts";
import { UnseenMemory } from "./unseen_memory.ts";

/** What {@link listenTls} needs. */
export interface TlsListenOptions {
  /** Literal IP addresses, each bound on the same port. */
  readonly hosts: readonly string[];
  /** 0 chooses a free port. */
  readonly port: number;
  readonly certificate: ServerCertificate;
  /** PEM of the roots that clients' certificates lead to; clients send what is between. */
  readonly clientAuthorities: readonly string[];
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  readonly limits?: ListenerLimits;
  /** After what silence a session is given up, ms; the shorter of both sides counts. */
  readonly idleMs?: number;
}

/** Connections at once that are only taken to be told that there is no room. */
const REFUSALS_MAX = 64;
/** Tries at finding a port that is free on all addresses. */
const BIND_TRIES_MAX = 16;

/**
 * Binds all addresses and starts to accept.
 *
 * @throws RegistryError `invalid_configuration` for an address that cannot be bound;
 * `invalid_argument` for a certificate that cannot be used.
 */
export async function listenTls(options: TlsListenOptions): Promise<Listener> {
  const { hosts, port } = options;
  const context = contextOf(options);
  if (hosts.length === 0) throw new RangeError("At least one address to listen on is needed");
  for (let attempt = 1;; attempt++) {
    const servers: Server[] = [];
    try {
      for (const host of hosts) {
        const server = createServer();
        servers.push(server);
        await bind(server, host, servers.length === 1 ? port : addressOf(servers[0]!).port);
      }
      return new TlsListener(servers, context, options);
    } catch (error) {
      for (const server of servers) server.close();
      const mayHaveLuck = port === 0 && servers.length > 1 && attempt < BIND_TRIES_MAX;
      if (!mayHaveLuck) throw error;
    }
  }
}

/** A connection from its first packet to its end. */
interface Incoming {
  readonly raw: Socket;
  readonly host: string;
  /** `handshake` until a session stands; `refusal`: there is no room, and it is to be told so. */
  stage: "handshake" | "refusal" | "session";
  readonly deadline: Timer;
}

class TlsListener implements Listener {
  readonly addresses: readonly Endpoint[];
  readonly port: number;
  readonly stats: ListenerStats = newListenerStats();
  readonly #options: TlsListenOptions;
  readonly #servers: readonly Server[];
  readonly #unseen = new UnseenMemory();
  #context: SecureContext;
  readonly #admission: Admission;
  readonly #ready: Handoff<Session>;
  readonly #sessions = new Set<CarrierSession>();
  readonly #incoming = new Set<Incoming>();
  #refusals = 0;
  #nextSessionId = 1;
  #closing: Promise<void> | undefined;

  constructor(servers: readonly Server[], context: SecureContext, options: TlsListenOptions) {
    const limits = options.limits ?? {};
    this.#options = options;
    this.#context = context;
    this.#servers = servers;
    this.addresses = servers.map((server) => {
      const { address, port } = addressOf(server);
      return { host: address, port };
    });
    this.port = this.addresses[0]!.port;
    this.#ready = new Handoff(limits.sessionsBacklogMax ?? SESSIONS_BACKLOG_MAX);
    this.#admission = new Admission({
      sessionsMax: limits.sessionsMax ?? SESSIONS_MAX,
      sessionsPerAddressMax: limits.sessionsPerAddressMax ?? SESSIONS_PER_ADDRESS_MAX,
      handshakesMax: limits.handshakesMax ?? HANDSHAKES_MAX,
    }, this.stats);
    for (const server of servers) {
      server.on("connection", (raw: Socket) => this.#begin(raw));
      server.on("error", (error: Error) => options.onError("incoming", error));
    }
  }

  accept(): Promise<Session | undefined> {
    return this.#ready.take();
  }

  rotate(certificate: ServerCertificate): void {
    this.#context = contextOf({ ...this.#options, certificate });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = this.#servers.map((server) =>
      new Promise<void>((resolve) => server.close(() => resolve()))
    );
    for (const session of this.#ready.close()) session.abort("the server is shutting down");
    for (const { raw, stage } of this.#incoming) if (stage !== "session") raw.destroy();
    for (const session of this.#sessions) {
      session.refuse("shutting_down", "the server is shutting down");
    }
    await Promise.all(closed);
  }

  /** Admits a connection before anything of it is read. */
  #begin(raw: Socket): void {
    raw.on("error", (error: Error) => this.#options.onError("handshake", error));
    const { remoteAddress } = raw;
    if (this.#closing !== undefined || remoteAddress === undefined) return void raw.destroy();
    const host = plainHost(remoteAddress);
    const admitted = this.#admission.mayBegin() && this.#admission.begin(host);
    if (!admitted && this.#refusals >= REFUSALS_MAX) return void raw.destroy();
    if (!admitted) this.#refusals++;
    const { scheduler, limits = {} } = this.#options;
    const incoming: Incoming = {
      raw,
      host,
      stage: admitted ? "handshake" : "refusal",
      deadline: scheduler.after(limits.handshakeMsMax ?? HANDSHAKE_MS_MAX, () => {
        this.stats.deadlines++;
        raw.destroy();
      }),
    };
    this.#incoming.add(incoming);
    const socket = this.#secure(incoming);
    raw.once("close", () => {
      this.#incoming.delete(incoming);
      incoming.deadline.cancel();
      socket.destroy();
      this.#unseen.connectionEnded();
      if (incoming.stage === "handshake") this.#admission.fail(host);
      else if (incoming.stage === "refusal") this.#refusals--;
    });
  }

  /** Begins the TLS of a connection. */
  #secure(incoming: Incoming): TLSSocket {
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

  /** TLS is done; waits for the client's first frame. Never rejects. */
  async #secured(socket: TLSSocket, incoming: Incoming): Promise<void> {
    readLeafOnly(socket);
    const peerCertificate = verifyClient(socket) ? leafOf(socket) : undefined;
    // TLS has refused whom it does not believe; what is left is a client without our protocol.
    const isWelcome = peerCertificate !== undefined && speaksRegistry(socket);
    if (!this.#incoming.has(incoming) || !isWelcome) {
      socket.destroy();
      return void incoming.raw.destroy();
    }
    const { limits = {}, scheduler, onError, idleMs = CLIENT_IDLE_MS } = this.#options;
    const streamsMax = limits.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX;
    if (incoming.stage === "refusal") {
      // Without settings before it, so that the client never takes it for a session.
      socket.end(closeFrame(errorCodeToWire("overloaded"), "there is no room for a session"));
      return void socket.resume();
    }
    const carrier = new TlsCarrier(socket, { dialed: false, idleMs, streamsMax, scheduler });
    try {
      await carrier.ready;
    } catch (error) {
      return onError("handshake", error);
    }
    if (!this.#incoming.has(incoming)) return;
    const { host } = incoming;
    incoming.stage = "session";
    incoming.deadline.cancel();
    this.#admission.complete();
    const session = new CarrierSession(carrier, {
      id: this.#nextSessionId++,
      transport: "tls",
      remoteAddress: addressText({ hostname: host, port: socket.remotePort ?? 0 }),
      limits: { streamsMax },
      peerCertificate,
      ...(limits.prefaceMsMax === undefined ? {} : { prefaceMsMax: limits.prefaceMsMax }),
      scheduler,
      onError,
      stats: this.stats,
      onEnd: (ended) => {
        this.#sessions.delete(ended);
        this.#admission.end(host);
      },
    });
    this.#sessions.add(session);
    if (this.#closing !== undefined) {
      session.refuse("shutting_down", "the server is shutting down");
    } else if (!this.#ready.push(session)) {
      this.stats.refused++;
      session.refuse("overloaded", "too many new sessions");
    }
  }
}

/** Checked here, because Deno takes anything and fails with the next connection. */
function contextOf({ certificate, clientAuthorities }: TlsListenOptions): SecureContext {
  const { chainPem, keyPem } = certificate;
  try {
    const leaf = new X509Certificate(chainPem);
    if (!leaf.checkPrivateKey(createPrivateKey(keyPem))) {
      throw new Error("the key does not belong to it");
    }
  } catch (error) {
    const message = `Cannot use the server certificate: ${describe(error)}`;
    throw new RegistryError("invalid_argument", message, { field: "certificate" }, error);
  }
  const { minVersion } = TLS_PROTOCOL;
  return createSecureContext({
    minVersion,
    cert: chainPem,
    key: keyPem,
    ca: [...clientAuthorities],
  });
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      const where = `${addressText({ hostname: host, port })} by TCP`;
      const message = `Cannot listen on ${where} (${describe(error)})`;
      reject(new RegistryError("invalid_configuration", message, { field: "port" }, error));
    };
    server.once("error", onError);
    server.listen({ host, port }, () => {
      server.removeListener("error", onError);
      resolve();
    });
  });
}

function addressOf(server: Server): AddressInfo {
  return server.address() as AddressInfo;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
