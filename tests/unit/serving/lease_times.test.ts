/**
 * The life of records, with a whole registry and a clock moved by hand: never shorter than
 * promised, hardly longer, and its cost in the log.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import {
  CLIENT_RECONNECT_MS_CAP,
  CLOCK_DRIFT_PPM,
  DIAL_MS_MAX,
  OUTAGE_GRACE_MS_MAX,
  RENEW_ITEMS_MAX,
} from "../../../src/base/limits.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import type { RawPeer } from "../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

interface Incarnation {
  readonly generation: number;
  readonly index: number;
}

/** Renews agents by number; returns the codes of those that were not renewed. */
async function renew(
  peer: RawPeer,
  incarnations: ReadonlyMap<number, Incarnation>,
  numbers: readonly number[],
): Promise<Map<number, number>> {
  const failed = new Map<number, number>();
  for (let at = 0; at < numbers.length; at += RENEW_ITEMS_MAX) {
    const part = numbers.slice(at, at + RENEW_ITEMS_MAX);
    const items = part.map((number) => ({
      id: idOf(number),
      incarnation: incarnations.get(number)!,
      kind: KIND_AGENT,
    }));
    const reply = await peer.must("renew", { items });
    assert.is(reply.renewed, part.length - reply.failures.length);
    for (const { position, code } of reply.failures) failed.set(part[position]!, code);
  }
  return failed;
}

test("a record that is not renewed lives for its ttl, and at most a second longer", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const ttls = [5_000, 5_001, 7_777, 10_000, 30_000, 60_000];
  for (const [index, ttlMs] of ttls.entries()) {
    await peer.must("registerAgent", agentRequest({ number: index + 1, ttlMs }));
  }
  const bornMs = harness.world.nowMs();
  const diedMs = new Map<number, number>();
  while (diedMs.size < ttls.length && harness.world.nowMs() < 70_000) {
    await harness.world.pass(10);
    for (const [index, ttlMs] of ttls.entries()) {
      if (diedMs.has(ttlMs) || harness.agent(idOf(index + 1)) !== undefined) continue;
      diedMs.set(ttlMs, harness.world.nowMs() - bornMs);
    }
  }
  for (const ttlMs of ttls) {
    const livedMs = diedMs.get(ttlMs)!;
    assert.ok(livedMs >= ttlMs, `${ttlMs} ms: lived ${livedMs}`);
    assert.ok(livedMs <= ttlMs * (1 + CLOCK_DRIFT_PPM / 1e6) + 1_000, `${ttlMs}: ${livedMs}`);
  }
});

test("expiry: many records that end at once are removed within a second", async () => {
  const harness = await RegistryHarness.open({ partitions: 2 });
  const peer = await harness.peer();
  for (let at = 0; at < 3_000; at += 500) {
    const items = Array.from(
      { length: 500 },
      (_, index) => ({
        ...agentRequest({ number: at + index + 1, ttlMs: 5_000 }),
        kind: KIND_AGENT,
      }),
    );
    const { items: outcomes } = await peer.must("registerMany", { items });
    assert.ok(outcomes.every(({ code }: { code: number }) => code === 0));
  }
  await harness.world.pass(4_990);
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, 3_000);
  await harness.world.pass(1_012);
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, 0);
});

test("expiry: never before the last answered renewal + ttl, with any renewals and crashes", async () => {
  let restarts = 0;
  let expired = 0;
  for (let seed = 1; seed <= 6; seed++) {
    const entropy = new SeededEntropy(seed);
    const harness = await RegistryHarness.open({ seed });
    let peer = await harness.peer();
    const ttlMs = 5_000 + Math.floor(entropy.unit() * 10_000);
    const incarnations = new Map<number, Incarnation>();
    const promisedMs = new Map<number, number>();
    const numbers = Array.from({ length: 24 }, (_, index) => index + 1);
    for (const number of numbers) {
      const { incarnation } = await peer.must("registerAgent", agentRequest({ number, ttlMs }));
      incarnations.set(number, incarnation);
      promisedMs.set(number, harness.world.nowMs() + ttlMs);
    }
    for (let step = 0; step < 60; step++) {
      await harness.world.pass(Math.floor(entropy.unit() * ttlMs / 3));
      const nowMs = harness.world.nowMs();
      for (const number of numbers) {
        const gone = harness.agent(idOf(number)) === undefined;
        if (!gone || promisedMs.get(number) === Infinity) continue;
        assert.ok(promisedMs.get(number)! <= nowMs, `seed ${seed}: agent ${number} died early`);
        promisedMs.set(number, Infinity);
        expired++;
      }
      if (entropy.unit() < 0.05) {
        harness.crash(entropy.unit() < 0.5 ? undefined : step);
        // Outages, many of them longer than any lease, do not count for a record's life.
        const outageMs = entropy.unit() * 60_000;
        await harness.world.pass(outageMs);
        for (const [number, untilMs] of promisedMs) promisedMs.set(number, untilMs + outageMs);
        await harness.start();
        peer = await harness.peer();
        restarts++;
      }
      const chosen = numbers.filter((number) =>
        promisedMs.get(number) !== Infinity && entropy.unit() < 0.3
      );
      const failed = await renew(peer, incarnations, chosen);
      for (const number of chosen) {
        if (!failed.has(number)) promisedMs.set(number, harness.world.nowMs() + ttlMs);
      }
    }
  }
  assert.ok(restarts > 6 && expired > 20, `${restarts} restarts, ${expired} expiries`);
});

test("outage: no record expires by it, and leases go on with the time they had left", async () => {
  const harness = await RegistryHarness.open();
  let peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 10_000 }));
  await harness.world.pass(8_000);
  harness.crash();
  await harness.world.pass(3_600_000);
  await harness.start();
  peer = await harness.peer();
  const { remainingMs } = await peer.must("getAgent", { id: idOf(1) });
  assert.ok(remainingMs >= 2_000, "what was left, never less");
  assert.ok(remainingMs <= 20_000, "by the cover at most");
  await harness.world.pass(2_000);
  assert.ok(harness.agent(idOf(1)) !== undefined);
  await harness.world.pass(19_100 + OUTAGE_GRACE_MS_MAX);
  assert.is(harness.agent(idOf(1)), undefined, "the outage is not paid for twice");
});

/**
 * Returns an agent with a ttl of 5 s of which 2 s are left, after an outage during which its owner
 * cannot renew.
 */
async function afterOutage(outage: (harness: RegistryHarness) => Promise<void>) {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const request = agentRequest({ number: 1, ttlMs: 5_000 });
  const { incarnation } = await peer.must("registerAgent", request);
  await harness.world.pass(3_000);
  await outage(harness);
  return { harness, peer, incarnations: new Map([[1, incarnation]]) };
}

const OUTAGES: readonly (readonly [string, (harness: RegistryHarness) => Promise<void>])[] = [
  ["that stood still", async ({ world }) => {
    world.stop(60_000);
    // The first turn after it runs before the requests that arrived meanwhile.
    await world.pass(200);
  }],
  ["whose disk was full", async ({ disk, world }) => {
    disk.intercept = ({ kind }) => kind === "write" ? "no_space" : undefined;
    await world.pass(40_000);
    disk.intercept = () => undefined;
    await world.pass(1_000);
  }],
  ["whose disk took a write and did not come back", async ({ disk, world }) => {
    disk.intercept = ({ kind }) => kind === "write" ? "hold" : undefined;
    await world.pass(12_000);
    disk.intercept = () => undefined;
    disk.releaseHeld();
    await world.pass(1_000);
  }],
  ["whose disk took a sync and did not come back", async ({ disk, world }) => {
    disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
    await world.pass(12_000);
    disk.intercept = () => undefined;
    disk.releaseHeld();
    await world.pass(1_000);
  }],
];

for (const [what, outage] of OUTAGES) {
  test(`a node ${what} expires nothing for as long as a client may need to come back`, async () => {
    const { harness, incarnations, peer } = await afterOutage(async (harness) => {
      // A write to the disk is pending.
      const other = await harness.peer();
      void other.send("registerAgent", agentRequest({ number: 2, ttlMs: 5_000 }));
      await outage(harness);
    });
    await harness.world.pass(CLIENT_RECONNECT_MS_CAP + DIAL_MS_MAX);
    const { remainingMs } = await peer.must("getAgent", { id: idOf(1) });
    assert.ok(remainingMs > 0 && remainingMs <= 2_000, `${remainingMs} ms are left`);
    assert.is((await renew(peer, incarnations, [1])).size, 0);
    await harness.world.pass(4_990);
    assert.ok(harness.agent(idOf(1)) !== undefined);
  });

  test(`a node ${what} expires what nobody renews afterwards`, async () => {
    const { harness } = await afterOutage(outage);
    await harness.world.pass(OUTAGE_GRACE_MS_MAX + 5_000);
    assert.is(harness.agent(idOf(1)), undefined);
  });
}

test("a wall clock that jumps expires nothing and keeps nothing alive for more than a grace", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 10_000 }));
  harness.world.wallOffsetMs += 86_400_000;
  await harness.world.pass(9_900);
  assert.ok(harness.agent(idOf(1)) !== undefined);
  harness.world.wallOffsetMs -= 2 * 86_400_000;
  await harness.world.pass(1_105 + OUTAGE_GRACE_MS_MAX);
  assert.is(harness.agent(idOf(1)), undefined);
});

test("a renewal within the cover logs nothing, and covers are extended in the background", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must("registerAgent", agentRequest({ number: 1 }));
  const incarnations = new Map([[1, incarnation]]);
  await harness.world.pass(1_000);
  const before = harness.logged;
  for (let time = 0; time < 10; time++) {
    assert.is((await renew(peer, incarnations, [1])).size, 0);
    await harness.world.pass(900);
  }
  assert.is(harness.logged, before);
  const coverMs = harness.agent(idOf(1))!.leaseExpiryMs;
  for (let time = 0; time < 4; time++) {
    await renew(peer, incarnations, [1]);
    await harness.world.pass(10_000);
  }
  assert.ok(harness.agent(idOf(1))!.leaseExpiryMs > coverMs, "extended without anybody waiting");
  assert.is(harness.registry.renewals.extensionsProposed, 0);
});

/** Renews all at the given interval for a while; returns log entries per renewal. */
async function entriesPerRenewal(
  { partitions, records, ttlMs, rounds }: {
    partitions: number;
    records: number;
    ttlMs: number;
    rounds: number;
  },
): Promise<number> {
  const harness = await RegistryHarness.open({ partitions });
  const peer = await harness.peer();
  const incarnations = new Map<number, Incarnation>();
  // Owners' phases are spread over the interval, as they are in a fleet.
  const slices = 20;
  const stepMs = ttlMs / 3 / slices;
  const bySlice: number[][] = Array.from({ length: slices }, () => []);
  for (let slice = 0; slice < slices; slice++) {
    for (let number = slice + 1; number <= records; number += slices) {
      bySlice[slice]!.push(number);
      const { incarnation } = await peer.must("registerAgent", agentRequest({ number, ttlMs }));
      incarnations.set(number, incarnation);
    }
    await harness.world.pass(stepMs);
  }
  const before = harness.logged;
  let renewals = 0;
  for (let round = 0; round < rounds; round++) {
    for (const numbers of bySlice) {
      assert.is((await renew(peer, incarnations, numbers)).size, 0);
      renewals += numbers.length;
      await harness.world.pass(stepMs);
    }
  }
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, records);
  return (harness.logged - before) / renewals;
}

test("renewals of many records a partition cost at most 0.05 log entries each at an interval of ttl/3", async () => {
  const ratio = await entriesPerRenewal({
    partitions: 16,
    records: 2_000,
    ttlMs: 30_000,
    rounds: 9,
  });
  assert.ok(ratio <= 0.05, `${ratio} entries a renewal`);
});

test("renewals of a single record a partition cost at most one log entry in two", async () => {
  const ratio = await entriesPerRenewal({ partitions: 64, records: 64, ttlMs: 30_000, rounds: 9 });
  assert.ok(ratio <= 0.5, `${ratio} entries a renewal`);
});

test("renewals in one request: each has its own outcome", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const incarnations = new Map<number, Incarnation>();
  for (let number = 1; number <= 40; number++) {
    const { incarnation } = await peer.must("registerAgent", agentRequest({ number }));
    incarnations.set(number, incarnation);
  }
  await peer.must("deregisterAgent", {
    id: idOf(7),
    incarnation: incarnations.get(7)!,
    process: 11,
    sequence: 2,
    withAgents: false,
  });
  const taken = await peer.must(
    "registerAgent",
    agentRequest({ number: 8, process: 12 }, incarnations.get(8)!),
  );
  const items = Array.from(incarnations, ([number, incarnation]) => ({
    id: idOf(number),
    incarnation,
    kind: KIND_AGENT,
  }));
  items.push({ id: idOf(1), incarnation: incarnations.get(1)!, kind: 3 });
  const reply = await peer.must("renew", { items });
  assert.is(reply.renewed, 38);
  assert.ok(reply.renewAfterMs > 0 && reply.renewAfterMs <= 10_000);
  const none = { generation: 0, index: 0 };
  assert.equal(reply.failures, [
    { position: 6, code: 9, current: none, home: undefined },
    { position: 7, code: 10, current: taken.incarnation, home: undefined },
    { position: 40, code: 9, current: none, home: undefined },
  ]);
});

test("renewals beyond one extend command of their partition are all renewed", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  let peer = await harness.peer();
  const incarnations = new Map<number, Incarnation>();
  for (let at = 0; at < 5_000; at += 500) {
    const { items } = await peer.must("registerMany", {
      items: Array.from(
        { length: 500 },
        (_, index) => ({
          ...agentRequest({ number: at + index + 1, ttlMs: 60_000 }),
          kind: KIND_AGENT,
        }),
      ),
    });
    items.forEach((item: { incarnation: Incarnation }, index: number) =>
      incarnations.set(at + index + 1, item.incarnation)
    );
  }
  await harness.world.pass(59_000);
  await harness.restart();
  await harness.world.pass(30_000);
  peer = await harness.peer();
  // All covers are too short: two requests of one turn, and 5,000 wait for the log.
  const numbers = Array.from({ length: 5_000 }, (_, index) => index + 1);
  const before = harness.logged;
  const replies = [numbers.slice(0, 2_500), numbers.slice(2_500)].map((part) =>
    peer.send("renew", {
      items: part.map((number) => ({
        id: idOf(number),
        incarnation: incarnations.get(number)!,
        kind: KIND_AGENT,
      })),
    })
  );
  for (const reply of replies) {
    const { body } = await harness.world.wait(reply);
    assert.is(body.renewed, 2_500);
    assert.equal(body.failures, []);
  }
  assert.ok(harness.logged - before <= 4, "they share commands");
});

test("a renewal that meets its record's expiry is renewed or told that it is gone, never both", async () => {
  for (let lateMs = -300; lateMs <= 900; lateMs += 25) {
    const harness = await RegistryHarness.open();
    const peer = await harness.peer();
    const { incarnation } = await peer.must(
      "registerAgent",
      agentRequest({ number: 1, ttlMs: 5_000 }),
    );
    await harness.world.pass(5_000 + lateMs);
    const failed = await renew(peer, new Map([[1, incarnation]]), [1]);
    const answeredMs = harness.world.nowMs();
    if (lateMs < 0) assert.is(failed.size, 0);
    if (failed.size > 0) {
      assert.is(failed.get(1), 9);
      assert.is(harness.agent(idOf(1)), undefined);
      continue;
    }
    await harness.world.pass(4_990 - (harness.world.nowMs() - answeredMs));
    assert.ok(harness.agent(idOf(1)) !== undefined, `${lateMs} ms late and renewed`);
  }
});

test("a renewal that was answered holds, though the power fails in the next turn and the one before", async () => {
  const harness = await RegistryHarness.open();
  let peer = await harness.peer();
  const ttlMs = 10_000;
  const { incarnation } = await peer.must("registerAgent", agentRequest({ number: 1, ttlMs }));
  await harness.world.pass(9_000);
  // After this the rest of the cover is shorter than a renewal promises.
  for (let crashes = 0; crashes < 6; crashes++) {
    await harness.restart();
    peer = await harness.peer();
    assert.is((await renew(peer, new Map([[1, incarnation]]), [1])).size, 0);
    harness.crash();
    await harness.start();
    await harness.world.pass(ttlMs - 10);
    assert.ok(harness.agent(idOf(1)) !== undefined, `after ${crashes} crashes`);
  }
});

test("a renewal that comes while its record's expiry is on its way to the disk waits for what it brings", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must(
    "registerAgent",
    agentRequest({ number: 1, ttlMs: 20_000 }),
  );
  // The cover of the longer lease stays, and would allow a renewal of the shorter one.
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 5_000, sequence: 2 }));
  await harness.world.pass(19_500);
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  await harness.world.pass(1_000);
  const renewal = peer.send("renew", { items: [{ id: idOf(1), incarnation, kind: KIND_AGENT }] });
  let answered = false;
  void renewal.then(() => answered = true);
  await harness.world.settle();
  assert.is(answered, false, "nothing is promised meanwhile");
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  const { body } = await harness.world.wait(renewal);
  assert.is(body.renewed, 0);
  assert.is(body.failures[0].code, 9);
  assert.is(harness.agent(idOf(1)), undefined);
});

test("a restart gives away at most a minute, and at most what was left of the shortest lease", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  const peer = await harness.peer();
  const ttlMs = 600_000;
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs }));
  await harness.world.pass(500_000);
  await harness.restart();
  const again = await harness.peer();
  const { remainingMs } = await again.must("getAgent", { id: idOf(1) });
  assert.ok(remainingMs >= 2 * ttlMs - 500_000, "by the cover, never less");
  assert.ok(remainingMs <= 2 * ttlMs - 500_000 + 61_000, `${remainingMs} ms are left`);
  await harness.world.pass(OUTAGE_GRACE_MS_MAX);
  await again.must("registerAgent", agentRequest({ number: 2, ttlMs: 20_000 }));
  await harness.world.pass(16_000);
  await harness.restart();
  const { remainingMs: left } = await (await harness.peer()).must("getAgent", { id: idOf(2) });
  assert.ok(left >= 24_000 && left <= 24_000 + 11_000, `${left} ms are left of the cover`);
});

test("a renewal that waits is not crowded out of its partition's extend command", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  let peer = await harness.peer();
  const incarnations = new Map<number, Incarnation>();
  const many = Array.from({ length: 5_000 }, (_, index) => index + 1);
  for (let at = 0; at < many.length; at += 500) {
    const { items } = await peer.must("registerMany", {
      items: many.slice(at, at + 500).map((number) => ({
        ...agentRequest({ number, ttlMs: 60_000 }),
        kind: KIND_AGENT,
      })),
    });
    many.slice(at, at + 500).forEach((number, index) =>
      incarnations.set(number, items[index]!.incarnation)
    );
  }
  const last = { number: 9_000, ttlMs: 20_000 };
  incarnations.set(9_000, (await peer.must("registerAgent", agentRequest(last))).incarnation);
  await harness.world.pass(8_000);
  await harness.restart();
  peer = await harness.peer();
  await harness.world.pass(24_000 + OUTAGE_GRACE_MS_MAX);
  // Renewed in memory, and to be included in the next extension.
  assert.is((await renew(peer, incarnations, many)).size, 0);
  const before = harness.registry.renewals.extensionsProposed;
  assert.is((await renew(peer, incarnations, [9_000])).size, 0);
  assert.is(harness.registry.renewals.extensionsProposed - before, 2, "all in two commands");
});

test("two renewals that wait for the same cover are both renewed", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must(
    "registerAgent",
    agentRequest({ number: 1, ttlMs: 10_000 }),
  );
  await harness.world.pass(9_000);
  await harness.restart();
  await harness.world.pass(9_000);
  const again = await harness.peer();
  const items = [{ id: idOf(1), incarnation, kind: KIND_AGENT }];
  const replies = [1, 2, 3].map(() => again.send("renew", { items }));
  for (const reply of replies) assert.is((await harness.world.wait(reply)).body.renewed, 1);
  void peer;
  await harness.world.pass(9_990);
  assert.ok(harness.agent(idOf(1)) !== undefined);
});

test.run();
