/** The tree, its proofs and tiles against the recursive definitions of RFC 6962 §2.1. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, toHex } from "../../../../src/base/bytes.ts";
import { extendsTree, includes } from "../../../../src/governance/tree/merkle_proof.ts";
import { leafHash, MerkleTree } from "../../../../src/governance/tree/merkle_tree.ts";
import {
  formatTilePath,
  parseTilePath,
  TILE_WIDTH,
  tileOf,
} from "../../../../src/governance/tree/tiles.ts";

const SIZE = 34;
const LEAVES = Array.from({ length: SIZE }, (_, at) => new TextEncoder().encode(`leaf ${at}`));
const TREE = treeOf(LEAVES);

function treeOf(leaves: readonly Uint8Array[]): MerkleTree {
  const tree = new MerkleTree();
  for (const leaf of leaves) tree.append(leafHash(leaf));
  return tree;
}

function sha(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(createHash("sha256").update(concatBytes(parts)).digest());
}

/** MTH(D[n]). */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha();
  if (leaves.length === 1) return sha(Uint8Array.of(0), leaves[0]!);
  const k = split(leaves.length);
  return sha(Uint8Array.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

/** PATH(m, D[n]). */
function pathOf(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return m < k
    ? [...pathOf(m, leaves.slice(0, k)), rootOf(leaves.slice(k))]
    : [...pathOf(m - k, leaves.slice(k)), rootOf(leaves.slice(0, k))];
}

/** SUBPROOF(m, D[n], b). */
function subproof(m: number, leaves: readonly Uint8Array[], b: boolean): Uint8Array[] {
  if (m === leaves.length) return b ? [] : [rootOf(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), b), rootOf(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), rootOf(leaves.slice(0, k))];
}

function split(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

test("MerkleTree has the roots and proofs of the RFC for every size", () => {
  for (let size = 0; size <= SIZE; size++) {
    const leaves = LEAVES.slice(0, size);
    assert.equal(TREE.root(size), rootOf(leaves), `root of ${size}`);
    for (let at = 0; at < size; at++) assert.equal(TREE.inclusion(at, size), pathOf(at, leaves));
    for (let old = 1; old <= size; old++) {
      assert.equal(TREE.consistency(old, size), subproof(old, leaves, true), `${old} to ${size}`);
    }
  }
});

test("includes accepts the proof of exactly one leaf at one place of one tree", () => {
  for (let size = 1; size <= 14; size++) {
    const head = { size, root: TREE.root(size) };
    for (let index = 0; index < size; index++) {
      const proof = TREE.inclusion(index, size);
      for (let other = 0; other < size; other++) {
        const hash = leafHash(LEAVES[other]!);
        assert.is(includes(head, { index, hash, proof }), other === index);
      }
      const hash = leafHash(LEAVES[index]!);
      for (let place = 0; place <= size; place++) {
        assert.is(includes(head, { index: place, hash, proof }), place === index);
      }
      assert.is(includes(head, { index, hash, proof: [...proof, hash] }), false);
      if (proof.length > 0) {
        assert.is(includes(head, { index, hash, proof: proof.slice(1) }), false);
        assert.is(includes(head, { index, hash, proof: proof.slice(0, -1) }), false);
      }
    }
  }
});

test("extendsTree accepts every true proof, and none of another tree", () => {
  const other = treeOf(LEAVES.map((leaf, at) => at === 3 ? LEAVES[4]! : leaf));
  for (let size = 1; size <= 24; size++) {
    const head = { size, root: TREE.root(size) };
    for (let old = 1; old <= size; old++) {
      const proof = TREE.consistency(old, size);
      assert.is(extendsTree(head, { size: old, root: TREE.root(old) }, proof), true);
      const forked = { size: old, root: other.root(old) };
      if (old > 3) {
        assert.is(extendsTree(head, forked, proof), false);
        assert.is(extendsTree(head, forked, other.consistency(old, size)), false);
      }
      if (old < size) {
        assert.is(extendsTree({ size: old, root: TREE.root(old) }, head, proof), false);
        assert.is(extendsTree(head, { size: old, root: TREE.root(old) }, proof.slice(1)), false);
      }
    }
  }
});

test("extendsTree refuses proofs of which any hash was changed", () => {
  fc.assert(fc.property(
    fc.integer({ min: 2, max: SIZE }),
    fc.nat(),
    fc.nat(),
    (size, oldSeed, at) => {
      const old = 1 + oldSeed % (size - 1);
      const proof = TREE.consistency(old, size).map((hash) => hash.slice());
      proof[at % proof.length]![at % 32]! ^= 1;
      const before = { size: old, root: TREE.root(old) };
      return !extendsTree({ size, root: TREE.root(size) }, before, proof);
    },
  ));
});

test("tileOf has the hashes from which a reader computes the root", () => {
  const leaves = Array.from({ length: 600 }, (_, at) => new TextEncoder().encode(`${at}`));
  const tree = treeOf(leaves);
  const leafOf = (index: number) => leaves[index]!;
  const tile = (level: number | "entries", index: number, width = TILE_WIDTH) =>
    tileOf(tree, { level, index, width }, leafOf);
  const full = tile(0, 1)!;
  assert.equal(full.subarray(0, 32), sha(Uint8Array.of(0), leaves[256]!));
  assert.is(full.length, 256 * 32);
  // A tile above has the roots of full tiles.
  const above = tile(1, 0, 2)!;
  assert.equal(above.subarray(0, 32), rootOf(leaves.slice(0, 256)));
  assert.equal(above.subarray(32), rootOf(leaves.slice(256, 512)));
  const partial = tile(0, 2, 88)!;
  assert.is(toHex(partial.subarray(87 * 32)), toHex(leafHash(leaves[599]!)));
  assert.is(tile(0, 2, 89), undefined);
  assert.is(tile(1, 0, 3), undefined);
  assert.is(tile(2, 0, 1), undefined);
  // Entries have their lengths before them.
  assert.equal(
    tile("entries", 2, 2),
    concatBytes([
      Uint8Array.of(0, 3),
      leaves[512]!,
      Uint8Array.of(0, 3),
      leaves[513]!,
    ]),
  );
  assert.is(tile("entries", 2, 89), undefined);
});

test("tile paths have one spelling each", () => {
  const names = [
    [{ level: 0, index: 0, width: 256 }, "tile/0/000"],
    [{ level: 3, index: 1_234_067, width: 256 }, "tile/3/x001/x234/067"],
    [{ level: "entries", index: 67, width: 5 }, "tile/entries/067.p/5"],
  ] as const;
  for (const [name, path] of names) {
    assert.is(formatTilePath(name), path);
    assert.equal(parseTilePath(path), name);
  }
  const wrong = ["tile/0/0", "tile/6/000", "tile/0/x000/067", "tile/0/067.p/256", "tile/0/067.p/0"];
  for (const path of [...wrong, "tile/0/067.p/05", "/tile/0/067", "tile/0/1000", "tile/-1/000"]) {
    assert.is(parseTilePath(path), undefined, path);
  }
});

test.run();
