/** Limits of the SDK. */

/** Requests in flight per connection: as many as 12 bits of a request id distinguish. */
export const CLIENT_IN_FLIGHT_MAX = 4_096;
/** Default of the same: keeps a connection busy at 150,000/s and a round trip of 6 ms. */
export const CLIENT_IN_FLIGHT_DEFAULT = 1_024;
/** Calls waiting for a slot, a connection or their next attempt; above it: `overloaded`. */
export const CLIENT_WAITING_MAX = 16_384;
/** Retry hint when that limit is reached, ms. */
export const CLIENT_WAITING_RETRY_MS = 100;
/** Bytes queued behind a write in progress above which calls wait: some ms of a slow link. */
export const CLIENT_OUTBOX_BYTES = 1024 * 1024;
/** Read buffer: an idle connection posts the minimum, a busy one grows to the maximum. */
export const CLIENT_READ_BYTES_MIN = 1_024;
export const CLIENT_READ_BYTES_MAX = 64 * 1024;
/** Number of turns over which due replies are read, so that client and server work concurrently. */
export const CLIENT_READ_SHARES = 6;
/**
 * Requests in flight from which those to several nodes are gathered before they leave. Fewer would
 * save little, and the caller is waiting for them.
 */
export const CLIENT_GATHER_IN_FLIGHT_MIN = 8;
/** Turns of the event loop for which they are gathered at most, each some tens of microseconds. */
export const CLIENT_GATHER_TURNS_MAX = 4;
/** Resolution of deadlines and retries, ms: one timer per connection, not one per call. */
export const CLIENT_TICK_MS = 10;
/** Back-off of a repeated request, ms: full jitter up to base × 2^attempt, at most the cap. */
export const CLIENT_RETRY_MS_BASE = 25;
export const CLIENT_RETRY_MS_CAP = 1_000;
/**
 * Cap of that back-off while a partition elects a leader, ms: it adds to how long its calls pause
 * after the election. It grows by 1 ms with each call that waits, so that a client repeats some
 * thousand calls a second, however many wait.
 */
export const CLIENT_ELECTION_RETRY_MS_CAP = 100;
/**
 * Back-off of a new connection, ms, by the same rule, so that a fleet does not reconnect at once.
 */
export const CLIENT_RECONNECT_MS_BASE = 100;
export const CLIENT_RECONNECT_MS_CAP = 10_000;
/**
 * The same after a node had no room for a connection and could not say when it has, ms: thousands may have
 * been refused at once, and each attempt costs the node some of the time that it lacks.
 */
export const CLIENT_REFUSED_MS_BASE = 1_000;
/**
 * Timeout of the first attempt to connect, ms; it doubles with each further attempt up to
 * `DIAL_MS_MAX`. Packets to a server that is just restarting are lost, and a new attempt comes
 * sooner than a resend.
 */
export const CLIENT_ATTEMPT_MS_BASE = 1_000;
/** Lifetime of a connection, ms, that resets the count of failed attempts. */
export const CLIENT_STABLE_MS = 5_000;
/**
 * Time for which an abandoned request keeps its slot after its deadline, ms: the server still has
 * it.
 */
export const CLIENT_ABANDONED_MS = 1_000;
/**
 * Silence with requests in flight after which the server is probed, and after the same again given
 * up, ms.
 */
export const CLIENT_SILENCE_MS = 1_000;
/** The same where other nodes can answer instead, ms: waiting longer would only cost time. */
export const CLIENT_NODE_SILENCE_MS = 300;
/** Nodes to which a client connects: those of the largest cluster. */
export const CLIENT_NODES_MAX = 64;
/** Time without calls after which the connection to a node is closed, ms. */
export const CLIENT_NODE_IDLE_MS = 60_000;
/**
 * Nodes asked at once for one call before it pauses: the leader, a node that knows a newer one, and
 * that one, with one to spare.
 */
export const CLIENT_HOPS_MAX = 4;
/** Minimum interval of fetching the ring map because nodes refused calls, ms. */
export const CLIENT_MAP_REFRESH_MS = 250;
/** Time for a server that said goodbye to answer the requests in flight, ms. */
export const CLIENT_DRAIN_MS = 1_000;
/** Last known answers cached by a client, about 1 KB each. */
export const CLIENT_CACHE_ENTRIES_MAX = 4_096;
/** Leases per client: two renewal requests of the largest size a second at the shortest ttl. */
export const CLIENT_LEASES_MAX = 32_768;
/**
 * Back-off of failed renewals, ms, by the same rule. It is shared by all leases of a client, and
 * half of the shortest ttl is a second bound, so that a lease is renewed in time when the server
 * returns.
 */
export const CLIENT_RENEW_RETRY_MS_BASE = 1_000;
export const CLIENT_RENEW_RETRY_MS_CAP = 10_000;
/**
 * Expired leases that a client registers again concurrently, so that a returning registry is not
 * flooded.
 */
export const CLIENT_RECOVERIES_MAX = 32;
/** Stored bytes in one RegisterMany: its frame stays below the server's limit. */
export const CLIENT_REGISTER_BYTES_MAX = 192 * 1024;
/** Attempts of a claim after losing to a concurrent one. */
export const DOMAIN_CLAIM_TRIES_MAX = 4;
/** Window of a round trip, ms: its shortest one counts, which the client's own load delays least. */
export const CLIENT_TRIP_WINDOW_MS = 1_000;
/**
 * A round trip is shorter than another one only if it is at most this part of it and shorter by
 * this many ms: nodes of one data centre count as equal, those of the next zone do not.
 */
export const CLIENT_TRIP_MARGIN_RATIO = 0.8;
export const CLIENT_TRIP_MARGIN_MS = 0.5;
/**
 * Time without answers from a replica after which it is measured by copies of a read, ms. A replica that
 * died is noticed by this before another one dies too and its reads need it.
 */
export const CLIENT_REMEASURE_MS = 2_000;
/**
 * Time for which a replica that refused a bounded read of a partition is passed over, ms: two
 * rounds of its probes of the leader, doubled with each further refusal up to the cap.
 */
export const CLIENT_REFUSAL_MS_BASE = 50;
export const CLIENT_REFUSAL_MS_CAP = 2_000;
/** Such refusals remembered; above it all are forgotten, which costs a trip each. */
export const CLIENT_REFUSALS_MAX = 4_096;
/** Round trips per measurement: the shortest of as many is seldom delayed by the client's own load. */
export const CLIENT_MEASURE_TRIPS = 8;
/** Time for a node to answer a request that measures its round trip, ms. */
export const CLIENT_MEASURE_MS_MAX = 1_000;
/** Bounded reads answered before a client knows its 99th percentile. */
export const CLIENT_HEDGE_SAMPLES_MIN = 100;
/**
 * Bounds of the delay of a further request, ms: a timer is no more exact than the minimum, and above
 * the maximum the caller would wait for a node that hangs. Where half of the reads take longer than
 * half of the maximum, twice as long as these counts instead.
 */
export const CLIENT_HEDGE_MS_MIN = 2;
export const CLIENT_HEDGE_MS_MAX = 25;
/**
 * Further requests per bounded read that do not answer first, and as many as may be in flight at once
 * after a time without: those that answer first are given back, so that all reads of a node that died
 * are sent elsewhere within some delays.
 */
export const CLIENT_HEDGE_SHARE = 0.05;
export const CLIENT_HEDGE_BURST = 32;
/** Bounded reads watched at a time: 100,000/s for 10 ms; the others get no further request. */
export const CLIENT_HEDGE_WATCHED_MAX = 1_024;
/** Items of a list that the SDK reads as a whole: some 50 MB of objects. */
export const NAMED_LIST_ITEMS_MAX = 100_000;
