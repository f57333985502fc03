/**
 * The listener of the HTTP face: `node:http` or `node:https` around its handler. Head, body and idle time, size of
 * heads and number of connections are bounded, which `Deno.serve` does not offer; both runtimes have
 * it.
 *
 * A body is read as the handler takes it. A request that is answered before its body has arrived ends
 * its connection, after a moment in which the sender can read the answer.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import { concatBytes } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import {
  HTTP_BODY_MS_MAX,
  HTTP_CHECK_MS,
  HTTP_CONNECTIONS_MAX,
  HTTP_DRAIN_MS,
  HTTP_HANDSHAKES_MAX,
  HTTP_HEAD_MS_MAX,
  HTTP_HEADER_BYTES_MAX,
  HTTP_IDLE_MS_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler } from "../base/world.ts";
import type { HttpPeer } from "../http/callers.ts";
import type {
  HttpReply,
  HttpRequest,
  HttpRequestHead,
  StreamBody,
  WholeReply,
} from "../http/reply.ts";
import { bindAddress } from "../../identity/trust/listen_rule.ts";
import { httpsServer } from "./https_server.ts";
import { type FrontTls, TlsServers } from "./tls_servers.ts";
import { ConnectionPlaces } from "../../transport/connection_places.ts";
import type { TlsCertificate } from "../../transport/transport.ts";
import { type AcceptObserver, TcpAcceptor, type UnlessOwn } from "../../transport/tcp_acceptor.ts";

/** Answers a request; never rejects. */
export type HttpHandler = (request: HttpRequest, peer: HttpPeer) => Promise<HttpReply>;

/** Answers a request from memory; returns undefined if the handler must be asked. Never throws. */
export type QuickHandler = (request: HttpRequestHead, peer: HttpPeer) => WholeReply | undefined;

/** The options of the listener. */
export interface HttpListenerOptions {
  /** A literal address, or `localhost`. */
  readonly host: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
  readonly handler: HttpHandler;
  /** Asked before the handler, for requests without a body. Default: all go to the handler. */
  readonly quick?: QuickHandler;
  /** Answers a request whose head is too large to be read. Default: its connection is dropped. */
  readonly headTooLarge?: (peer: HttpPeer) => WholeReply;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  /** Absent: it speaks plain text. */
  readonly tls?: FrontTls;
  /** The limit of concurrent connections. Default {@link HTTP_CONNECTIONS_MAX}. */
  readonly connectionsMax?: number;
}

/** An open listener. */
export interface HttpListener {
  readonly host: string;
  readonly port: number;
  /**
   * Serves further connections with another certificate.
   *
   * @throws RegistryError `invalid_argument` if it cannot be used; the one before stays.
   */
  useCertificate(certificate: TlsCertificate): void;
  /**
   * Stops listening, waits a moment for requests in progress and drops the rest; resolves when the
   * port is free. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * Opens the listener.
 *
 * @throws RegistryError `invalid_configuration` if the address cannot be bound.
 */
export async function openHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const { port, scheduler, connectionsMax = HTTP_CONNECTIONS_MAX } = options;
  const host = bindAddress(options.host);
  const places = new ConnectionPlaces(connectionsMax);
  const https = options.tls === undefined
    ? undefined
    : new TlsServers<SecureServer>(options.tls, HTTP_HANDSHAKES_MAX);
  const makeServer = (unlessOwn: UnlessOwn) => serverOf(options, places, https, unlessOwn);
  const observer: AcceptObserver = {
    failing: (error) => options.logger.warn("The HTTP listener failed", { error }),
    reopened: () => {},
    accepting: () => {},
  };
  const acceptor = await TcpAcceptor.bind({ host, port, makeServer, scheduler, observer })
    .catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RegistryError(
        "invalid_configuration",
        `Cannot listen on ${host} TCP port ${port} (${reason}): stop the program that has it, or ` +
          "choose another port with --http",
        { field: "http" },
        error,
      );
    });
  let closing: Promise<void> | undefined;
  return {
    host,
    port: acceptor.port,
    useCertificate: (certificate) => https?.useCertificate(certificate),
    close: () => {
      closing ??= closed(acceptor, places, scheduler);
      https?.close();
      return closing;
    },
  };
}

async function closed(
  acceptor: TcpAcceptor,
  places: ConnectionPlaces,
  scheduler: Scheduler,
): Promise<void> {
  const ended = acceptor.close();
  places.closeIdle();
  const timer = scheduler.after(HTTP_DRAIN_MS, () => places.closeAll());
  await ended;
  timer.cancel();
}

function serverOf(
  options: HttpListenerOptions,
  places: ConnectionPlaces,
  https: TlsServers<SecureServer> | undefined,
  unlessOwn: UnlessOwn,
): Server {
  const leaves = new WeakMap<Socket, Uint8Array>();
  const isTls = https !== undefined;
  const limits = {
    maxHeaderSize: HTTP_HEADER_BYTES_MAX,
    headersTimeout: HTTP_HEAD_MS_MAX,
    requestTimeout: HTTP_HEAD_MS_MAX + HTTP_BODY_MS_MAX,
    keepAliveTimeout: HTTP_IDLE_MS_MAX,
    connectionsCheckingInterval: HTTP_CHECK_MS,
  };
  const onRequest = (message: IncomingMessage, response: ServerResponse) => {
    places.busy(message.socket, response);
    response.on("error", () => message.socket.destroy());
    if (!message.url?.startsWith("/")) return refuse(options, message, response);
    const request = new IncomingRequest(message, response);
    const peer = peerOf(message.socket, isTls, leaves);
    const reply = request.isWhole ? options.quick?.(request, peer) : undefined;
    if (reply === undefined) void serve(options, { request, peer, message, response });
    else sendWhole(response, reply);
  };
  const onSecure = (socket: Socket, leaf: Uint8Array | undefined) => {
    if (leaf !== undefined) leaves.set(socket, leaf);
    places.take(socket);
  };
  const server = https === undefined
    ? createServer(limits, onRequest)
    : httpsServer(https, { limits, onRequest, unlessOwn, onSecure });
  if (!isTls) {
    server.on("connection", (socket: Socket) => unlessOwn(socket, () => places.take(socket)));
  }
  // On a malformed or slow request the connection is closed, and on one whose head is too large.
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const { headTooLarge, scheduler } = options;
    const isAnswered = error.code === "HPE_HEADER_OVERFLOW" && headTooLarge !== undefined &&
      socket.writable && places.isIdle(socket);
    if (!isAnswered) return void socket.destroy();
    socket.end(messageOf(headTooLarge(peerOf(socket, isTls, leaves))));
    dropInput(socket, scheduler);
  });
  server.on("error", (error) => {
    // A server that does not listen could not be bound, which the acceptor reports.
    if (server.listening) options.logger.warn("The HTTP listener failed", { error });
  });
  return server;
}

/** Refuses a request whose target is no path. */
function refuse(
  { scheduler }: HttpListenerOptions,
  message: IncomingMessage,
  response: ServerResponse,
): void {
  response.writeHead(400, { "connection": "close" });
  response.end();
  dropRest(message, scheduler);
}

/** A request and where its answer goes. */
interface Exchange {
  readonly request: HttpRequest;
  readonly peer: HttpPeer;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

async function serve(
  { handler, logger, scheduler }: HttpListenerOptions,
  { request, peer, message, response }: Exchange,
): Promise<void> {
  try {
    const reply = await handler(request, peer);
    send(reply, message, response);
    if (message.complete) return;
    if (isStream(reply.body)) message.resume();
    else dropRest(message, scheduler);
  } catch (error) {
    logger.warn("An HTTP answer was not sent", { error });
    message.socket.destroy();
  }
}

function peerOf(
  socket: Socket,
  isTls: boolean,
  leaves: WeakMap<Socket, Uint8Array>,
): HttpPeer {
  const address = socket.remoteAddress ?? "";
  if (!isTls) return { address, scheme: "http:" };
  const certificate = leaves.get(socket);
  return { address, scheme: "https:", ...(certificate === undefined ? {} : { certificate }) };
}

/** A request as the face reads it, made of the parts that are read. */
class IncomingRequest implements HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  #signal: AbortSignal | undefined;
  #body: ReadableStream<Uint8Array> | undefined;

  constructor(message: IncomingMessage, response: ServerResponse) {
    this.#message = message;
    this.#response = response;
    this.method = message.method ?? "GET";
    // The host is checked by its header; the URL only carries path and query.
    this.url = `http://localhost${message.url}`;
    const { rawHeaders } = message;
    const headers = new Map<string, string>();
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at]!.toLowerCase();
      const before = headers.get(name);
      const value = rawHeaders[at + 1]!;
      headers.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    this.headers = { get: (name) => headers.get(name) ?? null };
  }

  /** Whether no body follows the head. */
  get isWhole(): boolean {
    const { headers } = this;
    return headers.get("content-length") === null && headers.get("transfer-encoding") === null;
  }

  get signal(): AbortSignal {
    return this.#signal ??= leavingSignal(this.#response);
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.method === "GET" || this.method === "HEAD") return null;
    return this.#body ??= bodyOf(this.#message);
  }
}

/** Returns a signal that ends when the reader of a response leaves. */
function leavingSignal(response: ServerResponse): AbortSignal {
  const leaving = new AbortController();
  const leave = () => {
    if (!response.writableFinished) leaving.abort();
  };
  if (response.destroyed || response.socket?.destroyed === true) leave();
  else response.once("close", leave);
  return leaving.signal;
}

/** Returns the body of a request as a stream that reads no further than it is taken. */
function bodyOf(message: IncomingMessage): ReadableStream<Uint8Array> {
  let isOver = false;
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      message.pause();
      message.on("data", (chunk: Uint8Array) => {
        if (isOver) return;
        controller.enqueue(new Uint8Array(chunk));
        if ((controller.desiredSize ?? 0) <= 0) message.pause();
      });
      message.once("end", () => {
        if (!isOver) controller.close();
        isOver = true;
      });
      message.once("close", () => {
        if (!isOver) controller.error(new Error("The connection ended"));
        isOver = true;
      });
      // `close` follows, by which the reader is told.
      message.on("error", () => {});
    },
    pull: () => {
      message.resume();
    },
    cancel: () => {
      isOver = true;
    },
  });
}

function isStream(body: HttpReply["body"]): body is StreamBody {
  return typeof body === "object" && "start" in body;
}

/** Sends an answer; a stream as its reader takes it. */
function send(reply: HttpReply, message: IncomingMessage, response: ServerResponse): void {
  const { status, body } = reply;
  // The rest of the body is dropped, and the connection with it.
  const isCut = !message.complete;
  const headers = isCut ? { ...reply.headers, connection: "close" } : reply.headers;
  if (!isStream(body)) return sendWhole(response, { status, headers, body });
  response.writeHead(status, headers);
  sendStream(body, response);
}

function sendWhole(response: ServerResponse, { status, headers, body }: WholeReply): void {
  if (body === undefined) {
    response.writeHead(status, headers);
    response.end();
    return;
  }
  if (typeof body === "string" && headers["content-length"] !== undefined) {
    response.writeHead(status, headers);
    // Text goes out in one piece with its head.
    response.end(body);
    return;
  }
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  response.writeHead(status, { ...headers, "content-length": bytes.length });
  response.end(bytes);
}

/** Returns an answer as it goes over the connection, which it ends. */
function messageOf({ status, headers, body = "" }: WholeReply): Uint8Array {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const fields = { ...headers, "content-length": bytes.length, "connection": "close" };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n`;
  return concatBytes([encoder.encode(head), bytes]);
}

const encoder = new TextEncoder();

/** Sends a body as its reader takes it. */
function sendStream(body: StreamBody, response: ServerResponse): void {
  // A reader that leaves ends the body even while there is nothing to send.
  response.once("close", () => body.close());
  response.on("drain", () => body.drained());
  if (response.destroyed) return body.close();
  body.start({ write: (piece) => response.write(piece), end: () => response.end() });
}

/** Ends the connection of a request whose body nobody needs. */
function dropRest(message: IncomingMessage, scheduler: Scheduler): void {
  message.resume();
  dropInput(message.socket, scheduler);
}

/** Ends a connection after a moment, in which the sender reads the answer and its input is dropped. */
function dropInput(socket: Socket, scheduler: Scheduler): void {
  // Unread input would reset the connection before.
  socket.resume();
  const timer = scheduler.after(HTTP_DRAIN_MS, () => socket.destroy());
  socket.once("close", () => timer.cancel());
}
