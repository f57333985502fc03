/**
 * Where a node may listen (ARCHITECTURE.md, identity). Without configured identities anybody who
 * reaches the node may write anything, so it listens on this machine only; with an authority it listens
 * on one address, the one that clients dial, or on any where it is said what they dial. A refusal says
 * what is possible.
 */
import { isIP } from "node:net";

/** The addresses that a node with the development identity may listen on; its certificate's names. */
export const LOOPBACK_HOSTS = ["127.0.0.1", "::1", "localhost"] as const;

/** One of {@link LOOPBACK_HOSTS}. */
export type LoopbackHost = (typeof LOOPBACK_HOSTS)[number];

/** What a node without configured identities says when it starts. */
export const DEVELOPMENT_NOTICE =
  "Development identity: every local program may read and write everything, so the node listens " +
  "on loopback only.";

/** True for an address of this machine that the development certificate names. */
export function isLoopbackHost(host: string): host is LoopbackHost {
  return (LOOPBACK_HOSTS as readonly string[]).includes(host);
}

/** What a node has to show: nothing, an authority, or one and the hosts that clients dial. */
export type ListenRight = "development" | "certified" | "advertised";

/**
 * Why the node may not listen on `host`, for a list of mistakes; `undefined` where it may.
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
      "node could write anything. For other machines give it an authority (crs identity init), or " +
      "forward a port to the loopback address by a tunnel that checks who comes in";
  }
  // Clients prove to whom they speak by the address that they dialed, and pin what it shows.
  const isDialed = right === "advertised" || (host !== "0.0.0.0" && host !== "::");
  if (isIP(host) !== 0 && isDialed) return undefined;
  return "a literal address of this machine, the one that clients dial; any, where --advertise says " +
    "what they dial";
}

/** The hosts that clients dial. @param advertise with commas; "": they dial what the node listens on. */
export function dialedHosts(host: string, advertise: string): readonly string[] {
  if (advertise !== "") return advertise.split(",");
  return host === "localhost" ? ["127.0.0.1", "::1"] : [host];
}

/** The literal address to bind for a host that may be listened on. */
export function bindAddress(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}
