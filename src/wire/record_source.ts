/** The origin of a mirror in an answer (RecordSource of schemas/wire.capnp). */

/** The age that stands for one that is not known. */
export const SOURCE_AGE_UNKNOWN = 0xffff_ffff;
