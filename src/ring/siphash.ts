/**
 * SipHash-2-4 with a 64-bit result, computed in 32-bit halves: no BigInt, no allocation.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); checked against the
 * authors' vectors. The result decides the partition of a key, so it is frozen.
 */

/** Length of a SipHash key, in bytes. */
export const SIPHASH_KEY_BYTES = 16;

/** A keyed SipHash-2-4. Each call of {@link hash} leaves its result in `low` and `high`. */
export class SipHash {
  /** The low and the high 32 bits of the last result. */
  low = 0;
  high = 0;
  readonly #k0Low: number;
  readonly #k0High: number;
  readonly #k1Low: number;
  readonly #k1High: number;

  /** @param key 16 bytes; copied. */
  constructor(key: Uint8Array) {
    if (key.length !== SIPHASH_KEY_BYTES) {
      throw new RangeError(
        `SipHash key must have ${SIPHASH_KEY_BYTES} bytes: current value has ${key.length}`,
      );
    }
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    this.#k0Low = view.getInt32(0, true);
    this.#k0High = view.getInt32(4, true);
    this.#k1Low = view.getInt32(8, true);
    this.#k1High = view.getInt32(12, true);
  }

  /** Hashes a message: `prefix` as one byte (none if it is -1), then `[start, end)` of `bytes`. */
  hash(prefix: number, bytes: Uint8Array, start: number, end: number): void {
    let v0l = this.#k0Low ^ 0x70736575, v0h = this.#k0High ^ 0x736f6d65;
    let v1l = this.#k1Low ^ 0x6e646f6d, v1h = this.#k1High ^ 0x646f7261;
    let v2l = this.#k0Low ^ 0x6e657261, v2h = this.#k0High ^ 0x6c796765;
    let v3l = this.#k1Low ^ 0x79746573, v3h = this.#k1High ^ 0x74656462;
    const prefixed = prefix >= 0 ? 1 : 0;
    const length = end - start + prefixed;
    const blocks = (length >> 3) + 1;
    // The byte of the message at position p is at p + shift in `bytes`.
    const shift = start - prefixed;

    for (let block = 0; block <= blocks; block++) {
      let ml = 0, mh = 0, rounds = 2;
      if (block === blocks) {
        // Finalization.
        v2l ^= 0xff;
        rounds = 4;
      } else {
        const from = (block << 3) + shift;
        if (block < blocks - 1 && (block > 0 || prefixed === 0)) {
          ml = bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) |
            (bytes[from + 3]! << 24);
          mh = bytes[from + 4]! | (bytes[from + 5]! << 8) | (bytes[from + 6]! << 16) |
            (bytes[from + 7]! << 24);
        } else {
          const last = block === blocks - 1;
          const count = last ? length & 7 : 8;
          for (let index = 0; index < count; index++) {
            const byte = block === 0 && index < prefixed ? prefix & 0xff : bytes[from + index]!;
            if (index < 4) ml |= byte << (index << 3);
            else mh |= byte << ((index - 4) << 3);
          }
          if (last) mh |= (length & 0xff) << 24;
        }
        v3l ^= ml;
        v3h ^= mh;
      }
      for (let round = 0; round < rounds; round++) {
        // Signed 32-bit integers throughout, because they are twice as fast here as unsigned ones.
        // The carry of a + b is the top bit of (a & b) | ((a | b) & ~sum).
        let sum = (v0l + v1l) | 0;
        v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~sum)) >>> 31)) | 0;
        v0l = sum;
        let low = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
        v1l = low;
        low = v0h;
        v0h = v0l;
        v0l = low;

        sum = (v2l + v3l) | 0;
        v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~sum)) >>> 31)) | 0;
        v2l = sum;
        low = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
        v3l = low;

        sum = (v0l + v3l) | 0;
        v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~sum)) >>> 31)) | 0;
        v0l = sum;
        low = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
        v3l = low;

        sum = (v2l + v1l) | 0;
        v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~sum)) >>> 31)) | 0;
        v2l = sum;
        low = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
        v1l = low;
        low = v2h;
        v2h = v2l;
        v2l = low;
      }
      v0l ^= ml;
      v0h ^= mh;
    }
    this.low = (v0l ^ v1l ^ v2l ^ v3l) >>> 0;
    this.high = (v0h ^ v1h ^ v2h ^ v3h) >>> 0;
  }
}
