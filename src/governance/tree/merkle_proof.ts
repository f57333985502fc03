/** Verification of the tree's proofs, by the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2. */
import { bytesEqual } from "../../base/bytes.ts";
import { isPowerOfTwo, nodeHash } from "./merkle_tree.ts";

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
  const top = climbed({ from: index, last: size - 1 }, proof, hash, undefined);
  return top !== undefined && bytesEqual(top.whole, root);
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
  const path = isPowerOfTwo(old.size) ? [old.root, ...proof] : proof;
  let from = old.size - 1;
  let last = head.size - 1;
  while ((from & 1) === 1) {
    from >>= 1;
    last >>= 1;
  }
  const [first, ...rest] = path;
  if (first === undefined) return false;
  const top = climbed({ from, last }, rest, first, first);
  return top?.old !== undefined && bytesEqual(top.old, old.root) &&
    bytesEqual(top.whole, head.root);
}

/**
 * Climbs from a node to the root.
 *
 * @param place the node's place in its level, and that of the last node there.
 * @param old the same node in the old tree, which has only the siblings to the left.
 * @returns the roots; undefined if the proof is too long or too short.
 */
function climbed(
  place: { readonly from: number; readonly last: number },
  proof: readonly Uint8Array[],
  node: Uint8Array,
  old: Uint8Array | undefined,
): { readonly whole: Uint8Array; readonly old: Uint8Array | undefined } | undefined {
  let { from, last } = place;
  let whole = node;
  let oldPart = old;
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if ((from & 1) === 1 || from === last) {
      whole = nodeHash(sibling, whole);
      oldPart = oldPart === undefined ? undefined : nodeHash(sibling, oldPart);
      while ((from & 1) === 0 && from !== 0) {
        from >>= 1;
        last >>= 1;
      }
    } else whole = nodeHash(whole, sibling);
    from >>= 1;
    last >>= 1;
  }
  return last === 0 ? { whole, old: oldPart } : undefined;
}
