/** Kinds of record beyond those of the table: the store needs nothing but the data in a row. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodePut } from "../../../src/record/command.ts";
import { GATEWAY } from "../../../src/record/gateway.ts";
import { KIND_GATEWAY, KIND_MAX } from "../../../src/record/key.ts";
import { type AnyKindRow, KindTable, RECORD_KINDS } from "../../../src/record/kinds.ts";
import {
  FLAG_BY_COVER,
  FLAG_ENDED,
  FLAG_EXPIRING,
  FLAG_RENEWED,
  FLAG_TOMBSTONE,
  FLAG_WAITING,
  pack,
} from "../../../src/store/slot_table.ts";
import { StoreShared } from "../../../src/store/shared.ts";
import { PartitionStore } from "../../../src/store/store.ts";
import { gatewayBytes, idOf, imageOf, StoreHarness } from "../../support/store.ts";

/** A kind without a lease, under the highest number. */
const DOCUMENT: AnyKindRow = { ...GATEWAY, number: KIND_MAX, name: "document", hasLease: false };

function newShared(kinds: KindTable): StoreShared {
  return new StoreShared({ bytesMax: 1 << 30, hashSeed: new Uint8Array(16).fill(7), kinds });
}

function withDocuments(): StoreHarness {
  return new StoreHarness({
    shared: newShared(new KindTable([...RECORD_KINDS.rows, DOCUMENT])),
  });
}

function put(harness: StoreHarness, record: Uint8Array, kind = DOCUMENT.number) {
  const expected = { generation: 0, index: 0 };
  return harness.apply(encodePut(harness.header, { record, kind, expected }));
}

const DAY_MS = 86_400_000;

test("PartitionStore keeps a record of a kind without a lease until it is removed", () => {
  const harness = withDocuments();
  harness.store.onBecomeLeader(0);
  assert.is(put(harness, gatewayBytes({ ttlMs: 30_000 })).code, "invalid_argument");
  const { incarnation } = put(harness, gatewayBytes({ ttlMs: 0 }));
  const slot = harness.slotOf(DOCUMENT.number, 1);
  assert.is(harness.slotOf(KIND_GATEWAY, 1), -1, "it is no gateway");
  assert.is(harness.store.recordView(slot).leaseExpiryMs, 0);
  harness.tick(100 * DAY_MS);
  assert.is(harness.store.remainingMs(slot, harness.timeMs), Infinity);
  assert.is(harness.store.nextDeadlineMs(), Infinity);
  const at = { nowMs: harness.timeMs, unixS: harness.unixS };
  assert.is(harness.store.overdueCommands(at).expire, undefined);
  assert.is(harness.store.extendCommand({ ...at, force: true }), undefined);
  assert.is(harness.expire(DOCUMENT.number, 1, incarnation, 0).count, 0);
  assert.is(harness.store.renew(DOCUMENT.number, idOf(1), 0, incarnation, 0), "not_found");
  assert.equal(harness.shared.regionCounts().at(-1), {
    region: "global",
    kind: "document",
    count: 1,
  });
  assert.is(harness.remove(DOCUMENT.number, 1, incarnation).code, "ok");
  assert.is(harness.slotOf(DOCUMENT.number, 1), -1);
});

test("PartitionStore restores every kind of its table, and refuses an image with another", () => {
  const harness = withDocuments();
  put(harness, gatewayBytes({ ttlMs: 0 }));
  harness.putGateway({ number: 2 });
  const image = imageOf(harness.store);
  const twin = withDocuments().store;
  twin.loadImage([image]);
  assert.equal(imageOf(twin), image);
  const other = new PartitionStore({ shared: newShared(RECORD_KINDS) });
  assert.throws(() => other.loadImage([image]), /known kinds, in bounds: found kind 15/);
});

test("a command on an unknown kind is refused by code, or skipped, and never read as another", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway();
  const before = imageOf(harness.store);
  for (const kind of [0, 3, 4, 5, KIND_MAX, KIND_MAX + 1, 0xffff]) {
    assert.is(put(harness, gatewayBytes({ sequence: 2 }), kind).code, "invalid_argument");
    assert.is(harness.remove(kind, 1, incarnation).code, "invalid_argument");
    assert.is(harness.report(1, incarnation, { kind, state: 1 }).code, "invalid_argument");
    assert.is(harness.extend(kind, 1, incarnation).count, 0);
    assert.is(harness.expire(kind, 1, incarnation, 60_000).count, 0);
  }
  assert.equal(imageOf(harness.store).subarray(24), before.subarray(24), "nothing changed");
});

test("pack keeps the parts of a slot apart, up to their highest values", () => {
  const flags = [
    FLAG_TOMBSTONE,
    FLAG_EXPIRING,
    FLAG_WAITING,
    FLAG_RENEWED,
    FLAG_BY_COVER,
    FLAG_ENDED,
  ];
  const parts = [pack(KIND_MAX, 0, 0, 0), pack(0, 0x3ff, 0, 0), pack(0, 0, 0xfff, 0), ...flags];
  let seen = 0;
  for (const part of parts) {
    assert.is(seen & part, 0);
    seen |= part;
  }
  assert.is(seen >>> 0, 0xffff_ffff);
});

test("KindTable refuses numbers that are taken or do not fit a slot", () => {
  for (const number of [0, 1, 3, 4, KIND_MAX + 1]) {
    assert.throws(() => new KindTable([...RECORD_KINDS.rows, { ...DOCUMENT, number }]), /free/);
  }
  assert.throws(() => RECORD_KINDS.row(5), /Kind must be 1 \(agent\) or 2 \(gateway\): found 5/);
  assert.is(RECORD_KINDS.find(0x1_0000_0001), undefined);
});

test.run();
