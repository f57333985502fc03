/**
 * The operator's HTTP port: `/healthz` (the process answers), `/readyz` (the node serves, or why not)
 * and `/metrics`. Reading it needs no identity. On loopback it is for this machine only, and a request
 * whose `Host` names another machine is refused, so that a web page cannot read it by DNS rebinding;
 * on another address anyone who can reach it may read it. Header size, time and connections are
 * bounded; only GET and HEAD are served.
 *
 * Uses `node:http`, which both runtimes have and which enforces these bounds on both.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { RegistryError } from "../base/errors.ts";
import {
  OPS_CHECK_MS,
  OPS_CONNECTIONS_MAX,
  OPS_HEADER_BYTES_MAX,
  OPS_IDLE_MS_MAX,
  OPS_REQUEST_MS_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler } from "../base/world.ts";
import { bindAddress, isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import { ConnectionPlaces } from "../../transport/connection_places.ts";
import {
  type AcceptObserver,
  TcpAcceptor,
  type TcpAcceptorOptions,
} from "../../transport/tcp_acceptor.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/** One reason why a node is not ready. */
export interface UnreadyReason {
  /** Machine-readable word: `starting`, `storage_poisoned`, `disk_full`, `draining` and others. */
  readonly reason: string;
  /** Text for people: what is wrong and what to do. */
  readonly message: string;
}

/** The options of the operator's port. */
export interface OpsHttpOptions {
  /** A literal address, or `localhost`. */
  readonly host: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
  /** Returns why the node is not ready, empty if it is ready. Called for each `/readyz`. */
  readonly unready: () => readonly UnreadyReason[];
  /** Returns the metrics: `NodeMetrics.render`. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  /** The limit of concurrent connections. Default {@link OPS_CONNECTIONS_MAX}. */
  readonly connectionsMax?: number;
  /** Notified when the port stops or resumes accepting. */
  readonly observer?: AcceptObserver;
}

/** An open operator's port. */
export interface OpsHttp {
  readonly host: string;
  readonly port: number;
  /** Stops listening and drops open connections; resolves when the port is free. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the port.
 *
 * @throws RegistryError `invalid_configuration` if the address cannot be bound.
 */
export async function openOpsHttp(options: OpsHttpOptions): Promise<OpsHttp> {
  const { scheduler, observer } = options;
  const host = bindAddress(options.host);
  const places = new ConnectionPlaces(options.connectionsMax ?? OPS_CONNECTIONS_MAX);
  const makeServer = () => serverOf(options, places);
  const acceptor = await bind({ host, port: options.port, makeServer, scheduler, observer });
  if (!isLoopbackHost(options.host)) {
    const warning = "Anyone who reaches the operator's port can read health and metrics";
    options.logger.warn(warning, { host, port: acceptor.port });
  }
  return {
    host,
    port: acceptor.port,
    close: () => {
      const closed = acceptor.close();
      places.closeAll();
      return closed;
    },
  };
}

function serverOf(options: OpsHttpOptions, places: ConnectionPlaces): Server {
  const server = createServer({
    maxHeaderSize: OPS_HEADER_BYTES_MAX,
    headersTimeout: OPS_REQUEST_MS_MAX,
    requestTimeout: OPS_REQUEST_MS_MAX,
    keepAliveTimeout: OPS_IDLE_MS_MAX,
    connectionsCheckingInterval: OPS_CHECK_MS,
  }, (request, response) => {
    places.busy(request.socket, response);
    void serve(options, request, response);
  });
  server.on("connection", (socket: Socket) => places.take(socket));
  // On a malformed, oversized or slow request the connection is closed.
  server.on("clientError", (_error, socket) => socket.destroy());
  server.on("error", (error) => options.logger.warn("The operator's HTTP port failed", { error }));
  return server;
}

async function bind(options: TcpAcceptorOptions): Promise<TcpAcceptor> {
  try {
    return await TcpAcceptor.bind(options);
  } catch (error) {
    const { host, port } = options;
    const reason = error instanceof Error ? error.message : String(error);
    throw new RegistryError(
      "invalid_configuration",
      `Cannot listen on ${host} TCP port ${port} (${reason}): stop the program that has ` +
        "it, or choose another port with --ops-port",
      { field: "opsPort" },
      error,
    );
  }
}

async function serve(
  options: OpsHttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const answer = await answerOf(options, request);
    response.writeHead(answer.status, {
      "content-type": answer.contentType,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...answer.headers,
    });
    response.end(request.method === "HEAD" ? undefined : answer.text);
  } catch (error) {
    options.logger.warn("An operator's request failed", { path: request.url, error });
    if (!response.headersSent) response.writeHead(500, { "content-type": JSON_TYPE });
    response.end(JSON.stringify({ code: "internal", message: "see the node's log" }) + "\n");
  }
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function answerOf(options: OpsHttpOptions, request: IncomingMessage): Promise<Answer> {
  if (isLoopbackHost(options.host) && !isLocalHost(request.headers.host)) {
    return json(421, {
      code: "permission_denied",
      message: "the Host header must name 127.0.0.1, [::1] or localhost",
    });
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    const refusal = { code: "invalid_argument", message: "only GET and HEAD are served" };
    return { ...json(405, refusal), headers: { allow: "GET, HEAD", connection: "close" } };
  }
  switch ((request.url ?? "").split("?", 1)[0]) {
    case "/healthz":
      return json(200, { status: "ok" });
    case "/readyz": {
      const reasons = options.unready();
      return reasons.length === 0
        ? json(200, { status: "ready", reasons })
        : json(503, { status: "not_ready", reasons });
    }
    case "/metrics":
      return { status: 200, ...await options.metrics() };
    default:
      return json(404, {
        code: "not_found",
        message: "this port serves /healthz, /readyz and /metrics only",
      });
  }
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: JSON_TYPE, text: JSON.stringify(value) + "\n" };
}

/** Reports whether a `Host` header names this machine. Any port will do: it may be forwarded. */
function isLocalHost(header: string | undefined): boolean {
  const host = /^(\[[^\]]*\]|[^:]*)(:\d{1,5})?$/.exec(header ?? "")?.[1]?.toLowerCase();
  return host !== undefined && isLoopbackHost(host.replace(/^\[(.*)\]$/, "$1"));
}
