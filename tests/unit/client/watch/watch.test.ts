/**
 * Watches over scripted nodes: every change once and in order, whatever the nodes do; what the reader
 * is told; what the nodes are asked.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WATCH_WAITING_EVENTS_MAX } from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import type { Client, Watch, WatchEvent } from "../../../../src/client/mod.ts";
import { infoOf } from "../../../../src/record/stored_form.ts";
import { AGENT } from "../../../../src/record/agent.ts";
import { WATCH_EVENT_TYPES } from "../../../../schemas/gen/wire.ts";
import { PARTITIONS } from "../fake_cluster.ts";
import { rejection } from "../fake_registry.ts";
import { type Change, WatchModel } from "./watch_model.ts";

const NAMES = ["", "put", "superseded", "deregistered", "expired", "domain_lost"];

/** Reads a watch as fast as it can, until it ends. */
class Reader {
  readonly events: WatchEvent[] = [];
  error: unknown;
  isOver = false;
  /** Stops reading while set. */
  hold: Promise<void> | undefined;

  constructor(watch: Watch) {
    void this.#read(watch);
  }

  /** The changes that were read, without those of the state. */
  get changes(): string[] {
    return this.events.flatMap((event) =>
      "record" in event && !event.isState ? [textOf(event)] : []
    );
  }

  async #read(watch: Watch): Promise<void> {
    try {
      for await (const event of watch) {
        this.events.push(event);
        if (this.hold !== undefined) await this.hold;
      }
    } catch (error) {
      this.error = error;
    }
    this.isOver = true;
  }
}

function textOf(event: WatchEvent): string {
  if (!("record" in event)) return `${event.type} ${event.receipt.partition}`;
  const { type, record, receipt: { partition, index } } = event;
  return `${type} ${partition}:${index} ${record.id} ${record.port}`;
}

/** Returns a change as {@link textOf} shows its event. */
function expected(partition: number, { type, position, id, record }: Change): string {
  const { port } = infoOf(AGENT, record);
  return `${NAMES[type]} ${partition}:${position.index} ${formatUuid(id)} ${port}`;
}

/** Returns the changes behind those that were there. */
function newChanges(model: WatchModel, before: readonly number[]): string[][] {
  return model.partitions.map(({ changes }, partition) =>
    changes.slice(before[partition]).map((change) => expected(partition, change))
  );
}

function byPartition(changes: readonly string[]): string[][] {
  const parts = Array.from({ length: PARTITIONS }, (): string[] => []);
  for (const text of changes) parts[Number(/ (\d+):/.exec(text)![1])]!.push(text);
  return parts;
}

async function ended(model: WatchModel, client: Client): Promise<void> {
  const { seed } = model.cluster;
  model.stop();
  await seed.wait(client.close());
  // The memory network keeps a timer for the sessions of a killed node until they are idle.
  await seed.pass(60_000);
  assert.is(seed.time.timerCount, 0);
}

test("watch delivers changes in order, with positions and sources, and tells its progress", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const reader = new Reader(client.watch({ kind: "agent" }));
  await seed.settle();
  const id = model.newId(3);
  const changes = [
    model.append(3, id),
    model.append(3, id, WATCH_EVENT_TYPES.superseded, true),
    model.append(3, id, WATCH_EVENT_TYPES.expired),
  ];
  await seed.settle();
  assert.equal(reader.changes, changes.map((change) => expected(3, change)));
  const put = reader.events.find(({ type }) => type === "put")!;
  assert.is(put.receipt.node, 1);
  assert.is(put.receipt.ageBoundMs, 0);
  const before = reader.events.length;
  await seed.pass(3_000);
  const later = reader.events.slice(before).map(({ type }) => type);
  assert.ok(later.length >= 3 && later.every((type) => type === "progress"), later.join());
  await ended(model, client);
  assert.ok(reader.isOver);
});

test("watch resumes behind the token of any event, and of none before it", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const reader = new Reader(client.watch({ kind: "agent" }));
  await seed.settle();
  const ids = [1, 4, 6].map((partition) => model.newId(partition));
  for (let round = 0; round < 4; round++) {
    [1, 4, 6].forEach((partition, at) => model.append(partition, ids[at]!));
  }
  // One entry with two changes: a token between them is different from one behind them.
  model.append(4, ids[1]!, WATCH_EVENT_TYPES.put, true);
  await seed.settle();
  const all = reader.events.filter((event) => "record" in event);
  assert.is(all.length, 13);
  for (const [at, event] of all.entries()) {
    const resumed = new Reader(client.watch({ kind: "agent" }, { from: event.token }));
    await seed.settle();
    const rest = byPartition(all.slice(at + 1).map(textOf));
    assert.equal(byPartition(resumed.changes), rest, `behind event ${at}`);
    assert.ok(resumed.events.every(({ type }) => type !== "reset"));
  }
  await ended(model, client);
});

test("watch passes from a lost, silent or ending node to another one, and nobody notices", async () => {
  const disturbances: Readonly<Record<string, (model: WatchModel) => Promise<void> | void>> = {
    kill: (model) => model.kill(model.nodes[0]!),
    silence: (model) => model.silence(model.nodes[0]!, true),
    "shutting down": (model) => model.refuseAll(model.nodes[0]!, "shutting_down"),
    "a move": (model) => {
      for (let at = 0; at < PARTITIONS; at += 2) model.move(model.nodes[0]!, at);
    },
    "no proof": (model) => void (model.nodes[0]!.ageMs = undefined),
  };
  for (const [name, disturb] of Object.entries(disturbances)) {
    const model = new WatchModel();
    const { seed } = model.cluster;
    const client = await model.cluster.connect();
    const reader = new Reader(client.watch({ kind: "agent" }));
    await seed.settle();
    const ids = model.partitions.map((_, partition) => model.newId(partition));
    ids.forEach((id, partition) => model.append(partition, id));
    await seed.settle();
    await disturb(model);
    ids.forEach((id, partition) => model.append(partition, id));
    await seed.pass(8_000);
    ids.forEach((id, partition) => model.append(partition, id));
    await seed.settle();
    const wanted = newChanges(model, model.partitions.map(() => 0));
    assert.equal(byPartition(reader.changes), wanted, name);
    assert.ok(reader.events.every(({ type }) => type === "put" || type === "progress"), name);
    const served = [...model.nodes[0]!.watchers.values()].flatMap(({ partitions }) => [
      ...partitions.keys(),
    ]);
    model.silence(model.nodes[0]!, false);
    await seed.settle();
    if (name === "silence") assert.is(model.nodes[0]!.watchers.size, 0);
    // What it did not lose by the disturbance stays.
    if (name === "a move") assert.equal(served, [1, 3, 5, 7]);
    else assert.ok(served.length === 0 || name === "silence", name);
    await ended(model, client);
  }
});

test("watch drops what a node sends again", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const reader = new Reader(client.watch({ kind: "agent" }));
  await seed.settle();
  const id = model.newId(4);
  const changes = Array.from({ length: 5 }, () => model.append(4, id));
  await seed.settle();
  for (const node of model.nodes) node.repeats = true;
  model.refuseAll(model.nodes[0]!, "overloaded");
  changes.push(model.append(4, id));
  await seed.pass(2_000);
  assert.equal(reader.changes, changes.map((change) => expected(4, change)));
  await ended(model, client);
});

test("watch asks another node while one lags behind its position", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const reader = new Reader(client.watch({ kind: "agent" }));
  await seed.settle();
  const id = model.newId(5);
  const first = model.append(5, id);
  await seed.settle();
  // Both others lag; the leader of partition 5 is node 3.
  model.nodes[1]!.applied.set(5, first.position.index - 1);
  model.kill(model.nodes[0]!);
  const second = model.append(5, id);
  await seed.pass(5_000);
  assert.equal(reader.changes, [first, second].map((change) => expected(5, change)));
  await ended(model, client);
});

/** Returns of each end of a state whether it is that of the whole one. */
function wholes(events: readonly WatchEvent[]): (boolean | undefined)[] {
  return events.flatMap((event) => event.type === "complete" ? [event.isWhole] : []);
}

test("watch tells of lost history, and brings the state of that partition alone", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const watch = client.watch({ kind: "agent" });
  new Reader(watch);
  await seed.settle();
  const [gone, kept, other] = [model.newId(2), model.newId(2), model.newId(3)];
  model.append(2, gone);
  await seed.settle();
  const { token } = watch;
  watch.close();
  model.append(2, gone, WATCH_EVENT_TYPES.expired);
  model.append(2, kept);
  model.append(3, other);
  model.forget(2);
  const resumed = new Reader(client.watch({ kind: "agent" }, { from: token! }));
  await seed.settle();
  const told = resumed.events.filter(({ type }) => type !== "progress");
  const ofTwo = told.filter(({ receipt }) => receipt.partition === 2);
  assert.equal(ofTwo.map(({ type }) => type), ["reset", "put", "complete"]);
  assert.equal(ofTwo.map((event) => "record" in event && event.isState), [false, true, false]);
  assert.equal(wholes(told), [true], "No other partition's state is missing");
  assert.equal(told.filter(({ receipt }) => receipt.partition === 3).map(({ type }) => type), [
    "put",
  ]);
  await ended(model, client);
});

test("watch that resumes in the middle of the state says so, and begins it anew", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  for (let at = 0; at < 6; at++) model.append(2, model.newId(2));
  const reader = new Reader(client.watch({ kind: "agent" }, { state: true }));
  await seed.settle();
  const third = reader.events.filter(({ type }) => type === "put")[2]!;
  const resumed = new Reader(client.watch({ kind: "agent" }, { from: third.token }));
  await seed.settle();
  const ofTwo = resumed.events.filter(({ type, receipt: { partition } }) =>
    partition === 2 && type !== "progress"
  );
  assert.equal(ofTwo.map(({ type }) => type), [
    "reset",
    ...Array.from({ length: 6 }, () => "put"),
    "complete",
  ]);
  await ended(model, client);
});

test("watch begins with the state, without gap or repetition, and resumes in the middle of it", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const ids = Array.from({ length: 40 }, (_, at) => model.newId(at % PARTITIONS));
  ids.forEach((id, at) => model.append(at % PARTITIONS, id));
  const reader = new Reader(client.watch({ kind: "agent" }, { state: true }));
  // The node is lost while the state is on its way.
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
  model.kill(model.nodes[0]!);
  model.append(0, ids[0]!);
  model.append(1, ids[1]!, WATCH_EVENT_TYPES.deregistered);
  await seed.pass(5_000);
  const puts = reader.events.filter((event) => "record" in event && event.isState);
  assert.is(new Set(puts.map((event) => "record" in event && event.record.id)).size, puts.length);
  assert.is(reader.events.filter(({ type }) => type === "complete").length, PARTITIONS);
  const ends = Array.from({ length: PARTITIONS }, (_, end) => end === PARTITIONS - 1);
  assert.equal(wholes(reader.events), ends, "The last one ends the whole state");
  const state = new Map<string, string>();
  for (const event of reader.events) {
    if (!("record" in event)) continue;
    if (event.type === "put") state.set(event.record.id, String(event.record.port));
    else state.delete(event.record.id);
  }
  const wanted = new Map(
    model.partitions.flatMap((_, partition) =>
      [...model.stateOf(partition).values()].map(({ id, record }) => [
        formatUuid(id),
        String(infoOf(AGENT, record).port),
      ])
    ) as [string, string][],
  );
  assert.equal([...state].sort(), [...wanted].sort());
  await ended(model, client);
});

test("watch pauses while its reader does not read, holds nothing at nodes, and loses nothing", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const reader = new Reader(client.watch({ kind: "agent" }));
  const other = new Reader(client.watch({ kind: "agent" }));
  await seed.settle();
  const { promise, resolve } = Promise.withResolvers<void>();
  reader.hold = promise;
  const id = model.newId(0);
  const count = 2 * WATCH_WAITING_EVENTS_MAX;
  for (let at = 0; at < count; at++) {
    model.append(0, id);
    if (at % 100 === 0) await seed.settle();
  }
  await seed.pass(2_000);
  assert.ok(reader.events.length < 3);
  // The other watch on the same stream is not delayed.
  assert.is(other.changes.length, count);
  assert.is(model.nodes.reduce((sum, { watchers }) => sum + watchers.size, 0), 1);
  resolve();
  reader.hold = undefined;
  await seed.pass(2_000);
  assert.equal(byPartition(reader.changes), newChanges(model, model.partitions.map(() => 0)));
  await ended(model, client);
});

test("watch that is too slow for its state still sees the end of it", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const count = WATCH_WAITING_EVENTS_MAX + 500;
  model.pageMax = 500;
  for (let at = 0; at < count; at++) model.append(0, model.newId(0));
  const { promise, resolve } = Promise.withResolvers<void>();
  const reader = new Reader(client.watch({ kind: "agent" }, { state: true }));
  reader.hold = promise;
  await seed.pass(2_000);
  resolve();
  reader.hold = undefined;
  await seed.pass(2_000);
  const ids = reader.events.flatMap((event) => "record" in event ? [event.record.id] : []);
  assert.is(ids.length, count);
  assert.is(new Set(ids).size, count);
  assert.not(reader.events.some(({ type }) => type === "reset"));
  await ended(model, client);
});

test("watch begins everywhere although nobody reads what comes first", async () => {
  const model = new WatchModel();
  model.pageMax = 500;
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const count = 2 * WATCH_WAITING_EVENTS_MAX;
  for (let at = 0; at < count; at++) model.append(0, model.newId(0));
  // Only a node that does not answer at first has partition 5.
  for (const node of model.nodes.slice(0, 2)) node.gone.add(5);
  model.silence(model.nodes[2]!, true);
  const watch = client.watch({ kind: "agent" }, { state: true });
  await seed.pass(500);
  model.silence(model.nodes[2]!, false);
  await seed.wait(watch.begun);
  const reader = new Reader(watch);
  await seed.pass(2_000);
  assert.is(reader.events.filter(({ type }) => type === "put").length, count);
  assert.is(reader.events.filter(({ type }) => type === "complete").length, PARTITIONS);
  await ended(model, client);
});

test("watch of ids asks for their partitions only, at their leaders", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const ids = [1, 2].map((partition) => model.newId(partition));
  new Reader(client.watch({ kind: "agent", ids: ids.map((id) => formatUuid(id)) }));
  await seed.pass(1_000);
  const served = model.nodes.map(({ watchers }) =>
    [...watchers.values()].flatMap(({ partitions }) => [...partitions.keys()])
  );
  assert.equal(served, [[], [1], [2]]);
  await ended(model, client);
});

test("watch refuses what cannot be, at once or when the cluster says so", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const refused = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      return (error as { fields: { field: string } }).fields.field;
    }
    return "nothing";
  };
  assert.is(refused(() => client.watch({ ids: ["no id"] })), "ids");
  assert.is(refused(() => client.watch({}, { progressMs: 99 })), "progressMs");
  assert.is(refused(() => client.watch({}, { from: "x", state: true })), "state");
  // deno-lint-ignore no-explicit-any -- as programs without types may pass it.
  assert.is(refused(() => client.watch({ kind: "alias" as any })), "kind");

  const read = async (watch: Watch) => {
    for await (const _ of watch);
  };
  assert.is(
    (await rejection(seed, read(client.watch({}, { from: "x" })))).code,
    "invalid_argument",
  );
  const narrow = client.watch({ kind: "agent", ids: [formatUuid(model.newId(1))] });
  const event = await seed.wait(narrow[Symbol.asyncIterator]().next());
  const { code, message } = await rejection(
    seed,
    read(client.watch({}, { from: event.value.token })),
  );
  assert.is(code, "invalid_argument");
  assert.match(message, /same records/);

  for (const node of model.nodes) node.refusal = "permission_denied";
  assert.is((await rejection(seed, read(client.watch()))).code, "permission_denied");
  narrow.close();
  await ended(model, client);
});

test("watch that is closed is canceled at its node, again if the node refuses to hear it", async () => {
  const model = new WatchModel(1);
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const [node] = model.nodes;
  const watches = [1, 2].map(() => client.watch({ kind: "agent" }));
  watches.forEach((watch) => new Reader(watch));
  await seed.settle();
  assert.is(node!.watchers.size, 2);
  node!.deafFor = 2;
  watches[0]!.close();
  await seed.settle();
  assert.is(node!.watchers.size, 2);
  await seed.pass(5_000);
  assert.is(node!.watchers.size, 1);
  await ended(model, client);
});

test("watches that are started at once wait until their requests fit the stream", async () => {
  const model = new WatchModel(1);
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  // Each request has 24 KB: together they are twice what a stream gathers.
  const ids = Array.from({ length: 1_024 }, (_, at) => formatUuid(model.newId(at % PARTITIONS)));
  const watches = Array.from({ length: 100 }, () => client.watch({ kind: "agent", ids }));
  watches.forEach((watch) => new Reader(watch));
  await seed.settle();
  await Promise.all(watches.map(({ begun }) => begun));
  assert.is(model.nodes[0]!.watchers.size, 100);
  for (const watch of watches) watch.close();
  await seed.settle();
  assert.is(model.nodes[0]!.watchers.size, 0);
  await ended(model, client);
});

test("watch that cannot begin everywhere fails in time, and says where", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  for (const node of model.nodes) node.gone.add(6);
  const watch = client.watch({ kind: "agent" }, { timeoutMs: 2_000 });
  const startMs = seed.time.nowMs();
  const { code, message } = await rejection(seed, watch.begun);
  assert.is(code, "not_replica");
  assert.match(message, /1 of 8 partitions did not \(6\)/);
  assert.ok(seed.time.nowMs() - startMs <= 2_100);
  assert.is(model.nodes.reduce((sum, { watchers }) => sum + watchers.size, 0), 0);
  await ended(model, client);
});

test("watch ends with its reader, its signal and its client, and is ended at the nodes", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const watching = () => model.nodes.reduce((sum, { watchers }) => sum + watchers.size, 0);
  const read = async (watch: Watch) => {
    for await (const _ of watch) break;
  };
  await seed.wait(read(client.watch({ kind: "agent" })));
  await seed.settle();
  assert.is(watching(), 0);
  const controller = new AbortController();
  const reader = new Reader(client.watch({ kind: "agent" }, { signal: controller.signal }));
  await seed.settle();
  assert.is(watching(), 1);
  controller.abort();
  await seed.settle();
  assert.ok(reader.isOver);
  assert.is(watching(), 0);
  const last = new Reader(client.watch({ kind: "agent" }));
  await seed.settle();
  await ended(model, client);
  assert.is((last.error as { code: string }).code, "shutting_down");
});

/** Disturbs nodes at random while changes are appended, and compares with the history. */
async function trial(number: number): Promise<void> {
  const random = new SeededEntropy(number);
  const pick = (count: number) => Math.floor(random.unit() * count);
  const model = new WatchModel();
  model.eventsMax = 1 + pick(8);
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const watch = client.watch({ kind: "agent" }, { progressMs: 100 + pick(900) });
  const reader = new Reader(watch);
  await seed.settle();
  const ids = model.partitions.map((_, partition) => [
    model.newId(partition),
    model.newId(partition),
  ]);
  const heal = () => {
    for (const node of model.nodes) {
      model.silence(node, false);
      node.ageMs = 0;
      node.refusal = undefined;
      node.applied.clear();
      node.gone.clear();
    }
    model.pump();
  };
  model.nodes[pick(3)]!.repeats = true;
  for (let step = 0; step < 60; step++) {
    const partition = pick(PARTITIONS);
    const node = model.nodes[pick(3)]!;
    const { index } = model.partitions[partition]!;
    switch (pick(12)) {
      case 0:
        model.silence(node, node.held === undefined);
        break;
      case 1:
        model.move(node, partition);
        break;
      case 2:
        node.applied.set(partition, index - pick(2));
        break;
      case 3:
        node.ageMs = pick(2) === 0 ? undefined : 0;
        break;
      case 4:
        model.refuseAll(node, (["overloaded", "shutting_down"] as const)[pick(2)]!);
        break;
      case 5:
        node.refusal = "overloaded";
        break;
      case 6:
        heal();
        break;
      default: {
        const type = pick(4) === 0 ? WATCH_EVENT_TYPES.expired : WATCH_EVENT_TYPES.put;
        model.append(partition, ids[partition]![pick(2)]!, type, pick(3) === 0);
      }
    }
    await seed.pass(pick(600));
  }
  heal();
  await seed.pass(10_000);
  const wanted = newChanges(model, model.partitions.map(() => 0));
  assert.equal(byPartition(reader.changes), wanted, `seed ${number}`);
  assert.is(reader.error, undefined);
  watch.close();
  await ended(model, client);
}

test("watch delivers every change once and in order, whatever the nodes do", async () => {
  for (let number = 1; number <= 12; number++) await trial(number);
});

test.run();
