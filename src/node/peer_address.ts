/** Whom a session counts for where limits are shared between addresses. */
import { addressKey } from "../../transport/admission.ts";
import type { Session } from "../../transport/transport.ts";

/** The remote IPv4 address, or the /64 of an IPv6 one. */
export function addressOf({ remoteAddress }: Pick<Session, "remoteAddress">): string {
  const host = remoteAddress.slice(0, remoteAddress.lastIndexOf(":"));
  return addressKey(host.replace(/^\[|\]$/g, ""));
}
