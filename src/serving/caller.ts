/** A session as admission sees it: who calls, and how much of its rate is left. */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { TokenBucket } from "../base/token_bucket.ts";

/** One session's caller. */
export interface Caller {
  readonly sessionId: number;
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
  /**
   * Takes up a token for the session, in place of the one before. Absent where nothing was proven.
   *
   * @returns Unix ms at which the session ends with it.
   * @throws RegistryError `unauthenticated` with the token's fault, `permission_denied`.
   */
  readonly useToken?: (token: string) => number;
}
