/** Commands on mirrors: fences, the order of batches and of changes, removals by evidence, residency. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MIRROR_ITEMS_MAX, MIRRORS_DROPPED_MAX } from "../../../../src/base/limits.ts";
import { encodeMirrorFence } from "../../../../src/record/command.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../../src/record/key.ts";
import { MIRRORS_APPLY_VERSION } from "../../../../src/store/apply_version.ts";
import {
  agentPut,
  agentRemoval,
  agentSweep,
  aliasItem,
  at,
  MirrorHarness,
} from "../../../support/mirrors.ts";
import { gatewayBytes, idOf, StoreHarness } from "../../../support/store.ts";

/** Returns a store with a puller. */
function followed(): MirrorHarness {
  const harness = new MirrorHarness();
  assert.is(harness.fence(1).code, "ok");
  return harness;
}

test("mirrors are refused until the apply version rose", () => {
  const harness = new StoreHarness();
  harness.raise(MIRRORS_APPLY_VERSION - 1);
  const fence = () =>
    harness.apply(encodeMirrorFence(harness.header, { home: "us", shard: 0, fence: 1 })).code;
  assert.is(fence(), "unsupported_version");
  harness.raise(MIRRORS_APPLY_VERSION);
  assert.is(fence(), "ok");
});

test("a fence replaces lower ones of its region and shard, and is logged before its batches", () => {
  const harness = new MirrorHarness();
  const batch = (fence: number) => harness.batch({ fence, number: 1, puts: [agentPut(5)] }).code;
  assert.is(batch(1), "incarnation_mismatch", "no fence yet");
  assert.is(harness.fence(3).code, "ok");
  assert.equal(harness.fence(3).duplicate, true);
  assert.is(harness.fence(2).code, "superseded");
  assert.is(batch(2), "superseded");
  assert.is(batch(4), "incarnation_mismatch", "not logged yet");
  assert.is(harness.mirrorCount, 0);
  assert.is(batch(3), "ok");
  assert.is(harness.fence(1, { shard: 1 }).code, "ok", "another shard");
  assert.is(harness.fence(1, { home: "ap" }).code, "ok", "another region");
  assert.is(harness.fence(9, { home: "" }).code, "invalid_argument");
  assert.is(harness.fence(9, { home: "x".repeat(64) }).code, "invalid_argument");
  assert.is(harness.fence(9, { shard: 64 }).code, "invalid_argument");
});

test("batches are applied once each, and without a gap", () => {
  const harness = followed();
  assert.is(harness.batch({ number: 2, puts: [agentPut(5)] }).code, "stale_sequence");
  assert.is(harness.batch({ number: 1, puts: [agentPut(5, { port: 1 })] }).count, 1);
  const again = harness.batch({ number: 1, puts: [agentPut(9, { port: 2 })] });
  assert.equal([again.code, again.duplicate], ["ok", true]);
  assert.is(harness.mirrors(1)[0]?.port, 1);
  assert.is(harness.batch({ number: 2, puts: [agentPut(9, { port: 2 })] }).count, 1);
  // The next puller counts from 1 again.
  harness.fence(2);
  assert.is(harness.batch({ fence: 2, number: 2 }).code, "stale_sequence");
  assert.is(harness.batch({ fence: 2, number: 1 }).code, "ok");
  assert.is(harness.batch({ fence: 1, number: 3 }).code, "superseded");
});

test("a change has no effect after a later one of its record, of the feed and then of the home", () => {
  const harness = followed();
  const put = (index: number, feed: number, generation = 1) =>
    harness.batch({
      feed,
      puts: [{ ...agentPut(index, { port: index }), revision: { generation, index } }],
    }).count;
  assert.is(put(5, 1), 1);
  assert.is(put(4, 1), 0);
  assert.is(put(5, 1), 0);
  assert.is(put(6, 1), 1);
  assert.is(put(2, 1, 2), 1, "a later generation of the home");
  assert.is(put(9, 1, 1), 0);
  assert.is(put(1, 2), 1, "a later feed");
  assert.equal(harness.mirrors(1), [{ home: "us", feed: 2, revision: at(1), port: 1 }]);
  assert.is(harness.batch({ feed: 1, puts: [agentPut(99)] }).code, "superseded");
});

test("a removed mirror stays removed until its changes cannot come again", () => {
  const harness = followed();
  harness.batch({ puts: [agentPut(5), agentPut(6, { number: 2 })] });
  assert.is(harness.batch({ removals: [agentRemoval(1, 4)] }).count, 0, "older than the mirror");
  assert.is(harness.batch({ removals: [agentRemoval(1, 7)] }).count, 1);
  assert.is(harness.batch({ puts: [agentPut(5), agentPut(7)] }).count, 0);
  // Another puller begins where the cursor was.
  harness.fence(2);
  const again = { fence: 2, puts: [agentPut(5)] };
  assert.is(harness.batch(again).count, 0);
  assert.is(harness.batch({ ...again, settled: 2 }).count, 0, "of its own batches only");
  assert.is(harness.mirrorCount, 1);
  const { shards } = harness.store.mirrors.source("us")!;
  assert.is(shards.get(0)!.removedCount, 1);
  harness.batch({ fence: 2, settledEarlier: true });
  assert.is(shards.get(0)!.removedCount, 0);
  assert.is(harness.batch({ fence: 2, puts: [agentPut(8)] }).count, 1, "registered again");
  // A tombstone of the same fence goes with the batch that made it.
  harness.batch({ fence: 2, removals: [agentRemoval(1, 9)] });
  harness.batch({ fence: 2, settled: 4 });
  assert.is(shards.get(0)!.removedCount, 1);
  harness.batch({ fence: 2, settled: 5 });
  assert.is(shards.get(0)!.removedCount, 0);
});

test("a record that comes back after its removal is mirrored, and its tombstone goes", () => {
  const harness = followed();
  harness.batch({ puts: [agentPut(5)], removals: [agentRemoval(1, 7)] });
  assert.is(harness.mirrorCount, 0);
  // The order within a batch does not matter.
  harness.batch({ puts: [agentPut(9)], removals: [agentRemoval(1, 8)] });
  assert.equal(harness.mirrors(1).map(({ revision }) => revision), [at(9)]);
  assert.is(harness.store.mirrors.source("us")!.shards.get(0)!.removedCount, 0);
});

test("a sweep removes exactly the change that was seen, if the listing came after it", () => {
  const harness = followed();
  harness.batch({ puts: [agentPut(5), agentPut(6, { number: 2 })] });
  const sweep = (seen: number, listed: number, feed = 1) =>
    harness.batch({ sweeps: [agentSweep(1, { seen, listed, feed })] }).count;
  assert.is(sweep(4, 9), 0, "another revision");
  assert.is(sweep(5, 4), 0, "the listing came before");
  assert.is(sweep(5, 9, 0), 0, "of another feed");
  assert.is(sweep(5, 5), 1);
  assert.is(harness.batch({ puts: [agentPut(5)] }).count, 0, "it stays removed");
  // A mirror of an earlier feed is older than any listing of this one.
  const feed = 2;
  assert.is(harness.batch({ feed, sweeps: [agentSweep(2, { seen: 6, listed: 1 })] }).count, 1);
  assert.is(harness.mirrorCount, 0);
});

test("a record of region scope is not mirrored, and ends its mirror", () => {
  const harness = followed();
  const refused = harness.batch({ puts: [agentPut(5, { scope: 1 })] });
  assert.equal([refused.count, refused.refused], [0, 1]);
  assert.is(harness.mirrorCount, 0);
  harness.batch({ puts: [agentPut(6)] });
  assert.is(harness.batch({ puts: [agentPut(7, { scope: 1 })] }).refused, 1);
  assert.is(harness.mirrorCount, 0);
  assert.is(harness.batch({ puts: [agentPut(6)] }).count, 0, "nor by what came before");
  assert.is(harness.batch({ puts: [agentPut(8, { scope: 9 })] }).refused, 1, "a later scope");
  assert.is(harness.batch({ puts: [agentPut(9)] }).count, 1);
});

test("what is no record is refused by itself, and the others are mirrored", () => {
  const harness = followed();
  const whole = agentPut(5, { number: 2 });
  const bytes = whole.record as Uint8Array;
  const cut = bytes.slice(0, 64);
  const wild = bytes.slice();
  wild.fill(0xff, 8 + 120, 8 + 144);
  const noId = bytes.slice();
  noId.fill(0, 8, 24);
  const bad = [new Uint8Array(0), bytes.slice(1), cut, wild, noId].map((record) => ({
    ...whole,
    record,
  }));
  const puts = [...bad, { ...whole, kind: 3 }, { ...whole, kind: 15 }, whole];
  const reply = harness.batch({ puts });
  assert.equal([reply.count, reply.refused], [1, puts.length - 1]);
  assert.is(harness.mirrorCount, 1);
});

test("a record may have fields that this program does not know", () => {
  const harness = followed();
  const form = gatewayBytes({ number: 3, region: "us", port: 7 });
  // One word more of data, as a later program would write it.
  const longer = new Uint8Array(form.length + 8);
  const words = new DataView(form.buffer, form.byteOffset).getUint16(4, true);
  const data = 8 + words * 8;
  longer.set(form.subarray(0, data));
  longer.set(form.subarray(data), data + 8);
  new DataView(longer.buffer).setUint16(4, words + 1, true);
  const put = { kind: KIND_GATEWAY, revision: at(5), record: longer };
  assert.is(harness.batch({ puts: [put] }).count, 1);
  assert.equal(harness.mirrors(3, KIND_GATEWAY).map(({ port }) => port), [7]);
});

test("mirrors of one record by several regions lie side by side, and beside an own record", () => {
  const harness = followed();
  harness.fence(2, { home: "ap" });
  harness.putAgent({ port: 1 });
  harness.batch({ number: 1, puts: [agentPut(5, { port: 2 })] });
  harness.batch({ home: "ap", fence: 2, number: 1, puts: [agentPut(50, { port: 3 })] });
  const ports = () => harness.mirrors(1).map(({ home, port }) => [home, port]).sort();
  assert.equal(ports(), [["ap", 3], ["us", 2]]);
  assert.is(harness.agent(1)?.port, 1);
  harness.batch({ home: "ap", fence: 2, number: 2, removals: [agentRemoval(1, 51)] });
  assert.equal(ports(), [["us", 2]]);
  assert.is(harness.agent(1)?.port, 1);
});

test("mirrors never expire, and renewals, reports and removals do not reach them", () => {
  const harness = followed();
  harness.store.onBecomeLeader(0);
  harness.batch({ puts: [agentPut(5)] });
  harness.tick(100 * 86_400_000);
  const incarnation = { generation: 0, index: 0 };
  assert.is(harness.store.nextDeadlineMs(), Infinity);
  assert.is(harness.extend(KIND_AGENT, 1, incarnation).count, 0);
  assert.is(harness.expire(KIND_AGENT, 1, incarnation, 0).count, 0);
  assert.is(harness.remove(KIND_AGENT, 1, incarnation).code, "not_found");
  assert.is(harness.report(1, incarnation, { kind: KIND_AGENT, state: 1 }).code, "not_found");
  assert.is(harness.slotOf(KIND_AGENT, 1), -1);
  assert.is(harness.mirrorCount, 1);
});

test("an alias follows the claims on its domain, and the changes of the agent that holds it", () => {
  const harness = followed();
  const domain = "a.example";
  const put = (number: number, order: { claim: number; revision: number }) =>
    harness.batch({ aliases: [aliasItem(domain, number, order)] }).count;
  const drop = (number: number, order: { claim: number; revision: number }) =>
    harness.batch({ aliasRemovals: [aliasItem(domain, number, order)] }).count;
  assert.is(put(1, { claim: 3, revision: 10 }), 1);
  assert.is(put(2, { claim: 2, revision: 90 }), 0, "an earlier claim");
  assert.is(
    put(2, { claim: 4, revision: 4 }),
    1,
    "of another partition, so revisions do not compare",
  );
  assert.is(drop(1, { claim: 3, revision: 11 }), 0);
  assert.equal(harness.aliases(domain), [["us", 2]]);
  assert.is(put(2, { claim: 4, revision: 8 }), 1);
  assert.is(drop(2, { claim: 4, revision: 6 }), 0, "it has come back since");
  const sweep = (revision: number, listed: number) => {
    const seen = { domain, claim: at(4), revision: at(revision), listed: at(listed), feed: 1 };
    return harness.batch({ aliasSweeps: [seen] }).count;
  };
  assert.is(sweep(7, 9), 0);
  assert.is(sweep(8, 7), 0);
  assert.is(sweep(8, 8), 1);
  assert.equal(harness.aliases(domain), []);
  assert.is(put(2, { claim: 4, revision: 9 }), 1);
  assert.is(drop(2, { claim: 4, revision: 10 }), 1);
  assert.is(harness.mirrorAliasCount, 0);
});

test("cursors only move forward, and begin anew with the feed", () => {
  const harness = followed();
  const save = (partition: number, index: number, ordinal = 0, feed = 1) => {
    harness.batch({ feed, cursors: [{ partition, generation: 1, index, ordinal }] });
    return [...harness.store.mirrors.source("us")!.cursors.values()]
      .map((cursor) => [cursor.partition, cursor.index, cursor.ordinal]);
  };
  assert.equal(save(7, 10), [[7, 10, 0]]);
  assert.equal(save(7, 9), [[7, 10, 0]]);
  assert.equal(save(7, 10, 2), [[7, 10, 2]]);
  assert.equal(save(8, 1), [[7, 10, 2], [8, 1, 0]]);
  harness.fence(2);
  assert.equal(
    [...harness.store.mirrors.source("us")!.cursors.keys()],
    [7, 8],
    "kept for the next",
  );
  harness.batch({ fence: 2, feed: 2 });
  assert.equal([...harness.store.mirrors.source("us")!.cursors.keys()], []);
});

test("a batch that is too large, or that finds no room for tombstones, changes nothing", () => {
  const harness = followed();
  const many = (count: number, index: number) =>
    Array.from({ length: count }, (_, number) => agentRemoval(number + 1, index));
  assert.is(harness.batch({ removals: many(MIRROR_ITEMS_MAX + 1, 9) }).code, "too_large");
  let index = 0;
  let refused;
  for (let round = 0; refused === undefined && round < 40; round++) {
    const puts = Array.from(
      { length: MIRROR_ITEMS_MAX },
      (_, number) => agentPut(++index, { number: round * MIRROR_ITEMS_MAX + number + 1 }),
    );
    assert.is(harness.batch({ puts }).code, "ok");
    const removals = puts.map((_, number) =>
      agentRemoval(round * MIRROR_ITEMS_MAX + number + 1, ++index)
    );
    const reply = harness.batch({ removals });
    if (reply.code !== "ok") refused = { reply, removals };
  }
  assert.is(refused?.reply.code, "overloaded");
  const shard = harness.store.mirrors.source("us")!.shards.get(0)!;
  assert.is(harness.batch({ removals: refused!.removals, settled: shard.batch }).code, "ok");
  assert.is(harness.mirrorCount, 0);
});

test("a removed region's mirrors are dropped some at a time, and its pullers are refused", () => {
  const harness = followed();
  harness.fence(2, { home: "ap" });
  harness.batch({ home: "ap", fence: 2, number: 1, puts: [agentPut(1)] });
  for (let number = 1; number <= 2; number++) {
    const puts = Array.from(
      { length: MIRROR_ITEMS_MAX },
      (_, one) => agentPut(one + 1, { number: one + 1 + number * MIRROR_ITEMS_MAX }),
    );
    harness.batch({ number, puts });
  }
  harness.batch({ number: 3, aliases: [aliasItem("a.example", 1, {})] });
  assert.is(harness.drop(5).count, MIRRORS_DROPPED_MAX);
  assert.is(harness.batch({ number: 4, puts: [agentPut(9)] }).code, "superseded");
  assert.is(harness.drop(5).count, MIRRORS_DROPPED_MAX);
  assert.is(harness.drop(5).count, 1);
  assert.is(harness.drop(5).count, 0);
  assert.is(harness.store.mirrors.source("us"), undefined);
  assert.equal(harness.mirrors(1).map(({ home }) => home), ["ap"]);
  assert.is(harness.fence(4).code, "superseded", "of before the removal");
  assert.is(harness.fence(6).code, "ok", "the region was added again");
  assert.is(harness.drop(5).code, "superseded");
});

test("mirrors are counted, and their regions are in no count of records", () => {
  const harness = followed();
  harness.putGateway({ number: 9, region: "eu" });
  harness.batch({
    puts: [agentPut(5), {
      kind: KIND_GATEWAY,
      revision: at(6),
      record: gatewayBytes({ region: "us" }),
    }],
    aliases: [aliasItem("a.example", 1, {})],
  });
  const { mirrors, mirrorAliases, records } = harness.shared.statistics();
  assert.equal([mirrors, mirrorAliases, records[KIND_AGENT], records[KIND_GATEWAY]], [2, 1, 0, 1]);
  assert.equal(harness.shared.regionCounts().map(({ region }) => region), ["eu", "eu"]);
  const { mirrorCount, aliasCount } = harness.store.mirrors.source("us")!;
  assert.equal([mirrorCount, aliasCount], [2, 1]);
  harness.batch({ removals: [agentRemoval(1, 9)] });
  assert.is(harness.store.mirrors.source("us")!.mirrorCount, 1);
  harness.store.release();
  assert.is(harness.shared.statistics().mirrors, 0);
  assert.is(harness.shared.statistics().recordBytes, 0);
});

test("each change of a mirror is an event", () => {
  const harness = followed();
  harness.events.length = 0;
  harness.batch({ puts: [agentPut(5)], aliases: [aliasItem("a.example", 1, {})] });
  harness.batch({ puts: [agentPut(5), agentPut(6)], removals: [agentRemoval(2, 1)] });
  harness.batch({ removals: [agentRemoval(1, 8)] });
  assert.equal(harness.events.map(({ type, kind }) => [type, kind]), [
    ["mirrored", 5],
    ["mirrored", 6],
    ["mirrored", 5],
    ["mirror_removed", 5],
  ]);
  assert.is(harness.store.mirrors.find(KIND_AGENT, idOf(1), 0, { rankOf: () => 0 }), -1);
});

test.run();
