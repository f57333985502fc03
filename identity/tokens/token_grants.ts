/**
 * What a token adds to a session: its grants beside those of the certificate, until the first of the
 * two ends. Whoever uses it also names the token to the session's ban watch (`BanWatch.useToken`).
 */
import { assert } from "../../src/base/assert.ts";
import type { AuthenticatedPeer } from "../../src/base/peer.ts";
import { type AccessPolicy, STRICT_POLICY } from "../../src/record/access.ts";
import type { TokenClaims } from "./token.ts";

/**
 * The peer with what a token grants it.
 *
 * @param peer as its certificate alone makes it.
 * @param claims of a token that was checked for this very peer (token_check.ts).
 * @returns `undefined` over a session that could be relayed, which gets nothing of a token.
 */
export function withToken(
  peer: AuthenticatedPeer,
  claims: TokenClaims,
  policy: AccessPolicy = STRICT_POLICY,
): AuthenticatedPeer | undefined {
  assert(peer.token === undefined, "A token adds to a certificate, not to another token");
  if (!peer.pinned && !policy.trustUnpinned) return undefined;
  const { grants } = peer;
  return {
    ...peer,
    grants: {
      domains: union(grants.domains, claims.grants.domains),
      gateways: union(grants.gateways, claims.grants.gateways),
      credentialHashes: grants.credentialHashes === true || claims.grants.credentialHashes === true,
    },
    token: { tokenId: claims.tokenId, certified: grants },
    expiresAtMs: Math.min(peer.expiresAtMs, claims.expiresAtMs),
  };
}

function union(left: readonly string[], right: readonly string[]): readonly string[] {
  return [...new Set([...left, ...right])];
}
