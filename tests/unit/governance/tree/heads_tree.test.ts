/** The heads: one root for equal heads, and proofs that hold for one root only. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../../src/base/bytes.ts";
import { HeadsTree, NO_HEADS, provenHead } from "../../../../src/governance/tree/heads_tree.ts";

const entries = fc.uniqueArray(fc.tuple(fc.string({ maxLength: 4 }), fc.integer({ min: 1 })), {
  selector: ([id]) => id,
  maxLength: 40,
});

function headsOf(pairs: readonly (readonly [string, number])[]): HeadsTree {
  const heads = new HeadsTree();
  for (const [id, version] of pairs) heads.set(id, version);
  return heads;
}

test("HeadsTree has one root for equal heads, in whatever order and over whatever versions", () => {
  fc.assert(fc.property(entries, fc.nat(), (pairs, seed) => {
    const shuffled = [...pairs].sort((left, right) =>
      (left[1] * (seed + 1)) % 17 - (right[1] * (seed + 1)) % 17
    );
    const older = pairs.map(([id]) => [id, 1] as const);
    const root = toHex(headsOf(pairs).root);
    return root === toHex(headsOf([...older, ...shuffled]).root);
  }));
});

test("provenHead tells the head of each descriptor, and that others have none", () => {
  fc.assert(fc.property(entries, fc.string({ maxLength: 4 }), (pairs, other) => {
    const heads = headsOf(pairs);
    const known = new Map(pairs);
    for (const id of [...known.keys(), other]) {
      assert.is(provenHead(heads.root, id, heads.prove(id)), known.get(id) ?? 0);
    }
  }));
});

test("provenHead refuses a proof for another root, version or descriptor", () => {
  fc.assert(fc.property(entries, fc.nat(), (pairs, at) => {
    fc.pre(pairs.length > 1);
    const heads = headsOf(pairs);
    const [id, version] = pairs[at % pairs.length]!;
    const proof = heads.prove(id);
    const leaf = { ...proof.leaf!, version: version - 1 };
    assert.is(provenHead(heads.root, id, { ...proof, leaf }), undefined);
    // That the descriptor is absent cannot be said by leaving its leaf out.
    assert.is(provenHead(heads.root, id, { ...proof, leaf: undefined }), undefined);
    const before = heads.root;
    heads.set(id, version + 1);
    assert.is(provenHead(heads.root, id, proof), undefined);
    assert.is(provenHead(before, id, heads.prove(id)), undefined);
    const [other] = pairs[(at + 1) % pairs.length]!;
    const moved = provenHead(before, id, headsOf(pairs).prove(other));
    assert.is(moved === undefined || moved === 0 && proof.siblings.length === 0, true);
  }));
});

test("HeadsTree without descriptors has the root NO_HEADS and proves their absence", () => {
  const heads = new HeadsTree();
  assert.equal(heads.root, NO_HEADS);
  assert.is(provenHead(NO_HEADS, "x", heads.prove("x")), 0);
});

test.run();
