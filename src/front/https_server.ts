/** The server of HTTPS, by its listener's TLS (tls_servers.ts). */
import type { RequestListener, ServerOptions } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { HTTP_HEAD_MS_MAX } from "../base/limits.ts";
import { leafOf, readLeafOnly } from "../../transport/tls_peer.ts";
import type { UnlessOwn } from "../../transport/tcp_acceptor.ts";
import type { TlsServers } from "./tls_servers.ts";

/** The limits of a server, and the handlers of its connections and requests. */
export interface HttpsServerOptions {
  readonly limits: ServerOptions;
  readonly onRequest: RequestListener;
  readonly unlessOwn: UnlessOwn;
  /**
   * Called with each connection once its handshake is done, and with the certificate (DER) whose key the
   * caller holds; undefined if it has none.
   */
  readonly onSecure: (socket: Socket, leaf: Uint8Array | undefined) => void;
}

/**
 * Returns a server that does not listen yet.
 *
 * @throws RegistryError `invalid_argument` if the certificate or its key cannot be used.
 */
export function httpsServer(
  servers: TlsServers<Server>,
  { limits, onRequest, unlessOwn, onSecure }: HttpsServerOptions,
): Server {
  const { handshakes } = servers;
  const server = servers.next((secure) =>
    createServer({ ...limits, ...secure, handshakeTimeout: HTTP_HEAD_MS_MAX }, onRequest)
  );
  server.on("connection", (socket: Socket) => unlessOwn(socket, () => handshakes.begin(socket)));
  server.on("secureConnection", (socket: TLSSocket) => {
    handshakes.end(socket);
    readLeafOnly(socket);
    onSecure(socket, leafOf(socket));
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}
