/** The address that a session counts for in limits per address. */
import { addressKey } from "../../transport/admission.ts";
import type { Session } from "../../transport/transport.ts";

/** Returns the remote IPv4 address, or the /64 of an IPv6 one. */
export function addressOf({ remoteAddress }: Pick<Session, "remoteAddress">): string {
  const host = remoteAddress.slice(0, remoteAddress.lastIndexOf(":"));
  return addressKey(host.replace(/^\[|\]$/g, ""));
}
