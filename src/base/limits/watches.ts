/** Limits of watches. */

/** Ids, and domains, that one watch may name. */
export const WATCH_KEYS_MAX = 1_024;
/** Labels that one watch may require: as many as a record can have of some length. */
export const WATCH_LABELS_MAX = 32;
/** Interval of progress replies, ms: default, and bounds of what a client may choose. */
export const WATCH_PROGRESS_MS_DEFAULT = 1_000;
export const WATCH_PROGRESS_MS_MIN = 100;
export const WATCH_PROGRESS_MS_MAX = 60_000;
/** Text of a token: 8,192 partitions of eight bytes each, in base64url. */
export const WATCH_TOKEN_CHARACTERS_MAX = 96 * 1024;
