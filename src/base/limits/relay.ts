/** Limits of the relay registry and of its backends. */

/** Longest id of a relay or agent, UTF-8: other programs choose them, and 64 digits are usual. */
export const RELAY_ID_BYTES_MAX = 512;
/** Longest address of a relay, UTF-8: a domain name or an IP address with room for a scheme. */
export const RELAY_ADDRESS_BYTES_MAX = 512;
/** Lease of relays and of agents, ms: their programs renew every 10 s. */
export const RELAY_TTL_MS_DEFAULT = 30_000;
/** Shortest lease, ms: several round trips to a backend on the same network. */
export const RELAY_TTL_MS_MIN = 100;
/** Longest lease, ms: one day, as Consul's sessions allow. */
export const RELAY_TTL_MS_MAX = 86_400_000;
/** Time for a call without a timeout, ms: relays give up after 5 s, and must learn why before. */
export const RELAY_CALL_MS_DEFAULT = 3_000;
/** Calls in flight per registry, lists not counted: a fleet of relays that all come back at once. */
export const RELAY_CALLS_MAX = 1_024;
/** Lists in flight per registry: each may take tens of MB until it is answered. */
export const RELAY_LISTS_MAX = 8;
/** Retry hint when one of these limits, or a backend's memory, is used up, ms. */
export const RELAY_RETRY_MS = 1_000;
/** Entries of a list: several times the agents of a large site. */
export const RELAY_LIST_ENTRIES_MAX = 32_768;
/**
 * Size of a list, as UTF-8 and with `RELAY_ENTRY_BYTES` for each entry: gRPC clients accept answers of
 * 4 MiB unless they are set otherwise.
 */
export const RELAY_LIST_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of an entry beside its texts: tags, lengths and numbers of its message. */
export const RELAY_ENTRY_BYTES = 40;
/** Relays and agents that the backend in memory keeps: some hundred bytes each. */
export const RELAY_MEMORY_RELAYS_MAX = 16_384;
export const RELAY_MEMORY_AGENTS_MAX = 262_144;
/** Shortest time between two searches of that memory for entries that ended, ms. */
export const RELAY_MEMORY_SWEEP_MS = 1_000;
/** Time to connect to Redis, ms: shorter than a default call, which then tells why it failed. */
export const RELAY_CONNECT_MS = 2_000;
/** Silence with calls in flight after which a connection to Redis is given up, ms. */
export const RELAY_SILENCE_MS = 3_000;
/** Back-off of new connections to Redis, ms: doubled from the base, with jitter, up to the cap. */
export const RELAY_RECONNECT_MS_BASE = 50;
export const RELAY_RECONNECT_MS_CAP = 1_000;
/**
 * Bytes of a backend's answer: a list of the most entries, with the longest ids, in base64 and with what
 * JSON adds to each.
 */
export const RELAY_ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/**
 * Requests to etcd or Consul at once, so connections: with 64, etcd 3.4 answered half as many a second as
 * with 8.
 */
export const RELAY_HTTP_REQUESTS_MAX = 16;
/** Characters of a backend's own error text in a message. */
export const RELAY_EXCERPT_CHARACTERS_MAX = 200;
/**
 * Attempts of a step at etcd or Consul: an attempt fails only because a concurrent call on the same entry
 * succeeded, or its lease ended.
 */
export const RELAY_ATTEMPTS_MAX = 16;
/** Entries of a kind read from etcd or Consul for a list, agents of ended relays included. */
export const RELAY_STORED_ENTRIES_MAX = 2 * RELAY_LIST_ENTRIES_MAX;
/** Shortest lease of Consul's sessions, ms. */
export const CONSUL_TTL_MS_MIN = 10_000;
