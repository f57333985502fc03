/**
 * The listener of the gRPC face: `node:http2`, without TLS for clients that know that it speaks HTTP/2
 * (prior knowledge), or with it (ALPN h2). Connections, their calls, headers and times are bounded.
 *
 * When all places are taken, a connection that never had a call makes room, else the one that is idle
 * for longest; while all are busy, a further connection is dropped.
 */
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { RegistryError } from "../base/errors.ts";
import {
  GRPC_CHECK_MS,
  GRPC_CONNECTION_STREAMS_MAX,
  GRPC_CONNECTIONS_MAX,
  GRPC_DRAIN_MS,
  GRPC_HANDSHAKE_MS_MAX,
  GRPC_HANDSHAKES_MAX,
  GRPC_METADATA_BYTES_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import type { CallStream } from "../grpc/call_stream.ts";
import { bindAddress } from "../../identity/trust/listen_rule.ts";
import { TcpAcceptor, type UnlessOwn } from "../../transport/tcp_acceptor.ts";
import type { TlsCertificate } from "../../transport/transport.ts";
import { GrpcConnection } from "./grpc_connection.ts";
import { type FrontTls, TlsServers } from "./tls_servers.ts";

/** The options of the listener. */
export interface GrpcListenerOptions {
  /** A literal address, or `localhost`. */
  readonly host: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
  /** Answers the call on a stream; never throws. */
  readonly serve: (stream: CallStream) => void;
  readonly logger: Logger;
  readonly world: Pick<World, "monotonic" | "scheduler" | "entropy">;
  /** Absent: it speaks plain text. */
  readonly tls?: FrontTls;
  /** The limit of concurrent connections. Default {@link GRPC_CONNECTIONS_MAX}. */
  readonly connectionsMax?: number;
}

/** An open listener. */
export class GrpcListener {
  readonly #options: GrpcListenerOptions;
  readonly #tls: TlsServers<Http2SecureServer> | undefined;
  readonly #connections = new Set<GrpcConnection>();
  /** Those that never had a call, and those that have none now; the longest idle first. */
  readonly #silent = new Set<GrpcConnection>();
  readonly #idle = new Set<GrpcConnection>();
  #acceptor: TcpAcceptor | undefined;
  #timer: Timer | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Opens the listener.
   *
   * @throws RegistryError `invalid_configuration` if the address cannot be bound.
   */
  static async open(options: GrpcListenerOptions): Promise<GrpcListener> {
    const listener = new GrpcListener(options);
    await listener.#bind();
    return listener;
  }

  private constructor(options: GrpcListenerOptions) {
    this.#options = options;
    const { tls } = options;
    this.#tls = tls === undefined ? undefined : new TlsServers(tls, GRPC_HANDSHAKES_MAX);
  }

  get host(): string {
    return bindAddress(this.#options.host);
  }

  get port(): number {
    return this.#acceptor?.port ?? this.#options.port;
  }

  /** The number of open connections. */
  get count(): number {
    return this.#connections.size;
  }

  /**
   * Serves further connections with another certificate.
   *
   * @throws RegistryError `invalid_argument` if it cannot be used; the one before stays.
   */
  useCertificate(certificate: TlsCertificate): void {
    this.#tls?.useCertificate(certificate);
  }

  /**
   * Stops listening, waits a moment for calls in progress and drops the rest; resolves when the port is
   * free. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    this.#tls?.close();
    const ended = this.#acceptor?.close();
    for (const connection of this.#connections) connection.finish();
    const timer = this.#options.world.scheduler.after(GRPC_DRAIN_MS, () => {
      for (const connection of this.#connections) connection.drop();
    });
    await ended;
    timer.cancel();
  }

  async #bind(): Promise<void> {
    const { host } = this;
    const { port, world: { scheduler }, logger } = this.#options;
    try {
      this.#acceptor = await TcpAcceptor.bind({
        host,
        port,
        makeServer: (unlessOwn) => this.#newServer(unlessOwn),
        scheduler,
        observer: {
          failing: (error) => logger.warn("The gRPC listener failed", { error }),
          reopened: () => {},
          accepting: () => {},
        },
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Cannot listen on ${host} TCP port ${port} (${reason}): stop the program ` +
        "that has it, or choose another port with --grpc";
      throw new RegistryError("invalid_configuration", message, { field: "grpc" }, error);
    }
    this.#lookLater();
  }

  #lookLater(): void {
    this.#timer = this.#options.world.scheduler.after(GRPC_CHECK_MS, () => {
      for (const connection of this.#connections) connection.look();
      this.#lookLater();
    });
  }

  #newServer(unlessOwn: UnlessOwn): Http2Server | Http2SecureServer {
    const { logger } = this.#options;
    const server = this.#tls === undefined
      ? createServer(HTTP2_OPTIONS)
      : newSecureServer(this.#tls, unlessOwn);
    // A session is made while the server handles the event of its socket.
    let socket: Socket;
    server.prependListener(
      this.#tls === undefined ? "connection" : "secureConnection",
      (arrived: Socket) => void (socket = arrived),
    );
    server.on("session", (session: ServerHttp2Session) => this.#take(session, socket));
    server.on("error", (error) => {
      // A server that does not listen could not be bound, which the acceptor reports.
      if (server.listening) logger.warn("The gRPC listener failed", { error });
    });
    // The session ends by its error; its connection is told (GrpcConnection).
    server.on("sessionError", () => {});
    return server;
  }

  #take(session: ServerHttp2Session, socket: Socket): void {
    const { serve, world, tls, connectionsMax = GRPC_CONNECTIONS_MAX } = this.#options;
    const connection = new GrpcConnection({
      session,
      socket,
      isTls: tls !== undefined,
      serve,
      world,
      busy: (one) => {
        this.#silent.delete(one);
        this.#idle.delete(one);
      },
      // The last calls of a connection may end after it.
      idle: (one) => {
        if (this.#connections.has(one)) this.#idle.add(one);
      },
      ended: (one) => this.#leave(one),
    });
    if (this.#connections.size >= connectionsMax) {
      const [longest] = this.#silent.size > 0 ? this.#silent : this.#idle;
      (longest ?? connection).drop();
      if (longest === undefined) return;
      this.#leave(longest);
    }
    this.#connections.add(connection);
    this.#silent.add(connection);
    if (this.#closing !== undefined) connection.drop();
  }

  #leave(connection: GrpcConnection): void {
    this.#connections.delete(connection);
    this.#silent.delete(connection);
    this.#idle.delete(connection);
  }
}

function newSecureServer(
  servers: TlsServers<Http2SecureServer>,
  unlessOwn: UnlessOwn,
): Http2SecureServer {
  const { handshakes } = servers;
  const server = servers.next((secure) =>
    createSecureServer({
      ...HTTP2_OPTIONS,
      ...secure,
      allowHTTP1: false,
      ALPNProtocols: ["h2"],
      handshakeTimeout: GRPC_HANDSHAKE_MS_MAX,
    })
  );
  server.on("connection", (socket: Socket) => unlessOwn(socket, () => handshakes.begin(socket)));
  server.on("secureConnection", (socket: TLSSocket) => handshakes.end(socket));
  server.on("unknownProtocol", (socket: Socket) => socket.destroy());
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

const HTTP2_OPTIONS = {
  // In MB: buffers of one connection with all its streams, which Node counts and Deno does not.
  maxSessionMemory: 16,
  // Node refuses calls above the limit, counts those that were just left, and ends the connection after 100.
  maxSessionRejectedStreams: 1_000,
  settings: {
    enablePush: false,
    maxConcurrentStreams: GRPC_CONNECTION_STREAMS_MAX,
    maxHeaderListSize: GRPC_METADATA_BYTES_MAX,
  },
} as const;
