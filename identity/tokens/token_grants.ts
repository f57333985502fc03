/**
 * Applies a token to a session until the earlier of token and certificate expires: the grants of both
 * add up, and the limits on reads of both apply. The caller must also name the token to the session's
 * ban watch (`BanWatch.useToken`).
 */
import { assert } from "../../src/base/assert.ts";
import type { AuthenticatedPeer, ReadLimit } from "../../src/base/peer.ts";
import { type AccessPolicy, STRICT_POLICY } from "../../src/record/access.ts";
import { canonicalJson } from "../../src/signing/canonical_json.ts";
import type { TokenClaims } from "./token.ts";

/**
 * Returns the peer with the grants of a token added.
 *
 * @param peer as its certificate alone defines it.
 * @param claims of a token that was checked for this very peer (token_check.ts).
 * @returns `undefined` over a session that could be relayed, to which tokens grant nothing.
 */
export function withToken(
  peer: AuthenticatedPeer,
  claims: TokenClaims,
  policy: AccessPolicy = STRICT_POLICY,
): AuthenticatedPeer | undefined {
  assert(peer.token === undefined, "A token adds to a certificate, not to another token");
  if (!peer.pinned && !policy.trustUnpinned) return undefined;
  const { grants } = peer;
  const reads = joinedLimits(grants.reads, claims.grants.reads);
  return {
    ...peer,
    grants: {
      domains: union(grants.domains, claims.grants.domains),
      gateways: union(grants.gateways, claims.grants.gateways),
      credentialHashes: grants.credentialHashes === true || claims.grants.credentialHashes === true,
      ...(reads.length === 0 ? {} : { reads }),
    },
    token: { tokenId: claims.tokenId, certified: grants },
    expiresAtMs: Math.min(peer.expiresAtMs, claims.expiresAtMs),
  };
}

/** Returns the limits of both, those in common once. */
function joinedLimits(
  certified: readonly ReadLimit[] = [],
  added: readonly ReadLimit[] = [],
): readonly ReadLimit[] {
  const known = new Set(certified.map((limit) => canonicalJson(limit)));
  return [...certified, ...added.filter((limit) => !known.has(canonicalJson(limit)))];
}

function union(left: readonly string[], right: readonly string[]): readonly string[] {
  return [...new Set([...left, ...right])];
}
