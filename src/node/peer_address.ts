/** The address that a session counts for in limits per address. */
import { addressKey } from "../../transport/admission.ts";
import { hostOf } from "../../transport/host_address.ts";
import type { Session } from "../../transport/transport.ts";

/** Returns the remote IPv4 address, or the /64 of an IPv6 one. */
export function addressOf({ remoteAddress }: Pick<Session, "remoteAddress">): string {
  return addressKey(hostOf(remoteAddress));
}
