/** The states of a part of the answer for a domain (schemas/wire.capnp, ResolveReply). */

/** The agent names no gateway, or nothing was looked up. */
export const PART_NONE = 0;
/** The part is in the answer. */
export const PART_INCLUDED = 1;
/** The part does not exist. */
export const PART_NOT_FOUND = 2;
/** Another node holds the part's partition. */
export const PART_ELSEWHERE = 3;
