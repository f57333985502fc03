/** Types shared by all writes: the caller, the deadline, and the form of replies. */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { Caller } from "./caller.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { TokenBucket } from "../base/token_bucket.ts";

/** Caller and deadline of a write. */
export interface WriteContext {
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
  readonly useToken?: Caller["useToken"];
  /** Deadline, monotonic ms. */
  readonly deadlineMs: number;
}

/** Partition and point at which a part of a reply was logged or read. */
export interface PartReceipt {
  readonly partition: number;
  readonly point: ReadPoint;
}

/** Reply of a write: the body of its operation, and receipts. */
export interface WriteReply {
  readonly body: unknown;
  readonly receipts: readonly PartReceipt[];
}
