/** Lists by region, free capacity, counts, reports, admission: the data for reads and operators. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { REGIONS_INTERNED_MAX } from "../../../src/base/limits.ts";
import { domainBytes, KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { BoundedBest } from "../../../src/store/bounded_best.ts";
import { GatewayRanking } from "../../../src/store/free_capacity.ts";
import { decodeCursor, encodeCursor } from "../../../src/store/listing.ts";
import { PartitionStore } from "../../../src/store/store.ts";
import { gatewayCodec } from "../../../schemas/gen/record.ts";
import { idOf, newShared, newSpan, StoreHarness } from "../../support/store.ts";
import { ANY_HOME } from "../../support/mirrors.ts";

const NO_USE = { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
const EU = domainBytes("eu");

function listed(harness: StoreHarness, region: string, limit: number, after?: number): number[] {
  const { store } = harness;
  const slots = store.listRegion({
    kind: KIND_AGENT,
    region: domainBytes(region),
    limit,
    ...(after === undefined ? {} : { afterId: idOf(after) }),
  });
  return slots.map((slot) => new DataView(store.agentView(slot).id.buffer).getUint32(12));
}

test("listRegion gives a region's live records of a kind by id, in pages", () => {
  const harness = new StoreHarness();
  const numbers = [5, 3, 9, 1, 7, 2, 8];
  for (const number of numbers) harness.putAgent({ number, region: "eu" });
  harness.putAgent({ number: 4, region: "us" });
  harness.putGateway({ number: 6, region: "eu" });
  const { incarnation } = harness.putAgent({ number: 10, region: "eu" });
  harness.remove(KIND_AGENT, 10, incarnation);
  assert.equal(listed(harness, "eu", 100), [1, 2, 3, 5, 7, 8, 9]);
  assert.equal(listed(harness, "eu", 3), [1, 2, 3]);
  assert.equal(listed(harness, "eu", 3, 3), [5, 7, 8]);
  assert.equal(listed(harness, "eu", 3, 8), [9]);
  assert.equal(listed(harness, "eu", 0), []);
  assert.equal(listed(harness, "us", 9), [4]);
  assert.equal(listed(harness, "nowhere", 9), []);
  assert.equal(harness.store.listRegion({ kind: 3, region: EU, limit: 9 }), []);
});

test("listRegion and counts follow a record that moves to another region", () => {
  const harness = new StoreHarness();
  harness.putAgent({ number: 1, region: "eu" });
  harness.putAgent({ number: 2, region: "eu" });
  harness.putGateway({ number: 2, region: "eu" });
  harness.putAgent({ number: 1, region: "us", sequence: 2 });
  assert.equal(listed(harness, "eu", 9), [2]);
  assert.equal(listed(harness, "us", 9), [1]);
  assert.equal(harness.shared.regionCounts(), [
    { region: "eu", kind: "agent", count: 1 },
    { region: "eu", kind: "gateway", count: 1 },
    { region: "us", kind: "agent", count: 1 },
    { region: "us", kind: "gateway", count: 0 },
  ]);
  harness.store.release();
  assert.equal(harness.shared.regionCounts(), []);
});

test("listRegion finds regions beyond those that have a number", () => {
  const harness = new StoreHarness();
  const { regions } = harness.shared;
  for (let number = 0; number < REGIONS_INTERNED_MAX; number++) {
    const name = domainBytes(`r${number}`);
    assert.is(regions.intern(name, 0, name.length), number + 1);
    regions.add(KIND_GATEWAY, number + 1, 1);
  }
  harness.putAgent({ number: 1, region: "eu" });
  harness.putAgent({ number: 2, region: "us" });
  const { incarnation } = harness.putAgent({ number: 3, region: "eu" });
  harness.remove(KIND_AGENT, 3, incarnation);
  assert.equal(listed(harness, "eu", 9), [1]);
  assert.equal(listed(harness, "asia", 9), []);
  assert.equal(harness.shared.regionCounts()[0], { region: "", kind: "agent", count: 2 });
  // Its number is freed by the last record of another region, and the next region gets it.
  regions.add(KIND_GATEWAY, 7, -1);
  harness.putAgent({ number: 4, region: "eu" });
  assert.equal(listed(harness, "eu", 9), [1, 4], "with and without a number");
  assert.equal(listed(harness, "r6", 9), []);
});

test("a cursor resumes its list, and a foreign one is refused", () => {
  const position = { partition: 700, afterId: idOf(3) };
  assert.equal(decodeCursor(encodeCursor(position), 1_024), position);
  assert.is(decodeCursor(encodeCursor(position), 512), undefined);
  assert.is(decodeCursor(new Uint8Array(19), 1_024), undefined);
  const start = { partition: 0, afterId: new Uint8Array(16) };
  assert.equal(decodeCursor(new Uint8Array(0), 1_024), start);
});

test("rankGateways: the highest smallest free fraction first, ties by id, over partitions", () => {
  const shared = newShared();
  const first = new StoreHarness({ shared });
  const second = new StoreHarness({ shared });
  const put = (
    harness: StoreHarness,
    number: number,
    capacity: Partial<typeof NO_USE>,
    used: Partial<typeof NO_USE>,
    more: { state?: number; region?: string } = {},
  ) =>
    harness.putGateway({
      number,
      region: "eu",
      capacity: { ...NO_USE, ...capacity },
      used: { ...NO_USE, ...used },
      ...more,
    });
  put(first, 1, { cpu: 4, memoryMiB: 1_000 }, { cpu: 1, memoryMiB: 900 }); // 0.1
  put(first, 2, { connections: 10 }, { connections: 5 }); // 0.5
  put(second, 3, { storageMiB: 100, bandwidthMbps: 10 }, { bandwidthMbps: 5 }); // 0.5
  put(second, 4, {}, { cpu: 3 }); // states no capacity: 0
  put(second, 5, { cpu: 1 }, { cpu: 2 }); // overcommitted: -1
  put(second, 6, { cpu: 1 }, {}, { state: 1 }); // drains
  put(first, 7, { cpu: 1 }, {}, { region: "us" });
  put(second, 8, { cpu: 1 }, {}); // 1
  const rank = (limit: number) => {
    const ranking = new GatewayRanking<PartitionStore>(limit);
    for (const { store } of [first, second]) {
      store.rankGateways(EU, ranking, ANY_HOME, () => true);
    }
    return ranking.ranked().map(({ id }) => new DataView(id.buffer).getUint32(12));
  };
  assert.equal(rank(9), [8, 2, 3, 1, 4, 5]);
  assert.equal(rank(3), [8, 2, 3]);
  assert.equal(rank(2), [8, 2]);
  assert.equal(rank(0), []);
});

test("BoundedBest keeps the first of many in order", () => {
  const best = new BoundedBest<number>(5, (left, right) => left - right);
  for (let number = 0; number < 1_000; number++) best.add((number * 7_919) % 1_000);
  assert.equal(best.sorted(), [0, 1, 2, 3, 4]);
  assert.is(best.worst, 4);
});

test("report sets use and state of the incarnation that it names, and a revision", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway();
  const used = { ...NO_USE, cpu: 1.5, connections: 7 };
  const reply = harness.report(1, incarnation, { used, state: 1 });
  assert.equal(reply.revision, { generation: 1, index: 2 });
  assert.equal(harness.gateway(1)?.used, used);
  assert.is(harness.gateway(1)?.state, 1);
  assert.equal(harness.gateway(1)?.incarnation, incarnation);
  harness.report(1, incarnation, { state: 0 });
  assert.equal(harness.gateway(1)?.used, used, "left as it was");
  const other = { ...incarnation, index: 9 };
  assert.is(harness.report(1, other, { used }).code, "superseded");
  assert.is(harness.report(2, incarnation, { used }).code, "not_found");
  assert.is(harness.report(1, incarnation, { state: 2 }).code, "invalid_argument");
  for (const cpu of [-1, Number.NaN, Infinity]) {
    assert.is(harness.report(1, incarnation, { used: { ...used, cpu } }).field, "used");
  }
  assert.is(harness.report(1, incarnation, { kind: KIND_AGENT, used }).field, "used");
  const agent = harness.putAgent({ number: 1 });
  assert.is(harness.report(1, agent.incarnation, { kind: KIND_AGENT, state: 1 }).code, "ok");
  assert.is(harness.agent(1)?.state, 1);
});

test("report of the owner's process keeps its order: a delayed or repeated one changes nothing", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putGateway();
  const { process, sequence } = harness.gateway(1)!;
  const at = (cpu: number, ahead: number, by = process) =>
    harness.report(1, incarnation, {
      used: { ...NO_USE, cpu },
      process: by,
      sequence: by === 0 ? 0 : sequence + ahead,
    });
  const second = at(2, 2);
  assert.is(at(1, 1).code, "stale_sequence");
  assert.ok(at(3, 2).duplicate);
  assert.equal(at(3, 2).revision, second.revision);
  assert.is(harness.gateway(1)?.used.cpu, 2);
  assert.is(at(4, 0, 0).code, "ok", "somebody else has no place in that order");
  assert.is(harness.gateway(1)?.used.cpu, 4);
});

test("locate gives the stored form as it is embedded in a reply", () => {
  const harness = new StoreHarness();
  harness.putGateway({ number: 4, port: 99 });
  const { bytes, start, end } = harness.store.locate(harness.slotOf(KIND_GATEWAY, 4), newSpan());
  assert.is((end - start) % 8, 0);
  assert.is(gatewayCodec.decode(bytes.slice(start, end)).port, 99);
});

test("room refuses beyond the ceiling, and apply does not", () => {
  const harness = new StoreHarness({ shared: newShared(10_000) });
  assert.ok(harness.shared.room(1));
  for (let number = 1; number <= 60; number++) harness.putAgent({ number });
  assert.not(harness.shared.room(1));
  assert.is(harness.store.countOf(KIND_AGENT), 60);
});

test("loadImage refuses anything but an image", () => {
  const harness = new StoreHarness();
  const { incarnation } = harness.putAgent();
  harness.putGateway();
  harness.remove(KIND_AGENT, 1, incarnation);
  const image = harness.image();
  const load = (bytes: Uint8Array) => () =>
    new PartitionStore({ shared: newShared() }).loadImage([bytes]);
  load(image)();
  const corrupt = (error: unknown) => error instanceof RegistryError && error.code === "corrupt";
  for (let length = 0; length < image.length; length += 8) {
    assert.throws(load(image.subarray(0, length)), corrupt, `length ${length}`);
  }
  for (const [at, value] of [[0, 0], [24, 9], [28, 3], [32, 0], [32, 5], [34, 0], [36, 9]]) {
    const changed = image.slice();
    changed[at!] = value!;
    assert.throws(load(changed), corrupt, `byte ${at} is ${value}`);
  }
  const later = image.slice();
  later[0] = 2;
  assert.throws(load(later), /does not know version 2 of images of partitions/);
});

test.run();
