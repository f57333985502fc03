/** How the permits of one region go to the records that wait for them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HELD_LOOK_MS, STALE_LOOK_MS } from "../../../../src/base/limits.ts";
import { RegionCensus } from "../../../../src/serving/expiry/region_census.ts";
import type { Verdict } from "../../../../src/store/overdue.ts";

const CONFIRM_MS = 300_000;
const NOW_MS = 1_234;
const LAPSED = { region: 1, isStale: false, staleMs: 0 };
const staleFor = (staleMs: number) => ({ region: 1, isStale: true, staleMs });

function censusOf(ages: readonly number[], lapsed = 0, releasedMs = Infinity): RegionCensus {
  const census = new RegionCensus({ nowMs: NOW_MS, confirmMs: CONFIRM_MS, releasedMs });
  for (const staleMs of ages) {
    census.addStale(staleFor(staleMs));
    census.addOverdue(staleFor(staleMs));
  }
  for (let count = 0; count < lapsed; count++) {
    census.live++;
    census.silent++;
    census.addOverdue(LAPSED);
  }
  return census;
}

const grantOf = (count: number, more: object = {}) => ({
  ...{ first: 50, count, isMass: false, isHeld: false, isReleased: false },
  ...more,
});

/** Returns the permit of a verdict; 0 if the record stays. */
const permitOf = (verdict: Verdict) =>
  verdict !== undefined && "permit" in verdict ? verdict.permit : 0;

test("a census tells what is there, what is silent, and what waits", () => {
  const census = censusOf([CONFIRM_MS, CONFIRM_MS + 1, 7], 2, 100);
  for (let count = 0; count < 5; count++) census.live++;
  assert.equal(census.demand("eu", 0.5), {
    ...{ region: "eu", live: 10, silent: 3, lapsed: 2, stale: 1, confirmed: 2, released: 2 },
    fleet: 20,
  });
  assert.ok(census.wantsPermits);
  assert.is(census.oldestStaleMs, CONFIRM_MS + 1);
});

test("the oldest confirmed losses come first, then other stale records, then those that just lapsed", () => {
  const ages = [CONFIRM_MS + 5, CONFIRM_MS + 9, CONFIRM_MS + 7, 3];
  const two = censusOf(ages, 1);
  two.granted(grantOf(2));
  assert.equal(ages.map((staleMs) => permitOf(two.judge(staleFor(staleMs)))), [0, 50, 51, 0]);
  assert.is(permitOf(two.judge(LAPSED)), 0);
  const four = censusOf(ages, 1);
  four.granted(grantOf(4));
  assert.is(permitOf(four.judge(LAPSED)), 0);
  assert.equal(ages.map((staleMs) => permitOf(four.judge(staleFor(staleMs)))), [50, 51, 52, 53]);
  const all = censusOf(ages, 1);
  all.granted(grantOf(5));
  assert.is(permitOf(all.judge(LAPSED)), 50);
  assert.is(all.denied, 0);
});

test("no permit is used twice, whatever is judged", () => {
  const census = censusOf([CONFIRM_MS, CONFIRM_MS, CONFIRM_MS], 3);
  census.granted(grantOf(4));
  const judged = [LAPSED, staleFor(CONFIRM_MS), staleFor(5)];
  const permits = Array.from({ length: 30 }, (_, at) => permitOf(census.judge(judged[at % 3]!)))
    .filter((permit) => permit > 0);
  assert.equal(permits, [50, 51, 52, 53]);
});

test("without an answer of group 0 nothing ends, and what is stale asks again soon", () => {
  const census = censusOf([CONFIRM_MS + 1, 3], 1);
  assert.equal(census.judge(LAPSED), { lookAgainMs: STALE_LOOK_MS });
  for (const staleMs of [CONFIRM_MS + 1, 3]) {
    assert.equal(census.judge(staleFor(staleMs)), { lookAgainMs: STALE_LOOK_MS - NOW_MS });
  }
  assert.is(census.denied, 3);
});

test("in a mass loss a record asks again when its loss is confirmed; held ones ask rarely", () => {
  const mass = censusOf([1_000]);
  mass.granted(grantOf(0, { first: 0, isMass: true }));
  const leftMs = CONFIRM_MS - 1_000;
  const verdict = mass.judge(staleFor(1_000));
  assert.ok(verdict !== undefined && "lookAgainMs" in verdict);
  const { lookAgainMs } = verdict;
  assert.ok(lookAgainMs >= leftMs && lookAgainMs < leftMs + STALE_LOOK_MS, `${lookAgainMs}`);
  assert.is((NOW_MS + lookAgainMs) % STALE_LOOK_MS, 0, "all of the node's at the same moments");
  const held = censusOf([CONFIRM_MS]);
  held.granted(grantOf(0, { first: 0, isHeld: true }));
  assert.equal(held.judge(staleFor(CONFIRM_MS)), { lookAgainMs: HELD_LOOK_MS - NOW_MS });
});

test("a release is for what was stale when it came, whatever is confirmed", () => {
  const census = censusOf([CONFIRM_MS, 900, 800, 10], 2, 500);
  census.granted(grantOf(3, { isReleased: true }));
  assert.is(permitOf(census.judge(LAPSED)), 0);
  assert.is(permitOf(census.judge(staleFor(10))), 0);
  const permits = [800, 900, CONFIRM_MS].map((ms) => permitOf(census.judge(staleFor(ms))));
  assert.equal(permits, [50, 51, 52]);
});

test.run();
