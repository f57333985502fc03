/** Leases (design §3): covers, renewals from memory, expiry by logged commands, failover. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { CLOCK_DRIFT_PPM, LEASE_TICK_MS } from "../../../src/base/limits.ts";
import type { Position } from "../../../src/base/position.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { idOf, StoreHarness } from "../../support/store.ts";

const TTL_MS = 30_000;

function leader(timeMs = 0): StoreHarness {
  const harness = new StoreHarness();
  harness.timeMs = timeMs;
  harness.tick(timeMs);
  harness.store.onBecomeLeader(timeMs);
  return harness;
}

function renew(harness: StoreHarness, number: number, incarnation: Position): string {
  return harness.store.renew(KIND_AGENT, idOf(number), 0, incarnation, harness.timeMs);
}

/** Proposes the expiries and extensions that the leader wants at this time. */
function settle(harness: StoreHarness): { expired: number; extended: number } {
  const options = { nowMs: harness.timeMs, unixS: harness.unixS };
  const extend = harness.store.extendCommand(options);
  const extended = extend === undefined ? 0 : harness.apply(extend).count;
  const expire = harness.store.overdueCommands(options).expire;
  const expired = expire === undefined ? 0 : harness.apply(expire).count;
  return { expired, extended };
}

test("a renewal that ends inside the cover is answered from memory and logs nothing", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  const before = harness.image();
  harness.timeMs = 10_000;
  assert.is(renew(harness, 1, incarnation), "renewed");
  assert.equal(harness.image(), before);
  assert.is(harness.store.remainingMs(harness.slotOf(KIND_AGENT, 1), 10_000), TTL_MS);
});

test("a renewal beyond the cover needs an extension first, and promises nothing", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = TTL_MS;
  assert.is(renew(harness, 1, incarnation), "renewed", "ends with the cover");
  harness.timeMs = TTL_MS + 1;
  const slot = harness.slotOf(KIND_AGENT, 1);
  assert.is(renew(harness, 1, incarnation), "needs_extension");
  assert.is(harness.store.remainingMs(slot, harness.timeMs), TTL_MS - 1);
  const command = defined(
    harness.store.extendCommand({ nowMs: harness.timeMs, unixS: 1, force: true }),
    "an extension waits",
  );
  assert.is(harness.apply(command).count, 1);
  assert.is(harness.agent(1)?.leaseExpiryMs, 3 * TTL_MS + 1);
  assert.is(renew(harness, 1, incarnation), "renewed");
});

test("a renewal of a record that was taken over or removed is refused with that reason", () => {
  const harness = leader();
  const first = harness.putAgent();
  const second = harness.putAgent({ process: 22 }, first.incarnation);
  assert.is(renew(harness, 1, first.incarnation), "superseded");
  assert.is(renew(harness, 1, second.incarnation), "renewed");
  harness.remove(KIND_AGENT, 1, second.incarnation, { process: 0 });
  assert.is(renew(harness, 1, second.incarnation), "not_found");
  assert.is(renew(harness, 2, second.incarnation), "not_found");
});

test("a renewal where no leader is answers not_leader", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.store.onLoseLeadership();
  assert.is(renew(harness, 1, incarnation), "not_leader");
  assert.is(harness.store.nextDeadlineMs(), Infinity);
  assert.is(harness.store.overdueCommands({ nowMs: 1e9, unixS: 0 }).expire, undefined);
});

test("expiry is never before the last renewal + ttl, and at most a tick late for the leader", () => {
  for (const startMs of [0, 1, 249, 250, 12_345]) {
    const harness = leader(startMs);
    const { incarnation } = harness.putAgent();
    harness.timeMs = startMs + 7_777;
    assert.is(renew(harness, 1, incarnation), "renewed");
    const endMs = harness.timeMs + TTL_MS;
    for (; harness.timeMs < endMs; harness.timeMs = Math.min(harness.timeMs + 125, endMs - 1)) {
      assert.is(settle(harness).expired, 0, `at ${harness.timeMs} of ${endMs}`);
      if (harness.timeMs === endMs - 1) break;
    }
    harness.timeMs = endMs + LEASE_TICK_MS;
    assert.is(settle(harness).expired, 1);
    assert.is(harness.agent(1), undefined);
    assert.ok(LEASE_TICK_MS < TTL_MS * CLOCK_DRIFT_PPM / 1e6 + 1_000);
  }
});

test("remainingMs is a promise: the record does not expire before it is over", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent({ ttlMs: 5_001 });
  harness.timeMs = 1_003;
  renew(harness, 1, incarnation);
  const slot = harness.slotOf(KIND_AGENT, 1);
  const remaining = harness.store.remainingMs(slot, harness.timeMs);
  assert.ok(remaining >= 5_001);
  harness.timeMs += remaining - 1;
  assert.is(settle(harness).expired, 0);
});

test("expire is refused where the cover moved on after the leader looked", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = TTL_MS;
  const expire = defined(
    harness.store.overdueCommands({ nowMs: TTL_MS, unixS: 0 }).expire,
    "is due",
  );
  harness.extend(KIND_AGENT, 1, incarnation);
  assert.is(harness.apply(expire).count, 0);
  assert.is(harness.agent(1)?.leaseExpiryMs, 3 * TTL_MS);
  assert.is(renew(harness, 1, incarnation), "renewed", "the mark of expiry is gone");
});

test("expire is refused where the incarnation moved on after the leader looked", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = TTL_MS;
  const expire = defined(
    harness.store.overdueCommands({ nowMs: TTL_MS, unixS: 0 }).expire,
    "is due",
  );
  harness.putAgent({ process: 22 }, incarnation);
  assert.is(harness.apply(expire).count, 0);
  assert.is(harness.agent(1)?.process, 22);
});

test("a renewal while its expiry is proposed is not answered from memory", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = TTL_MS;
  const expire = defined(
    harness.store.overdueCommands({ nowMs: TTL_MS, unixS: 0 }).expire,
    "is due",
  );
  assert.is(renew(harness, 1, incarnation), "needs_extension");
  assert.is(harness.store.remainingMs(harness.slotOf(KIND_AGENT, 1), TTL_MS), 0);
  assert.is(harness.apply(expire).count, 1);
  assert.is(renew(harness, 1, incarnation), "not_found");
});

test("expire leaves a tombstone, so that a delayed duplicate does not revive", () => {
  const harness = leader();
  harness.putAgent({ sequence: 4 });
  harness.timeMs = TTL_MS;
  assert.is(settle(harness).expired, 1);
  assert.is(harness.putAgent({ sequence: 4 }).code, "stale_sequence");
  assert.is(harness.putAgent({ sequence: 5 }).code, "ok");
  assert.equal(harness.events.map(({ type }) => type), ["registered", "expired", "registered"]);
});

test("an expiry without effect is proposed again", () => {
  const harness = leader();
  harness.putAgent();
  harness.timeMs = TTL_MS;
  const options = { nowMs: TTL_MS, unixS: 0 };
  assert.ok(harness.store.overdueCommands(options).expire);
  assert.is(harness.store.overdueCommands(options).expire, undefined);
  harness.timeMs += 3_000;
  assert.is(settle(harness).expired, 1);
});

test("overdueCommands takes at most its limit, and the rest at once after it", () => {
  const harness = leader();
  for (let number = 1; number <= 25; number++) harness.putAgent({ number });
  const counts: number[] = [];
  for (;;) {
    const command = harness.store.overdueCommands({ nowMs: TTL_MS, unixS: 0, limit: 10 }).expire;
    if (command === undefined) break;
    counts.push(harness.apply(command).count);
  }
  assert.equal(counts, [10, 10, 5]);
});

test("a register with a shorter ttl does not take back the lease that was given", () => {
  const harness = leader();
  harness.putAgent({ ttlMs: 600_000 });
  harness.timeMs = 1_000;
  harness.putAgent({ ttlMs: 5_000, sequence: 2 });
  assert.is(harness.store.remainingMs(harness.slotOf(KIND_AGENT, 1), 1_000), 599_000);
  harness.timeMs = 599_999;
  assert.is(settle(harness).expired, 0);
});

test("a takeover begins a lease of its own", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent({ ttlMs: 600_000 });
  harness.putAgent({ ttlMs: 5_000, process: 22 }, incarnation);
  assert.is(harness.agent(1)?.leaseExpiryMs, 10_000);
  harness.timeMs = 5_000;
  assert.is(settle(harness).expired, 1);
});

test("a new leader goes by the covers: one ttl longer, never shorter", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = 20_000;
  renew(harness, 1, incarnation);
  harness.store.onLoseLeadership();
  harness.store.onBecomeLeader(20_000);
  harness.timeMs = 2 * TTL_MS - 1;
  assert.is(settle(harness).expired, 0);
  harness.timeMs = 2 * TTL_MS;
  assert.is(settle(harness).expired, 1);
});

test("a new leader knows the lease's end from the first renewal on", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.store.onLoseLeadership();
  harness.store.onBecomeLeader(0);
  harness.timeMs = 1_000;
  assert.is(harness.store.remainingMs(harness.slotOf(KIND_AGENT, 1), 1_000), 2 * TTL_MS - 1_000);
  assert.is(renew(harness, 1, incarnation), "renewed");
  harness.timeMs = TTL_MS + 999;
  assert.is(settle(harness).expired, 0);
  harness.timeMs = TTL_MS + 1_000;
  assert.is(settle(harness).expired, 1);
});

test("a new leader keeps what was promised under a longer ttl", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent({ ttlMs: 10_000 });
  harness.timeMs = 10_000;
  assert.is(renew(harness, 1, incarnation), "renewed", "promised until 20,000");
  harness.timeMs = 10_100;
  harness.putAgent({ ttlMs: 7_777, sequence: 2 });
  harness.store.onLoseLeadership();
  harness.store.onBecomeLeader(10_100);
  harness.timeMs = 10_200;
  assert.is(renew(harness, 1, incarnation), "renewed");
  harness.timeMs = 19_999;
  assert.is(settle(harness).expired, 0);
});

test("an extension counts from its renewal, so that gathering lengthens no cover", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = 22_000;
  renew(harness, 1, incarnation);
  harness.timeMs = 25_000;
  assert.is(settle(harness).extended, 1);
  const coverMs = harness.agent(1)?.leaseExpiryMs ?? 0;
  assert.ok(coverMs >= 22_000 + 2 * TTL_MS, `${coverMs}`);
  assert.ok(coverMs <= 22_000 + 2 * TTL_MS + 2 * LEASE_TICK_MS, `${coverMs}`);
});

test("an extension skips what was not renewed since, and whose incarnation moved on", () => {
  const harness = leader();
  const first = harness.putAgent({ number: 1 });
  const second = harness.putAgent({ number: 2 });
  harness.timeMs = 22_000;
  renew(harness, 1, first.incarnation);
  harness.timeMs = 23_000;
  assert.is(settle(harness).extended, 1);
  assert.is(harness.agent(2)?.leaseExpiryMs, 2 * TTL_MS);
  assert.is(harness.extend(KIND_AGENT, 2, first.incarnation).count, 0);
  assert.is(harness.extend(KIND_GATEWAY, 2, second.incarnation).count, 0);
  assert.is(harness.agent(2)?.leaseExpiryMs, 2 * TTL_MS);
});

test("an extension leaves revision and incarnation, and never shortens a cover", () => {
  const harness = leader();
  const { incarnation } = harness.putAgent();
  harness.timeMs = 10_000;
  harness.extend(KIND_AGENT, 1, incarnation);
  const { leaseExpiryMs, revision } = harness.agent(1)!;
  assert.is(leaseExpiryMs, 10_000 + 2 * TTL_MS);
  assert.equal(revision, { generation: 1, index: 2 });
  harness.extend(KIND_AGENT, 1, incarnation, 40);
  assert.is(harness.agent(1)?.leaseExpiryMs, leaseExpiryMs);
});

test("renewals at ttl / 3 cost at most 0.05 log entries each with 12 records a partition", () => {
  const harness = leader();
  const count = 12;
  const incarnations: Position[] = [];
  for (let number = 0; number < count; number++) {
    incarnations.push(harness.putAgent({ number: number + 1 }).incarnation);
  }
  let renewals = 0;
  let entries = 0;
  let waits = 0;
  for (harness.timeMs = 0; harness.timeMs < 300_000; harness.timeMs += 250) {
    incarnations.forEach((incarnation, number) => {
      // Each renews every 10 s, spread over the interval.
      if ((harness.timeMs + number * 750) % 10_000 !== 0 || harness.timeMs === 0) return;
      renewals++;
      if (renew(harness, number + 1, incarnation) !== "renewed") waits++;
    });
    const { extended, expired } = settle(harness);
    if (extended > 0) entries++;
    assert.is(expired, 0);
  }
  assert.is(waits, 0, "every renewal is answered from memory");
  assert.ok(renewals > 300);
  assert.ok(entries / renewals <= 0.05, `${entries} entries for ${renewals} renewals`);
});

test("a lease granted by apply counts from the answer, within its cover", () => {
  const harness = leader();
  const command = harness.header;
  assert.is(command.timeMs, 0);
  harness.putAgent();
  // Proposed at 0, applied at 900.
  const late = new StoreHarness();
  late.tick(0);
  late.store.onBecomeLeader(0);
  const entry = harness.log[1]!;
  late.store.apply({ ...entry, index: 2 }, 900);
  const slot = late.slotOf(KIND_AGENT, 1);
  assert.ok(late.store.remainingMs(slot, 900) >= TTL_MS);
  assert.is(late.agent(1)?.leaseExpiryMs, 2 * TTL_MS);
});

test.run();
