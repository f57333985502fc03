/** Options that every call of the SDK takes. */

/** Options of every call, always the last parameter. */
export interface CallOptions {
  /** Timeout of the call including retries, `[1, 60000]` ms. Default: the client's. */
  readonly timeoutMs?: number;
  /** Cancels the call, which then rejects with `canceled`. */
  readonly signal?: AbortSignal;
  /**
   * For reads: the maximum age of the answer, `[0, 60000]` ms; 0 for a linearizable read. Default:
   * the client's.
   */
  readonly maxStalenessMs?: number;
  /**
   * For gets and resolutions: the region of the record, this one for own records only, or a peer for its
   * mirrors only. Default: an own record, else the best mirror.
   */
  readonly region?: string;
  /**
   * Whether the region that the record belongs to answers by itself: `region`, if that is given, else the
   * one that this registry names, which is asked first. Where it cannot be reached, or does not serve this
   * client's identity, the call rejects with `homeRegion` among its fields. Not for `registerMany`,
   * `keepMany` and watches. Default: false.
   */
  readonly home?: boolean;
}
