/** Limits of delegations, by which fronts act for their callers. */

/**
 * Delegations open on one session: the callers that a front serves within `DELEGATION_IDLE_MS`,
 * about 2 kB each.
 */
export const DELEGATIONS_SESSION_MAX = 8_192;
/** The same on all sessions of a node: 130 MB. */
export const DELEGATIONS_NODE_MAX = 65_536;
/** Retry hint at these limits, ms: idle delegations end meanwhile. */
export const DELEGATIONS_RETRY_MS = 5_000;
/** Time after its last request at which a delegation without watches ends, ms. */
export const DELEGATION_IDLE_MS = 300_000;
/** Interval of looking for idle delegations, ms. */
export const DELEGATION_SWEEP_MS = 30_000;
/** Longest life of a delegation before its evidence is checked again, ms: as of a session. */
export const DELEGATION_MS_MAX = 3_600_000;
/** Longest address of a caller: an IPv6 address with a zone, in brackets, and a port. */
export const DELEGATION_ADDRESS_BYTES_MAX = 128;
/** Callers that a front knows at one time: half of the delegations that a session may have. */
export const FRONT_CALLERS_MAX = 4_096;
/** Time after its last request for which a front keeps the delegations of a caller, ms. */
export const FRONT_CALLER_IDLE_MS = 60_000;
