/** Limits of leases of records: their extension, their expiry, grace after outages, aliases. */
import { CLIENT_RECONNECT_MS_CAP, CLIENT_SILENCE_MS } from "./client.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "./requests.ts";
import { DIAL_MS_MAX } from "./transport.ts";

/** Length of a logged cover, in leases: a renewal that ends inside the cover costs no log entry. */
export const COVER_TTLS = 2;
/** Resolution of the leader's lease times, ms: it delays an expiry by at most this much. */
export const LEASE_TICK_MS = 250;
/** Time for which extensions are gathered, ms, so that one log entry serves many renewals. */
export const EXTEND_GATHER_MS = 1_000;
/** Items per extend command: 160 KB in the log. */
export const EXTEND_ITEMS_MAX = 4_096;
/** Items per expire command, so that applying one never takes long. */
export const EXPIRE_ITEMS_MAX = 256;
/** Delay after which an expiry without effect is proposed again, ms. */
export const EXPIRE_RETRY_MS = 2_000;
/** Minimum interval of checking leases, covers and the time of groups, ms. */
export const GROUP_TICK_MS = 100;
/**
 * Interval of checking for an outage of the node, ms. Up to this much of each outage may count as
 * time in which the node ran, which is far less than the grace that follows; four wakeups a second
 * cost nothing.
 */
export const AVAILABLE_PULSE_MS = 250;
/**
 * Minimum grace after an outage, ms: a client gives up a silent session after two times silence.
 */
export const OUTAGE_GRACE_MS_MIN = 2 * CLIENT_SILENCE_MS;
/**
 * Maximum grace, ms: a client that just began its longest back-off dials, and then its renewal is
 * served.
 */
export const OUTAGE_GRACE_MS_MAX = CLIENT_RECONNECT_MS_CAP + DIAL_MS_MAX +
  REQUEST_TIMEOUT_MS_DEFAULT;
/** Total grace for consecutive outages, ms: three of the longest; then time runs between them. */
export const OUTAGE_GRACE_CREDIT_MS = 3 * OUTAGE_GRACE_MS_MAX;
/** Partitions whose leases are checked in one turn: a few ms when each proposes something. */
export const LEASE_LOOKS_AT_ONCE_MAX = 256;
/** Bounds of the interval of logging the time of a group that has something to expire, ms. */
export const TIME_LOG_MS_MIN = 5_000;
export const TIME_LOG_MS_MAX = 60_000;
/**
 * Groups log their time together, at multiples of this, ms, so that a node syncs for it at most 12
 * times a minute.
 */
export const TIME_LOG_GATHER_MS = 5_000;
/** Time in which the janitor checks every alias once, ms. */
export const ALIAS_SWEEP_MS = 60_000;
/** The interval at which a node looks for partitions that it has begun to lead, to check their aliases, ms. */
export const ALIAS_LED_CHECK_MS = 5_000;
/** Time after which aliases of agents that only other nodes hold are asked about again, ms. */
export const ALIAS_ASK_ROUND_MS = 600_000;
/** Concurrent repairs of aliases, and pending claims remembered between two rounds. */
export const ALIAS_REPAIRS_MAX = 64;
export const ALIAS_SUSPECTS_MAX = 10_000;
/** Maximum time between two renewals, ms: the loss of a record is noticed within it. */
export const RENEW_AFTER_MS_MAX = 600_000;

/**
 * Time after which the expiry guard is asked about a stale record again, ms. A node asks about all of them
 * at multiples of it, so that the oldest come first.
 */
export const STALE_LOOK_MS = 5_000;
/** Delay of a draw for stale records only, ms: more than the ticks and looks by which they are due apart. */
export const STALE_GATHER_MS = 500;
/**
 * Maximum interval of logging the time of a group with stale records, ms: their age is group time, so a
 * restart makes them younger by at most that.
 */
export const STALE_TIME_LOG_MS_MAX = 10_000;
/** Time after which it is asked again while an operator holds expiry, ms: little can happen before. */
export const HELD_LOOK_MS = 30_000;
/** Minimum interval of draws of permits by a node, ms: the delay of an expiry after another one. */
export const PERMIT_DRAW_MS = 1_000;
/** Time that a draw may take, ms. Without an answer nothing expires, and what is overdue becomes stale. */
export const PERMIT_DRAW_MS_MAX = 2_000;
/** Regions for which a node draws at once. What the others want waits for the next draw. */
export const PERMIT_REGIONS_PER_DRAW_MAX = 256;
/** Regions whose budgets group 0 keeps; those that nobody drew from for a minute are forgotten. */
export const EXPIRY_REGIONS_MAX = 4_096;
/** The span of a budget, ms: at most one span's permits gather. */
export const EXPIRY_BUDGET_MS = 60_000;
/** Slots counted in one turn for a draw, 25 to 120 ns each; a partition is never split. */
export const CENSUS_SLOTS_PER_TURN = 20_000;
/** Defaults and bounds of the settings of the expiry guard. */
export const EXPIRY_SHARE_PERMILLE_DEFAULT = 100;
export const EXPIRY_FLOOR_DEFAULT = 100;
export const EXPIRY_FLOOR_MAX = 1_000_000;
export const STALE_CONFIRM_MS_DEFAULT = 300_000;
export const STALE_CONFIRM_MS_MIN = 10_000;
export const STALE_CONFIRM_MS_MAX = 86_400_000;
/** Time for which an operator may hold expiry, ms: one that is forgotten ends. */
export const EXPIRY_HOLD_MS_DEFAULT = 3_600_000;
export const EXPIRY_HOLD_MS_MAX = 86_400_000;
/** Time in which all leaders, new ones included, draw for the stale records that are released, ms. */
export const EXPIRY_RELEASE_MS = 60_000;
