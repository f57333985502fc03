/**
 * The peer of sessions on a node without configured identities: the development identity, shared by
 * everybody who reaches the loopback address. Access rules allow the role `development` everything,
 * so its grants are empty.
 */
import { type AuthenticatedPeer, NO_GRANTS } from "../../src/base/peer.ts";
import { UUID_BYTES } from "../../src/base/uuid.ts";

/** Lineage of the development identity: the first of every cluster. */
export const DEVELOPMENT_LINEAGE = 1;

/** Options of {@link developmentPeer}. */
export interface DevelopmentPeerOptions {
  readonly region: string;
  /** Fires when the session must end. All sessions of a node may share one signal. */
  readonly revoked: AbortSignal;
}

/**
 * Returns the peer of every session of a node without configured identities; all sessions may share
 * it.
 */
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
    // Nothing is proven, so a relay gains nothing that it could not do directly.
    pinned: true,
    revoked: options.revoked,
  };
}
