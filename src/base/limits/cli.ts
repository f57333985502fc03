/** Limits of the command line. */

/**
 * Default time for a command to reach the named server, ms: two attempts. No runtime reports a UDP
 * port on which nobody listens.
 */
export const CLI_CONNECT_MS = 2_000;
/**
 * Consecutive refusals after which `crs … keep` gives up: one may come from a node that just
 * starts.
 */
export const KEEP_REFUSALS_MAX = 3;
/** Interval at which `crs … keep` repeats that renewals still fail, ms. */
export const KEEP_REMINDER_MS = 60_000;
/** File of one record read by the command line: many times the largest record as JSON. */
export const CLI_FILE_BYTES_MAX = 256 * 1024;
/** Gateways, agents and proxies of a demonstration: above it the machine itself is measured. */
export const DEMO_GATEWAYS_MAX = 200;
export const DEMO_AGENTS_MAX = 100_000;
export const DEMO_PROXIES_MAX = 1_000;
/** Nodes of a development cluster on one machine, each with three ports. */
export const LOCAL_NODES_MAX = 9;
/**
 * Pause before a service beside a node is started again, ms; doubled for each failure in a row. A process
 * takes half a second to start, and one that fails for good must not use up the machine.
 */
export const SERVICE_PAUSE_MS_BASE = 250;
export const SERVICE_PAUSE_MS_CAP = 30_000;
/** Time after which a run of a service counts as a success, ms. */
export const SERVICE_STABLE_MS = 60_000;
