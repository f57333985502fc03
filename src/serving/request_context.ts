/** The context of a request besides its content: the caller, the deadline, the receipts. */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { TokenBucket } from "../base/token_bucket.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { Caller } from "./caller.ts";

/** Partition and point at which a part of a reply was logged or read. */
export interface PartReceipt {
  readonly partition: number;
  readonly point: ReadPoint;
}

/** Context of one request. */
export interface RequestContext {
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
  /** The caller, as far as it can change its session: by a token, or by delegations. */
  readonly caller: Pick<Caller, "useToken" | "delegations">;
  /** Number of the calling node, on a session between nodes. */
  readonly node?: number | undefined;
  /** Deadline, monotonic ms. */
  readonly deadlineMs: number;
  /** Receipts of the reply, to which a handler adds those of its parts. */
  readonly receipts: PartReceipt[];
}
