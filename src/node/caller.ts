/** A session as admission sees it: who calls, and how much of its rate is left. */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { TokenBucket } from "./rate_limiter.ts";

/** One session's caller. */
export interface Caller {
  readonly sessionId: number;
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
}
