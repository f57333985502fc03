/**
 * Ownership in time (design §3): process and sequence, incarnation, takeover, tombstones, delayed
 * duplicates. Each test is named after the sentence that it checks.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SUPERSEDED_MS, TOMBSTONE_MS } from "../../../src/base/limits.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { extraOf, StoreHarness } from "../../support/store.ts";

test("put creates a record: incarnation is the generation and the entry's index", () => {
  const harness = new StoreHarness({ generation: 4 });
  harness.timeMs = 1_000;
  harness.tick(1_000);
  const reply = harness.putGateway({ number: 3, port: 4000, extra: extraOf({ a: "b" }) });
  assert.is(reply.code, "ok");
  assert.ok(reply.created);
  assert.equal(reply.incarnation, { generation: 4, index: 2 });
  const gateway = harness.gateway(3)!;
  assert.equal(gateway.incarnation, { generation: 4, index: 2 });
  assert.equal(gateway.revision, { generation: 4, index: 2 });
  assert.is(gateway.leaseExpiryMs, 61_000, "the cover is twice the ttl");
  assert.is(gateway.lastSeenUnixS, harness.unixS);
  assert.is(gateway.writer, 5);
  assert.is(gateway.port, 4000);
  assert.equal(gateway.extra?.labels, [{ key: "a", value: "b" }]);
  assert.equal(harness.events, [{ type: "registered", kind: KIND_GATEWAY, index: 2 }]);
});

test("put keeps an agent and a gateway of one id apart", () => {
  const harness = new StoreHarness();
  harness.putGateway({ number: 1, port: 1 });
  harness.putAgent({ number: 1, port: 2 });
  assert.is(harness.gateway(1)?.port, 1);
  assert.is(harness.agent(1)?.port, 2);
});

test("put ignores what the request says of the fields that the registry adds", () => {
  const harness = new StoreHarness();
  const forged = { generation: 9, index: 9 };
  harness.putGateway({ incarnation: forged, revision: forged, leaseExpiryMs: 1e12, writer: 99 });
  const gateway = harness.gateway(1)!;
  assert.equal(gateway.incarnation, { generation: 1, index: 1 });
  assert.equal(gateway.revision, { generation: 1, index: 1 });
  assert.is(gateway.leaseExpiryMs, 60_000);
  assert.is(gateway.writer, 5);
});

test("put by the same process with a greater sequence updates, and keeps the incarnation", () => {
  const harness = new StoreHarness();
  const first = harness.putGateway({ port: 1 });
  harness.timeMs = 10_000;
  const second = harness.putGateway({ port: 2, sequence: 2, extra: extraOf({ long: "label" }) });
  assert.is(second.code, "ok");
  assert.is.not(second.created, true);
  assert.equal(second.incarnation, first.incarnation);
  assert.equal(second.revision, { generation: 1, index: 2 });
  assert.is(harness.gateway(1)?.port, 2);
  assert.is(harness.gateway(1)?.leaseExpiryMs, 70_000);
  assert.equal(harness.events.map((event) => event.type), ["registered", "updated"]);
});

test("put with a lower sequence of the same process is refused: a delayed duplicate", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway({ port: 7, sequence: 7 });
  const before = harness.image();
  const reply = harness.putGateway({ port: 6, sequence: 6 });
  assert.is(reply.code, "stale_sequence");
  assert.equal(reply.incarnation, incarnation);
  assert.is(harness.gateway(1)?.port, 7);
  assert.equal(harness.image().subarray(24), before.subarray(24), "nothing changed");
});

test("put with an equal sequence is a duplicate: success, and nothing changes", () => {
  const harness = new StoreHarness();
  const first = harness.putGateway({ port: 7 });
  const before = harness.image();
  harness.unixS++;
  harness.timeMs = 0;
  const second = harness.putGateway({ port: 8 });
  assert.is(second.code, "ok");
  assert.ok(second.duplicate);
  assert.equal(second.incarnation, first.incarnation);
  assert.equal(second.revision, first.revision);
  assert.equal(harness.image().subarray(24), before.subarray(24));
  assert.is(harness.events.length, 1);
});

test("put with another ttl never shortens the cover, which ends a ttl after what was promised", () => {
  const harness = new StoreHarness();
  harness.putGateway({ ttlMs: 600_000 });
  harness.timeMs = 1_000;
  harness.putGateway({ ttlMs: 5_000, sequence: 2 });
  assert.is(harness.gateway(1)?.leaseExpiryMs, 1_205_000);
  assert.is(harness.gateway(1)?.ttlMs, 5_000);
  harness.putGateway({ ttlMs: 5_000, sequence: 3 });
  assert.is(harness.gateway(1)?.leaseExpiryMs, 1_205_000, "the same ttl changes nothing");
});

test("put by another process is refused unless it names the current incarnation", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway();
  for (const expected of [NO_POSITION, { generation: 2, index: 1 }, { generation: 1, index: 2 }]) {
    const reply = harness.putGateway({ process: 22 }, expected);
    assert.is(reply.code, "incarnation_mismatch");
    assert.equal(reply.incarnation, incarnation);
  }
  assert.is(harness.gateway(1)?.process, 11);
});

test("put by another process that names the current incarnation takes over: a new fence", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway();
  const reply = harness.putGateway({ process: 22, extra: extraOf({ x: "y" }) }, incarnation);
  assert.is(reply.code, "ok");
  assert.ok(reply.created);
  assert.equal(reply.incarnation, { generation: 1, index: 2 });
  const gateway = harness.gateway(1)!;
  assert.is(gateway.process, 22);
  assert.equal(gateway.extra?.superseded, [{ process: 11, untilMs: SUPERSEDED_MS }]);
  assert.equal(gateway.extra?.labels, [{ key: "x", value: "y" }]);
  assert.is(harness.events[1]?.type, "taken_over");
});

test("put by a superseded process is refused, also with the right incarnation, for 10 min", () => {
  const harness = new StoreHarness();
  const first = harness.putGateway();
  const second = harness.putGateway({ process: 22 }, first.incarnation);
  const refused = harness.putGateway({ sequence: 99 }, second.incarnation);
  assert.is(refused.code, "superseded");
  assert.equal(refused.incarnation, second.incarnation);
  harness.timeMs = SUPERSEDED_MS - 1;
  assert.is(harness.putGateway({ sequence: 99 }, second.incarnation).code, "superseded");
  harness.timeMs = SUPERSEDED_MS;
  assert.is(harness.putGateway({ sequence: 99 }, second.incarnation).code, "ok");
});

test("put remembers the last four superseded processes, also across updates", () => {
  const harness = new StoreHarness();
  let { incarnation } = harness.putAgent({ process: 1 });
  for (let process = 2; process <= 6; process++) {
    incarnation = harness.putAgent({ process }, incarnation).incarnation;
  }
  harness.putAgent({ process: 6, sequence: 2, port: 9 });
  const processes = harness.agent(1)?.extra?.superseded.map(({ process }) => process);
  assert.equal(processes, [2, 3, 4, 5]);
  for (const process of [2, 3, 4, 5]) {
    assert.is(harness.putAgent({ process }, incarnation).code, "superseded");
  }
  assert.is(harness.putAgent({ process: 1 }, incarnation).code, "ok", "the fifth is forgotten");
});

test("put that names superseded processes itself is malformed", () => {
  const harness = new StoreHarness();
  const extra = { ...extraOf({}), superseded: [{ process: 3, untilMs: 4 }] };
  assert.is(harness.putAgent({ extra }).code, "malformed");
});

test("remove names the incarnation that it believes in: superseded when that moved on", () => {
  const harness = new StoreHarness();
  const first = harness.putGateway();
  const second = harness.putGateway({ process: 22 }, first.incarnation);
  const reply = harness.remove(KIND_GATEWAY, 1, first.incarnation);
  assert.is(reply.code, "superseded");
  assert.equal(reply.incarnation, second.incarnation);
  assert.is(harness.remove(KIND_GATEWAY, 1, second.incarnation).count, 1);
  assert.is(harness.gateway(1), undefined);
  assert.is(harness.store.countOf(KIND_GATEWAY), 0);
});

test("remove with a lower sequence of the record's process is stale", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway({ sequence: 5 });
  assert.is(
    harness.remove(KIND_GATEWAY, 1, incarnation, { sequence: 4 }).code,
    "stale_sequence",
  );
  assert.is(harness.gateway(1)?.sequence, 5);
});

test("remove by another than the owner's process needs no sequence", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway({ sequence: 5 });
  const reply = harness.remove(KIND_GATEWAY, 1, incarnation, { process: 0, sequence: 0 });
  assert.is(reply.count, 1);
});

test("remove again is a success that removed nothing; of what never was, not_found", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway();
  harness.remove(KIND_GATEWAY, 1, incarnation);
  const again = harness.remove(KIND_GATEWAY, 1, incarnation);
  assert.is(again.code, "ok");
  assert.is(again.count, 0);
  assert.is(harness.remove(KIND_GATEWAY, 1, { generation: 1, index: 77 }).code, "not_found");
  assert.is(harness.remove(KIND_AGENT, 1, incarnation).code, "not_found");
  harness.tick(TOMBSTONE_MS);
  assert.is(harness.remove(KIND_GATEWAY, 1, incarnation).code, "not_found");
});

test("put after a removal: a delayed duplicate cannot revive", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway({ sequence: 3 });
  harness.remove(KIND_GATEWAY, 1, incarnation, { sequence: 4 });
  for (const sequence of [1, 3, 4]) {
    const reply = harness.putGateway({ sequence });
    assert.is(reply.code, "stale_sequence", `sequence ${sequence}`);
    assert.equal(reply.incarnation, NO_POSITION);
  }
  const anew = harness.putGateway({ sequence: 5 });
  assert.is(anew.code, "ok");
  assert.is(anew.incarnation.index, harness.store.appliedIndex, "created anew: a new fence");
});

test("put after a removal by another process creates, and the one before stays refused", () => {
  const harness = new StoreHarness();
  const first = harness.putGateway({ process: 1, sequence: 1 });
  harness.remove(KIND_GATEWAY, 1, first.incarnation, { process: 1, sequence: 2 });
  const second = harness.putGateway({ process: 2, sequence: 1 });
  assert.is(second.code, "ok");
  harness.remove(KIND_GATEWAY, 1, second.incarnation, { process: 2, sequence: 2 });
  // The first process' register arrives a third time: neither its sequence nor its process is
  // accepted.
  assert.is(harness.putGateway({ process: 1, sequence: 1 }).code, "superseded");
  assert.is(harness.gateway(1), undefined);
});

test("put after a removal by a process superseded before stays refused", () => {
  const harness = new StoreHarness();
  const first = harness.putGateway({ process: 1 });
  const second = harness.putGateway({ process: 2 }, first.incarnation);
  harness.remove(KIND_GATEWAY, 1, second.incarnation, { process: 2 });
  assert.is(harness.putGateway({ process: 1, sequence: 9 }).code, "superseded");
});

test("put after the tombstone's time creates whatever the sequence", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway({ sequence: 8 });
  harness.remove(KIND_GATEWAY, 1, incarnation);
  harness.store.onBecomeLeader(harness.timeMs);
  assert.ok(harness.store.timeLogMs() < Infinity);
  harness.timeMs = TOMBSTONE_MS - 1;
  assert.is(harness.putGateway({ sequence: 1 }).code, "stale_sequence");
  harness.timeMs = TOMBSTONE_MS;
  assert.is(harness.putGateway({ sequence: 1 }).code, "ok");
});

test("tombstones are dropped by group time, and give their memory back", () => {
  const harness = new StoreHarness();
  for (let number = 1; number <= 100; number++) {
    const { incarnation } = harness.putAgent({ number });
    harness.remove(KIND_AGENT, number, incarnation);
  }
  assert.is(harness.shared.statistics().tombstones, 100);
  harness.tick(TOMBSTONE_MS);
  assert.is(harness.shared.statistics().tombstones, 0);
  assert.is(harness.shared.statistics().recordBytes, 0);
  harness.store.onBecomeLeader(harness.timeMs);
  assert.is(harness.store.timeLogMs(), Infinity);
  assert.is(harness.store.tableBytes, 0);
});

test("a tombstone takes no memory of its own, and keeps none of a long record", () => {
  const harness = new StoreHarness();
  const usedBytes = () => harness.shared.statistics().recordBytes;
  const first = harness.putAgent({ number: 1 });
  const beforeBytes = usedBytes();
  harness.remove(KIND_AGENT, 1, first.incarnation);
  assert.is(usedBytes(), beforeBytes);
  harness.putAgent({ number: 1, sequence: 20 });
  assert.is(usedBytes(), beforeBytes, "the record is back in its place");
  const labels = Object.fromEntries(
    Array.from({ length: 8 }, (_, index) => [`k${index}`, "v".repeat(200)]),
  );
  const second = harness.putAgent({ number: 2, extra: extraOf(labels) });
  assert.ok(usedBytes() > beforeBytes + 1_600);
  harness.remove(KIND_AGENT, 2, second.incarnation);
  assert.ok(usedBytes() < beforeBytes + 100);
});

test("group time never goes back: an older command does not shorten what is remembered", () => {
  const harness = new StoreHarness();
  harness.tick(50_000);
  harness.timeMs = 1_000;
  harness.putGateway();
  assert.is(harness.store.timeMs, 50_000);
  assert.is(harness.gateway(1)?.leaseExpiryMs, 110_000);
});

test.run();
