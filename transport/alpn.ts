/**
 * The application protocol (ALPN) negotiated on a channel, by transport. Both ends of a handshake
 * inside the channel bind themselves to it.
 */
import type { TransportName } from "./transport.ts";

/** ALPN protocol names. */
export const ALPN_REGISTRY = "crs";
export const ALPN_HTTP3 = "h3";
/** Between nodes, over QUIC. */
export const ALPN_PEER = "crs-peer";

/** Returns the protocol name for a transport. Memory has no TLS but has a name too. */
export function alpnOf(transport: TransportName): string {
  switch (transport) {
    case "quic":
    case "tls":
      return ALPN_REGISTRY;
    case "webtransport":
      return ALPN_HTTP3;
    case "memory":
      return "memory";
  }
}

/**
 * Returns the protocol name of sessions between nodes. It differs from that of clients' sessions on
 * every transport, so that a handshake made for one purpose cannot be used for the other.
 */
export function peerAlpnOf(transport: TransportName): string {
  return transport === "quic" ? ALPN_PEER : `${alpnOf(transport)}-peer`;
}
