/** Addresses of sessions, as limits count them, and of members, as clients dial them. */
import { PEER_TRANSPORT } from "../ring/ring_map.ts";
import type { Member } from "../system/members/member_state.ts";
import { authorityOf } from "../../identity/registry_auth/mod.ts";
import { isLoopbackHost } from "../../identity/trust/listen_rule.ts";
import { addressKey } from "../../transport/admission.ts";
import { hostOf } from "../../transport/host_address.ts";
import type { Session } from "../../transport/transport.ts";

/** Returns the remote IPv4 address, or the /64 of an IPv6 one. */
export function addressOf({ remoteAddress }: Pick<Session, "remoteAddress">): string {
  return addressKey(hostOf(remoteAddress));
}

/** Returns the hosts and ports of addresses for clients; of loopback ones, by name too. */
export function authoritiesOf(addresses: Member["addresses"]): string[] {
  const named = addresses.filter(({ transport }) => transport !== PEER_TRANSPORT)
    .flatMap(({ host, port }) => [
      authorityOf(host, port),
      ...(isLoopbackHost(host) ? [authorityOf("localhost", port)] : []),
    ]);
  return [...new Set(named)];
}
