/**
 * The protocol that a channel agreed on (ALPN), by its transport: what both ends of a handshake in
 * the channel bind themselves to.
 */
import type { TransportName } from "./transport.ts";

/** The names of ALPN. */
export const ALPN_REGISTRY = "crs";
export const ALPN_HTTP3 = "h3";

/** The name that sessions of a transport go by; memory has no TLS and yet a name. */
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
