/**
 * When an owner renews its certificate: at half of its life, and a bit later by chance, so that a fleet
 * that was started at once does not renew at once; then again and again, ever more slowly, until it
 * works. Pure: time and chance come in as arguments.
 *
 * Clock assumption: the owner's wall clock. One that is behind by less than half a life renews late
 * but in time.
 */
import { RENEWAL_RETRY_MS_MAX, RENEWAL_RETRY_MS_MIN } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";

/** A certificate is used until this part of its life, plus up to {@link JITTER_PART} more. */
const RENEW_PART = 0.5;
const JITTER_PART = 0.1;

/** Unix ms at which a certificate is to be replaced, in `[50 %, 60 %)` of its life. */
export function renewAtMs(
  { notBeforeMs, notAfterMs }: { readonly notBeforeMs: number; readonly notAfterMs: number },
  entropy: Entropy,
): number {
  return notBeforeMs + (notAfterMs - notBeforeMs) * (RENEW_PART + JITTER_PART * entropy.unit());
}

/**
 * How long to wait before the next try, ms: doubled with each failure, and then a random part of that,
 * so that those who failed together do not try together.
 *
 * @param failures tries that failed in a row, from 1.
 */
export function renewalRetryMs(failures: number, entropy: Entropy): number {
  const longest = Math.min(
    RENEWAL_RETRY_MS_MIN * 2 ** Math.min(failures, 30),
    RENEWAL_RETRY_MS_MAX,
  );
  return RENEWAL_RETRY_MS_MIN + (longest - RENEWAL_RETRY_MS_MIN) * entropy.unit();
}
