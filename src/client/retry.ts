/**
 * Decides whether a failed request may be sent again, and when: exponential back-off with full
 * jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015), never earlier than the
 * server requested.
 */
import { ERROR_TABLE, type RegistryError } from "../base/errors.ts";
import {
  CLIENT_ELECTION_RETRY_MS_CAP,
  CLIENT_RETRY_MS_BASE,
  CLIENT_RETRY_MS_CAP,
} from "../base/limits.ts";
import type { Entropy } from "../base/world.ts";
import type { Operation } from "../wire/operations/mod.ts";

/**
 * Reports whether sending the request again can help and cannot harm: the registry was unavailable,
 * and either the operation is safe to repeat or it was not applied.
 */
export function mayRepeat(operation: Operation, error: RegistryError): boolean {
  const entry = ERROR_TABLE[error.code];
  // A deadline is the caller's own, and a rejected certificate stays rejected for this request.
  if (error.code === "deadline_exceeded" || error.code === "tls_failed") return false;
  return entry.class === "unavailable" && (operation.repeatable || entry.unapplied);
}

/** Reports whether the error leaves it unknown if the record exists. */
export function isUnknown(error: RegistryError): boolean {
  return ERROR_TABLE[error.code].class === "unavailable";
}

/** Bounds of a back-off, ms. */
export interface BackOff {
  readonly baseMs: number;
  readonly capMs: number;
}

/** The back-off of a request that a node refused for now. */
export const RETRY: BackOff = { baseMs: CLIENT_RETRY_MS_BASE, capMs: CLIENT_RETRY_MS_CAP };

/** Returns the back-off of a call that found no leader, if `waiting` calls of the client do so. */
export function electionRetry(waiting: number): BackOff {
  const capMs = Math.min(CLIENT_RETRY_MS_CAP, Math.max(CLIENT_ELECTION_RETRY_MS_CAP, waiting));
  return { baseMs: CLIENT_RETRY_MS_BASE, capMs };
}

/** Returns the delay before attempt `attempt` (1 is the first retry), ms. */
export function backOffMs(
  attempt: number,
  { baseMs, capMs }: BackOff,
  entropy: Entropy,
  retryAfterMs = 0,
): number {
  // 2^20 is far beyond every cap; larger powers would add nothing and could overflow.
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 20));
  return retryAfterMs + entropy.unit() * ceiling;
}
