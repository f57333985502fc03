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
}
