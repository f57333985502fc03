/**
 * Converts a proven identity into the `AuthenticatedPeer` that access rules take. The result is the
 * same whether the handshake in the channel or TLS itself proved the identity.
 */
import type { AuthenticatedPeer } from "../../src/base/peer.ts";
import type { ProvenIdentity } from "./step.ts";

/** Properties that a session adds to an identity. */
export interface SessionFacts {
  /**
   * Whether a relay is excluded: the client knew the server's TLS leaf, or TLS checked both ends.
   */
  readonly pinned: boolean;
  /** Unix ms at which the session ends. */
  readonly expiresAtMs: number;
  /** Fires when the identity is banned or the session must end. */
  readonly revoked: AbortSignal;
}

/**
 * Returns the authenticated peer of a session. It expires when the session or the identity ends,
 * whichever comes first.
 */
export function authenticatedPeer(
  identity: ProvenIdentity,
  { pinned, expiresAtMs, revoked }: SessionFacts,
): AuthenticatedPeer {
  const { subject, subjectId, role, region, leafHash, lineage, grants, capability } = identity;
  return {
    subject,
    subjectId,
    role,
    region,
    leafHash,
    lineage,
    grants,
    ...(capability === undefined ? {} : { capability }),
    expiresAtMs: Math.min(expiresAtMs, identity.notAfterMs),
    pinned,
    revoked,
  };
}
