/**
 * Shared by both ends of a TLS connection: the protocol version, the ALPN name and the peer's
 * certificate.
 *
 * On Deno 2.9.6, `getPeerCertificate(true)`, which Deno's own client calls after each handshake,
 * parses the whole chain. One malformed certificate in the chain makes it throw outside every
 * handler, which ends the process. By then the chain was verified, and only the leaf is needed
 * here, so the socket is changed to read the leaf alone.
 */
import type { TLSSocket } from "node:tls";
import { ALPN_REGISTRY } from "./alpn.ts";

/** Options that dialer and listener share. */
export const TLS_PROTOCOL = { minVersion: "TLSv1.3", ALPNProtocols: [ALPN_REGISTRY] } as const;

/** Changes the socket to never parse more of a chain than the leaf. */
export function readLeafOnly(socket: TLSSocket): void {
  const read = socket.getPeerCertificate.bind(socket);
  socket.getPeerCertificate = ((_detailed?: boolean) => {
    try {
      return read(false);
    } catch {
      // An unreadable certificate counts as none; a caller that needs one refuses the peer.
      return {};
    }
  }) as TLSSocket["getPeerCertificate"];
}

/**
 * Reports whether the client of a completed handshake presented a certificate that TLS has
 * verified, as `tls.Server` does for its sockets. A runtime that cannot tell has not verified it.
 */
export function verifyClient(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as unknown as {
    readonly _handle?: { verifyError?(): unknown };
  };
  // From here on errors belong to the socket again and end it.
  (socket as unknown as { _releaseControl?(): boolean })._releaseControl?.();
  return handle?.verifyError !== undefined && !handle.verifyError();
}

/** Returns the verified peer's leaf (DER), owned by the caller; `undefined` if there is none. */
export function leafOf(socket: TLSSocket): Uint8Array | undefined {
  try {
    const { raw } = socket.getPeerCertificate(false) ?? {};
    return raw === undefined || raw.length === 0 ? undefined : new Uint8Array(raw);
  } catch {
    return undefined;
  }
}

/** Reports whether both ends negotiated our protocol. */
export function speaksRegistry(socket: TLSSocket): boolean {
  return socket.alpnProtocol === ALPN_REGISTRY;
}
