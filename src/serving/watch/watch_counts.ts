/** Counts of a node's watches, for its metrics and its limits. */
import type { ErrorCode } from "../../base/errors.ts";
import { RegistryError } from "../../base/errors.ts";
import { WATCHES_IDENTITY_MAX, WATCHES_NODE_MAX, WATCHES_SESSION_MAX } from "../../base/limits.ts";
import type { Caller } from "../caller.ts";

/** Why a watch ended: a code, or `canceled` by its client, or with its stream. */
export type WatchEnd = ErrorCode | "closed";

/** The state of a node's watches, for its metrics. Counts since the start never decrease. */
export interface WatchStatus {
  readonly counts: WatchCounts;
  /** Subscriptions: watches of the same records in the same partitions have one. */
  readonly subscriptions: number;
  /** Watches that have something to send to peers that take nothing. */
  readonly blocked: number;
  /** The longest time for which one of these peers has taken nothing, ms. */
  readonly lagMs: number;
  readonly historyBytes: number;
}

/** The counts of one node. */
export class WatchCounts {
  /** Watches now. */
  watches = 0;
  /** Since the start: events sent, and partitions of watches that began anew. */
  events = 0;
  resets = 0;
  /** Watches that ended since the start, by reason. */
  readonly ended = new Map<WatchEnd, number>();
  /** Partitions in which watches ended that went on in others, by code. */
  readonly partitionsEnded = new Map<ErrorCode, number>();
  readonly #ofSessions = new Map<number, number>();
  readonly #ofIdentities = new Map<string, number>();

  /**
   * Counts a new watch.
   *
   * @throws RegistryError `overloaded` if its session, identity or the node has too many.
   */
  begun({ sessionId, peer }: Caller): void {
    const ofSession = this.#ofSessions.get(sessionId) ?? 0;
    const ofIdentity = this.#ofIdentities.get(peer.subject) ?? 0;
    check("this session", ofSession, WATCHES_SESSION_MAX);
    // All clients without certificates are one identity, but have nothing in common.
    if (peer.role !== "development") check("this identity", ofIdentity, WATCHES_IDENTITY_MAX);
    check("the node", this.watches, WATCHES_NODE_MAX);
    this.#ofSessions.set(sessionId, ofSession + 1);
    this.#ofIdentities.set(peer.subject, ofIdentity + 1);
    this.watches++;
  }

  /** Counts the end of a watch. */
  over({ sessionId, peer }: Caller, end: WatchEnd): void {
    this.watches--;
    lower(this.#ofSessions, sessionId);
    lower(this.#ofIdentities, peer.subject);
    this.ended.set(end, (this.ended.get(end) ?? 0) + 1);
  }

  /** Counts the end of a watch in one partition. */
  partitionEnded(code: ErrorCode): void {
    this.partitionsEnded.set(code, (this.partitionsEnded.get(code) ?? 0) + 1);
  }
}

function lower<K>(counts: Map<K, number>, key: K): void {
  const count = counts.get(key)! - 1;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

function check(whose: string, count: number, max: number): void {
  if (count < max) return;
  throw new RegistryError("overloaded", `${whose} has ${count} watches, which is the limit`, {
    retryAfterMs: RETRY_MS,
  });
}

/** Retry hint at a limit of watches, ms: they last. */
const RETRY_MS = 5_000;
