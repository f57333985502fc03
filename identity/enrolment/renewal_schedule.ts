/**
 * Schedule of certificate renewal. A certificate is renewed at half of its life plus a random
 * delay, so that a fleet started at once does not renew at once. Failed renewals are retried, at
 * growing intervals, until one succeeds. Pure: time and randomness are arguments.
 *
 * Clock assumption: the owner's wall clock. If it lags by less than half of a life, the renewal is
 * late but still in time.
 */
import { RENEWAL_RETRY_MS_MAX, RENEWAL_RETRY_MS_MIN } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";

/** Fraction of its life after which a certificate is renewed, plus up to {@link JITTER_PART}. */
const RENEW_PART = 0.5;
const JITTER_PART = 0.1;

/** Returns the Unix ms at which to renew a certificate, in `[50 %, 60 %)` of its life. */
export function renewAtMs(
  { notBeforeMs, notAfterMs }: { readonly notBeforeMs: number; readonly notAfterMs: number },
  entropy: Entropy,
): number {
  return notBeforeMs + (notAfterMs - notBeforeMs) * (RENEW_PART + JITTER_PART * entropy.unit());
}

/**
 * Returns the delay before the next attempt, ms: a random part of an interval that doubles with
 * each failure, so that clients that failed together do not retry together.
 *
 * @param failures consecutive failed attempts, from 1.
 */
export function renewalRetryMs(failures: number, entropy: Entropy): number {
  const longest = Math.min(
    RENEWAL_RETRY_MS_MIN * 2 ** Math.min(failures, 30),
    RENEWAL_RETRY_MS_MAX,
  );
  return RENEWAL_RETRY_MS_MIN + (longest - RENEWAL_RETRY_MS_MIN) * entropy.unit();
}
