/**
 * The times of liveness: how long support lasts, the accuracy assumed of clocks, and what follows
 * from both for the node that counts on support.
 *
 * Clock assumptions. A monotonic clock runs at a rate within `1 ± driftPpm` of true time. It stops
 * only while its machine is suspended; the wall clock does not stop then, so the two drift apart.
 * Wall clocks may be set and may be wrong: that can cost a lease, but never makes one invalid. The
 * assumption fails for a virtual machine that is paused with both clocks; leases are switched off
 * there.
 */
import {
  BEAT_MS,
  CLOCK_DRIFT_PPM,
  CLOCK_JUMP_MS,
  CLOCK_SLEW_PPM,
  ECHO_MS_MAX,
  LEASE_MARGIN_MS,
  SUPPORT_MS,
  TURN_LATE_MS,
} from "../base/limits.ts";

/** See the limits of the same names. All are in ms, except the rates in parts per million. */
export interface LivenessTiming {
  readonly beatMs: number;
  /** The same on all nodes of a cluster, and on none shorter than in an earlier run. */
  readonly supportMs: number;
  /** Drift of one clock against true time, in parts per million. */
  readonly driftPpm: number;
  /** Drift of the wall clock against the monotonic clock of one node, in parts per million. */
  readonly slewPpm: number;
  readonly marginMs: number;
  readonly jumpMs: number;
  readonly echoMsMax: number;
  readonly turnLateMs: number;
}

/** The timing used in production. */
export const LIVENESS_TIMING: LivenessTiming = {
  beatMs: BEAT_MS,
  supportMs: SUPPORT_MS,
  driftPpm: CLOCK_DRIFT_PPM,
  slewPpm: CLOCK_SLEW_PPM,
  marginMs: LEASE_MARGIN_MS,
  jumpMs: CLOCK_JUMP_MS,
  echoMsMax: ECHO_MS_MAX,
  turnLateMs: TURN_LATE_MS,
};

/** Returns how far two clocks drift apart per ms if one runs fast and the other slow. */
function relativeDrift({ driftPpm }: LivenessTiming): number {
  return 2 * driftPpm / 1_000_000;
}

/**
 * Returns how long the supported node may count on support, on its own clock, from when it sent the
 * beat. The supporter received that beat later, and its clock may run faster by twice the drift:
 * `(1 - d) / (1 + d) > 1 - 2d`. What the node's own clock may hide is within the margin.
 */
export function countedMs(timing: LivenessTiming): number {
  return timing.supportMs * (1 - relativeDrift(timing)) - timing.marginMs;
}

/**
 * Returns how long a node that may have given support in an earlier run must not vote, on its own
 * clock, from its start. All that support was given before the start.
 */
export function restartWaitMs(timing: LivenessTiming): number {
  return timing.supportMs * (1 + relativeDrift(timing));
}

/**
 * Checks that the times fit each other.
 *
 * @throws RangeError when they do not.
 */
export function checkTiming(timing: LivenessTiming): void {
  if (!(timing.driftPpm >= 0 && timing.driftPpm < 500_000)) {
    throw new RangeError(`driftPpm must be in [0, 500000): found ${timing.driftPpm}`);
  }
  if (!(timing.beatMs > 0 && timing.beatMs < countedMs(timing))) {
    throw new RangeError(
      `beatMs must be less than the counted support time: found ${timing.beatMs}`,
    );
  }
  const hiddenMs = timing.jumpMs + timing.supportMs * timing.slewPpm / 1_000_000;
  if (!(timing.jumpMs > 0 && timing.slewPpm >= 0 && timing.marginMs >= hiddenMs)) {
    throw new RangeError(
      `marginMs must cover the difference of the clocks: found ${timing.marginMs}`,
    );
  }
  if (!(timing.echoMsMax >= timing.beatMs && timing.turnLateMs > timing.beatMs)) {
    throw new RangeError("echoMsMax and turnLateMs must leave room for a beat");
  }
}
