/** The list of nodes that have the authority's keys. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { keyHolders, nextKeyHolders } from "../../../../src/serving/identities/key_holders.ts";
import { DOCUMENTS } from "../../../../schemas/gen/identity.ts";
import type { IdentityState } from "../../../../src/system/identity_state.ts";

function holdersIn(bytes: Uint8Array | undefined): readonly number[] {
  const document = (name: number) =>
    name === DOCUMENTS.keyHolders && bytes !== undefined ? { version: 1, bytes } : undefined;
  return keyHolders({ document } as unknown as IdentityState);
}

test("nextKeyHolders adds a node that has the keys, removes one that has not, and else does nothing", () => {
  assert.equal(holdersIn(undefined), []);
  const first = nextKeyHolders([], 70_000, true);
  assert.equal(holdersIn(first), [70_000]);
  const both = nextKeyHolders([70_000], 2, true);
  assert.equal(holdersIn(both), [2, 70_000]);
  assert.is(nextKeyHolders([2, 70_000], 2, true), undefined);
  assert.is(nextKeyHolders([2, 70_000], 3, false), undefined);
  assert.equal(holdersIn(nextKeyHolders([2, 70_000], 2, false)), [70_000]);
});

test.run();
