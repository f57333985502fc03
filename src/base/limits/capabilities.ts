/** Limits of capabilities. */

/** Size of a capability's text: it travels in a header of each HTTP request. */
export const CAPABILITY_BYTES_MAX = 4 * 1024;
/** Caveats of a capability: some for each time that it was handed on. */
export const CAPABILITY_CAVEATS_MAX = 32;
/** Alternatives in one caveat, such as paths. */
export const CAVEAT_ENTRIES_MAX = 16;
/** Size of an alternative, such as a path: its length has one byte. */
export const CAVEAT_ENTRY_BYTES_MAX = 255;
/** Longest lifetime of a new capability, ms: a month; a ban ends one sooner. */
export const CAPABILITY_LIFE_MS_MAX = 30 * 86_400_000;
/**
 * Nodes asked for the verification of one capability, those of the lowest ids: a caller can name any
 * root key, and none of the nodes may have it.
 */
export const CAPABILITY_HOLDERS_ASKED_MAX = 3;
/** Root keys in an authority folder: those whose capabilities have not all ended. */
export const CAPABILITY_KEYS_MAX = 64;
