/**
 * The Merkle tree of RFC 6962 §2.1 (SHA-256) over the entries: roots, inclusion proofs and consistency
 * proofs for any size that it ever had.
 *
 * The hash of every complete subtree is kept, 64 bytes per leaf in all, so that a proof takes the
 * hashing of the few subtrees at the right edge only.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { assert } from "../../base/assert.ts";
import { concatBytes } from "../../base/bytes.ts";

/** The root of a tree without leaves. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array(0));

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Returns the hash of a leaf. */
export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(concatBytes([LEAF, leaf]));
}

/** Returns the hash of an inner node. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concatBytes([NODE, left, right]));
}

/** A tree that only grows. */
export class MerkleTree {
  /** Hashes of the complete subtrees of 2^level leaves, in order. */
  readonly #levels: Uint8Array[][] = [[]];

  /** Number of leaves. */
  get size(): number {
    return this.#levels[0]!.length;
  }

  /** Appends a leaf by its hash. */
  append(hash: Uint8Array): void {
    let added = hash;
    for (let level = 0;; level++) {
      const hashes = this.#levels[level] ??= [];
      hashes.push(added);
      if (hashes.length % 2 === 1) return;
      added = nodeHash(hashes.at(-2)!, added);
    }
  }

  /** Returns the root of the tree as it was with `size` leaves. */
  root(size = this.size): Uint8Array {
    assert(size <= this.size, `A tree of ${this.size} leaves had never ${size}`);
    return size === 0 ? EMPTY_ROOT : this.#subtree(0, size);
  }

  /** Returns the hash of a complete subtree of 2^level leaves; undefined if it is not complete. */
  hashAt(level: number, index: number): Uint8Array | undefined {
    return this.#levels[level]?.[index];
  }

  /** Returns the proof that the leaf at `index` is in the tree of `size` leaves (PATH, §2.1.1). */
  inclusion(index: number, size = this.size): Uint8Array[] {
    assert(index < size && size <= this.size, `Leaf ${index} is not in a tree of ${size}`);
    const path: Uint8Array[] = [];
    let lo = 0;
    let hi = size;
    while (hi - lo > 1) {
      const middle = lo + splitOf(hi - lo);
      if (index < middle) {
        path.push(this.#subtree(middle, hi));
        hi = middle;
      } else {
        path.push(this.#subtree(lo, middle));
        lo = middle;
      }
    }
    return path.reverse();
  }

  /** Returns the proof that the tree of `size` leaves extends that of `old` leaves (PROOF, §2.1.2). */
  consistency(old: number, size = this.size): Uint8Array[] {
    assert(old <= size && size <= this.size, `A tree of ${size} does not extend one of ${old}`);
    if (old === 0 || old === size) return [];
    const path: Uint8Array[] = [];
    let lo = 0;
    let hi = size;
    while (hi > old) {
      const middle = lo + splitOf(hi - lo);
      if (old <= middle) {
        path.push(this.#subtree(middle, hi));
        hi = middle;
      } else {
        path.push(this.#subtree(lo, middle));
        lo = middle;
      }
    }
    // Unless it is the whole old tree, whose root the verifier has.
    if (lo > 0) path.push(this.#subtree(lo, hi));
    return path.reverse();
  }

  /** Returns the hash of the leaves `[lo, hi)`; `lo` is a multiple of the next power of two. */
  #subtree(lo: number, hi: number): Uint8Array {
    const count = hi - lo;
    if (isPowerOfTwo(count)) return this.#levels[31 - Math.clz32(count)]![lo / count]!;
    const middle = lo + splitOf(count);
    return nodeHash(this.#subtree(lo, middle), this.#subtree(middle, hi));
  }
}

/**
 * Reports whether a count of leaves, 1 to 2^31 - 1, is a power of two. It counts bits, because the last
 * digits of `Math.log2` differ between runtimes.
 */
export function isPowerOfTwo(count: number): boolean {
  return (count & count - 1) === 0;
}

/** Returns the largest power of two below `count`, which is 2 to 2^31 - 1. */
function splitOf(count: number): number {
  return 1 << 31 - Math.clz32(count - 1);
}
