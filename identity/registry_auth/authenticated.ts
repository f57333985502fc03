/**
 * From a proven identity to the one `AuthenticatedPeer` that access rules take, alike whether the
 * handshake in the channel proved it or TLS itself.
 */
import type { AuthenticatedPeer } from "../../src/base/peer.ts";
import type { ProvenIdentity } from "./step.ts";

/** What a session adds to an identity. */
export interface SessionFacts {
  /** True where nobody can stand between: the client knew the server's TLS leaf, or TLS checked both. */
  readonly pinned: boolean;
  /** Unix ms at which the session ends. */
  readonly expiresAtMs: number;
  /** Fires when the identity is banned or the session must end. */
  readonly revoked: AbortSignal;
}

/** The peer of a session. */
export function authenticatedPeer(
  identity: ProvenIdentity,
  { pinned, expiresAtMs, revoked }: SessionFacts,
): AuthenticatedPeer {
  const { subject, subjectId, role, region, leafHash, lineage, grants } = identity;
  return {
    subject,
    subjectId,
    role,
    region,
    leafHash,
    lineage,
    grants,
    expiresAtMs: Math.min(expiresAtMs, identity.notAfterMs),
    pinned,
    revoked,
  };
}
