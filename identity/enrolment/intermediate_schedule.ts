/**
 * The life of a region's intermediates: made, published in the trust bundle, used, superseded,
 * withdrawn. A pure function of when each was published, so that all nodes of a region agree without
 * another word.
 *
 * ```
 * first    |--lead--|-- signs ----------------|-- its leaves end, and may be renewed --| withdrawn
 * second                              |--lead--|-- signs …
 *          published                  published
 * ```
 *
 * Clock assumption: nodes' wall clocks differ by less than the lead less the time that a bundle takes
 * to reach everybody; else a node may sign by an intermediate that some have not heard of.
 */
import {
  CERTIFICATE_BACKDATE_MS,
  INTERMEDIATE_LEAD_MS,
  INTERMEDIATE_LIFE_MS,
  RENEWAL_GRACE_MS_MAX,
  SERVER_CERTIFICATE_LIFE_MS_MAX,
} from "../../src/base/limits.ts";
import type { Validity } from "./authority.ts";
import type { Signer } from "./enrolment.ts";

/** An intermediate and its place in the trust bundle. */
export interface Intermediate extends Signer {
  /** Unix ms at which a bundle carried it first; `undefined`: none did yet. */
  readonly publishedAtMs: number | undefined;
}

/** What is to be done about a region's intermediates. */
export interface IntermediateSteps {
  /** Signs now; `undefined`: none may. */
  readonly signer: Intermediate | undefined;
  /** To be named by the next bundle, those that are named already among them. */
  readonly named: readonly Intermediate[];
  /** True where the root must sign a new one: no follower of the signer is there. */
  readonly needsFollower: boolean;
}

/**
 * The longest time after its last signature for which something that an intermediate signed counts: a
 * leaf that may be renewed, or a server's certificate.
 */
const AFTERLIFE_MS = Math.max(RENEWAL_GRACE_MS_MAX, SERVER_CERTIFICATE_LIFE_MS_MAX) + 3_600_000;

/** The validity of an intermediate that is made now. */
export function intermediateValidity(nowMs: number): Validity {
  const notBeforeMs = nowMs - CERTIFICATE_BACKDATE_MS;
  return { notBeforeMs, notAfterMs: notBeforeMs + INTERMEDIATE_LIFE_MS };
}

/**
 * What is to be done at a time.
 *
 * @param intermediates those of one region, in any order.
 */
export function intermediateSteps(
  intermediates: readonly Intermediate[],
  nowMs: number,
): IntermediateSteps {
  const byAge = [...intermediates].sort((left, right) => left.notBeforeMs - right.notBeforeMs);
  const usable = byAge.filter((intermediate) => isUsable(intermediate, nowMs));
  const signer = usable.at(-1);
  const named = byAge.filter((intermediate, index) => {
    if (nowMs > intermediate.notAfterMs + AFTERLIFE_MS) return false;
    const follower = byAge.slice(index + 1).find((later) => isUsable(later, nowMs));
    // Since the follower was usable, this one has signed nothing.
    return follower === undefined || nowMs <= usableFromMs(follower) + AFTERLIFE_MS;
  });
  const newest = byAge.at(-1);
  const needsFollower = newest === undefined ||
    nowMs >= newest.notBeforeMs + (newest.notAfterMs - newest.notBeforeMs) / 2;
  return { signer, named, needsFollower };
}

function isUsable(intermediate: Intermediate, nowMs: number): boolean {
  return usableFromMs(intermediate) <= nowMs && nowMs < intermediate.notAfterMs;
}

/** From when it may sign: never, while no bundle carries it. */
function usableFromMs({ publishedAtMs = Infinity, notBeforeMs }: Intermediate): number {
  return Math.max(publishedAtMs + INTERMEDIATE_LEAD_MS, notBeforeMs);
}
