/**
 * The times of liveness, together: how long support lasts, what clocks are trusted with, and what
 * follows from both for whoever counts on support.
 *
 * Clock assumptions. A monotonic clock runs at a rate within `1 ± driftPpm` of true time; it stands
 * still only while its machine is suspended, and then the wall clock does not, so that the two part.
 * Wall clocks may be set and may be wrong: that costs a lease, never its truth. What breaks it: a
 * virtual machine that is paused with both clocks; there leases are switched off.
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

/** See the limits of the same names; all in ms but for the drift. */
export interface LivenessTiming {
  readonly beatMs: number;
  /** Alike on all nodes of a cluster, and on none shorter than in an earlier run. */
  readonly supportMs: number;
  /** Of one clock against true time, parts per million. */
  readonly driftPpm: number;
  /** Of the wall against the monotonic clock of one node, parts per million. */
  readonly slewPpm: number;
  readonly marginMs: number;
  readonly jumpMs: number;
  readonly echoMsMax: number;
  readonly turnLateMs: number;
}

/** What production runs with. */
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

/** How far two clocks part while one counts 1 ms: one runs fast, the other slow. */
function relativeDrift({ driftPpm }: LivenessTiming): number {
  return 2 * driftPpm / 1_000_000;
}

/**
 * How long the supported node may count on support, on its own clock and from the moment at which it
 * sent the beat: the supporter received that beat later, and its clock may run faster by twice the
 * drift. For `(1 - d) / (1 + d) > 1 - 2d`, and what the own clock may hide is within the margin.
 */
export function countedMs(timing: LivenessTiming): number {
  return timing.supportMs * (1 - relativeDrift(timing)) - timing.marginMs;
}

/**
 * How long a node that may have given support in an earlier run keeps from voting, on its own clock
 * and from its start. That support was given before the start.
 */
export function restartWaitMs(timing: LivenessTiming): number {
  return timing.supportMs * (1 + relativeDrift(timing));
}

/** @throws RangeError when the times do not fit each other. */
export function checkTiming(timing: LivenessTiming): void {
  if (!(timing.driftPpm >= 0 && timing.driftPpm < 500_000)) {
    throw new RangeError(`driftPpm must be in [0, 500000): found ${timing.driftPpm}`);
  }
  if (!(timing.beatMs > 0 && timing.beatMs < countedMs(timing))) {
    throw new RangeError(`beatMs must be below what a beat is good for: found ${timing.beatMs}`);
  }
  const hiddenMs = timing.jumpMs + timing.supportMs * timing.slewPpm / 1_000_000;
  if (!(timing.jumpMs > 0 && timing.slewPpm >= 0 && timing.marginMs >= hiddenMs)) {
    throw new RangeError(`marginMs must cover what clocks part by: found ${timing.marginMs}`);
  }
  if (!(timing.echoMsMax >= timing.beatMs && timing.turnLateMs > timing.beatMs)) {
    throw new RangeError("echoMsMax and turnLateMs must leave room for a beat");
  }
}
