/**
 * What both ends of a TLS connection have in common: the protocol version, the name of ALPN, and the
 * peer's certificate.
 *
 * On Deno 2.9.6 `getPeerCertificate(true)`, which its own client calls after each handshake, parses
 * the whole chain and throws out of every handler for one junk certificate in it, which ends the
 * process. The chain was verified by then, and only the leaf is asked for here; so the socket is made
 * to look at the leaf alone.
 */
import type { TLSSocket } from "node:tls";
import { ALPN_REGISTRY } from "./alpn.ts";

/** Options that dialer and listener share. */
export const TLS_PROTOCOL = { minVersion: "TLSv1.3", ALPNProtocols: [ALPN_REGISTRY] } as const;

/** Keeps the socket from ever parsing more of a chain than the leaf. */
export function readLeafOnly(socket: TLSSocket): void {
  const read = socket.getPeerCertificate.bind(socket);
  socket.getPeerCertificate = ((_detailed?: boolean) => {
    try {
      return read(false);
    } catch {
      // What cannot be read is none; whoever needs one refuses the peer.
      return {};
    }
  }) as TLSSocket["getPeerCertificate"];
}

/**
 * True where the client of a finished handshake showed a certificate that TLS believes; what a
 * `tls.Server` does for its sockets. A runtime that cannot say has not verified it.
 */
export function verifyClient(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as unknown as {
    readonly _handle?: { verifyError?(): unknown };
  };
  // From here on errors are the socket's own again, and end it.
  (socket as unknown as { _releaseControl?(): boolean })._releaseControl?.();
  return handle?.verifyError !== undefined && !handle.verifyError();
}

/** The verified peer's leaf (DER), the caller's own; `undefined` where it showed none. */
export function leafOf(socket: TLSSocket): Uint8Array | undefined {
  try {
    const { raw } = socket.getPeerCertificate(false) ?? {};
    return raw === undefined || raw.length === 0 ? undefined : new Uint8Array(raw);
  } catch {
    return undefined;
  }
}

/** True where the two ends agreed on our protocol. */
export function speaksRegistry(socket: TLSSocket): boolean {
  return socket.alpnProtocol === ALPN_REGISTRY;
}
