/**
 * The heads: a Merkle tree by descriptor, whose root says which entry is the newest of each one.
 *
 * The tree of the log proves that an entry was published, but not that it is the newest of its
 * descriptor. Every entry names the root of the heads after it, so a proof of a head, or that there is
 * none, holds for exactly one size of the log: what clients read belongs together.
 *
 * A binary trie over SHA-256 of the ids. A subtree with one descriptor is a leaf, so a path has about
 * log2(n) nodes, and equal heads give equal roots in whatever order they came.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesEqual, concatBytes } from "../../base/bytes.ts";

/** The root without descriptors, and the hash of a subtree without them. */
export const NO_HEADS: Uint8Array = new Uint8Array(32);

const LEAF = Uint8Array.of(2);
const NODE = Uint8Array.of(3);
const KEY_BITS = 256;

interface HeadLeaf {
  readonly hash: Uint8Array;
  readonly key: Uint8Array;
  readonly version: number;
}

interface HeadNode {
  /** Computed when it is asked for: a load sets many heads before anybody asks for the root. */
  hash: Uint8Array | undefined;
  readonly left: HeadSubtree;
  readonly right: HeadSubtree;
}

type HeadSubtree = HeadLeaf | HeadNode | undefined;

/** A proof of a descriptor's head, or that it has none. */
export interface HeadProof {
  /** Hashes beside the path, from the root down. */
  readonly siblings: readonly Uint8Array[];
  /** The leaf at the end of the path, of this or another descriptor; undefined: there is none. */
  readonly leaf: { readonly key: Uint8Array; readonly version: number } | undefined;
}

/** The heads of all descriptors. */
export class HeadsTree {
  #root: HeadSubtree;

  get root(): Uint8Array {
    return hashOf(this.#root);
  }

  /** Makes the entry with that global version the head of a descriptor. */
  set(id: string, version: number): void {
    this.#root = inserted(this.#root, leafOf(keyOf(id), version), 0);
  }

  /** Returns the root that {@link set} would give. */
  rootAfter(id: string, version: number): Uint8Array {
    return hashOf(inserted(this.#root, leafOf(keyOf(id), version), 0));
  }

  /** Returns the proof of a descriptor's head. */
  prove(id: string): HeadProof {
    const key = keyOf(id);
    const siblings: Uint8Array[] = [];
    let at = this.#root;
    while (at !== undefined && "left" in at) {
      const isRight = bitOf(key, siblings.length);
      siblings.push(hashOf(isRight ? at.left : at.right));
      at = isRight ? at.right : at.left;
    }
    return { siblings, leaf: at === undefined ? undefined : { key: at.key, version: at.version } };
  }
}

/**
 * Returns the global version of a descriptor's head, 0 if it is proven that there is none, or
 * undefined if the proof is wrong.
 */
export function provenHead(
  root: Uint8Array,
  id: string,
  { siblings, leaf }: HeadProof,
): number | undefined {
  const key = keyOf(id);
  if (siblings.length > KEY_BITS) return undefined;
  let hash = leaf === undefined ? NO_HEADS : leafOf(leaf.key, leaf.version).hash;
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const isRight = bitOf(key, depth);
    if (leaf !== undefined && bitOf(leaf.key, depth) !== isRight) return undefined;
    hash = isRight ? innerHash(siblings[depth]!, hash) : innerHash(hash, siblings[depth]!);
  }
  if (!bytesEqual(hash, root)) return undefined;
  return leaf !== undefined && bytesEqual(leaf.key, key) ? leaf.version : 0;
}

function inserted(tree: HeadSubtree, leaf: HeadLeaf, depth: number): HeadSubtree {
  if (tree === undefined) return leaf;
  if (!("left" in tree)) {
    if (bytesEqual(tree.key, leaf.key)) return leaf;
    const alone = bitOf(tree.key, depth) ? nodeOf(undefined, tree) : nodeOf(tree, undefined);
    return inserted(alone, leaf, depth);
  }
  return bitOf(leaf.key, depth)
    ? nodeOf(tree.left, inserted(tree.right, leaf, depth + 1))
    : nodeOf(inserted(tree.left, leaf, depth + 1), tree.right);
}

function keyOf(id: string): Uint8Array {
  return sha256(new TextEncoder().encode(id));
}

function leafOf(key: Uint8Array, version: number): HeadLeaf {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(version));
  return { hash: sha256(concatBytes([LEAF, key, number])), key, version };
}

function nodeOf(left: HeadSubtree, right: HeadSubtree): HeadNode {
  return { hash: undefined, left, right };
}

function innerHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concatBytes([NODE, left, right]));
}

function hashOf(tree: HeadSubtree): Uint8Array {
  if (tree === undefined) return NO_HEADS;
  if (!("left" in tree)) return tree.hash;
  return tree.hash ??= innerHash(hashOf(tree.left), hashOf(tree.right));
}

function bitOf(key: Uint8Array, depth: number): boolean {
  return (key[depth >> 3]! >> (7 - (depth & 7)) & 1) === 1;
}
