/** Verification of the tree's proofs, by the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2. */
import { bytesEqual } from "../../base/bytes.ts";
import { nodeHash } from "./merkle_tree.ts";

/** The greatest size of a tree that is verified: positions fit into 31 bits. */
export const TREE_SIZE_MAX: number = 2 ** 31 - 1;

/** A tree by its size and root. */
export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** Reports whether a proof shows that the leaf with that hash is at `index` of the tree. */
export function includes(
  { size, root }: TreeHead,
  { index, hash, proof }: {
    readonly index: number;
    readonly hash: Uint8Array;
    readonly proof: readonly Uint8Array[];
  },
): boolean {
  if (index < 0 || index >= size || size > TREE_SIZE_MAX) return false;
  let from = index;
  let last = size - 1;
  let found = hash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if ((from & 1) === 1 || from === last) {
      found = nodeHash(sibling, found);
      while ((from & 1) === 0 && from !== 0) {
        from >>= 1;
        last >>= 1;
      }
    } else found = nodeHash(found, sibling);
    from >>= 1;
    last >>= 1;
  }
  return last === 0 && bytesEqual(found, root);
}

/** Reports whether a proof shows that `head` has all leaves of `old`, in the same order. */
export function extendsTree(
  head: TreeHead,
  old: TreeHead,
  proof: readonly Uint8Array[],
): boolean {
  if (old.size > head.size || head.size > TREE_SIZE_MAX) return false;
  if (old.size === head.size) return proof.length === 0 && bytesEqual(old.root, head.root);
  if (old.size === 0) return proof.length === 0;
  const path = Number.isInteger(Math.log2(old.size)) ? [old.root, ...proof] : proof;
  let from = old.size - 1;
  let last = head.size - 1;
  while ((from & 1) === 1) {
    from >>= 1;
    last >>= 1;
  }
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let foundOld = first;
  let found = first;
  for (const sibling of rest) {
    if (last === 0) return false;
    if ((from & 1) === 1 || from === last) {
      foundOld = nodeHash(sibling, foundOld);
      found = nodeHash(sibling, found);
      while ((from & 1) === 0 && from !== 0) {
        from >>= 1;
        last >>= 1;
      }
    } else found = nodeHash(found, sibling);
    from >>= 1;
    last >>= 1;
  }
  return last === 0 && bytesEqual(foundOld, old.root) && bytesEqual(found, head.root);
}
