/** The rights of peers to what they watch. */
import { RegistryError } from "../../base/errors.ts";
import { type AuthenticatedPeer, peerTitle } from "../../base/peer.ts";
import { type AccessPolicy, authorize, authorizeRole, reachesAll } from "../../record/access.ts";
import { KIND_ALIAS } from "../../record/key.ts";
import { knowsDomains, readsOf } from "../read_limits.ts";
import type { StoredFilter } from "./watch_filter.ts";

/** Returns the filter of a watch with the limits of its peer. That of a feed has none. */
export function limitedFilter(peer: AuthenticatedPeer, filter: StoredFilter): StoredFilter {
  const reads = filter.isFeed ? undefined : readsOf(peer);
  return reads === undefined ? filter : { ...filter, reads };
}

/**
 * Returns why a peer may not watch the records of a filter; undefined if it may. Whoever may not
 * read all records must name those that it watches.
 */
export function watchRefusal(
  peer: AuthenticatedPeer,
  { kinds, keys, reads }: StoredFilter,
  policy: AccessPolicy,
): RegistryError | undefined {
  const answer = authorizeRole(peer, "read", policy);
  if (answer !== "allowed") return refusal(answer, peer, "watch records");
  if (readsOf(peer)?.name !== reads?.name) {
    return refusal("permission_denied", peer, "go on with this watch: its limits on reads changed");
  }
  if (kinds.includes(KIND_ALIAS) && reads !== undefined && !knowsDomains(reads)) {
    return refusal(
      "permission_denied",
      peer,
      "watch domains, as it may read some regions or labels",
    );
  }
  if (reachesAll(peer.role, "read")) return undefined;
  if (keys.length === 0) return refusal("permission_denied", peer, "watch records of any id");
  for (const kind of kinds) {
    for (const id of keys) {
      const code = authorize(peer, "read", { kind, id }, policy);
      if (code !== "allowed") return refusal(code, peer, "watch each of these records");
    }
  }
  return undefined;
}

function refusal(
  code: ConstructorParameters<typeof RegistryError>[0],
  peer: AuthenticatedPeer,
  what: string,
): RegistryError {
  return new RegistryError(code, `${peerTitle(peer)} may not ${what}`);
}
