/**
 * Lifecycle of a region's intermediates: created, published in the trust bundle, used, superseded,
 * withdrawn. It is a pure function of the time at which each was published, so that all nodes of a
 * region agree without further communication.
 *
 * ```
 * first    |--lead--|-- signs ----------------|-- its leaves end, and may be renewed --| withdrawn
 * second                              |--lead--|-- signs …
 *          published                  published
 * ```
 *
 * Clock assumption: the wall clocks of nodes differ by less than the lead minus the time that a
 * bundle takes to reach everybody. Otherwise a node may sign with an intermediate that some peers
 * do not know yet.
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

/** An intermediate and the time of its publication. */
export interface Intermediate extends Signer {
  /** Unix ms at which a bundle first contained it; `undefined`: none has yet. */
  readonly publishedAtMs: number | undefined;
}

/** Actions due for a region's intermediates. */
export interface IntermediateSteps {
  /** The intermediate that signs now; `undefined`: none may. */
  readonly signer: Intermediate | undefined;
  /** Intermediates for the next bundle, including those already published. */
  readonly named: readonly Intermediate[];
  /** Whether the root must sign a new intermediate, because the signer has no successor. */
  readonly needsFollower: boolean;
}

/**
 * Maximum time after an intermediate's last signature for which something that it signed is valid:
 * a leaf that may be renewed, or a server's certificate.
 */
const AFTERLIFE_MS = Math.max(RENEWAL_GRACE_MS_MAX, SERVER_CERTIFICATE_LIFE_MS_MAX) + 3_600_000;

/** Returns the validity of an intermediate created now. */
export function intermediateValidity(nowMs: number): Validity {
  const notBeforeMs = nowMs - CERTIFICATE_BACKDATE_MS;
  return { notBeforeMs, notAfterMs: notBeforeMs + INTERMEDIATE_LIFE_MS };
}

/**
 * Returns the actions due at a time.
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
    // Once its successor became usable, this intermediate signed nothing more.
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

/** Returns the Unix ms from which it may sign: never, until a bundle contains it. */
function usableFromMs({ publishedAtMs = Infinity, notBeforeMs }: Intermediate): number {
  return Math.max(publishedAtMs + INTERMEDIATE_LEAD_MS, notBeforeMs);
}
