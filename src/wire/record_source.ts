/** Ages of mirrors on the wire (RecordSource and the status of regions in schemas/wire.capnp). */

/** The age that stands for one that is not known. */
export const SOURCE_AGE_UNKNOWN = 0xffff_ffff;

/** Returns an age for the wire, ms, rounded up. @param ms undefined: not known. */
export function wireAge(ms: number | undefined): number {
  return ms === undefined ? SOURCE_AGE_UNKNOWN : Math.min(SOURCE_AGE_UNKNOWN - 1, Math.ceil(ms));
}
