/**
 * Delegations: a front acts for its callers over its one session, and each request names the caller
 * for which it is made. A delegation is a peer of its own, with its own rights, rate and end; what
 * the front itself may do plays no part in it.
 *
 * It ends with its evidence (expiry, bans), with the session, when the front closes it, and when it
 * was not used for a while. From then on nothing is served for it: requests that name it are refused
 * with `unknown_delegation`, those in progress find its peer revoked, and its watches end.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import {
  DELEGATION_IDLE_MS,
  DELEGATION_SWEEP_MS,
  DELEGATIONS_NODE_MAX,
  DELEGATIONS_RETRY_MS,
  DELEGATIONS_SESSION_MAX,
} from "../base/limits.ts";
import type { AuthenticatedPeer, Delegated } from "../base/peer.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import type { Caller, CallerDelegations, OpenedDelegation } from "./caller.ts";
import type { DelegationEvidence } from "./delegation_evidence.ts";

/** Evidence that was accepted, while it is valid. */
export interface AcceptedEvidence {
  /** The caller. Its `revoked` signal fires when the evidence becomes invalid. */
  readonly peer: AuthenticatedPeer;
  /** Caveats of a capability that only the front can check, encoded; absent: there are none. */
  readonly unchecked?: Uint8Array;
  /** Stops watching for that. */
  close(): void;
}

/** Checks evidence. @throws RegistryError why it is refused. */
export type CheckEvidence = (
  evidence: DelegationEvidence,
  front: AuthenticatedPeer,
) => Promise<AcceptedEvidence>;

/** Counts of the delegations of a node. */
export class DelegationCounts {
  /** Delegations that are open or being opened. */
  open = 0;
  /** Refusals since the start by code, of evidence and of requests that name a delegation. */
  readonly refused = new Map<ErrorCode, number>();
  readonly #max: number;

  constructor(max: number = DELEGATIONS_NODE_MAX) {
    this.#max = max;
  }

  /** Whether no more may be opened. */
  get isFull(): boolean {
    return this.open >= this.#max;
  }

  /** Counts a refusal. */
  refuse(code: ErrorCode): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}

/** Dependencies of {@link Delegations}, shared by all sessions of a node. */
export interface DelegationServices {
  readonly check: CheckEvidence;
  readonly counts: DelegationCounts;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  /** Rate of each delegation. */
  readonly rate: { readonly requestsPerSecond: number; readonly burst: number };
  /** Default: {@link DELEGATIONS_SESSION_MAX}. */
  readonly sessionMax?: number;
}

/** The delegations of one session. */
export class Delegations implements CallerDelegations {
  readonly #sessionId: number;
  readonly #services: DelegationServices;
  readonly #open = new Map<number, Delegation>();
  /** Number of those whose evidence is being checked. */
  #opening = 0;
  #lastId = 0;
  #sweeper: Timer | undefined;
  #isOver = false;

  constructor(sessionId: number, services: DelegationServices) {
    this.#sessionId = sessionId;
    this.#services = services;
  }

  /** Number of open delegations. */
  get count(): number {
    return this.#open.size;
  }

  /** Implements {@link CallerDelegations.of}. */
  of(id: number, nowMs: number): Caller {
    const delegation = this.#open.get(id);
    if (delegation !== undefined) return delegation.used(nowMs);
    this.#services.counts.refuse("unknown_delegation");
    throw unknownDelegation(id);
  }

  /** Implements {@link CallerDelegations.open}. */
  async open(
    evidence: DelegationEvidence,
    { front, address }: { readonly front: AuthenticatedPeer; readonly address: string },
  ): Promise<OpenedDelegation> {
    const { counts } = this.#services;
    try {
      this.#checkRoom();
      this.#opening++;
      counts.open++;
      try {
        const accepted = await this.#services.check(evidence, front);
        // A token beside a certificate proves more than the certificate.
        const by = accepted.peer.token === undefined ? evidence.kind : "token";
        return this.#add(accepted, { front: front.subject, evidence: by, address });
      } catch (error) {
        counts.open--;
        throw error;
      } finally {
        this.#opening--;
      }
    } catch (error) {
      counts.refuse(toRegistryError(error).code);
      throw error;
    }
  }

  /** Implements {@link CallerDelegations.close}. */
  close(id: number): boolean {
    const delegation = this.#open.get(id);
    if (delegation !== undefined) this.#end(delegation, "Its front closed this delegation");
    return delegation !== undefined;
  }

  /** Ends all of them, and opens no more: the session is over. Idempotent. */
  endAll(): void {
    this.#isOver = true;
    this.#sweeper?.cancel();
    for (const delegation of [...this.#open.values()]) {
      this.#end(delegation, "The session of the front has ended");
    }
  }

  #checkRoom(): void {
    const { counts, sessionMax = DELEGATIONS_SESSION_MAX } = this.#services;
    const count = this.#open.size + this.#opening;
    if (count < sessionMax && !counts.isFull) return;
    throw new RegistryError(
      "overloaded",
      count < sessionMax
        ? `This node has ${counts.open} delegations, which is the limit`
        : `This session has ${count} delegations, which is the limit: close those not in use`,
      { retryAfterMs: DELEGATIONS_RETRY_MS },
    );
  }

  #add(accepted: AcceptedEvidence, delegated: Delegated): Delegation {
    const { clock, rate: { requestsPerSecond: ratePerSecond, burst } } = this.#services;
    const { revoked } = accepted.peer;
    if (this.#isOver || revoked.aborted) {
      accepted.close();
      throw new RegistryError(
        "unauthenticated",
        "The session of the front, or the evidence, ended while it was checked",
      );
    }
    const nowMs = clock.nowMs();
    const delegation: Delegation = new Delegation({
      id: this.#newId(),
      sessionId: this.#sessionId,
      accepted,
      delegated,
      bucket: new TokenBucket({ ratePerSecond, burst, nowMs }),
      nowMs,
      onRevoked: () => this.#end(delegation, revoked.reason),
    });
    this.#open.set(delegation.id, delegation);
    this.#sweepLater();
    return delegation;
  }

  #newId(): number {
    do this.#lastId = this.#lastId % ID_MAX + 1; while (this.#open.has(this.#lastId));
    return this.#lastId;
  }

  #end(delegation: Delegation, reason: unknown): void {
    if (!this.#open.delete(delegation.id)) return;
    this.#services.counts.open--;
    delegation.end(reason);
  }

  #sweepLater(): void {
    const { scheduler, clock } = this.#services;
    this.#sweeper ??= scheduler.after(DELEGATION_SWEEP_MS, () => {
      this.#sweeper = undefined;
      const idleSinceMs = clock.nowMs() - DELEGATION_IDLE_MS;
      for (const delegation of [...this.#open.values()]) {
        if (delegation.isIdleSince(idleSinceMs)) this.#end(delegation, "It was not used");
      }
      if (this.#open.size > 0) this.#sweepLater();
    });
  }
}

/** Largest id: the wire has 32 bits for it, and 0 names none. */
const ID_MAX = 0xffff_ffff;

const NO_CAVEATS = new Uint8Array(0);

/** One delegation, which is the caller of the requests that name it. */
class Delegation implements Caller, OpenedDelegation {
  readonly id: number;
  readonly sessionId: number;
  readonly peer: AuthenticatedPeer;
  readonly bucket: TokenBucket;
  readonly onEnd = new Set<() => void>();
  readonly #accepted: AcceptedEvidence;
  readonly #onRevoked: () => void;
  readonly #ending = new AbortController();
  /** When it was last named, monotonic ms. */
  #usedMs: number;

  constructor(of: {
    readonly id: number;
    readonly sessionId: number;
    readonly accepted: AcceptedEvidence;
    readonly delegated: Delegated;
    readonly bucket: TokenBucket;
    readonly nowMs: number;
    /** Called when the evidence becomes invalid. */
    readonly onRevoked: () => void;
  }) {
    this.id = of.id;
    this.sessionId = of.sessionId;
    this.bucket = of.bucket;
    this.#accepted = of.accepted;
    this.#onRevoked = of.onRevoked;
    this.#usedMs = of.nowMs;
    const { peer } = of.accepted;
    this.peer = { ...peer, delegated: of.delegated, revoked: this.#ending.signal };
    peer.revoked.addEventListener("abort", of.onRevoked);
  }

  get unchecked(): Uint8Array {
    return this.#accepted.unchecked ?? NO_CAVEATS;
  }

  used(nowMs: number): this {
    this.#usedMs = nowMs;
    this.bucket.refill(nowMs);
    return this;
  }

  /** Reports whether it has no watches and was not named since then, monotonic ms. */
  isIdleSince(sinceMs: number): boolean {
    return this.onEnd.size === 0 && this.#usedMs <= sinceMs;
  }

  end(reason: unknown): void {
    // One signal may serve very many sessions, as on a development node.
    this.#accepted.peer.revoked.removeEventListener("abort", this.#onRevoked);
    this.#accepted.close();
    this.#ending.abort(reason);
    for (const ended of [...this.onEnd]) ended();
  }
}

/** Returns the refusal of a request that names a delegation which its session does not have. */
export function unknownDelegation(id: number): RegistryError {
  return new RegistryError(
    "unknown_delegation",
    `Delegation ${id} must be open on this session: it is not, or has ended`,
    { field: "delegation" },
  );
}
