/**
 * Where a node may listen (ARCHITECTURE.md, identity). Without configured identities anybody who
 * reaches the node may write anything, so it listens on this machine only. This version has no
 * configured identities yet: every other address is refused, and the message says what is possible.
 */

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

/**
 * Why the node may not listen on `host`, for a list of mistakes; `undefined` where it may.
 *
 * @param host a literal address without brackets, or a name.
 */
export function refusedListenHost(host: string): string | undefined {
  if (isLoopbackHost(host)) return undefined;
  return "127.0.0.1, ::1 or localhost: no identities are configured, so anybody who reaches the " +
    "node could write anything. This version has the development identity only; for other " +
    "machines, forward a port to the loopback address by a tunnel that checks who comes in";
}

/** The literal address to bind for a loopback host. */
export function bindAddress(host: LoopbackHost): "127.0.0.1" | "::1" {
  return host === "::1" ? "::1" : "127.0.0.1";
}
