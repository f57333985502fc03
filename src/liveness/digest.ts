/**
 * Digests of the promises between two nodes: a count and a hash. Supporter and supported node
 * compare theirs with every beat. The hash does not depend on order, so it is updated by addition
 * and subtraction; differences are resolved by asking (`led_groups.ts`).
 *
 * All promises of one node to another end together, when the support they depend on ends. So each
 * digest belongs to a key (the epoch, or the received support), and starts again with the next key.
 */

/** The digest of the promises from one node to another under one key. Keys only grow. */
export class Digest {
  #key = 0;
  #count = 0;
  #hash = 0;

  /** Adds a promise for (group, term) that was made under `key`. */
  add(key: number, group: number, term: number): void {
    if (key !== this.#key) this.#begin(key);
    this.#count++;
    this.#hash = (this.#hash + hashOf(group, term)) >>> 0;
  }

  /** Removes a promise; one of an earlier key is already gone. */
  remove(key: number, group: number, term: number): void {
    if (key !== this.#key) return;
    this.#count--;
    this.#hash = (this.#hash - hashOf(group, term)) >>> 0;
  }

  /** Returns the count of promises under `key`. */
  count(key: number): number {
    return key === this.#key ? this.#count : 0;
  }

  /** Returns the 32-bit hash of the promises under `key`. */
  hash(key: number): number {
    return key === this.#key ? this.#hash : 0;
  }

  #begin(key: number): void {
    this.#key = key;
    this.#count = 0;
    this.#hash = 0;
  }
}

/** Returns 32 well-mixed bits: the finalizer of MurmurHash3 over each word in turn. */
function hashOf(group: number, term: number): number {
  return mixed(mixed(mixed(group) ^ (term >>> 0)) ^ Math.floor(term / 2 ** 32));
}

function mixed(word: number): number {
  let bits = (word + 0x9e37_79b9) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
