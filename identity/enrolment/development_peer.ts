/**
 * Who is at the other end where no identities are configured: the development identity, one for
 * everybody who reaches the loopback address. Its role alone decides: access rules allow the role
 * `development` everything, which is why its grants are empty and name nothing.
 */
import { type AuthenticatedPeer, NO_GRANTS } from "../../src/base/peer.ts";
import { UUID_BYTES } from "../../src/base/uuid.ts";

/** The development identity's number: the first lineage of every cluster. */
export const DEVELOPMENT_LINEAGE = 1;

/** What a session with the development identity is. */
export interface DevelopmentPeerOptions {
  readonly region: string;
  /** Fires when the session must end. One signal may serve all sessions of a node. */
  readonly revoked: AbortSignal;
}

/** The peer of every session of a node without configured identities; it may be shared by all. */
export function developmentPeer(options: DevelopmentPeerOptions): AuthenticatedPeer {
  const id = "00000000-0000-0000-0000-000000000000";
  return {
    subject: `spiffe://development/region/${options.region}/development/${id}`,
    subjectId: new Uint8Array(UUID_BYTES),
    role: "development",
    region: options.region,
    leafHash: new Uint8Array(0),
    lineage: DEVELOPMENT_LINEAGE,
    grants: NO_GRANTS,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    // Nothing is proven, so nothing can be relayed: nobody gains by a false server what they lack.
    pinned: true,
    revoked: options.revoked,
  };
}
