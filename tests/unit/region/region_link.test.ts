/** The link to a peer region, against a registry: what a puller reads of it, and when that ends. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Agent, agentCodec } from "../../../schemas/gen/record.ts";
import { type ClockReading, readClocks } from "../../../src/base/clock_reading.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { FEED_WAITING_EVENTS_MAX } from "../../../src/base/limits.ts";
import type { Position } from "../../../src/base/position.ts";
import { DialedRegion } from "../../../src/region/dialed_region.ts";
import type { FeedEvent, FollowRequest, RegionFeed } from "../../../src/region/region_link.ts";
import { RegionAnswers } from "../../../src/serving/regions/region_answers.ts";
import type { HistoryPosition } from "../../../src/wire/watch_message.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { agentBytes, idOf } from "../../support/store.ts";

const PARTITIONS = 4;
const ENDPOINT = { host: "node", port: 4100 };
const ADDED = {
  ...{ name: "us-1", servers: ["192.0.2.7:4443"], bundle: "" },
  ...{ preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 },
};

/** Opens a region that `us-1` may follow, and the link by which it does. */
async function opened() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const { registry, world } = harness;
  const owner = await harness.peer();
  const pin = new Uint8Array(32);
  await world.wait(registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
  registry.placement.hurry();
  await world.pass(100);
  await owner.must("addRegion", ADDED);
  const link = new DialedRegion({
    ...{ region: "global", own: "us-1", endpoints: [ENDPOINT], bundle: "", isBanned: () => false },
    credentials: { kind: "development" },
    dialer: harness.dialer(),
    world,
  });
  const register = async (fields: Partial<Agent> & { number: number }, expected?: Position) =>
    await (await harness.peer()).must("registerAgent", agentRequest(fields, expected));
  const follow = (changes: Partial<FollowRequest> = {}) =>
    new Follower(link.feed({ ...requestOf(harness), ...changes }), harness);
  return { harness, owner, link, register, follow };
}

function requestOf({ registry }: RegistryHarness): FollowRequest {
  return {
    clusterId: registry.cluster.clusterId,
    generation: 1,
    partitions: Array.from({ length: PARTITIONS }, (_, partition) => partition),
    cursors: new Map(),
    progressMs: 1_000,
    bytesPerSecondMax: 1 << 30,
  };
}

/** Reads a feed to its end, and keeps what it says. */
class Follower {
  readonly events: FeedEvent[] = [];
  readonly cursors = new Map<number, HistoryPosition>();
  readonly fresh: ClockReading[] = [];
  /** Sizes of the batches. */
  readonly batches: number[] = [];
  end: string | undefined;
  readonly #feed: RegionFeed;
  readonly #harness: RegistryHarness;

  constructor(feed: RegionFeed, harness: RegistryHarness) {
    this.#feed = feed;
    this.#harness = harness;
  }

  /** Begins to read. */
  read(): this {
    this.#read().then(() => this.end = "ok", (error) => {
      this.end = error instanceof RegistryError ? error.code : String(error);
    });
    return this;
  }

  async #read(): Promise<void> {
    for await (const { events } of this.#feed) {
      this.batches.push(events.length);
      for (const event of events) {
        if (event.type === "fresh") this.fresh.push(event.asOf);
        else if (event.type !== "cursors") this.events.push(event);
        else {
          for (const { partition, ...position } of event.cursors) {
            this.cursors.set(partition, position);
          }
        }
      }
    }
  }

  close(): void {
    this.#feed.close();
  }

  /** Events about records, as text; others as their type. */
  get told(): string[] {
    return this.events.map((event) => {
      switch (event.type) {
        case "put":
          return `put ${event.id[15]}${event.isState ? " state" : ""}`;
        case "remove":
          return `remove ${event.id[15]}`;
        default:
          return event.type;
      }
    });
  }

  async settled(ms = 2_000): Promise<this> {
    await this.#harness.world.pass(ms);
    return this;
  }
}

test("status: says which cluster the region is", async () => {
  const { harness, owner, link } = await opened();
  const { trust, ...status } = await harness.world.wait(link.status(5_000));
  assert.equal([trust?.bundle, trust?.bans], ["", []]);
  assert.equal(status, {
    region: "global",
    clusterId: harness.registry.cluster.clusterId,
    generation: 1,
    partitionCount: PARTITIONS,
    hashKey: harness.registry.cluster.hashKey,
  });
  assert.not(link.contact.isConnected, "who is not accepted is not kept");
  await owner.must("removeRegion", { name: "us-1" });
  const refused = await harness.world.wait(link.status(5_000).catch((error) => error.code));
  assert.is(refused, "permission_denied");
});

test("status: servers of another region than the one that was added are refused", async () => {
  const { harness } = await opened();
  const link = new DialedRegion({
    ...{ region: "ap-1", own: "us-1", endpoints: [ENDPOINT], bundle: "", isBanned: () => false },
    ...{ credentials: { kind: "development" }, dialer: harness.dialer(), world: harness.world },
  });
  const refused = await harness.world.wait(link.status(5_000).catch((error) => error.code));
  assert.is(refused, "wrong_cluster");
});

test("status: a region that states an impossible partition count, or no hash key, is refused", async () => {
  const { harness, link } = await opened();
  const { status } = RegionAnswers.prototype;
  for (const wrong of [{ partitionCount: 0xffff_ffff }, { hashKey: new Uint8Array(16) }]) {
    RegionAnswers.prototype.status = function (...args) {
      return { ...status.apply(this, args), ...wrong };
    };
    const refused = await harness.world.wait(link.status(5_000).catch((error) => error.code));
    RegionAnswers.prototype.status = status;
    assert.is(refused, "malformed", Object.keys(wrong).join());
  }
  const { partitionCount } = await harness.world.wait(link.status(5_000));
  assert.is(partitionCount, PARTITIONS);
});

test("feed: the state partition by partition, then changes, with cursors behind both", async () => {
  const { harness, owner, register, follow } = await opened();
  for (let number = 1; number <= 6; number++) await register({ number });
  await register({ number: 7, scope: 1 });
  await owner.must("registerGateway", gatewayRequest({ number: 8 }));
  const feed = await follow().read().settled();
  const state = feed.told.filter((text) => text.startsWith("put")).sort();
  assert.equal(state, [1, 2, 3, 4, 5, 6, 8].map((number) => `put ${number} state`));
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const types = feed.events.filter((event) =>
      "partition" in event && event.partition === partition
    )
      .map(({ type }) => type);
    assert.is(types[0], "reset");
    assert.is(types.at(-1), "complete");
    assert.ok(feed.cursors.has(partition));
  }
  const before = feed.events.length;
  await register({ number: 1, sequence: 8, port: 9 });
  await register({ number: 2, sequence: 8, scope: 1 });
  await register({ number: 7, sequence: 8, scope: 1, port: 3 });
  await feed.settled();
  assert.equal(feed.told.slice(before), ["put 1", "remove 2"]);
  const [changed] = feed.events.slice(before);
  assert.ok(changed?.type === "put");
  const { port, revision } = agentCodec.decode(changed.record);
  assert.is(port, 9);
  assert.equal(changed.revision, revision);
  assert.equal(harness.agent(idOf(1))!.revision, revision);
});

test("feed: continues behind its cursors, across a restart of the region, without repetition", async () => {
  const { harness, register, follow } = await opened();
  for (let number = 1; number <= 4; number++) await register({ number });
  const first = await follow().read().settled();
  first.close();
  await first.settled(10);
  assert.is(first.end, "ok");
  await register({ number: 5 });
  const { cursors } = first;
  const second = await follow({ cursors }).read().settled();
  assert.equal(second.told, ["put 5"]);
  await harness.restart();
  await register({ number: 6 });
  await second.settled(10_000);
  // The history is rebuilt from the log, or the state of a partition comes again.
  const isNew = (text: string) => text === "put 6" || text === "put 6 state";
  assert.ok(second.told.slice(1).some(isNew), second.told.join() + JSON.stringify(second.end));
  if (!second.told.includes("reset")) assert.equal(second.told, ["put 5", "put 6"]);
});

test("feed: says which claim a change ended, and which it kept", async () => {
  const { owner, register, follow } = await opened();
  await register({ number: 1, domain: "a1.example" });
  const feed = await follow().read().settled();
  const before = feed.events.length;
  await register({ number: 1, domain: "a1.example", sequence: 8 });
  const { incarnation } = await register({ number: 1, domain: "b1.example", sequence: 9 });
  await feed.settled();
  const ended = { id: idOf(1), process: 7, sequence: 10, incarnation, withAgents: false };
  await owner.must("deregisterAgent", ended);
  await feed.settled();
  const told = feed.events.slice(before).map((event) =>
    event.type === "put"
      ? [event.keptClaim === true, event.lost?.domain]
      : event.type === "remove" && [event.type, event.lost?.domain]
  );
  assert.equal(told[0], [true, undefined]);
  assert.ok(told.some((one) => one && one[0] === false && one[1] === "a1.example"));
  assert.equal(told.at(-1), ["remove", "b1.example"]);
});

test("feed: another cluster, or another generation, ends it", async () => {
  const { register, follow, link } = await opened();
  await register({ number: 1 });
  const other = await follow({ clusterId: new Uint8Array(16).fill(7) }).read().settled();
  assert.is(other.end, "wrong_cluster");
  assert.equal(other.events, []);
  assert.is(link.contact.lastError?.code, "wrong_cluster");
  const older = await follow({ generation: 2 }).read().settled();
  assert.is(older.end, "history_lost");
  assert.not(older.told.some((text) => text.startsWith("put")));
  const cursors = new Map([[0, { generation: 0, index: 1, ordinal: 1 }]]);
  const lost = await follow({ cursors, partitions: [0] }).read().settled();
  assert.is(lost.end, "history_lost");
  const good = await follow().read().settled();
  assert.is(good.end, undefined);
});

test("feed: no record of another generation is handed out before that is known", async () => {
  const { register, follow } = await opened();
  for (let number = 1; number <= 12; number++) await register({ number });
  const other = await follow({ generation: 2 }).read().settled();
  assert.is(other.end, "history_lost");
  assert.equal(other.told.filter((text) => text.startsWith("put")), []);
});

test("feed: a region that may follow no longer is told so", async () => {
  const { owner, follow } = await opened();
  const feed = await follow().read().settled();
  await owner.must("removeRegion", { name: "us-1" });
  await feed.settled(5_000);
  assert.is(feed.end, "permission_denied");
});

test("feed: says as of when everything was handed out, by the clocks here, and never too late", async () => {
  const { harness, register, follow, link } = await opened();
  const started = readClocks(harness.world);
  const feed = await follow().read().settled(5_000);
  assert.ok(feed.fresh.length >= 3, `${feed.fresh.length} in 5 s`);
  let before = started.monotonicMs;
  for (const { monotonicMs } of feed.fresh) {
    assert.ok(monotonicMs >= before);
    before = monotonicMs;
  }
  await register({ number: 1 });
  const registeredMs = harness.world.nowMs();
  await feed.settled(5_000);
  assert.ok(feed.fresh.at(-1)!.monotonicMs > registeredMs);
  assert.ok(feed.told.includes("put 1"));
  harness.crash();
  const cutMs = harness.world.nowMs();
  const { length } = feed.fresh;
  await feed.settled(15_000);
  for (const { monotonicMs } of feed.fresh.slice(length)) assert.ok(monotonicMs <= cutMs);
  assert.not(link.contact.isConnected);
  assert.ok(link.contact.lastContact!.monotonicMs <= cutMs);
});

test("feed: of no partition everything is known at any time", async () => {
  const { follow, harness } = await opened();
  const feed = await follow({ partitions: [] }).read().settled(5_000);
  assert.ok(feed.fresh.length >= 4, `${feed.fresh.length} in 5 s`);
  const startedMs = harness.world.nowMs() - 5_000;
  assert.ok(feed.fresh.every(({ monotonicMs }) => monotonicMs >= startedMs));
  assert.equal(feed.events, []);
  feed.close();
  await feed.settled();
  assert.is(feed.end, "ok");
});

test("feed: what is not read waits at the region, and comes no faster than the rate", async () => {
  const { harness, owner, link, follow } = await opened();
  const count = 2 * FEED_WAITING_EVENTS_MAX;
  const waitingMax = 1.5 * FEED_WAITING_EVENTS_MAX;
  for (let first = 0; first < count; first += 256) {
    const items = Array.from({ length: 256 }, (_, at) => ({
      ...{ kind: 1, expected: { generation: 0, index: 0 } },
      record: agentBytes({ id: longId(first + at), port: 1 }),
    }));
    await owner.must("registerMany", { items, takeOver: false } as never);
  }
  const iterator = link.feed(requestOf(harness))[Symbol.asyncIterator]();
  await harness.world.wait(iterator.next());
  await harness.world.pass(5_000);
  const { eventsReceived, bytesReceived } = link.contact;
  assert.ok(eventsReceived < waitingMax, `${eventsReceived} came unread`);
  await iterator.return!();
  const bytesPerSecondMax = 256 * 1024;
  const feed = follow({ bytesPerSecondMax }).read();
  const startMs = harness.world.nowMs();
  const puts = () => feed.events.filter(({ type }) => type === "put");
  while (puts().length < count && harness.world.nowMs() < startMs + 60_000) {
    await harness.world.pass(200);
  }
  const ids = new Set(puts().flatMap((event) => event.type === "put" ? [`${event.id}`] : []));
  assert.equal([ids.size, puts().length], [count, count]);
  assert.ok(Math.max(...feed.batches) < waitingMax);
  const rate = (link.contact.bytesReceived - bytesReceived) * 1_000 /
    (harness.world.nowMs() - startMs);
  assert.ok(rate < 1.5 * bytesPerSecondMax, `${rate} bytes a second`);
});

function longId(number: number): Uint8Array {
  const id = idOf(1);
  new DataView(id.buffer, id.byteOffset).setUint32(4, number + 1);
  return id;
}

test.run();
