/** Formats an endpoint as `host:port`, as `--server` and `--join` take it. */
import type { Endpoint } from "../../transport/transport.ts";

/** Returns `host:port`; an IPv6 address stands in brackets. */
export function endpointText({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
