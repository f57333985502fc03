/**
 * How many promises there are between two nodes, and a hash of which: supporter and supported compare
 * theirs with every beat. The hash does not depend on order, so that it is kept by adding and taking
 * away; what differs is found by asking (`led_groups.ts`).
 *
 * All promises of one node to another end together when the support they rest on ends. So each digest
 * belongs to a key (the epoch, or the standing), and begins anew with the next one.
 */

/** The promises from one node to another under one key. Keys only grow. */
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

  /** Takes it away; one of an earlier key is gone already. */
  remove(key: number, group: number, term: number): void {
    if (key !== this.#key) return;
    this.#count--;
    this.#hash = (this.#hash - hashOf(group, term)) >>> 0;
  }

  /** How many there are under `key`. */
  count(key: number): number {
    return key === this.#key ? this.#count : 0;
  }

  /** Their hash, 32 bits. */
  hash(key: number): number {
    return key === this.#key ? this.#hash : 0;
  }

  #begin(key: number): void {
    this.#key = key;
    this.#count = 0;
    this.#hash = 0;
  }
}

/** 32 well mixed bits: the finalizer of MurmurHash3 over each word in turn. */
function hashOf(group: number, term: number): number {
  return mixed(mixed(mixed(group) ^ (term >>> 0)) ^ Math.floor(term / 2 ** 32));
}

function mixed(word: number): number {
  let bits = (word + 0x9e37_79b9) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
