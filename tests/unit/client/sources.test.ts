/** Origins of records of other regions, as the client keeps them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MIRROR_FRESH_MS_MAX } from "../../../src/base/limits.ts";
import { agedSource } from "../../../src/client/sources.ts";

const SOURCE = { home: "us-1", revision: { generation: 1, index: 9 }, ageMs: 200 };

test("agedSource adds the time since the answer, and suspends what is no longer fresh", () => {
  const fresh = { ...SOURCE, suspended: false };
  assert.equal(agedSource(fresh, 0.5), { ...fresh, ageMs: 201 });
  const last = MIRROR_FRESH_MS_MAX - SOURCE.ageMs;
  assert.equal(agedSource(fresh, last), { ...fresh, ageMs: MIRROR_FRESH_MS_MAX });
  const old = agedSource(fresh, last + 1);
  assert.equal([old.ageMs, old.suspended], [MIRROR_FRESH_MS_MAX + 1, true]);
  const unknown = { ...SOURCE, ageMs: undefined, suspended: true };
  assert.equal(agedSource(unknown, 1_000), unknown);
});

test.run();
