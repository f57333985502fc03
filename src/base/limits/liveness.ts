/** Limits of the liveness of nodes, and assumptions about clocks. */

/**
 * Maximum drift of a monotonic clock, parts per million; two clocks diverge by up to twice that.
 */
export const CLOCK_DRIFT_PPM = 500;
/** Interval of beats to one node, ms: five may be lost before a support of `SUPPORT_MS` expires. */
export const BEAT_MS = 300;
/**
 * Duration of the support granted in reply to a beat, ms. Part of the format: a restarted node
 * waits as long as any earlier version may have promised, so a change needs a new format.
 */
export const SUPPORT_MS = 2_000;
/**
 * Undetected divergence of wall and monotonic clock, ms: adjustments of a wall clock are mostly
 * smaller, and a suspended machine sleeps longer.
 */
export const CLOCK_JUMP_MS = 100;
/**
 * Rate of divergence of wall and monotonic clock that is not treated as a jump, parts per million.
 */
export const CLOCK_SLEW_PPM = 2 * CLOCK_DRIFT_PPM;
/**
 * Margin subtracted from every lease, ms: for undetected clock divergence and clocks that count
 * whole ms.
 */
export const LEASE_MARGIN_MS = 150;
/** Age up to which the echo of a beat proves that we are heard, ms: three beats and a way back. */
export const ECHO_MS_MAX = 1_000;
/** Delay between two clock checks that means this node was paused, ms. */
export const TURN_LATE_MS = 1_000;
/**
 * Beats per node whose send time is remembered: those of one support and their replies, with room.
 */
export const BEATS_REMEMBERED = 64;
/** Groups named in one beat, of each kind: 16 KB of its frame; more go with the next beat. */
export const BEAT_GROUPS_MAX = 1_024;
/**
 * Interval after which promises counted differently by both sides are requested again, even if
 * neither changed, ms.
 */
export const ASK_AGAIN_MS = 5_000;
/** Nodes known to one node in one run: a withdrawal of support from a node is never forgotten. */
export const LIVENESS_PEERS_MAX = 4_096;
/**
 * Interval at which a node compares the wall clock with the monotonic one, ms: what depends on the
 * wall clock is notified of a step within it.
 */
export const WALL_LOOK_MS = 2_000;
/** A difference of this much is a step of the wall clock, ms; NTP slews by 0.5 ms a second. */
export const WALL_STEP_MS = 1_000;
