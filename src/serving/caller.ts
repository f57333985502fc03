/**
 * The caller of a request, as admission sees it: the peer of the session, or of a delegation on it,
 * with its rate limit.
 */
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { TokenBucket } from "../base/token_bucket.ts";
import type { DelegationEvidence } from "./delegation_evidence.ts";

/** Caller of the requests of one session, or of one delegation. */
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
  /** Delegations of the session. Absent where there are none, as on a delegation itself. */
  readonly delegations?: CallerDelegations | undefined;
  /**
   * Functions to call when the caller ends while its session goes on. Absent for a caller that lives
   * as long as its session.
   */
  readonly onEnd?: Set<() => void>;
}

/** A delegation that was opened. */
export interface OpenedDelegation {
  readonly id: number;
  readonly peer: AuthenticatedPeer;
  /** Encoded caveats of a capability, which the front must check against each request. */
  readonly unchecked: Uint8Array;
}

/** Delegations of a session, by which a front acts for its callers. */
export interface CallerDelegations {
  /**
   * Returns the caller of a request that names a delegation.
   *
   * @param nowMs monotonic ms.
   * @throws RegistryError `unknown_delegation`.
   */
  of(id: number, nowMs: number): Caller;
  /**
   * Opens a delegation for a caller of `front`.
   *
   * @throws RegistryError why the evidence is refused; `overloaded` at the limit of delegations.
   */
  open(
    evidence: DelegationEvidence,
    from: {
      readonly front: AuthenticatedPeer;
      /** Address of the caller, as the front saw it. */
      readonly address: string;
    },
  ): Promise<OpenedDelegation>;
  /** Closes a delegation; returns whether there was one. */
  close(id: number): boolean;
}
