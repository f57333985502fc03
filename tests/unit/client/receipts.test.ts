/** The age of an answer, from its receipts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ageBoundMsOf } from "../../../src/client/receipts.ts";

test("ageBoundMsOf is the age of the oldest part, also of very many", () => {
  const receipt = { node: 1, partition: 0, term: 1, appliedIndex: 1, ageBoundMs: 0 };
  assert.is(ageBoundMsOf([]), 0);
  assert.is(ageBoundMsOf([receipt]), 0);
  assert.is(
    ageBoundMsOf([receipt, { ...receipt, ageBoundMs: 70 }, { ...receipt, ageBoundMs: 3 }]),
    70,
  );
  const many = Array.from({ length: 300_000 }, (_, ageBoundMs) => ({ ...receipt, ageBoundMs }));
  assert.is(ageBoundMsOf(many), 299_999);
});

test.run();
