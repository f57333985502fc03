/**
 * Addresses on which a node may listen (ARCHITECTURE.md, identity). Without configured identities
 * anybody who reaches the node may write anything, so it listens on loopback only. With an
 * authority it listens on one address, the one that clients dial, or on any address if the hosts
 * that clients dial are configured. A refusal names the possible values.
 */
import { isIP } from "node:net";

/** Hosts on which a node with the development identity may listen; the names in its certificate. */
export const LOOPBACK_HOSTS = ["127.0.0.1", "::1", "localhost"] as const;

/** A host of {@link LOOPBACK_HOSTS}. */
export type LoopbackHost = (typeof LOOPBACK_HOSTS)[number];

/** Notice of a node without configured identities at its start. */
export const DEVELOPMENT_NOTICE =
  "Development identity: every local program may read and write everything, so the node listens " +
  "on loopback only.";

/** Reports whether a host is a loopback name of the development certificate. */
export function isLoopbackHost(host: string): host is LoopbackHost {
  return (LOOPBACK_HOSTS as readonly string[]).includes(host);
}

/**
 * Identity configuration of a node: none, an authority, or an authority and the hosts that clients
 * dial.
 */
export type ListenRight = "development" | "certified" | "advertised";

/**
 * Returns why the node may not listen on `host`, worded for a list of configuration errors, or
 * `undefined` if it may.
 *
 * @param host a literal address without brackets, or a name.
 */
export function refusedListenHost(
  host: string,
  right: ListenRight = "development",
): string | undefined {
  if (isLoopbackHost(host)) return undefined;
  if (right === "development") {
    return "127.0.0.1, ::1 or localhost: no identities are configured, so anybody who reaches the " +
      "node could write anything. To serve other machines give it an authority (crs identity " +
      "init), or forward a port to the loopback address through a tunnel that authenticates its clients";
  }
  // Clients verify the server by the address that they dialed, and look up its pins by it.
  const isDialed = right === "advertised" || (host !== "0.0.0.0" && host !== "::");
  if (isIP(host) !== 0 && isDialed) return undefined;
  return "a literal address of this machine that clients dial, or any address if --advertise " +
    "names the hosts that they dial";
}

/**
 * Returns the hosts that clients dial. @param advertise comma-separated hosts; "": clients dial the
 * host on which the node listens.
 */
export function dialedHosts(host: string, advertise: string): readonly string[] {
  if (advertise !== "") return advertise.split(",");
  return host === "localhost" ? ["127.0.0.1", "::1"] : [host];
}

/** Returns the literal address to bind for a permitted host. */
export function bindAddress(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}
