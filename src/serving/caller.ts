/** The caller of a session, as admission sees it: its identity and its rate limit. */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { TokenBucket } from "../base/token_bucket.ts";

/** Caller of one session. */
export interface Caller {
  readonly sessionId: number;
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
  /** Number of the calling node, on a session between nodes. */
  readonly node?: number;
  /**
   * Uses a token for the session, replacing the previous one. Absent for an unauthenticated
   * session.
   *
   * @returns Unix ms at which the token, and with it the session, ends.
   * @throws RegistryError `unauthenticated` with the token's fault, `permission_denied`.
   */
  useToken?(token: string): number;
}
