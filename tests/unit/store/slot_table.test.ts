/** The slots and their index compared with a plain map, through growth, removal and shrinking. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { KIND_AGENT, KIND_ALIAS } from "../../../src/record/key.ts";
import { SlotTable } from "../../../src/store/slot_table.ts";
import { idOf, newShared, StoreHarness } from "../../support/store.ts";

test("find, find again after others were removed, and find none that was", () => {
  const harness = new StoreHarness();
  const entropy = new SeededEntropy(5);
  const present = new Map<number, number>();
  for (let step = 0; step < 6_000; step++) {
    // Grows for the first half, then shrinks.
    const number = 1 + Math.floor(entropy.unit() * 2_000);
    const grow = entropy.unit() < (step < 3_000 ? 0.8 : 0.2);
    const domain = `d${number}.example`;
    const claim = present.get(number);
    if (grow && claim === undefined) {
      present.set(number, harness.claim(domain, number).claim.index);
    } else if (!grow && claim !== undefined) {
      assert.is(harness.release(domain, { generation: 1, index: claim }).count, 1);
      present.delete(number);
    }
    if (step % 500 !== 0) continue;
    for (let each = 1; each <= 2_000; each++) {
      assert.is(harness.alias(`d${each}.example`)?.claim.index, present.get(each));
    }
  }
  assert.is(harness.store.aliasCount, present.size);
});

test("an empty table holds no memory, before and after use", () => {
  const harness = new StoreHarness();
  assert.is(harness.store.tableBytes, 0);
  const claims = Array.from({ length: 500 }, (_, number) => harness.claim(`d${number}`, 1).claim);
  const fullBytes = harness.store.tableBytes;
  assert.ok(fullBytes / 500 < 24, `${fullBytes}`);
  claims.forEach((claim, number) => {
    harness.release(`d${number}`, claim);
    if (number === 400) assert.ok(harness.store.tableBytes < fullBytes / 2);
  });
  assert.is(harness.store.tableBytes, 0);
});

test("find tells kinds apart and compares whole keys", () => {
  const shared = newShared();
  assert.is(new SlotTable(shared).find(KIND_AGENT, idOf(1), 0, 16), -1);
  const harness = new StoreHarness({ shared });
  harness.putAgent({ number: 1 });
  harness.claim("ab.example", 1);
  assert.is(harness.slotOf(KIND_AGENT, 1), 0);
  assert.is(harness.store.find(KIND_ALIAS, idOf(1), 0, 16), -1);
  assert.is(harness.alias("a.example"), undefined);
  const key = new TextEncoder().encode("xxab.examplexx");
  assert.is(harness.store.find(KIND_ALIAS, key, 2, 12), 1);
});

test.run();
