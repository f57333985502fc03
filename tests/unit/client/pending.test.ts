/**
 * The table of requests in flight: slots are reused, late replies are recognized, limits are kept.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { Call } from "../../../src/client/call.ts";
import { PendingTable } from "../../../src/client/pending.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";

function newCall(serial: number, deadlineMs = 1_000): Call {
  return new Call({
    operation: OPERATIONS.status,
    body: {},
    decode: () => undefined,
    maxStalenessMs: 0,
    deadlineMs,
    resolve: () => {},
    reject: () => {},
  }, serial);
}

test("PendingTable gives a call back once, and nothing for an id that never was", () => {
  const table = new PendingTable(4);
  const call = newCall(1);
  const id = table.add(call);
  assert.is(table.take(id + 1), undefined);
  assert.is(table.take(id), call);
  assert.is(table.take(id), undefined);
  assert.is(table.count, 0);
  assert.is(call.requestId, -1);
});

test("PendingTable tells a late reply from the reply to the next request in its place", () => {
  const table = new PendingTable(1);
  const first = table.add(newCall(1));
  table.take(first);
  const call = newCall(2);
  const second = table.add(call);
  assert.is.not(second, first);
  assert.is(table.take(first), undefined);
  assert.is(table.take(second), call);
});

test("PendingTable refuses a call beyond its capacity", () => {
  const table = new PendingTable(2);
  table.add(newCall(1));
  table.add(newCall(2));
  assert.ok(table.full);
  assert.throws(() => table.add(newCall(3)), /at most 2/);
});

test("PendingTable keeps the place of an abandoned request until its reply comes", () => {
  const table = new PendingTable(1);
  const call = newCall(1);
  const id = table.add(call);
  table.abandon(call);
  assert.ok(table.full);
  assert.is(table.take(id), undefined);
  assert.not(table.full);
});

test("PendingTable expires calls at their deadline and frees their places a while later", () => {
  const table = new PendingTable(4);
  const late: Call[] = [];
  const calls = [newCall(1, 100), newCall(2, 300)];
  for (const call of calls) table.add(call);
  assert.is(table.expire(99, (call) => late.push(call)), 100);
  assert.equal(late.length, 0);
  assert.is(table.expire(100, (call) => late.push(call)), 300);
  assert.is(late[0], calls[0]);
  assert.is(table.count, 2);
  assert.is(table.expire(300, (call) => late.push(call)), 1_100);
  assert.is(late.length, 2);
  table.expire(1_300, () => assert.unreachable());
  assert.is(table.count, 0);
});

test("PendingTable drains in the order in which calls were made, without the abandoned", () => {
  const table = new PendingTable(8);
  const ids = [5, 3, 4].map((serial) => table.add(newCall(serial)));
  table.take(ids[1]!);
  const last = newCall(1);
  table.add(last);
  const abandoned = newCall(2);
  table.add(abandoned);
  table.abandon(abandoned);
  assert.equal(table.drain().map(({ serial }) => serial), [1, 4, 5]);
  assert.is(table.count, 0);
});

test("PendingTable agrees with a Map over random adds, takes and abandons", () => {
  const entropy = new SeededEntropy(3);
  const table = new PendingTable(100);
  const model = new Map<number, Call | undefined>();
  for (let step = 0; step < 20_000; step++) {
    const ids = [...model.keys()];
    const some = ids[entropy.uint32() % Math.max(1, ids.length)];
    const choice = entropy.uint32() % 3;
    if (choice === 0 && model.size < 100) {
      const call = newCall(step);
      const id = table.add(call);
      assert.not(model.has(id));
      model.set(id, call);
    } else if (choice === 1 && some !== undefined) {
      assert.is(table.take(some), model.get(some));
      model.delete(some);
    } else if (some !== undefined && model.get(some) !== undefined) {
      table.abandon(model.get(some)!);
      model.set(some, undefined);
    }
    assert.is(table.count, model.size);
  }
});

test.run();
