/** What all writes share: who asks and until when, and the form of their answers. */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { Caller } from "./caller.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { TokenBucket } from "../base/token_bucket.ts";

/** Who asks, and until when. */
export interface WriteContext {
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
  readonly useToken?: Caller["useToken"];
  /** Monotonic ms. */
  readonly deadlineMs: number;
}

/** Where a part of an answer was logged or read. */
export interface PartReceipt {
  readonly partition: number;
  readonly point: ReadPoint;
}

/** What a write answers: the body of its operation, and receipts. */
export interface WriteReply {
  readonly body: unknown;
  readonly receipts: readonly PartReceipt[];
}
