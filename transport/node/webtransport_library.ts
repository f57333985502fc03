/**
 * Loads `@fails-components/webtransport` on Node, and names the part of it that this project uses.
 *
 * The library looks for its native HTTP/3 package when it is imported: without that package it logs
 * errors to both outputs, `Http3Server.ready` never settles, and an HTTP/3 client throws uncaught.
 * So the package is probed for first; where it is missing an empty module stands in for it, and
 * sessions run over HTTP/2.
 */
import type { ClientHttp2Session, Http2SecureServer, Http2Session } from "node:http2";
import { registerHooks } from "node:module";
import type { BytePair } from "../carrier_stream.ts";

const NATIVE_HTTP3_PACKAGE = "@fails-components/webtransport-transport-http3-quiche";

/** A session's state inside the library; over HTTP/2 it has a parser and a CONNECT stream. */
export interface LibrarySessionState {
  readonly capsParser?: {
    onCloseWebTransportSession(info: { code: number; reason: string }): void;
  };
  readonly streamIdMngrBi?: { getNextOutgoingStreamId(): bigint };
  readonly stream?: { readonly session?: Http2Session };
}

/** A stream's state inside the library. */
export interface LibraryStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly readableController: ReadableByteStreamController;
  /** Whether the stream is over, and what arrived before is only handed out. */
  readonly finaldrain_: boolean;
  /** Hands received bytes to the readable side, and says whether to stop there. */
  commitReadBuffer(buffer: unknown): { readonly stopReading?: boolean };
}

/** A session of the library, on either side. */
export interface LibrarySession {
  /** Internal to the library: streams that are open. */
  readonly streamObjs: ReadonlySet<LibraryStream>;
  /** Internal to the library; gone once the session is over. */
  readonly objint?: LibrarySessionState;
  readonly ready: Promise<void>;
  readonly closed: Promise<{ closeCode?: number; reason?: string }>;
  readonly incomingBidirectionalStreams: ReadableStream<BytePair>;
  createBidirectionalStream(): Promise<BytePair>;
  close(info: { closeCode: number; reason: string }): void;
}

/** A session that a server accepted. */
export interface LibraryServerSession extends LibrarySession {
  /** The peer, as `address:port`. */
  readonly peerAddress: string;
}

/** A session that a client opened, inside an object with the standard interface. */
export interface LibraryClientSession {
  readonly ready: Promise<void>;
  /** Internal to the library. */
  readonly sessionint: LibrarySession & {
    /** Called once, with the HTTP status where the server refused the session. */
    onClose(event: { errorcode?: number; error?: string }): void;
    readonly parentobj: { readonly transportInt?: { readonly clientInt?: ClientHttp2Session } };
  };
}

/** A server of the library. */
export interface LibraryServer {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  startServer(): void;
  stopServer(): void;
  address(): { readonly host: string; readonly port: number } | null;
  sessionStream(path: string): ReadableStream<LibraryServerSession>;
  /** Answers requests for a session on `path` with the HTTP status that `statusFor` gives a peer. */
  answerRequests(path: string, statusFor: (peerAddress: string) => number): void;
  updateCert(certificate: string, key: string, http2only: boolean): void;
  /** Internal to the library: over HTTP/2, the server that listens. */
  readonly transportInt?: { readonly serverInt?: Http2SecureServer };
}

/** Flow control windows, bytes. The library's defaults stall after exactly 16 KiB. */
export interface LibraryWindows {
  readonly initialSessionFlowControlWindow: number;
  readonly sessionFlowControlWindowSizeLimit: number;
  readonly initialStreamFlowControlWindow: number;
  readonly streamFlowControlWindowSizeLimit: number;
}

/** Options of a client's session. */
export interface LibraryClientOptions extends LibraryWindows {
  /** Hashes as `Buffer`: of another view the library would compare the whole underlying buffer. */
  readonly serverCertificateHashes: readonly { algorithm: "sha-256"; value: Uint8Array }[];
  /** Never try HTTP/3. */
  readonly forceReliable?: boolean;
  /** Never fall back to HTTP/2. */
  readonly requireUnreliable?: boolean;
}

/** Options of a server. */
export interface LibraryServerOptions extends LibraryWindows {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly cert: string;
  readonly privKey: string;
  readonly initialBidirectionalStreams: number;
  readonly initialUnidirectionalStreams: number;
}

/** The library as it was loaded. */
export interface WebTransportLibrary {
  /** Whether the native package is there, and sessions run over HTTP/3. */
  readonly http3: boolean;
  readonly WebTransport: new (url: string, options: LibraryClientOptions) => LibraryClientSession;
  /** Makes a server, which listens once it is started. */
  listen(options: LibraryServerOptions): LibraryServer;
}

/** A request for a session; the library does not pass the peer to its own handler. */
interface SessionRequest {
  readonly peerAddress: string;
}

/** A server as the library makes it. */
interface BareServer extends LibraryServer {
  setRequestCallback(callback: () => void): void;
  onSessionRequest(request: SessionRequest): void;
  readonly transportInt?: {
    readonly serverInt?: Http2SecureServer;
    finishSessionRequest(request: SessionRequest & { status: number; path: string }): void;
  };
}

interface BareLibrary {
  readonly quicheLoaded: Promise<void>;
  readonly WebTransport: WebTransportLibrary["WebTransport"];
  readonly Http2Server: new (options: LibraryServerOptions) => BareServer;
  readonly Http3Server: new (options: LibraryServerOptions) => BareServer;
}

/** Windows that never hold up a reader that keeps pace. */
export const LIBRARY_WINDOWS: LibraryWindows = {
  initialSessionFlowControlWindow: 4 * 1024 * 1024,
  sessionFlowControlWindowSizeLimit: 4 * 1024 * 1024,
  initialStreamFlowControlWindow: 1024 * 1024,
  streamFlowControlWindowSizeLimit: 1024 * 1024,
};

let loading: Promise<WebTransportLibrary> | undefined;

/** Loads the library once; later calls share it. */
export function loadWebTransportLibrary(): Promise<WebTransportLibrary> {
  loading ??= load();
  return loading;
}

async function load(): Promise<WebTransportLibrary> {
  const http3 = isInstalled(NATIVE_HTTP3_PACKAGE);
  const standIn = http3 ? undefined : registerHooks({
    resolve: (specifier, context, next) =>
      specifier === NATIVE_HTTP3_PACKAGE
        ? { url: "data:text/javascript,export {}", shortCircuit: true }
        : next(specifier, context),
  });
  try {
    const library = await import("@fails-components/webtransport") as unknown as BareLibrary;
    await library.quicheLoaded;
    const Server = http3 ? library.Http3Server : library.Http2Server;
    return {
      http3,
      WebTransport: library.WebTransport,
      listen: (options) => answering(new Server(options)),
    };
  } finally {
    standIn?.deregister();
  }
}

/** Lets a server refuse a peer by its address. */
function answering(server: BareServer): LibraryServer {
  server.answerRequests = (path, statusFor) => {
    server.setRequestCallback(() => {});
    server.onSessionRequest = (request) =>
      server.transportInt!.finishSessionRequest({
        ...request,
        path,
        status: statusFor(request.peerAddress),
      });
  };
  return server;
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}
