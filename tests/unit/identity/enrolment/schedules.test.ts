/** Times of renewals by owners, and of a region's intermediates. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  INTERMEDIATE_LEAD_MS,
  INTERMEDIATE_LIFE_MS,
  RENEWAL_GRACE_MS_MAX,
} from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import {
  type Intermediate,
  intermediateSteps,
  intermediateValidity,
} from "../../../../identity/enrolment/intermediate_schedule.ts";
import { renewalRetryMs, renewAtMs } from "../../../../identity/enrolment/renewal_schedule.ts";
import { DAY_MS, NOW_MS, REGION } from "../../../support/test_pki.ts";

const HOUR_MS = 3_600_000;

test("renewAtMs lies between 50 and 60 % of a life, spread over all of that", () => {
  const entropy = new SeededEntropy(1);
  const life = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + HOUR_MS };
  const parts = Array.from({ length: 1_000 }, () => (renewAtMs(life, entropy) - NOW_MS) / HOUR_MS);
  assert.ok(Math.min(...parts) >= 0.5 && Math.min(...parts) < 0.505);
  assert.ok(Math.max(...parts) < 0.6 && Math.max(...parts) > 0.595);
});

test("renewalRetryMs grows to its limit and is spread", () => {
  const entropy = new SeededEntropy(1);
  for (let failures = 1; failures < 50; failures++) {
    const longest = Math.min(1_000 * 2 ** failures, 60_000);
    const waits = Array.from({ length: 200 }, () => renewalRetryMs(failures, entropy));
    assert.ok(waits.every((wait) => wait >= 1_000 && wait < longest));
    assert.ok(Math.max(...waits) > 1_000 + (longest - 1_000) * 0.9);
  }
});

/** Returns an intermediate that was created `startMs` after now, published `afterMs` later. */
function made(startMs: number, afterMs: number | undefined): Intermediate {
  const notBeforeMs = NOW_MS + startMs;
  return {
    keyId: new Uint8Array(20).fill(startMs / DAY_MS + 1),
    region: REGION,
    notBeforeMs,
    notAfterMs: notBeforeMs + INTERMEDIATE_LIFE_MS,
    publishedAtMs: afterMs === undefined ? undefined : notBeforeMs + afterMs,
  };
}

const first = made(0, 0);

test("intermediateValidity covers now, and clocks that are behind", () => {
  const { notBeforeMs, notAfterMs } = intermediateValidity(NOW_MS);
  assert.is(notBeforeMs, NOW_MS - HOUR_MS);
  assert.is(notAfterMs - notBeforeMs, INTERMEDIATE_LIFE_MS);
});

const half = INTERMEDIATE_LIFE_MS / 2;

test("intermediateSteps wants a first intermediate, and publishes it before it signs", () => {
  assert.equal(intermediateSteps([], NOW_MS), {
    signer: undefined,
    named: [],
    needsFollower: true,
  });
  const unpublished = made(0, undefined);
  const steps = intermediateSteps([unpublished], NOW_MS + 10 * DAY_MS);
  assert.is(steps.signer, undefined);
  assert.equal(steps.named, [unpublished]);
  assert.not(steps.needsFollower);
  assert.is(intermediateSteps([first], NOW_MS + INTERMEDIATE_LEAD_MS - 1).signer, undefined);
  assert.is(intermediateSteps([first], NOW_MS + INTERMEDIATE_LEAD_MS).signer, first);
});

test("intermediateSteps wants a follower at half the life, and changes over after its lead", () => {
  assert.not(intermediateSteps([first], NOW_MS + half - 1).needsFollower);
  assert.ok(intermediateSteps([first], NOW_MS + half).needsFollower);
  const second = made(half, HOUR_MS);
  const overMs = second.publishedAtMs! + INTERMEDIATE_LEAD_MS;
  for (const list of [[first, second], [second, first]]) {
    const before = intermediateSteps(list, overMs - 1);
    assert.is(before.signer, first);
    assert.equal(before.named, [first, second]);
    assert.not(before.needsFollower);
    assert.is(intermediateSteps(list, overMs).signer, second);
  }
});

test("intermediateSteps names the first until its last leaf cannot even be renewed", () => {
  const second = made(half, HOUR_MS);
  const lastLeafEndsMs = second.publishedAtMs! + INTERMEDIATE_LEAD_MS + HOUR_MS;
  const list = [first, second];
  const withdrawnMs = lastLeafEndsMs + RENEWAL_GRACE_MS_MAX;
  assert.equal(intermediateSteps(list, withdrawnMs).named, list);
  assert.equal(intermediateSteps(list, withdrawnMs + 1).named, [second]);
});

test("intermediateSteps never lets one sign beyond its end, and goes on naming it for a while", () => {
  const steps = intermediateSteps([first], first.notAfterMs);
  assert.is(steps.signer, undefined);
  assert.equal(steps.named, [first], "nodes may come back and renew");
  assert.ok(steps.needsFollower);
  const goneMs = first.notAfterMs + RENEWAL_GRACE_MS_MAX + HOUR_MS;
  assert.equal(intermediateSteps([first], goneMs).named, [first]);
  assert.equal(intermediateSteps([first], goneMs + 1).named, []);
});

test("intermediateSteps has a signer throughout when followers come in time", () => {
  const made_: Intermediate[] = [first];
  for (
    let nowMs = NOW_MS + INTERMEDIATE_LEAD_MS;
    nowMs < NOW_MS + 1_000 * DAY_MS;
    nowMs += DAY_MS
  ) {
    const steps = intermediateSteps(made_, nowMs);
    assert.ok(steps.signer !== undefined && steps.signer.notAfterMs > nowMs + half / 2);
    assert.ok(steps.named.includes(steps.signer) && steps.named.length <= 2);
    if (steps.needsFollower) made_.push(made(nowMs - NOW_MS, HOUR_MS));
  }
  assert.ok(made_.length > 10);
});

test.run();
