/** Limits of reads with a proven age. */

/**
 * Probes to one node in the time of the smallest bound that reads ask for, so that some may be late or
 * lost; and the bounds of their interval, ms. Below the minimum, round trips and late timers weigh more
 * than the interval; at the maximum, probes cost next to nothing.
 */
export const PROBES_PER_BOUND = 4;
export const PROBE_MS_MIN = 25;
export const PROBE_MS_MAX = 250;
/** Bound for which ages are proven that are asked for without one, as watches do, ms. */
export const PROVEN_AGE_MS = 100;
/** Time for which a node goes on probing after the last read with a bound, ms, at most; half at least. */
export const PROBE_LINGER_MS = 10_000;
/** Time after the last probe of a node after which its answers are no longer prepared, ms. */
export const PROBED_MS = 5_000;
/** Probes whose send time is remembered: 1.6 s of them or more; an older one proves nothing any more. */
export const PROBES_REMEMBERED = 64;
/**
 * Time added to the age of every proof, for clocks that count whole ms. Their drift is added too
 * (`CLOCK_DRIFT_PPM`). In ms.
 */
export const PROOF_MARGIN_MS = 2;
/** Difference of what the two clocks say about the age of a proof that voids all proofs, ms. */
export const CLOCKS_PART_MS = 10;
/** Groups named in one answer: all groups of a node with the most partitions, with room. */
export const PROOF_CHANGES_MAX = 16_384;
/** Earlier proofs kept of a group whose newest one is not applied yet; beyond it every second goes. */
export const PROOFS_KEPT = 8;
/** Time for which a read waits for the first answer of the leader's node, ms. */
export const PROOF_WAIT_MS = 250;
/** Reads of a node that wait for a first answer; above it they are refused, and ask the leader. */
export const PROOF_WAITERS_MAX = 8_192;
